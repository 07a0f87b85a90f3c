"""$meta-delete: labels taken off a resource. https://hl7.org/fhir/R4/resource-operation-meta-delete.html"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from fhir_server.api import Json, Operation, OperationContext, Unprocessable

LABELS = ("profile", "security", "tag")


async def meta_delete(context: OperationContext) -> Json:
    """Remove the profiles, tags and security labels and return the new meta; what is not there is passed over."""
    given = context.parameters.one("meta")
    if issues := await context.server.validate({"resourceType": "Parameters", "meta": given}):
        raise Unprocessable(issues=issues)
    if not any(given.get(name) for name in LABELS):
        raise Unprocessable(
            "meta must have a profile, a tag or a security label to delete.", expression="Parameters.meta"
        )

    def delete(meta: Json) -> Json:
        rest = {name: _without(meta[name], given.get(name, [])) for name in LABELS if name in meta}
        return {name: rest.get(name, value) for name, value in meta.items() if rest.get(name, value)}

    changed = await context.server.change_meta(context.key, delete)
    return {"resourceType": "Parameters", "parameter": [{"name": "return", "valueMeta": changed}]}


def _without(there: list[Any], given: list[Any]) -> list[Any]:
    gone = {_identity(label) for label in given}
    return [label for label in there if _identity(label) not in gone]


def _identity(label: Any) -> tuple[Any, ...]:
    """Return what makes a label the same: a profile's URL, a coding's system and code."""
    return (label.get("system"), label.get("code")) if isinstance(label, dict) else (label,)


OPERATION = Operation(definition=files(__name__) / "definition.json", instance=meta_delete)
