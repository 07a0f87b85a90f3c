"""Profiles of which no snapshot is made, and what is said of them."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.fhir.snapshots import SnapshotError, snapshot
from tests.unit.fhir.snapshots.profiles import CORE, MINE, Json, at, by_url, profile

PATIENT = "Patient"
CASES: list[tuple[str, list[Json], str, str]] = [
    ("an element the base has not", [at("Patient.nickname")], "Patient.nickname", "no element of Patient"),
    ("one below a value", [at("Patient.gender.id.x")], "Patient.gender.id.x", "without elements of its own"),
    ("another type", [at("Observation.code")], "Observation.code", "starts with another type"),
    ("min below the base", [at("Patient.link.other", min=0)], "Patient.link.other", "asks for 1"),
    ("max above the base", [at("Patient.gender", max="2")], "Patient.gender", "allows 1"),
    ("unbounded", [at("Patient.gender", max="*")], "Patient.gender", "allows 1"),
    ("min over max", [at("Patient.name", min=3, max="2")], "Patient.name", "min 3 is more than max 2"),
    ("min over the base's max", [at("Patient.gender", min=2)], "Patient.gender", "min 2 is more than max 1"),
    ("negative", [at("Patient.name", min=-1)], "Patient.name", "whole number"),
    ("no number", [at("Patient.name", max="many")], "Patient.name", "a number or *"),
    (
        "a type not allowed",
        [at("Patient.name", type=[{"code": "string"}])],
        "Patient.name",
        "none the base allows",
    ),
    ("a slice of a single", [at("Patient.gender", slicing=by_url())], "Patient.gender", "neither repeats"),
    ("a slice by nothing", [at("Patient.name", "official")], "Patient.name", "no slicing to stand in"),
    (
        "a slice constrained and new",
        [at("Patient.name", slicing=by_url("value", "use")), at("Patient.name", "a", sliceIsConstraining=True)],
        "Patient.name",
        "which the base has not",
    ),
    (
        "a content reference elsewhere",
        [at("Patient.contact", contentReference="#Patient.link")],
        "Patient.contact",
        "is not that of the base",
    ),
    (
        "a profile of a type nobody knows",
        [
            at("Patient.name", type=[{"code": "HumanName", "profile": [MINE + "name"]}]),
            at("Patient.name.given", min=1),
        ],
        "Patient.name.given",
        "is not known; install the package",
    ),
    ("a value of another type", [at("Patient.gender", fixedString="male")], "Patient.gender", "another type than the"),
    ("a pattern of another type", [at("Patient.name", patternString="x")], "Patient.name", "(HumanName)"),
    (
        "two types at once",
        [at("Patient.deceasedBoolean", min=1), at("Patient.deceasedDateTime", min=1)],
        "Patient.deceasedBoolean",
        "the slices deceasedBoolean, deceasedDateTime all",
    ),
    ("nested too deep", [at(".".join(["Patient"] * 60))], ".".join(["Patient"] * 60), "nested deeper than 40"),
]


@pytest.mark.parametrize(("elements", "element", "text"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_the_element_is_named_and_what_is_wrong(elements: list[Json], element: str, text: str) -> None:
    with pytest.raises(SnapshotError) as caught:
        snapshot(profile(PATIENT, *elements), lambda _: None)
    assert caught.value.element == element
    assert text in caught.value.text


def test_a_choice_is_not_gone_into_before_its_type_is_said() -> None:
    error = _refused(profile("Observation", at("Observation.value[x].coding")))
    assert error.text == (
        "coding is no element of value[x], which has id, extension whatever its type is; "
        "name one of its 11 types to go further"
    )


def _refused(structure: Json, *known: Json) -> SnapshotError:
    with pytest.raises(SnapshotError) as caught:
        snapshot(structure, {other["url"]: other for other in known}.get)
    return caught.value


def test_the_id_is_named_where_there_is_one() -> None:
    element = {"id": "Patient.name:a", "path": "Patient.name", "sliceName": "a"}
    assert _refused(profile(PATIENT, element)).element == "Patient.name:a"


def test_a_base_that_nobody_knows() -> None:
    error = _refused(profile(PATIENT, base=MINE + "other"))
    assert (error.code, MINE + "other is not known" in error.text) == ("not-found", True)


def test_a_base_of_another_version_of_fhir() -> None:
    assert _refused(profile(PATIENT, base=CORE + "Patient|5.0.0")).code == "not-found"


def test_no_base() -> None:
    structure = profile(PATIENT)
    del structure["baseDefinition"]
    assert _refused(structure).code == "required"


def test_a_base_of_another_type() -> None:
    assert "is about Observation" in _refused(profile(PATIENT, base=CORE + "Observation")).text


def test_a_new_type() -> None:
    assert _refused(profile(PATIENT) | {"derivation": "specialization"}).code == "not-supported"


def test_a_profile_that_stands_on_itself() -> None:
    mine = profile(PATIENT, base=MINE + "mine")
    assert "stands on itself" in _refused(mine, mine).text


def test_profiles_that_stand_on_each_other() -> None:
    first, second = (
        profile(PATIENT, name="first", base=MINE + "second"),
        profile(PATIENT, name="second", base=MINE + "first"),
    )
    error = _refused(first, first, second)
    assert f"{MINE}first -> {MINE}second -> {MINE}first" in error.text


def test_a_type_that_is_its_own_profile() -> None:
    row = {"code": "Extension", "profile": [MINE + "mine"]}
    mine = profile("Extension", at("Extension.extension", "a", type=[row]), at("Extension.extension.url", min=1))
    assert "stands on itself" in _refused(mine, mine).text


def test_too_many_bases() -> None:
    chain = [profile(PATIENT, name=f"p{i}", base=f"{MINE}p{i + 1}") for i in range(40)]
    assert _refused(chain[0], *chain).code == "too-costly"


def test_too_many_slices() -> None:
    slices = [at("Patient.name", f"s{i}") for i in range(1001)]
    error = _refused(profile(PATIENT, at("Patient.name", slicing=by_url("value", "use")), *slices))
    assert (error.code, "more than 1000 times" in error.text) == ("too-costly", True)


def test_too_large_a_differential() -> None:
    assert _refused(profile(PATIENT, *[at("Patient.name")] * 10_001)).code == "too-costly"
    first = profile(PATIENT, *[at("Patient.name")] * 5_000, name="first")
    mine = profile(PATIENT, *[at("Patient.name")] * 5_001, base=MINE + "first")
    assert _refused(mine, first).code == "too-costly"


def test_the_structure_at_fault_is_named() -> None:
    first = profile(PATIENT, at("Patient.nickname"), name="first")
    error = _refused(profile(PATIENT, base=MINE + "first"), first)
    assert (error.structure, error.element) == (MINE + "first", "Patient.nickname")
    assert _refused(profile(PATIENT, at("Patient.nickname"))).structure == MINE + "mine"


def test_too_large_a_snapshot() -> None:
    first = profile("Questionnaire", at("Questionnaire.item", slicing=by_url("value", "linkId")), name="p0")
    first["differential"]["element"] += [at("Questionnaire.item", f"s{i}") for i in range(999)]
    assert _refused(first).code == "too-costly"


def test_a_closed_slicing_takes_no_new_slice_and_is_not_opened() -> None:
    first = profile(PATIENT, at("Patient.name", slicing=by_url("value", "use", "closed")), name="first")
    new = profile(PATIENT, at("Patient.name", "a"), base=MINE + "first")
    opened = profile(PATIENT, at("Patient.name", slicing=by_url("value", "use")), base=MINE + "first")
    assert "the base closes the slicing" in _refused(new, first).text
    assert "opens a slicing" in _refused(opened, first).text


def test_what_the_base_fixes_is_not_changed() -> None:
    first = profile(PATIENT, at("Patient.gender", fixedCode="male"), name="first")
    changes: list[Json] = [{"fixedCode": "female"}, {"patternCode": "male"}]
    for change in changes:
        mine = profile(PATIENT, at("Patient.gender", **change), base=MINE + "first")
        assert "the fixedCode of the base" in _refused(mine, first).text


def test_a_snapshot_of_the_base_with_a_gap() -> None:
    first = profile(PATIENT, name="first")
    first["snapshot"] = {"element": [{"path": "Patient"}, {"path": "Patient.name.given"}]}
    error = _refused(profile(PATIENT, base=MINE + "first"), first)
    assert (error.element, "without its parent" in error.text) == ("Patient.name.given", True)


def test_a_snapshot_of_the_base_without_end() -> None:
    paths = [".".join(["Patient"] * depth) for depth in range(1, 60)]
    first = profile(PATIENT, name="first") | {"snapshot": {"element": [{"path": path} for path in paths]}}
    assert "nested deeper than 40" in _refused(profile(PATIENT, base=MINE + "first"), first).text


@pytest.mark.parametrize(
    "change",
    [
        {"path": 3},
        {"path": None},
        {"min": "1"},
        {"max": 1},
        {"type": "string"},
        {"type": [{"profile": []}]},
        {"type": [{"code": "Extension", "profile": "x"}]},
        {"slicing": []},
        {"constraint": [{}]},
        {"binding": "x"},
        {"binding": {}},
        {"sliceName": 4},
        {"extension": {}},
        {"id": []},
        {"mustSupport": "yes"},
        {"contentReference": 1},
        {"slicing": None},
        {"binding": None},
        {"base": "Patient"},
    ],
    ids=str,
)
def test_a_malformed_element(change: dict[str, Any]) -> None:
    assert "malformed" in _refused(profile(PATIENT, at("Patient.name") | change)).text
    first = profile(PATIENT, name="first") | {"snapshot": {"element": [at("Patient") | change]}}
    assert "malformed" in _refused(profile(PATIENT, base=MINE + "first"), first).text


def test_a_malformed_structure() -> None:
    changes: list[Json] = [
        {"differential": []},
        {"differential": None},
        {"differential": {"element": {}}},
        {"snapshot": None},
        {"baseDefinition": 1},
        {"type": {}},
    ]
    for change in changes:
        assert "malformed" in _refused(profile(PATIENT) | change).text
