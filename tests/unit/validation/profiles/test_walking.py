"""A walk ends, whatever profile and resource do; a profile is shared. https://hl7.org/fhir/R4/profiling.html"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from fhir_server.api import Coding, Membership
from fhir_server.validation.profiles import Profile, Run, check_extensions, compile_profile

BASE = "http://example.org/StructureDefinition/"
Json = dict[str, Any]


class Known:
    """Answers from profiles at hand; it counts what is asked of terminology."""

    def __init__(self, *profiles: Profile) -> None:
        self.profiles = {profile.url: profile for profile in profiles}
        self.asked = 0

    def profile(self, canonical: str) -> Profile | None:
        return self.profiles.get(canonical)

    def resource(self, kind: str, canonical: str) -> Json | None:
        return None

    def member(self, value_set: str, coding: Coding) -> Membership:
        self.asked += 1
        return Membership(False)

    def concept(self, coding: Coding) -> Membership:
        return Membership(None)


def profile(name: str, kind: str, *elements: Json) -> Profile:
    """Return a profile of a type with these elements."""
    return compile_profile({"url": BASE + name, "type": kind}, [{"path": kind}, *elements])


def named() -> Profile:
    return profile("named", "Patient", {"path": "Patient.name", "min": 1})


def bound() -> Profile:
    binding = {"strength": "required", "valueSet": "http://vs.org/v"}
    return profile("bound", "Patient", {"path": "Patient.maritalStatus", "binding": binding})


def test_a_walk_that_is_too_long_ends_with_a_finding() -> None:
    held = profile(
        "held", "Patient", {"path": "Patient.name", "constraint": [_constraint("given.where($this = 'x').empty()")]}
    )
    patient = {"resourceType": "Patient", "name": [{"given": ["a"]}] * 100}
    found = held.check(patient, Run(Known(), patient, max_steps=100))
    assert found is not None
    assert [(row.severity, row.code, row.path) for row in found] == [("error", "too-costly", "")]
    assert held.check(patient, Run(Known(), patient)) is None


def test_a_walk_that_lasts_too_long_ends_with_a_finding() -> None:
    held = profile(
        "held", "Patient", {"path": "Patient.name", "constraint": [_constraint("given.count() = 1 or true")]}
    )
    patient = {"resourceType": "Patient", "name": [{"given": ["a", "b"]}]}
    found = held.check(patient, Run(Known(), patient, seconds=-1.0))
    assert [row.code for row in found or ()] == ["too-costly"]


def test_extensions_that_are_too_many_end_with_a_finding() -> None:
    patient = {"resourceType": "Patient", "extension": [{"url": "http://x.org/y", "valueString": "x"}] * 100}
    found = check_extensions(patient, Run(Known(), patient, max_steps=50))
    assert [row.code for row in found or ()] == ["too-costly"]


def test_an_expression_that_is_too_long_is_not_evaluated() -> None:
    costly = "name.given.select(%resource.name.given.select(%resource.name.given)).count() < 0"
    held = profile("held", "Patient", {"path": "Patient.active", "constraint": [_constraint(f"%resource.{costly}")]})
    patient = {"resourceType": "Patient", "active": True, "name": [{"given": ["a"] * 300}]}
    found = held.check(patient, Run(Known(), patient, advice=True))
    assert [(row.severity, row.code) for row in found or ()] == [("information", "informational")]


def test_profiles_that_name_each_other_on_the_same_value_end() -> None:
    first, second = _circular("first", "second"), _circular("second", "first")
    identifier = {"system": "x"}
    found = first.check(identifier, Run(Known(first, second), {"resourceType": "Patient"}))
    assert sorted((row.code, row.path, row.text[-8:]) for row in found or ()) == [
        ("required", ".value", "/first)."),
        ("required", ".value", "second)."),
    ]


def test_a_chain_of_references_in_a_bundle_ends() -> None:
    own = {"code": "Reference", "targetProfile": [BASE + "linked"]}
    linked = profile("linked", "Organization", {"path": "Organization.partOf", "type": [own]})
    rows = [
        {"resourceType": "Organization", "id": str(n), "partOf": {"reference": f"Organization/{n + 1}"}}
        for n in range(500)
    ]
    bundle = {
        "resourceType": "Bundle",
        "entry": [{"fullUrl": f"urn:{n}", "resource": row} for n, row in enumerate(rows)],
    }
    run = Run(Known(linked), rows[0], bundle=bundle, advice=True)
    assert linked.check(rows[0], run) is None


def test_findings_end_when_there_are_enough() -> None:
    held = profile("held", "Patient", {"path": "Patient.name"}, {"path": "Patient.name.family", "min": 1})
    patient = {"resourceType": "Patient", "name": [{"text": "x"}] * 5_000}
    assert len(held.check(patient, Run(Known(), patient)) or ()) == 101


def test_one_profile_serves_many_threads() -> None:
    patients: list[Json] = [{"resourceType": "Patient"}, {"resourceType": "Patient", "name": [{"text": "x"}]}] * 200
    shared = named()

    def codes(patient: Json) -> list[str]:
        return [row.code for row in shared.check(patient, Run(Known(), patient)) or ()]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(codes, patients)) == [["required"], []] * 200


def test_a_profile_holds_no_answers() -> None:
    patient: Json = {"resourceType": "Patient", "maritalStatus": {"coding": [{"system": "http://c.org", "code": "x"}]}}
    shared, first, second = bound(), Known(), Known()
    for known in (first, second):
        assert [row.code for row in shared.check(patient, Run(known, patient)) or ()] == ["code-invalid"]
    assert (first.asked, second.asked) == (1, 1)


def test_messages_name_the_profile_and_what_was_expected() -> None:
    patient: Json = {"resourceType": "Patient", "maritalStatus": {"coding": [{"system": "http://c.org", "code": "x"}]}}
    assert [row.text for row in named().check(patient, Run(Known(), patient)) or ()] == [
        f"Patient.name: at least 1 required, found 0 (profile {BASE}named)."
    ]
    assert [row.text for row in bound().check(patient, Run(Known(), patient)) or ()] == [
        "Patient.maritalStatus: http://c.org|x is not in the value set http://vs.org/v (required) "
        f"(profile {BASE}bound)."
    ]


def test_an_extension_is_reported_once_in_a_walk() -> None:
    url = BASE + "rank"
    slicing = {"rules": "open", "discriminator": [{"type": "value", "path": "url"}]}
    type_of = {"code": "Extension", "profile": [url]}
    rank = profile("rank", "Extension", {"path": "Extension.value[x]", "type": [{"code": "integer"}]})
    ranked = profile(
        "ranked",
        "Patient",
        {"path": "Patient.extension", "slicing": slicing},
        {"path": "Patient.extension", "sliceName": "rank", "type": [type_of]},
    )
    patient: Json = {"resourceType": "Patient", "extension": [{"url": url, "valueString": "x"}]}
    run = Run(Known(rank, ranked), patient)
    assert [row.path for row in ranked.check(patient, run) or ()] == [".extension[0].value"]
    assert check_extensions(patient, run) is None
    assert [row.path for row in check_extensions(patient, Run(Known(rank), patient)) or ()] == [".extension[0].value"]


@pytest.mark.parametrize("item", [None, [], "x", 1, {"resourceType": 1}, {"resourceType": "Nonsense"}, {}])
def test_what_is_no_resource_is_not_for_profiles(item: Any) -> None:
    run = Run(Known(), item if isinstance(item, dict) else {})
    found = named().check(item, run) or []
    assert {row.code for row in found} <= {"required", "structure"}


def _constraint(expression: str) -> Json:
    return {"key": "k-1", "severity": "error", "expression": expression}


def _part(number: int) -> Json:
    return {"resourceType": "Organization", "id": str(number), "partOf": {"reference": f"Organization/{number + 1}"}}


def _circular(name: str, other: str) -> Profile:
    root = {"path": "Identifier", "type": [{"code": "Identifier", "profile": [BASE + other]}]}
    rows: list[Json] = [root, {"path": "Identifier.value", "min": 1}]
    return compile_profile({"url": BASE + name, "type": "Identifier"}, rows)
