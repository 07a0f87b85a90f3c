"""$meta: the profiles, tags and security labels of one resource, or in use. https://hl7.org/fhir/R4/resource-operation-meta.html"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from fhir_server.api import (
    Criterion,
    Deleted,
    Everything,
    Json,
    NotFound,
    Operation,
    OperationContext,
    Order,
    Position,
    TooCostly,
    decode_stored,
)

MAX_RESOURCES = 20_000
CHUNK = 500
BY_KEY = Order("key", descending=False)


async def meta_of_one(context: OperationContext) -> Json:
    """Return the meta of the instance."""
    found = await context.records.read(context.key)
    if found is None:
        raise NotFound(f"There is no {context.key}.")
    if found.deleted:
        raise Deleted(f"{context.key} was deleted.", version=found.version)
    return _answer(decode_stored(found.raw).get("meta", {}))


async def meta_in_use(context: OperationContext) -> Json:
    """Return every distinct profile, tag and security label of the resources the caller may see.

    All of them are read for it, so there is a limit; the labels of more can be asked for type by type.
    """
    where: Criterion = Everything()
    if context.resource_type:
        where = await context.server.criterion(context.resource_type, [])
    if await context.records.count(where, MAX_RESOURCES + 1) > MAX_RESOURCES:
        narrower = "Ask for one type, or for one resource." if not context.resource_type else "Ask for one resource."
        raise TooCostly(f"There are more than {MAX_RESOURCES} resources to look through. {narrower}")
    labels = Labels()
    after: Position | None = None
    while True:
        page = await context.records.search(where, BY_KEY, CHUNK, after)
        for record in page.records:
            labels.collect(record.raw)
        if not page.more:
            return _answer(labels.meta())
        after = Position(0, page.records[-1].key)


class Labels:
    """Distinct profiles, tags and security labels; codings are the same when system and code are."""

    def __init__(self) -> None:
        self._profiles: set[str] = set()
        self._codings: dict[str, dict[tuple[str, str], Json]] = {"security": {}, "tag": {}}

    def collect(self, raw: bytes) -> None:
        """Add those of a resource. Most have none, which a look at the bytes tells."""
        if b'"profile":[' not in raw and b'"tag":[' not in raw and b'"security":[' not in raw:
            return
        meta = decode_stored(raw).get("meta", {})
        self._profiles.update(meta.get("profile", ()))
        for name, known in self._codings.items():
            for coding in meta.get(name, ()):
                known.setdefault((coding.get("system", ""), coding.get("code", "")), coding)

    def meta(self) -> Json:
        """Return them as a Meta, in order."""
        rows: dict[str, list[Any]] = {"profile": sorted(self._profiles)}
        for name, known in self._codings.items():
            rows[name] = [known[key] for key in sorted(known)]
        return {name: row for name, row in rows.items() if row}


def _answer(meta: Json) -> Json:
    """Return the output; without any label it is empty, for FHIR has no empty Meta."""
    if not meta:
        return {"resourceType": "Parameters"}
    return {"resourceType": "Parameters", "parameter": [{"name": "return", "valueMeta": meta}]}


OPERATION = Operation(
    definition=files(__name__) / "definition.json", system=meta_in_use, type=meta_in_use, instance=meta_of_one
)
