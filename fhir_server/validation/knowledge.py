"""What a tenant's definitions say, as far as validation has asked, until they change; and the asking.

https://hl7.org/fhir/R4/profiling.html. Knowledge is one process's and one generation's (api.conformance): it is thrown
away as a whole when the tenant's definitions change, and when it is old.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import msgspec

from fhir_server.api.conformance import ConformanceState, ConformanceStates, ValidationPolicy
from fhir_server.api.tenant import Tenant
from fhir_server.api.terminology import Coding, Membership
from fhir_server.validation.answers import UNTOLD
from fhir_server.validation.profiles import Profile

Json = dict[str, Any]

MAX_CODES = 20_000
MAX_DEFINITIONS = 5_000
# What is longer is no code and no URL of anybody; nor is it kept, for there is no end of it.
MAX_TEXT = 1_000
# A worker that died between its write and the count of it is the only way to miss a change; then this is how long.
STALE_SECONDS = 300.0


class Question(msgspec.Struct, frozen=True):
    """Something that was asked and is not known: a definition by kind and canonical, or a code and its value set.

    `kind` is `profile`, a resource type, `member` or `concept`.
    """

    kind: str
    canonical: str
    coding: Coding | None = None


class Unusable(msgspec.Struct, frozen=True):
    """A profile that cannot be checked against. `known` is whether it is here, but wrong in itself."""

    reason: str
    known: bool = False


class Knowledge:
    """What was learned of one tenant."""

    def __init__(self, state: ConformanceState, now: float = 0.0) -> None:
        self.policy: ValidationPolicy = state.policy
        self.generation = state.generation
        self.born = now
        self.profiles: dict[str, Profile | Unusable] = {}
        self.definitions: dict[tuple[str, str], Json | None] = {}
        self.codes: dict[Question, Membership] = {}

    def make_room(self) -> None:
        """Forget the oldest answers where there are too many: codes come from clients, and there is no end of them."""
        for known, most in ((self.codes, MAX_CODES), (self.profiles, MAX_DEFINITIONS), (self.definitions, 100)):
            rows: dict[Any, Any] = known
            while len(rows) > most:
                del rows[next(iter(rows))]


class Asking:
    """The answers of one walk: what is not known is noted in `wanted`. See validation.answers.Answers."""

    __slots__ = ("_knowledge", "wanted")

    def __init__(self, knowledge: Knowledge) -> None:
        self._knowledge = knowledge
        self.wanted: dict[Question, None] = {}

    def profile(self, canonical: str) -> Profile | None:
        """Return a profile made ready; None where it is unknown, unusable, or not asked for yet."""
        found = self._knowledge.profiles.get(canonical)
        if found is None:
            if len(canonical) <= MAX_TEXT:
                self.wanted[Question("profile", canonical)] = None
            return None
        return None if type(found) is Unusable else found  # type: ignore[return-value]

    def unusable(self, canonical: str) -> Unusable | None:
        """Return why a profile that was asked for cannot be used."""
        if len(canonical) > MAX_TEXT:
            return Unusable(f"A profile of {len(canonical)} characters is not known here.")
        found = self._knowledge.profiles.get(canonical)
        return found if isinstance(found, Unusable) else None

    def resource(self, kind: str, canonical: str) -> Json | None:
        """Return a definition; None where it is unknown or not asked for yet."""
        try:
            return self._knowledge.definitions[kind, canonical]
        except KeyError:
            if len(canonical) > MAX_TEXT:
                return None
            self.wanted[Question(kind, canonical)] = None
            return None

    def member(self, value_set: str, coding: Coding) -> Membership:
        """Say whether a value set holds a coding."""
        return self._code("member", value_set, coding)

    def concept(self, coding: Coding) -> Membership:
        """Say whether the code system of a coding holds it."""
        return self._code("concept", "", coding)

    def _code(self, kind: str, value_set: str, coding: Coding) -> Membership:
        found = self._knowledge.codes.get(Question(kind, value_set, coding))
        if found is not None:
            return found
        if len(coding.system) + len(coding.code) + len(coding.version) + len(value_set) > MAX_TEXT:
            return UNTOLD
        if len(coding.display) > MAX_TEXT:
            return self._code(kind, value_set, msgspec.structs.replace(coding, display=""))
        self.wanted[Question(kind, value_set, coding)] = None
        return UNTOLD


class KnowledgeOfTenants:
    """The knowledge of this process; one for the server."""

    def __init__(self, states: ConformanceStates, seconds: Callable[[], float] = time.monotonic) -> None:
        self._states = states
        self._seconds = seconds
        self._known: dict[str, Knowledge] = {}

    def of(self, tenant: Tenant) -> Knowledge:
        """Return what is known of a tenant, whose state was asked for before."""
        found = self._known.get(tenant.name)
        if found is None:
            found = self._known[tenant.name] = Knowledge(ConformanceState(), self._seconds())
        return found

    async def ask(self, tenant: Tenant) -> None:
        """Ask the database whether anything changed; then what was known is forgotten."""
        known = self.of(tenant)
        news = await self._states.news(tenant, known.generation)
        now = self._seconds()
        if news is None and now - known.born > STALE_SECONDS:
            news = ConformanceState(known.generation, known.policy)
        if news is not None:
            self._known[tenant.name] = Knowledge(news, now)

    async def changed(self, tenant: Tenant) -> None:
        """Tell all processes that a tenant's definitions have changed, and forget what this one knew."""
        await self._states.touch(tenant)
        await self.ask(tenant)

    async def set_policy(self, tenant: Tenant, policy: ValidationPolicy) -> None:
        """Put a policy in force, here at once and in other processes soon."""
        await self._states.set_policy(tenant, policy)
        await self.ask(tenant)
