"""Setting what a tenant's resources are held to when they are written. See api.conformance."""

from __future__ import annotations

from fhir_server.api.conformance import ValidationPolicy
from fhir_server.api.errors import Unprocessable
from fhir_server.fhir.outcomes import Issue
from fhir_server.interactions.services import Call


async def set_policy(call: Call, policy: ValidationPolicy) -> None:
    """Put a policy in force, here at once and in all workers within seconds.

    Raises Unprocessable, with everything that is wrong, for unknown types, unknown profiles, and profiles of another
    type: each would refuse every write of its type.
    """
    issues = [issue for place in range(len(policy.required)) for issue in await _wrong(call, policy, place)]
    if issues:
        raise Unprocessable(issues=issues)
    await call.services.conformance.knowledge.set_policy(call.tenant, policy)


async def _wrong(call: Call, policy: ValidationPolicy, place: int) -> list[Issue]:
    required = policy.required[place]
    where = f"http.required[{place}]"
    if required.type not in call.services.definitions.resource_types:
        return [Issue("value", f"There is no resource type {required.type[:64]!r}.", location=f"{where}.type")]
    lineage = call.services.definitions.ancestors(required.type)
    found = []
    for url in required.profiles:
        try:
            about = await call.services.conformance.profile_type(call.tenant, call.definition_library, url)
        except Unprocessable as unknown:
            found.append(Issue("not-found", unknown.issues[0].diagnostics, location=f"{where}.profile"))
            continue
        if about not in lineage:
            text = f"{url} is about {about}, so it cannot be required of {required.type}."
            found.append(Issue("value", text, location=f"{where}.profile"))
    return found
