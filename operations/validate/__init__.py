"""$validate: would this resource, or this change, be accepted? https://hl7.org/fhir/R4/resource-operation-validate.html"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from fhir_server.api import (
    Deleted,
    InvalidRequest,
    Issue,
    Json,
    NotFound,
    Operation,
    OperationContext,
    Stored,
    decode_stored,
    encode,
    operation_outcome,
)

MODES = ("create", "update", "delete", "profile")
ALL_OK = encode(operation_outcome([]))


async def validate(context: OperationContext) -> bytes:
    """Return every issue of a resource, or that all is well: what a create or an update looks at, and more.

    The more are warnings, the codes that its code systems do not have, and extensions; it is held against the profiles
    it claims, those that the tenant requires, and the one that is asked for. A profile that is asked for and is not
    known is an issue of its own kind (not-found), for "all is well" about what was not looked at would be a lie.
    """
    mode, profile = context.parameters.one("mode"), context.parameters.one("profile")
    resource = context.parameters.one("resource")
    if mode is not None or profile is not None:
        _check_parameters(context, mode, profile)
    if mode == "delete" or resource is None:
        stored = await _stored(context)
        if mode == "delete":
            return ALL_OK
        resource = decode_stored(stored.raw)
    if not isinstance(resource, dict):
        raise InvalidRequest("The parameter resource is no resource.", expression="Parameters.parameter")
    profiles = () if profile is None else (str(profile),)
    found = await context.server.validate(resource, advice=True, profiles=profiles)
    issues = [*_mismatches(context, resource, mode), *found]
    return encode(operation_outcome(issues)) if issues else ALL_OK


def _check_parameters(context: OperationContext, mode: Any, profile: Any) -> None:
    if mode is not None and mode not in MODES:
        raise InvalidRequest(f"mode must be one of {', '.join(MODES)}.", location="http.mode")
    if mode == "profile" and profile is None:
        raise InvalidRequest("mode=profile needs the parameter profile.", location="http.profile")
    if mode == "delete" and not context.resource_id:
        raise InvalidRequest("mode=delete is about one resource: Type/id/$validate?mode=delete.", location="http.mode")


async def _stored(context: OperationContext) -> Stored:
    if not context.resource_id:
        raise InvalidRequest("Send the resource to validate as the body.", expression="Parameters.parameter")
    found = await context.records.read(context.key)
    if found is None:
        raise NotFound(f"There is no {context.key}.")
    if found.deleted:
        raise Deleted(f"{context.key} was deleted.", version=found.version)
    return found


def _mismatches(context: OperationContext, resource: Json, mode: str | None) -> Iterator[Issue]:
    """Yield what would refuse the resource at this URL whatever it holds."""
    kind, own = resource.get("resourceType"), resource.get("id")
    if kind != context.resource_type:
        yield Issue("invalid", f"The URL says {context.resource_type}, the resource is something else.", "resourceType")
    if mode == "update" and (own is None or (context.resource_id and own != context.resource_id)):
        said = "has no id" if own is None else "has another id than the URL"
        yield Issue("invalid", f"An update would be refused: the resource {said}.", f"{context.resource_type}.id")


OPERATION = Operation(definition=files(__name__) / "definition.json", type=validate, instance=validate)
