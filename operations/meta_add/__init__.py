"""$meta-add: labels put on a resource, its content untouched. https://hl7.org/fhir/R4/resource-operation-meta-add.html"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from fhir_server.api import Json, Operation, OperationContext, Unprocessable

LABELS = ("profile", "security", "tag")


async def meta_add(context: OperationContext) -> Json:
    """Add the profiles, tags and security labels and return the new meta; what is there already is not doubled."""
    given = context.parameters.one("meta")
    if issues := await context.server.validate({"resourceType": "Parameters", "meta": given}):
        raise Unprocessable(issues=issues)
    if not any(given.get(name) for name in LABELS):
        raise Unprocessable("meta must have a profile, a tag or a security label to add.", expression="Parameters.meta")

    def add(meta: Json) -> Json:
        return {**meta, **{name: _joined(meta.get(name, []), given[name]) for name in LABELS if given.get(name)}}

    changed = await context.server.change_meta(context.key, add)
    return {"resourceType": "Parameters", "parameter": [{"name": "return", "valueMeta": changed}]}


def _joined(there: list[Any], given: list[Any]) -> list[Any]:
    known = {_identity(label) for label in there}
    joined = list(there)
    for label in given:
        if _identity(label) not in known:
            known.add(_identity(label))
            joined.append(label)
    return joined


def _identity(label: Any) -> tuple[Any, ...]:
    """Return what makes a label the same: a profile's URL, a coding's system and code."""
    return (label.get("system"), label.get("code")) if isinstance(label, dict) else (label,)


OPERATION = Operation(definition=files(__name__) / "definition.json", instance=meta_add)
