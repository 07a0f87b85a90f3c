"""What a tenant's resources have to conform to besides FHIR itself, and the count of changes to its definitions.

Definitions are the profiles, value sets, code systems and Questionnaires that validation goes by, as resources or from
packages. Workers keep what they know of them until the count (the generation) has moved on.
https://hl7.org/fhir/R4/profiling.html
"""

from __future__ import annotations

from typing import Literal, Protocol

import msgspec

from fhir_server.api.tenant import Tenant

Level = Literal["strict", "warn"]


class Requirement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Profiles that the resources of a type are held to on every write, whether they claim them or not.

    `match` says whether all of the canonicals have to be kept or any one will do; `level` whether what is not kept
    refuses the write or is only told.
    """

    type: str
    profiles: tuple[str, ...]
    match: Literal["all", "any"] = "all"
    level: Level = "strict"


class ValidationPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a tenant validates what is written.

    `claimed` is about the profiles that a resource names in meta.profile and that the tenant knows: a resource that
    does not keep one is refused (strict), written with a warning (warn), or not looked at (ignore). One that nobody
    knows never refuses a resource; one that is required and not known refuses it.
    """

    claimed: Literal["strict", "warn", "ignore"] = "strict"
    required: tuple[Requirement, ...] = ()

    def of(self, resource_type: str) -> tuple[Requirement, ...]:
        """Return what is required of a type."""
        return tuple(one for one in self.required if one.type == resource_type)


class ConformanceState(msgspec.Struct, frozen=True):
    """A tenant's policy, and how often its policy or definitions have changed."""

    generation: int = 0
    policy: ValidationPolicy = ValidationPolicy()


class ConformanceStates(Protocol):
    """Where the state of each tenant is kept; every step is atomic."""

    async def read(self, tenant: Tenant) -> ConformanceState:
        """Return the state as it is now; the initial one where nothing was ever changed."""
        ...

    async def news(self, tenant: Tenant, generation: int) -> ConformanceState | None:
        """Return the state when it is of another generation, else None: cheap to ask often."""
        ...

    async def touch(self, tenant: Tenant) -> None:
        """Say that definitions have changed; to be called after the change can be read."""
        ...

    async def set_policy(self, tenant: Tenant, policy: ValidationPolicy) -> None:
        """Put a policy in force."""
        ...
