"""Claims, requirements and questions without a server: what is asked, what is told, and what it costs at most."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from fhir_server.api.conformance import ConformanceState, Requirement, ValidationPolicy
from fhir_server.api.errors import Unavailable, Unprocessable
from fhir_server.api.tenant import Tenant
from fhir_server.api.terminology import Coding, Concept, Expansion, Library, Membership
from fhir_server.fhir.definitions import r4
from fhir_server.fhir.json import encode
from fhir_server.fhir.outcomes import Issue
from fhir_server.validation.conformance import MAX_QUESTIONS, Conformance, Wish
from fhir_server.validation.knowledge import MAX_CODES, MAX_TEXT, STALE_SECONDS, KnowledgeOfTenants

Json = dict[str, Any]
BASE = "http://example.org/fhir/StructureDefinition/"
TENANT = Tenant("one", "", b"")


@dataclass
class States:
    """api.conformance.ConformanceStates in memory."""

    state: ConformanceState = field(default_factory=ConformanceState)

    async def read(self, tenant: Tenant) -> ConformanceState:
        return self.state

    async def news(self, tenant: Tenant, generation: int) -> ConformanceState | None:
        return None if generation == self.state.generation else self.state

    async def touch(self, tenant: Tenant) -> None:
        self.state = ConformanceState(self.state.generation + 1, self.state.policy)

    async def set_policy(self, tenant: Tenant, policy: ValidationPolicy) -> None:
        self.state = ConformanceState(self.state.generation + 1, policy)


@dataclass
class Shelf:
    """api.Library over a list of definitions; `asked` is what it was asked for."""

    definitions: list[Json] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    is_away: bool = False

    async def find(self, resource_type: str, url: str) -> Sequence[bytes]:
        self.asked.append(url)
        if self.is_away:
            raise Unavailable("The database does not answer.")
        return [encode(d) for d in self.definitions if (d["resourceType"], d["url"]) == (resource_type, url)]


@dataclass
class Codes:
    """api.Terminology that knows the codes which begin with `good`, and counts."""

    asked: int = 0

    async def check(self, library: Library, coding: Coding, value_set: str = "") -> Membership:
        self.asked += 1
        if coding.code.startswith("good"):
            return Membership(True, display="Good" if coding.display == "Bad" else "")
        return Membership(None if coding.code.startswith("nobody") else False)

    async def expand(self, library: Library, value_set: str, limit: int = 10_000) -> Expansion:
        return Expansion((Concept("", ""),))

    async def contains(self, library: Library, value_set: str, system: str, code: str) -> bool:
        return True

    async def below(self, library: Library, system: str, code: str) -> frozenset[str]:
        return frozenset()

    async def above(self, library: Library, system: str, code: str) -> frozenset[str]:
        return frozenset()


def profile(name: str, *elements: Json, base: str = "http://hl7.org/fhir/StructureDefinition/Patient") -> Json:
    return {
        "resourceType": "StructureDefinition", "url": BASE + name, "name": name, "status": "active",
        "kind": "resource", "abstract": False, "type": "Patient", "baseDefinition": base, "derivation": "constraint",
        "differential": {"element": [{"id": e["path"], **e} for e in elements]},
    }  # fmt: skip


NAMED = profile("named", {"path": "Patient.name", "min": 1})
DATED = profile("dated", {"path": "Patient.birthDate", "min": 1}, base=BASE + "named")


class Setting:
    """Everything a validation needs, in memory."""

    def __init__(self, *definitions: Json, policy: ValidationPolicy | None = None) -> None:
        self.shelf = Shelf(list(definitions))
        self.codes = Codes()
        self.now = 0.0
        self.states = States(ConformanceState(1, policy) if policy else ConformanceState())
        self.knowledge = KnowledgeOfTenants(self.states, lambda: self.now)
        self.conformance = Conformance(r4(), self.knowledge, self.codes)
        asyncio.run(self.knowledge.ask(TENANT))

    def issues(self, resource: Any, *profiles: str, advice: bool = False) -> list[Issue]:
        wish = Wish(profiles, advice)
        return asyncio.run(self.conformance.issues(TENANT, lambda: self.shelf, resource, wish))

    def told(self, resource: Any, *profiles: str, advice: bool = False) -> list[tuple[str, str, str]]:
        found = self.issues(resource, *profiles, advice=advice)
        return [(i.severity, i.code, i.expression) for i in found]


def claiming(*names: str, **members: Any) -> Json:
    return {"resourceType": "Patient", "meta": {"profile": [BASE + name for name in names]}, **members}


def test_a_claim_is_checked_with_what_it_is_built_on() -> None:
    setting = Setting(NAMED, DATED)
    missing = [("error", "required", "Patient.name"), ("error", "required", "Patient.birthDate")]
    assert sorted(setting.told(claiming("dated"))) == sorted(missing)
    assert setting.told(claiming("dated", name=[{"text": "x"}], birthDate="1970")) == []


def test_what_is_known_is_not_asked_for_again_until_it_changes() -> None:
    setting = Setting(NAMED)
    setting.told(claiming("named"))
    asked = len(setting.shelf.asked)
    assert asked > 0
    setting.told(claiming("named"))
    assert len(setting.shelf.asked) == asked
    setting.shelf.definitions = []
    asyncio.run(setting.knowledge.changed(TENANT))
    assert setting.told(claiming("named")) == []
    assert len(setting.shelf.asked) > asked


def test_a_database_that_is_away_is_no_answer_and_is_not_kept() -> None:
    setting = Setting(NAMED)
    setting.shelf.is_away = True
    with pytest.raises(Unavailable):
        setting.told(claiming("named"))
    setting.shelf.is_away = False
    assert setting.told(claiming("named")) == [("error", "required", "Patient.name")]


def test_old_knowledge_is_asked_for_anew_without_a_change() -> None:
    setting = Setting(NAMED)
    setting.told(claiming("named"))
    setting.shelf.definitions = []
    for now, refused in ((STALE_SECONDS, True), (STALE_SECONDS + 1, False)):
        setting.now = now
        asyncio.run(setting.knowledge.ask(TENANT))
        assert bool(setting.told(claiming("named"))) is refused


def test_unknown_and_broken_profiles_refuse_nobody_who_only_claims_them() -> None:
    setting = Setting(profile("broken", {"path": "Patient.nmae", "min": 1}))
    assert setting.told(claiming("broken", "unknown")) == []
    assert setting.told(claiming("broken", "unknown"), advice=True) == [
        ("warning", "not-supported", "Patient.meta.profile[0]"),
        ("warning", "not-found", "Patient.meta.profile[1]"),
    ]


@pytest.mark.parametrize("name", ["unknown", "broken"])
def test_but_they_do_where_they_are_asked_for_or_required(name: str) -> None:
    wrong = profile("broken", {"path": "Patient.nmae", "min": 1})
    code = "not-found" if name == "unknown" else "not-supported"
    assert Setting(wrong).told({"resourceType": "Patient"}, BASE + name) == [("error", code, "Patient")]
    policy = ValidationPolicy(required=(Requirement("Patient", (BASE + name,)),))
    assert Setting(wrong, policy=policy).told({"resourceType": "Patient"}) == [("error", code, "Patient")]


def test_a_profile_of_another_type_is_wrong() -> None:
    found = Setting(NAMED).told({"resourceType": "Group", "meta": {"profile": [BASE + "named"]}})
    assert found == [("error", "structure", "Group")]
    other = {"resourceType": "Group", "meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/Patient"]}}
    assert Setting().told(other) == [("error", "structure", "Group")]
    general = {"resourceType": "Group", "meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/DomainResource"]}}
    assert Setting().told(general) == []


def test_one_of_several_required_profiles_will_do() -> None:
    policy = ValidationPolicy(required=(Requirement("Patient", (BASE + "named", BASE + "dated"), "any"),))
    setting = Setting(NAMED, DATED, policy=policy)
    assert setting.told({"resourceType": "Patient", "name": [{"text": "x"}]}) == []
    found = setting.told({"resourceType": "Patient"})
    assert found == [("error", "required", "Patient.name"), ("error", "business-rule", "Patient")]


def test_what_only_warns_is_told_to_who_asks() -> None:
    policy = ValidationPolicy("warn", (Requirement("Patient", (BASE + "dated",), level="warn"),))
    setting = Setting(NAMED, DATED, policy=policy)
    assert setting.told(claiming("named")) == []
    assert {row[0] for row in setting.told(claiming("named"), advice=True)} == {"warning"}


def test_nothing_concerns_who_claims_nothing() -> None:
    setting = Setting(NAMED)
    concerns = setting.conformance.concerns
    assert not concerns(TENANT, {"resourceType": "Patient"})
    assert not concerns(TENANT, {"resourceType": "Patient", "meta": {"profile": "x"}, "name": 1})
    own = {"resourceType": "Patient", "meta": {"profile": ["http://hl7.org/fhir/StructureDefinition/Patient"]}}
    assert not concerns(TENANT, own)
    assert concerns(TENANT, claiming("named"))
    assert concerns(TENANT, {"resourceType": "Bundle"})
    policy = ValidationPolicy("ignore", (Requirement("Patient", (BASE + "named",)),))
    ignoring = Setting(NAMED, policy=policy).conformance
    assert ignoring.concerns(TENANT, {"resourceType": "Patient"})
    assert not ignoring.concerns(TENANT, {"resourceType": "Group", "meta": {"profile": [BASE + "named"]}})


def coded(*codings: Json) -> Json:
    return {"resourceType": "Patient", "maritalStatus": {"coding": list(codings)}}


def test_codes_are_looked_up_for_who_wants_advice() -> None:
    setting = Setting()
    bad = coded({"system": "urn:a", "code": "bad"}, {"system": "urn:a", "code": "good", "display": "Bad"})
    assert setting.told(bad) == []
    assert setting.codes.asked == 0
    assert setting.told(bad, advice=True) == [
        ("error", "code-invalid", "Patient.maritalStatus.coding[0].code"),
        ("warning", "code-invalid", "Patient.maritalStatus.coding[1].display"),
    ]
    unknown = coded({"system": "urn:a", "code": "nobody knows"}, {"code": "bad"}, {"system": 7, "code": []})
    assert setting.told(unknown, advice=True) == []


def test_endless_texts_are_not_looked_up_and_not_kept() -> None:
    setting = Setting()
    long = "x" * (MAX_TEXT + 1)
    found = setting.told(coded({"system": "urn:a", "code": long}), advice=True)
    assert (found, setting.codes.asked) == ([], 0)
    assert setting.told(claiming(long), advice=True) == [("warning", "not-found", "Patient.meta.profile[0]")]
    setting.told(coded({"system": "urn:a", "code": "good", "display": long}), advice=True)
    known = setting.knowledge.of(TENANT)
    assert all(len(question.coding.display) <= MAX_TEXT for question in known.codes if question.coding)
    assert not known.profiles


def test_a_resource_of_endless_codes_is_given_up() -> None:
    setting = Setting()
    rows = [{"system": "urn:a", "code": f"good{n}"} for n in range(MAX_QUESTIONS + 1)]
    assert setting.told(coded(*rows), advice=True) == [("error", "too-costly", "Patient")]
    assert setting.codes.asked == 0
    several = MAX_QUESTIONS // 2  # each is looked up in its system and in the value set
    for start in range(0, MAX_CODES, several):
        many = ({"system": "urn:b", "code": f"good{start + n}"} for n in range(several))
        assert setting.told(coded(*many), advice=True) == []
    assert len(setting.knowledge.of(TENANT).codes) <= MAX_CODES


def costly(count: int) -> Json:
    """Return a profile whose invariants take about 10 ms each."""
    tens = "(0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9)"
    expression = f"{tens}.where({tens}.where({tens}.where({tens}.exists()).exists()).exists()).exists()"
    rows = [{"key": f"c-{n}", "severity": "error", "human": "x", "expression": expression} for n in range(count)]
    return profile("costly", {"path": "Patient", "constraint": rows}, {"path": "Patient.birthDate", "min": 1})


async def _with_gap(*works: Awaitable[Any]) -> tuple[list[Any], float]:
    """Return what is made of the works, and for how long at most the loop served nobody else."""
    longest, last, running = 0.0, time.monotonic(), asyncio.gather(*works)
    while not running.done():
        await asyncio.sleep(0.01)
        longest, last = max(longest, time.monotonic() - last), time.monotonic()
    return await running, longest


def test_who_sends_what_takes_long_is_the_only_one_who_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_server.validation.pace.MAX_SECONDS", 2.0)
    setting = Setting(costly(3000))
    setting.told(claiming("named"), BASE + "costly")
    began = time.monotonic()
    works = [setting.conformance.issues(TENANT, lambda: setting.shelf, claiming("costly")) for _ in range(2)]
    found, gap = asyncio.run(_with_gap(*works))
    assert [[issue.code for issue in one] for one in found] == [["too-costly"], ["too-costly"]]
    assert time.monotonic() - began < 2 * 2.0 + 4
    assert gap < 1.5


def test_what_takes_long_is_checked_to_the_end_all_the_same() -> None:
    setting = Setting(costly(60))
    assert setting.told(claiming("costly")) == [("error", "required", "Patient.birthDate")]


def test_nobody_waits_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fhir_server.validation.pace.MAX_WAIT_SECONDS", 0.05)
    setting = Setting(costly(60))

    async def three() -> list[Any]:
        asked = [setting.conformance.issues(TENANT, lambda: setting.shelf, claiming("costly")) for _ in range(3)]
        return await asyncio.gather(*asked, return_exceptions=True)

    found = asyncio.run(three())
    assert {type(one) for one in found} == {list, Unavailable}


def test_a_profile_of_an_endless_name_has_no_type() -> None:
    setting = Setting()
    for name in ("x" * (MAX_TEXT + 1), "x"):
        with pytest.raises(Unprocessable, match="is not known here"):
            asyncio.run(setting.conformance.profile_type(TENANT, lambda: setting.shelf, name))


@pytest.mark.parametrize("published", [[None], None, 7, {}, {"element": 7}, {"element": [7]}])
def test_a_snapshot_that_is_none_makes_a_profile_unusable_or_is_made(published: Any) -> None:
    found = Setting({**NAMED, "snapshot": published}).told({"resourceType": "Patient"}, BASE + "named")
    assert [row[1] for row in found] == ["required" if published == {} else "not-supported"]


def test_of_a_system_that_nobody_knows_one_code_is_asked_about() -> None:
    def listing(*codes: str) -> Json:
        include = {"system": "urn:a", "concept": [{"code": code} for code in codes]}
        return {"resourceType": "ValueSet", "compose": {"include": [include]}}

    setting = Setting()
    assert setting.told(listing(*(f"nobody{n}" for n in range(MAX_QUESTIONS + 1))), advice=True) == []
    assert setting.codes.asked == 1
    expression = "ValueSet.compose.include[0].concept[1].code"
    assert setting.told(listing("good1", "bad", "good2"), advice=True) == [("error", "code-invalid", expression)]


@pytest.mark.parametrize(
    "system",
    [
        "http://snomed.info/sct/731000124108/version/20210401", "http://build.fhir.org/account-status",
        "http://hl7.org/fhir/R4/codesystem-account-status.html", "https://hl7.org/fhir/valueset-account-status.html",
    ],
)  # fmt: skip
def test_a_page_or_an_edition_is_no_code_system(system: str) -> None:
    found = Setting().told(coded({"system": system, "code": "good"}), advice=True)
    assert [row[:2] for row in found] == [("error", "code-invalid")]
    assert found[0][2].endswith(".coding[0].system")


@pytest.mark.parametrize(
    ("definition", "expected"),
    [
        (NAMED, []),
        ({**NAMED, "derivation": "specialization"}, []),
        (profile("x", {"path": "Patient.nmae"}), [("error", "not-found", "StructureDefinition")]),
        (profile("x", {"path": "Patient.name", "max": "x"}), [("error", "value", "StructureDefinition")]),
        ({**profile("x", {"path": "Patient.nmae"}), "snapshot": {"element": [{"id": "Patient", "path": "Patient"}]}},
         [("error", "not-found", "StructureDefinition")]),
        (profile("x", {"path": "Patient.name"}, base=BASE + "nowhere"),
         [("warning", "not-found", "StructureDefinition")]),
        (profile("x", {"path": "Patient.name"}, base=BASE + "broken"),
         [("warning", "not-found", "StructureDefinition")]),
        (profile("x", {"path": "Patient.name", "slicing": {"discriminator": [{"type": "value", "path": "("}]}}),
         [("error", "structure", "StructureDefinition")]),
    ],
)  # fmt: skip
def test_a_profile_is_tried_before_anybody_is_held_to_it(definition: Json, expected: list[Any]) -> None:
    setting = Setting(profile("broken", {"path": "Patient.nmae"}))
    assert setting.told(definition, advice=True) == expected
    assert setting.told(definition) == []


def test_words_of_the_specification_are_kept_to_by_who_wants_advice() -> None:
    patient = {"resourceType": "Patient", "identifier": [{"id": "a", "system": "mrn"}], "name": [{"id": "a"}]}
    assert Setting().told(patient) == []
    assert sorted(Setting().told(patient, advice=True)) == [
        ("error", "business-rule", "Patient.name[0].id"),
        ("error", "code-invalid", "Patient.identifier[0].system"),
    ]


@pytest.mark.parametrize(
    "resource",
    [
        7, [], {}, {"resourceType": 7}, {"resourceType": "Patient", "meta": []}, {"resourceType": "Patient", "meta": 7},
        {"resourceType": "Patient", "meta": {"profile": [7, None, {}]}}, {"resourceType": "Nothing"},
        {"resourceType": "Bundle", "entry": [7, {"resource": 7}, {"resource": {"resourceType": "Patient"}}]},
        {"resourceType": "Parameters", "parameter": [{"part": [7, {"resource": {}}]}, 7]},
        {"resourceType": "Patient", "contained": [7, {}], "maritalStatus": {"coding": 7}, "extension": 7},
        {"resourceType": "ConceptMap", "group": [7, {"element": [7, {"target": 7}]}]},
        {"resourceType": "ValueSet", "compose": {"include": [{"system": 7, "concept": [7]}]}},
    ],
)  # fmt: skip
def test_what_is_malformed_is_somebody_elses_finding(resource: Any) -> None:
    for issue in Setting(NAMED).issues(resource, BASE + "named", advice=True):
        assert issue.code != "exception"
