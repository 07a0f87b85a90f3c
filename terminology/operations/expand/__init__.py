"""ValueSet/$expand: the codes of a value set. https://hl7.org/fhir/R4/valueset-operation-expand.html"""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from fhir_server.api import InvalidRequest, Json, NotFound, Operation, OperationContext, Parameters
from terminology.asking import Asked, answering, ask
from terminology.expanding import expand as make_expansion
from terminology.failures import Unknown
from terminology.issues import cannot_expand
from terminology.rows import Wish
from terminology.shapes import check_words
from terminology.statuses import selections
from terminology.versions import split

# What an expansion keeps of the value set it is of; its definition only where includeDefinition asks for it.
KEPT = (
    "resourceType", "id", "language", "url", "version", "name", "title", "status", "experimental", "date", "publisher",
)  # fmt: skip
REPEATED = {
    "activeOnly": "valueBoolean",
    "count": "valueInteger",
    "excludeNested": "valueBoolean",
    "excludeNotForUI": "valueBoolean",
    "filter": "valueString",
    "includeDesignations": "valueBoolean",
    "includeDefinition": "valueBoolean",
    "offset": "valueInteger",
}
# Repeated where they mattered: a default version does only where the value set names none.
VERSIONS = ("system-version", "check-system-version", "force-system-version")
REPEATED_ALL = {"designation": "valueString", "exclude-system": "valueUri"}


@answering
async def expand(context: OperationContext) -> Json:
    """Return the value set with its codes.

    What would be more than a client can use at once is refused unless it asks for pages, with count and offset.
    """
    said = context.parameters
    for name in ("offset", "count"):
        if (said.one(name) or 0) < 0:
            raise InvalidRequest(f"{name} must not be negative.", location=f"http.{name}")
    check_words(said.one("filter") or "", "A filter")
    asked = await ask(context)
    try:
        expansion = await make_expansion(
            asked.value_set,
            _wish(said, asked),
            asked.languages,
            _repeated(said, asked),
            asked.sources.memory.expansions,
        )
    except Unknown as unknown:
        raise NotFound(issues=[cannot_expand(unknown)]) from unknown
    resource = asked.value_set.resource
    kept = {k: v for k, v in resource.items() if k in KEPT or (said.one("includeDefinition") and k != "text")}
    when = datetime.fromtimestamp(context.server.now() / 1000, UTC).isoformat(timespec="milliseconds")
    head = {"identifier": f"urn:uuid:{context.server.new_id()}", "timestamp": when.replace("+00:00", "Z")}
    return {"resourceType": "ValueSet", **kept, "expansion": {**head, **expansion}}


def _wish(said: Parameters, asked: Asked) -> Wish:
    def flag(name: str) -> bool:
        given = said.one(name)
        return bool(given) if given is not None else str(asked.defaults.get(name)).lower() == "true"

    return Wish(
        filter=said.one("filter") or "",
        offset=said.one("offset"),
        count=said.one("count"),
        active_only=flag("activeOnly"),
        is_flat=flag("excludeNested"),
        for_ui=flag("excludeNotForUI"),
        with_designations=flag("includeDesignations") or bool(said.all("designation")),
        designations=tuple(said.all("designation")),
        properties=tuple(said.all("property")),
        without_systems=tuple(name.partition("|")[0] for name in said.all("exclude-system")),
    )


def _repeated(said: Parameters, asked: Asked) -> list[Json]:
    rows: list[dict[str, Any]] = []
    if asked.languages.text:
        rows.append({"name": "displayLanguage", "valueCode": asked.languages.text})
    for name, kind in REPEATED.items():
        if said.one(name) is not None:
            rows.append({"name": name, kind: said.one(name)})
    for name, kind in REPEATED_ALL.items():
        rows += [{"name": name, kind: value} for value in said.all(name)]
    systems = {s.system: bool(s.pinned) for s in selections(asked.value_set)}
    for name in VERSIONS:
        for value in said.all(name):
            system = split(value)[0]
            if system in systems and (name != "system-version" or not systems[system]):
                rows.append({"name": name, "valueUri": value})
    return rows


OPERATION = Operation(definition=files(__name__) / "definition.json", type=expand, instance=expand)
