"""What of a profile cannot be checked is said when it is compiled. https://hl7.org/fhir/R4/profiling.html"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.validation.profiles import Profile, ProfileError, compile_profile

URL = "http://example.org/StructureDefinition/p"


def compiled(*elements: dict[str, Any], **head: Any) -> Profile:
    """Return a profile of Patient with these elements."""
    return compile_profile({"url": URL, "version": "2", "type": "Patient", **head}, [{"path": "Patient"}, *elements])


def sliced(kind: str, path: str, **facts: Any) -> list[dict[str, Any]]:
    """Return identifiers in one slice with that discriminator."""
    slicing = {"rules": "open", "discriminator": [{"type": kind, "path": path}]}
    return [
        {"id": "Patient.identifier", "path": "Patient.identifier", "slicing": slicing},
        {"id": "Patient.identifier:a", "path": "Patient.identifier", "sliceName": "a", **facts},
    ]


def test_a_profile_says_what_it_is() -> None:
    profile = compiled({"id": "Patient.name", "path": "Patient.name", "mustSupport": True})
    assert (profile.url, profile.version, profile.type) == (URL, "2", "Patient")
    assert profile.must_support == ("Patient.name",)
    assert profile.warnings == ()
    assert repr(profile) == f"Profile({URL}|2)"


@pytest.mark.parametrize(
    ("elements", "element", "text"),
    [
        ([{"path": "Patient.nome"}], "Patient.nome", "Patient has no element nome"),
        ([{"path": "Patient.name.given"}], "Patient.name.given", "The element above it is not in the snapshot"),
        ([{"path": "Observation.code"}], "Observation.code", "The element above it"),
        ([{"path": "Patient"}], "Patient", "The element above it"),
        ([{}], "", "An element of the snapshot has no path"),
        ([{"path": "Patient.name", "type": "HumanName"}], "Patient.name", "Its type is malformed"),
        ([{"path": "Patient.name", "type": [{"code": 1}]}], "Patient.name", "Its type is malformed"),
        ([{"path": "Patient.name", "constraint": [None]}], "Patient.name", "Its constraint is malformed"),
        ([{"path": "Patient.name", "binding": []}], "Patient.name", "Its binding is malformed"),
        ([{"path": "Patient.name", "slicing": {"discriminator": {}}}], "Patient.name", "Its slicing is malformed"),
        ([{"path": "Patient.name", "sliceName": 1}], "Patient.name", "Its sliceName is malformed"),
        ([{"path": "Patient.name", "min": -1}], "Patient.name", "min is a number"),
        ([{"path": "Patient.name", "max": "many"}], "Patient.name", "max is a number"),
        (
            [{"path": "Patient.link", "contentReference": "#Patient.nowhere"}],
            "Patient.link",
            "no element Patient.nowhere",
        ),
        (sliced("position", "system"), "Patient.identifier:a", "A discriminator is one of"),
        (sliced("value", "system.where(true)"), "Patient.identifier:a", "The path of a discriminator cannot be"),
        (sliced("value", ""), "Patient.identifier:a", "The path of a discriminator cannot be"),
        (sliced("value", "system."), "Patient.identifier:a", "The path of a discriminator cannot be"),
        (sliced("value", "sistem"), "Patient.identifier:a", "There is no sistem"),
        (sliced("value", "type.nothing"), "Patient.identifier:a", "There is no type.nothing"),
    ],
)
def test_what_cannot_be_checked_names_its_element(elements: list[dict[str, Any]], element: str, text: str) -> None:
    with pytest.raises(ProfileError, match=text) as error:
        compiled(*elements)
    assert error.value.element == element


def test_a_profile_that_is_too_deep_is_refused() -> None:
    rows = [{"path": "Patient" + ".extension" * depth} for depth in range(1, 500)]
    with pytest.raises(ProfileError, match="nested deeper than 64 levels"):
        compiled(*rows)
    with pytest.raises(ProfileError, match="nested deeper than 64 levels"):
        compiled({"path": "Patient.name"}, {"path": "Patient.name", "sliceName": "/".join("a" * 500)})


@pytest.mark.parametrize(
    ("head", "text"),
    [
        ({"url": None}, "A profile has a url"),
        ({"url": ""}, "A profile has a url"),
        ({"type": "Person2"}, "is none of FHIR R4"),
        ({"type": None}, "is none of FHIR R4"),
    ],
)
def test_a_profile_has_a_url_and_a_type(head: dict[str, Any], text: str) -> None:
    with pytest.raises(ProfileError, match=text):
        compiled(**head)


def test_a_snapshot_has_elements_and_not_too_many() -> None:
    with pytest.raises(ProfileError, match="has no elements"):
        compile_profile({"url": URL, "type": "Patient"}, [])
    with pytest.raises(ProfileError, match="more than 10000 elements"):
        compile_profile({"url": URL, "type": "Patient"}, [{"path": "Patient"}] * 10_001)


def test_a_slice_that_nothing_tells_apart_is_a_warning_that_names_it() -> None:
    profile = compiled(*sliced("value", "system", min=1))
    assert profile.warnings == (
        "Patient.identifier:a: nothing says which values belong to this slice, so it is not checked.",
    )


@pytest.mark.parametrize(
    "path", ["$this", "type.coding.code", "assigner.resolve().name", "extension('http://x').value"]
)
def test_these_paths_are_understood(path: str) -> None:
    compiled(*sliced("exists", path))


def test_a_slice_may_be_written_with_the_path_of_its_type() -> None:
    rows: list[dict[str, Any]] = [
        {"path": "Observation"},
        {"path": "Observation.value[x]"},
        {"path": "Observation.valueQuantity", "sliceName": "valueQuantity", "type": [{"code": "Quantity"}]},
        {"path": "Observation.valueQuantity.unit", "min": 1, "mustSupport": True},
    ]
    profile = compile_profile({"url": URL, "type": "Observation"}, rows)
    assert profile.must_support == ("Observation.valueQuantity.unit",)
