"""One walk of profile checks: what is being checked, in what, with whose answers, and how much work is left.

https://hl7.org/fhir/R4/references.html and https://hl7.org/fhir/R4/bundle.html#references for what references lead to.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING, Any, NamedTuple

from fhir_server.fhir import fhirpath
from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath.references import contained_resource
from fhir_server.validation.answers import Answers
from fhir_server.validation.profiles.codes import codings, memberships
from fhir_server.validation.profiles.targets import bundle_target, index_of, is_stub

if TYPE_CHECKING:
    from fhir_server.validation.profiles.profile import Profile

Json = dict[str, Any]

MAX_STEPS = 1_000_000
MAX_SECONDS = 20.0
MAX_NESTING = 40  # profiles that name profiles, over references too
EXPRESSION_STEPS = 100_000

_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"


class TooMuch(Exception):
    """The walk takes more work than it was given. Profile.check makes a finding of it."""


class Target(NamedTuple):
    """A resource that a reference leads to, and how: it is `contained` or `bundled`."""

    resource: Json
    how: str
    full_url: str = ""


class _Shared:
    """What all resources of one walk share."""

    __slots__ = (
        "advice",
        "answers",
        "deadline",
        "indexes",
        "nesting",
        "now",
        "reported",
        "running",
        "steps",
        "verdicts",
    )

    def __init__(
        self, answers: Answers[Profile], advice: bool, steps: int, seconds: float, now: Callable[[], datetime] | None
    ) -> None:
        self.answers = answers
        self.advice = advice
        self.steps = steps
        self.deadline = monotonic() + seconds
        self.now = now
        self.nesting = 0
        self.running: set[tuple[int, int]] = set()
        self.reported: set[tuple[int, int]] = set()
        self.verdicts: dict[tuple[int, int], tuple[bool, object, Any]] = {}
        self.indexes: dict[int, dict[str, Json]] = {}


class Run:
    """The state of one walk over one resource; not shared between threads.

    `resource` is `%resource`, `root` the resource that contains it (`%rootResource`), `bundle` the Bundle it stands in
    and `full_url` what it is called there. `advice` asks for warnings and information. Nothing is awaited: what
    `answers` cannot tell is unknown. The walk ends with a finding after `max_steps` or `seconds`.
    """

    __slots__ = ("_environment", "_shared", "advice", "answers", "bundle", "full_url", "is_quiet", "resource", "root")

    def __init__(
        self,
        answers: Answers[Profile],
        resource: Json,
        *,
        root: Json | None = None,
        bundle: Json | None = None,
        full_url: str = "",
        advice: bool = False,
        max_steps: int = MAX_STEPS,
        seconds: float = MAX_SECONDS,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        self._shared = _Shared(answers, advice, max_steps, seconds, now)
        self.answers = answers
        self.advice = advice
        self.is_quiet = False
        self._place(resource, root, bundle, full_url)

    def _place(self, resource: Json, root: Json | None, bundle: Json | None, full_url: str) -> None:
        self.resource = resource
        self.root = resource if root is None else root
        self.bundle = bundle
        self.full_url = full_url
        self._environment: fhirpath.Environment | None = None

    def within(
        self, resource: Json, *, root: Json | None = None, bundle: Json | None = None, full_url: str = ""
    ) -> Run:
        """Return the run of another resource of the same walk: an entry of a Bundle, a contained resource."""
        other = Run.__new__(Run)
        other._shared = self._shared
        other.answers, other.advice, other.is_quiet = self.answers, self.advice, self.is_quiet
        other._place(resource, root, bundle, full_url)
        return other

    def quietly(self) -> Run:
        """Return a run of the same place that only asks whether something conforms: errors, and nothing reported."""
        if self.is_quiet:
            return self
        other = self.within(self.resource, root=self.root, bundle=self.bundle, full_url=self.full_url)
        other.is_quiet, other.advice = True, False
        return other

    def spend(self, steps: int) -> None:
        """Count work. Raises TooMuch."""
        shared = self._shared
        shared.steps -= steps
        if shared.steps < 0:
            raise TooMuch

    @property
    def is_spent(self) -> bool:
        """Whether the work or the time is used up, so that not everything may have been looked at."""
        return self._shared.steps < 0 or monotonic() > self._shared.deadline

    def first_report(self, profile: object, item: Any) -> bool:
        """Whether nobody has reported yet what this profile says of this value."""
        if self.is_quiet:
            return True
        key = (id(profile), id(item))
        if key in self._shared.reported:
            return False
        self._shared.reported.add(key)
        return True

    def enter(self, profile: object, item: Any) -> bool:
        """Begin a profile on a value; False where it has been begun already, or profiles are nested too deep."""
        shared = self._shared
        key = (id(profile), id(item))
        if key in shared.running or shared.nesting >= MAX_NESTING:
            return False
        shared.running.add(key)
        shared.nesting += 1
        return True

    @property
    def is_deep(self) -> bool:
        """Whether profiles are nested as deep as they may be."""
        return self._shared.nesting >= MAX_NESTING

    @property
    def is_inner(self) -> bool:
        """Whether a profile is being checked for the sake of another."""
        return self._shared.nesting > 1

    def leave(self, profile: object, item: Any) -> None:
        """End what `enter` began."""
        self._shared.running.discard((id(profile), id(item)))
        self._shared.nesting -= 1

    def verdict(self, profile: Profile, item: Any) -> bool:
        """Whether a value conforms to a profile, remembered for the walk. What is being decided further up, does."""
        key = (id(profile), id(item))
        known = self._shared.verdicts.get(key)
        if known is not None:
            return known[0]
        if key in self._shared.running:
            return True
        found = profile.check(item, self.quietly())
        conforms = found is None or all(row.severity != "error" for row in found)
        self._shared.verdicts[key] = (conforms, profile, item)  # kept with them, so that their ids stay their own
        return conforms

    def find(self, reference: str) -> Target | None:
        """Return what a reference leads to in this resource or in its Bundle."""
        if reference[:1] == "#":
            found = contained_resource(self.root, reference)
            return None if found is None else Target(found, "contained", self.full_url)
        if self.bundle is None:
            return None
        key = id(self.bundle)
        if key not in self._shared.indexes:
            self._shared.indexes[key] = index_of(self.bundle)
        entry = bundle_target(reference, self.full_url, self._shared.indexes[key])
        return None if entry is None else Target(entry["resource"], "bundled", str(entry.get("fullUrl", "")))

    def at(self, target: Target) -> Run:
        """Return the run of the resource that a reference leads to."""
        if target.how == "contained":
            return self.within(target.resource, root=self.root, bundle=self.bundle, full_url=self.full_url)
        return self.within(target.resource, bundle=self.bundle, full_url=target.full_url)

    @property
    def environment(self) -> fhirpath.Environment:
        """What expressions are lent. Asking for it counts as work, because an expression follows."""
        self.spend(20)
        if monotonic() > self._shared.deadline:
            raise TooMuch
        if self._environment is None:
            self._environment = fhirpath.Environment(
                resolve=self._resolve,
                member_of=self._member_of,
                conforms_to=self._conforms_to,
                now=self._shared.now,
                max_steps=EXPRESSION_STEPS,
                safe_patterns=True,
            )
        return self._environment

    def _resolve(self, reference: str) -> Json | None:
        target = self.find(reference)
        return None if target is None else target.resource

    def _member_of(self, node: fhirpath.Node, value_set: str) -> bool | None:
        rows = codings(node.value, node.type)
        answers = {found.holds for found in memberships(self.answers, value_set, rows, node.type)}
        return True if True in answers else None if None in answers else False

    def _conforms_to(self, node: fhirpath.Node, url: str) -> bool | None:
        name = url.partition("|")[0].removeprefix(_DEFINITION)
        if name in r4().types:
            return name in r4().ancestors(node.type)
        profile = self.answers.profile(url)
        if profile is None or (node.value is not self.resource and is_stub(node.value, self.root, self.bundle)):
            return None
        return self.verdict(profile, node.value)
