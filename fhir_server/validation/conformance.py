"""Does a resource conform to the profiles it claims, is asked about and is held to, and to what others define of it?

https://hl7.org/fhir/R4/profiling.html. The second look at a resource, after its structure: profiles, extensions, codes,
and the agreement with other definitions (a Questionnaire, the rules of Bundles). It walks without waiting, by what is
known; what is not known is learned, and it walks again (validation.answers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from fhir_server.api.conformance import Requirement, ValidationPolicy
from fhir_server.api.errors import Unprocessable
from fhir_server.api.tenant import Tenant
from fhir_server.api.terminology import Library, Terminology
from fhir_server.fhir.definitions import Definitions
from fhir_server.fhir.outcomes import Issue
from fhir_server.validation.anchors import check_anchors
from fhir_server.validation.bundles import check_bundle
from fhir_server.validation.codes import Codes
from fhir_server.validation.expressions import check_expressions
from fhir_server.validation.findings import Finding, Findings, Json, JsonValue, below, is_full, issues_of
from fhir_server.validation.knowledge import Asking, KnowledgeOfTenants
from fhir_server.validation.learning import Learner, SharedProfiles
from fhir_server.validation.listed_codes import listed_codes
from fhir_server.validation.pace import Pace
from fhir_server.validation.profiles import Run, check_extensions
from fhir_server.validation.questionnaires import check_questionnaire, check_response

BASE = "http://hl7.org/fhir/StructureDefinition/"
# Profiles name profiles, whose bases name value sets: each round learns what the last one came upon.
MAX_ROUNDS = 40
# How many definitions and codes are looked up for one resource. A Bundle of real records needs some hundreds at first.
MAX_QUESTIONS = 5_000
_TOO_MUCH = f"More than {MAX_QUESTIONS} definitions and codes would have to be looked up, so not all of it was checked."
_AGREEING = frozenset({"Bundle", "Parameters", "Questionnaire", "QuestionnaireResponse"})


@dataclass(frozen=True, slots=True)
class Wish:
    """What a validation is to look for besides what always holds: profiles by canonical, and advice (warnings)."""

    profiles: tuple[str, ...] = ()
    advice: bool = False


_NO_WISH = Wish()


class Conformance:
    """Looks at resources of any tenant; one for the server."""

    def __init__(self, definitions: Definitions, knowledge: KnowledgeOfTenants, terminology: Terminology) -> None:
        self._terminology = terminology
        self._definitions = definitions
        self._codes = Codes(definitions)
        self._shared = SharedProfiles()
        self._pace = Pace()
        self.knowledge = knowledge

    def concerns(self, tenant: Tenant, resource: Json) -> bool:
        """Whether there is anything to look at before the resource is written; costs next to nothing."""
        policy = self.knowledge.of(tenant).policy
        name = resource.get("resourceType")
        if name in _AGREEING or (policy.required and any(one.type == name for one in policy.required)):
            return True
        return policy.claimed == "strict" and ("contained" in resource or bool(_claims(resource)))

    async def issues(
        self, tenant: Tenant, library: Callable[[], Library], resource: JsonValue, wish: Wish = _NO_WISH
    ) -> list[Issue]:
        """Return what is wrong with a resource, whose structure others have looked at and which may be malformed.

        Without advice only errors are looked for. `library` is asked for only when something has to be found out.
        Raises Unavailable where others that take long have to be waited for too long.
        """
        if type(resource) is not dict:
            return []
        knowledge = self.knowledge.of(tenant)
        learner: Learner | None = None
        found: Findings = []
        left = MAX_QUESTIONS
        watch = self._pace.watch()
        for _ in range(MAX_ROUNDS):
            asking = Asking(knowledge)
            look = partial(self._walk, resource, asking, knowledge.policy, wish)
            found = await watch.walk(resource, asking, wish.advice, look)
            left -= len(asking.wanted)
            if left < 0:
                found.append(Finding("too-costly", _TOO_MUCH))
            if left < 0 or not asking.wanted:
                break
            learner = learner or Learner(library(), self._terminology, self._shared)
            await learner.learn(knowledge, asking.wanted)
        if wish.advice and resource.get("resourceType") == "StructureDefinition":
            found += await Learner(library(), self._terminology, self._shared).trial(resource) or ()
        said = [finding for finding in found if wish.advice or finding.severity == "error"]
        return issues_of(said, resource) if said else []

    async def profile_type(self, tenant: Tenant, library: Callable[[], Library], canonical: str) -> str:
        """Return the type that a profile is about. Raises Unprocessable where it is not known or cannot be used."""
        name = canonical.removeprefix(BASE)
        if name in self._definitions.types:
            return name
        knowledge = self.knowledge.of(tenant)
        asking = Asking(knowledge)
        if asking.profile(canonical) is None and asking.wanted:
            await Learner(library(), self._terminology, self._shared).learn(knowledge, asking.wanted)
        found = asking.profile(canonical)
        if found is None:
            unusable = asking.unusable(canonical)
            raise Unprocessable(
                unusable.reason if unusable else f"The profile {canonical} has just changed; try again."
            )
        return found.type

    def _walk(self, resource: Json, asking: Asking, policy: ValidationPolicy, wish: Wish, run: Run) -> Findings:
        look = _Look(self._definitions, asking, policy, wish.advice)
        found: Findings = []
        for canonical in wish.profiles:
            found += look.against(canonical, resource, run, unknown="error", what="asked for")
        for requirement in policy.of(str(resource.get("resourceType"))):
            found += look.required(requirement, resource, run)
        found += look.claimed(resource, run)
        if wish.advice:
            found += check_extensions(resource, run) or ()
            found += self._codes.look(resource, asking) or ()
            found += check_anchors(resource) or ()
        return found


class _Look:
    """One walk: what it goes by, and what it does not look at twice."""

    def __init__(self, definitions: Definitions, asking: Asking, policy: ValidationPolicy, advice: bool) -> None:
        self._types = definitions.types
        self._asking = asking
        self._policy = policy
        self._advice = advice
        self._done: set[tuple[int, str]] = set()

    def against(self, canonical: str, resource: Json, run: Run, unknown: str, what: str) -> Findings:
        """Hold a resource against one profile; `unknown` is how grave it is that nobody knows it."""
        if (id(resource), canonical) in self._done:
            return []
        self._done.add((id(resource), canonical))
        own, about = str(resource.get("resourceType")), canonical.partition("|")[0].removeprefix(BASE)
        if about in self._types:
            return [] if about in _lineage(self._types, own) else [_about_another(canonical, about, own)]
        profile = self._asking.profile(canonical)
        if profile is not None:
            if profile.type not in _lineage(self._types, own):
                return [_about_another(canonical, profile.type, own)]
            return profile.check(resource, run) or []
        unusable = self._asking.unusable(canonical)
        if unusable is None:
            return []  # it has just been asked for
        code = "not-supported" if unusable.known else "not-found"
        return [Finding(code, f"{unusable.reason} It was {what}, and not checked.", "", unknown)]

    def required(self, requirement: Requirement, resource: Json, run: Run) -> Findings:
        """Hold a resource against what the policy requires of its type."""
        rows = [self.against(url, resource, run, "error", "required here") for url in requirement.profiles]
        if requirement.match == "any":
            least = min(rows, key=lambda found: sum(f.severity == "error" for f in found))
            several = len(rows) > 1 and any(f.severity == "error" for f in least)
            found = least + ([_none_kept(requirement)] if several else [])
        else:
            found = [finding for row in rows for finding in row]
        return found if requirement.level == "strict" else _softened(found)

    def claimed(self, resource: Json, run: Run) -> Findings:
        """Look at what a resource and those inside it claim, and at what others say of resources of their kind."""
        found: Findings = []
        if self._policy.claimed != "ignore":
            for place, canonical in _claims(resource):
                problems = self.against(canonical, resource, run, "warning", "only claimed")
                if all(problem.code in ("not-found", "not-supported") for problem in problems):
                    problems = below(f".meta.profile[{place}]", problems, None) if problems else problems
                found += problems if self._policy.claimed == "strict" else _softened(problems)
        found += self._agreement(resource)
        for path, inner, within in _inner(resource, run):
            if is_full(found):
                break
            found = below(path, self.claimed(inner, within), found)
        return found

    def _agreement(self, resource: Json) -> Findings:
        name = resource.get("resourceType")
        if name == "QuestionnaireResponse":
            return check_response(resource, self._asking) or []
        if name == "Questionnaire":
            return check_questionnaire(resource) or []
        if name == "Bundle":
            return check_bundle(resource) or []
        if not self._advice:
            return []
        return listed_codes(resource, self._asking) or check_expressions(resource) or []


def _claims(resource: Json) -> list[tuple[int, str]]:
    """Return the profiles a resource names, with their places; its own base says nothing new."""
    meta = resource.get("meta")
    rows = meta.get("profile") if type(meta) is dict else None
    if type(rows) is not list:
        return []
    base = f"{BASE}{resource.get('resourceType')}"
    return [(place, url) for place, url in enumerate(rows) if type(url) is str and url != base]


def _inner(resource: Json, run: Run) -> Iterator[tuple[str, Json, Run]]:
    """Yield the resources inside one: contained, in a Bundle, in Parameters."""
    for place, row in enumerate(_rows(resource, "contained")):
        if "resourceType" in row:
            yield f".contained[{place}]", row, run.within(row, root=resource)
    if resource.get("resourceType") == "Bundle":
        for place, row in enumerate(_rows(resource, "entry")):
            inner, url = row.get("resource"), row.get("fullUrl")
            if type(inner) is dict:
                full_url = url if type(url) is str else ""
                yield f".entry[{place}].resource", inner, run.within(inner, bundle=resource, full_url=full_url)
    if resource.get("resourceType") == "Parameters":
        yield from _of_parameters(_rows(resource, "parameter"), ".parameter", run)


def _of_parameters(rows: Sequence[Json], path: str, run: Run) -> Iterator[tuple[str, Json, Run]]:
    for place, row in enumerate(rows):
        inner = row.get("resource")
        if type(inner) is dict:
            yield f"{path}[{place}].resource", inner, run.within(inner)
        yield from _of_parameters(_rows(row, "part"), f"{path}[{place}].part", run)


def _rows(holder: Json, name: str) -> list[Json]:
    """Return the objects of an array; what is none keeps its place, and says nothing."""
    value: Any = holder.get(name)
    return [row if type(row) is dict else {} for row in value] if type(value) is list else []


def _lineage(types: Any, name: str) -> tuple[str, ...]:
    found = []
    while name in types:
        found.append(name)
        name = types[name].base
    return tuple(found)


def _about_another(canonical: str, about: str, own: str) -> Finding:
    return Finding("structure", f"The profile {canonical} is about {about}, this is a resource of type {own[:64]}.")


def _none_kept(requirement: Requirement) -> Finding:
    named = ", ".join(requirement.profiles)
    return Finding("business-rule", f"One of these profiles has to be kept: {named}. What the nearest asks is listed.")


def _softened(found: Findings) -> Findings:
    for finding in found:
        if finding.severity == "error":
            finding.severity = "warning"
    return found
