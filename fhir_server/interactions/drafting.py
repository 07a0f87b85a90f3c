"""A resource on its way into the store: checked, stamped with id and meta, written out, indexed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_server.api.errors import InvalidRequest, TooLarge, Unprocessable
from fhir_server.api.records import Draft, Index, Stored
from fhir_server.fhir.dates import format_instant
from fhir_server.fhir.json import encode
from fhir_server.fhir.outcomes import Issue
from fhir_server.interactions.services import Call
from fhir_server.search.accepting import TYPE
from fhir_server.validation.conformance import Wish

Json = dict[str, Any]

# A document in MongoDB has 16 MB at most, and the index terms lie beside the resource in it.
MAX_RESOURCE_BYTES = 15 * 1024 * 1024
FEW_ROWS = 10_000  # so many fit beside any resource
ROW_BYTES = 16  # of an entry of an array: its type, its number as text, eight bytes
NOTHING = Index()

# The method of an update that brought a deleted resource back. The history shows it as a PUT that created, which the
# version number alone does not tell.
RECREATED = "PUT 201"


async def checked(call: Call, body: Any, resource_type: str, *, is_new: bool = False) -> Json:
    """Return the body as a valid resource of the type; `is_new` says that its id, if it has one, will not be kept.

    Raises InvalidRequest when it is no resource of that type, Unprocessable with every issue when it breaks a rule.
    """
    if not isinstance(body, dict) or not isinstance(body.get("resourceType"), str):
        raise InvalidRequest(f"The body must be a {resource_type} resource.", expression=resource_type)
    if body["resourceType"] != resource_type:
        raise InvalidRequest(
            f"The URL says {resource_type} and the body {body['resourceType'][:64]!r}.", expression="resourceType"
        )
    issues = structure_issues(call, body, is_new=is_new)
    if _errors(issues):
        raise Unprocessable(issues=issues)
    if issues := await conformance_issues(call, body):
        raise Unprocessable(issues=issues)
    return body


async def issues_of(
    call: Call, resource: Any, *, references_open: bool = False, advice: bool = False, profiles: Sequence[str] = ()
) -> list[Issue]:
    """Return everything there is to say about a resource: its structure, its profiles, with advice its warnings."""
    issues = structure_issues(call, resource, references_open=references_open, advice=advice)
    conformance = call.services.conformance
    if advice or profiles or (isinstance(resource, dict) and conformance.concerns(call.tenant, resource)):
        wish = Wish(tuple(profiles), advice)
        issues += await conformance.issues(call.tenant, call.definition_library, resource, wish)
    return issues


async def conformance_issues(call: Call, resource: Json) -> list[Issue]:
    """Return why a resource that is in order by itself does not conform to what its tenant holds it to."""
    conformance = call.services.conformance
    if not conformance.concerns(call.tenant, resource):
        return []
    return await conformance.issues(call.tenant, call.definition_library, resource)


def structure_issues(
    call: Call, resource: Any, *, is_new: bool = False, references_open: bool = False, advice: bool = False
) -> list[Issue]:
    """Return what is wrong with a resource by itself; an active SearchParameter must be able to come into force."""
    issues = call.services.validator.validate(resource, allow_conditional_references=references_open, advice=advice)
    if isinstance(resource, dict) and resource.get("resourceType") == TYPE and not _errors(issues):
        key = "" if is_new else key_of(resource)
        issues = [*issues, *call.services.editions.acceptance.findings(resource, call.edition.customs, key)]
    return issues


def key_of(resource: Json) -> str | None:
    """Return what a resource with an id will be stored as, None for one without."""
    return f"{resource['resourceType']}/{resource['id']}" if "id" in resource else None


def _errors(issues: Sequence[Issue]) -> bool:
    return any(issue.severity in ("error", "fatal") for issue in issues)


def stamp(resource: Json, resource_id: str, version: int, updated: int) -> Json:
    """Return the resource with its id, version and time; whatever meta else says stays."""
    meta = resource.get("meta")
    stamped: Json = {"resourceType": resource["resourceType"], "id": resource_id}
    rest = dict(meta) if meta else {}
    rest.pop("versionId", None)
    rest.pop("lastUpdated", None)
    stamped["meta"] = {"versionId": str(version), "lastUpdated": format_instant(updated), **rest}
    for name, value in resource.items():
        if name not in stamped:
            stamped[name] = value
    return stamped


def check_size(raw: bytes, index: Index = NOTHING) -> None:
    """Raise TooLarge where a resource, or it and what it is found by, does not fit into a document of the database."""
    if len(raw) > MAX_RESOURCE_BYTES:
        raise TooLarge(f"A resource may have {MAX_RESOURCE_BYTES} bytes; this one has {len(raw)}.")
    rows = len(index.terms) + len(index.ranges)
    if (
        rows > FEW_ROWS
        and len(raw) + ROW_BYTES * rows + sum(len(row.encode()) for row in index.ranges) > MAX_RESOURCE_BYTES
    ):
        raise TooLarge(
            f"A resource of {len(raw)} bytes is found by {rows} codes and texts, which is more than the database keeps "
            "beside it. Send it in parts; load a large code system with CodeSystem/$load."
        )


def draft(call: Call, resource: Json, resource_id: str, version: int, method: str) -> Draft:
    """Return the draft of a valid resource as the given version, of now."""
    now = call.services.clock.now()
    stamped = stamp(resource, resource_id, version, now)
    raw = encode(stamped)
    edition = call.edition
    check_size(raw)
    index = edition.indexer.index(call.tenant, stamped, call.base_url)
    check_size(raw, index)
    key = f"{resource['resourceType']}/{resource_id}"
    return Draft(key, version, now, raw, method, index, generation=edition.generation)


def is_unchanged(resource: Json, previous: Stored) -> bool:
    """Whether writing the resource over its previous version would change nothing but the version."""
    stamped = stamp(resource, previous.id, previous.version, previous.updated)
    return not previous.deleted and encode(stamped) == previous.raw


def body_id(resource: Json, expected: str) -> None:
    """Refuse a body whose id is missing or not the URL's. https://hl7.org/fhir/R4/http.html#update"""
    found = resource.get("id")
    if found != expected:
        said = "has no id" if found is None else "has another id than the URL"
        raise InvalidRequest(
            issues=[Issue("invalid", f"The body {said}; put the URL's id in it.", f"{resource['resourceType']}.id")]
        )
