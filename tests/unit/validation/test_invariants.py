"""Every invariant is looked at: an object that breaks it by FHIRPath is found, where it is, and with its severity."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath import Node, compile
from fhir_server.fhir.outcomes import Issue
from fhir_server.validation import Validator, wholes
from fhir_server.validation.findings import Finding
from fhir_server.validation.invariants import Invariants
from tests.unit.validation.breaking import CASES, Case, by_fhirpath, made_of

Json = dict[str, Any]
RULES = Invariants(r4(), advice=True)
SETTINGS = settings(
    max_examples=2000,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],  # any example will do, it need not be the smallest
)
# cid-0 is about an element that the type has not; eld-11 asks whether comparisons exist, and they always do.
UNBREAKABLE = {"ChargeItemDefinition-cid-0", "ElementDefinition-eld-11"}


def broken(case: Case, item: Json) -> list[Finding]:
    """Return what the rules say that the object breaks."""
    rules = RULES.of_type(case.own)
    if case.element is not None:
        rules += RULES.of_element(case.parent, case.element, case.own)
    return [row for holds, explain in rules if not holds(item) for row in explain(item) or ()]


@pytest.mark.parametrize("case", [case for case in CASES if case.row.key not in wholes.BY_KEY], ids=str)
def test_it_is_found_broken(case: Case) -> None:
    if str(case) in UNBREAKABLE:
        with pytest.raises(NoSuchExample):
            find(made_of(case), lambda one: by_fhirpath(case, one) is False, settings=SETTINGS)
        return

    item = find(made_of(case), lambda one: by_fhirpath(case, one) is False, settings=SETTINGS)
    found = [row for row in broken(case, item) if row.text.startswith(f"The invariant {case.row.key} is broken: ")]

    assert [(row.code, row.severity, row.path) for row in found] == [("invariant", case.row.severity, "")]
    assert found[0].text.endswith(case.row.expression)


def constraint(own: str, key: str) -> str:
    """Return the expression of an invariant that a type has."""
    [row] = [row for row in r4().types[own].constraints if row.key == key]
    return row.expression


def errors(resource: Json) -> list[Issue]:
    return Validator(r4()).validate(resource)


ID, INNER = {"id": "a"}, {"extension": [{"url": "http://example.org", "valueCode": "x"}]}
ELEMENTS: list[Json] = [ID, INNER, {**ID, **INNER}, {"text": "x"}, {**ID, "text": "x"}]


@pytest.mark.parametrize("element", ELEMENTS)
def test_an_element_needs_more_than_an_id(element: Json) -> None:
    holds = compile(constraint("Element", "ele-1"), "CodeableConcept").boolean(Node(element, "CodeableConcept"))

    found = errors({"resourceType": "Basic", "code": element})

    assert [issue.code for issue in found] == ([] if holds else ["invariant"])


@pytest.mark.parametrize("value", [{}, {"birthDate": "2020"}])
@pytest.mark.parametrize("element", [ID, INNER, {**ID, **INNER}])
def test_a_primitive_needs_a_value_or_more_than_an_id(value: Json, element: Json) -> None:
    node = Node(value.get("birthDate"), "date", element)
    holds = compile(constraint("Element", "ele-1")).boolean(node)

    found = errors({"resourceType": "Patient", **value, "_birthDate": element})

    assert [(issue.code, issue.expression) for issue in found] == (
        [] if holds else [("invariant", "Patient.birthDate")]
    )


def test_among_many_primitives_too() -> None:
    name = {"given": ["a", None, "c"], "_given": [ID, ID, None]}

    [issue] = errors({"resourceType": "Patient", "name": [name]})

    assert (issue.code, issue.expression) == ("invariant", "Patient.name[0].given[1]")


PARTS: dict[str, Any] = {
    "url": "http://example.org", "extension": [{"url": "a", "valueCode": "x"}], "valueString": "x", "_valueCode": INNER,
}  # fmt: skip


@given(st.sets(st.sampled_from(["extension", "valueString"])))
def test_an_extension_has_a_value_or_extensions(members: set[str]) -> None:
    item = {"url": PARTS["url"], **{name: PARTS[name] for name in members}}

    holds = compile(constraint("Extension", "ext-1"), "Extension").boolean(Node(item, "Extension"))

    assert (errors({"resourceType": "Patient", "extension": [item]}) == []) is holds


REFERENCES = st.sampled_from(["#a", "#b", "Patient/1"])
CONTAINED = st.fixed_dictionaries(
    {"resourceType": st.just("Patient"), "id": st.sampled_from(["a", "b"])},
    optional={
        "meta": st.sampled_from([{"versionId": "1"}, {"lastUpdated": "2020-01-01T00:00:00Z"}, {"source": "urn:x"}]),
        "link": st.sampled_from(["#", "#a", "Patient/2"]).map(
            lambda text: [{"other": {"reference": text}, "type": "seealso"}]
        ),
    },
)


@settings(max_examples=300, deadline=None)
@given(st.lists(CONTAINED, min_size=1, max_size=2, unique_by=lambda one: str(one["id"])), REFERENCES)
def test_contained_resources_are_referred_to_and_have_no_version(contained: list[Json], reference: str) -> None:
    resource = {
        "resourceType": "Patient",
        "contained": contained,
        "link": [{"other": {"reference": reference}, "type": "seealso"}],
    }
    keys = ["dom-2", "dom-3", "dom-4", "dom-5"]
    hold = [compile(constraint("DomainResource", key), "Patient").boolean(resource) for key in keys]
    local = [row["link"][0]["other"] for row in [resource, *contained] if "link" in row]
    within = {"contained": [*contained, {"id": ""}], "resourceType": "Patient"}
    resolve = [
        compile(constraint("Reference", "ref-1"), "Reference").boolean(
            Node(item, "Reference"), resource=resource, root=within
        )
        for item in local
    ]

    assert (errors(resource) == []) is (False not in hold + resolve)


def whole(key: str, expression: str, resource: Json, places: list[tuple[int | None, Json]], own: str) -> None:
    """Compare what is said of a whole resource with FHIRPath on each element."""
    by_path = [
        place for place, item in places if compile(expression, own).boolean(Node(item, own), resource=resource) is False
    ]
    assert wholes.BY_KEY[key](resource) == by_path


PATHS = st.lists(st.sampled_from(["Patient", "Patient.name", "Patient.name.given", "Patients", "x"]), min_size=1)


@settings(max_examples=300)
@given(
    st.sampled_from([("snapshot", "sdf-8"), ("differential", "sdf-8a")]),
    PATHS,
    st.sampled_from(["logical", "resource"]),
)
def test_the_paths_of_a_definition(view: tuple[str, str], paths: list[str], kind: str) -> None:
    name, key = view
    item = {"element": [{"path": path} for path in paths]}
    resource = {"resourceType": "StructureDefinition", "kind": kind, "type": "Patient", name: item}
    [case] = [case for case in CASES if case.row.key == key]

    whole(key, case.row.expression, resource, [(None, item)], case.own)


MEMBERS = st.sampled_from(
    ["Practitioner/1", "Patient/1", "#a", "#b", "#c", "http://example.org/fhir/Organization/1", "x"]
)


@settings(max_examples=300)
@given(st.lists(st.tuples(MEMBERS, st.booleans()), min_size=1, max_size=3))
def test_who_acts_on_behalf_of_an_organization(members: list[tuple[str, bool]]) -> None:
    on_behalf: Json = {"onBehalfOf": {"reference": "Organization/1"}}
    rows = [{"member": {"reference": text}, **(on_behalf if is_for else {})} for text, is_for in members]
    contained = [{"resourceType": "Practitioner", "id": "a"}, {"resourceType": "Organization", "id": "b"}]
    resource = {"resourceType": "CareTeam", "contained": contained, "participant": rows}
    [case] = [case for case in CASES if case.row.key == "ctm-1"]

    whole("ctm-1", case.row.expression, resource, list(enumerate(rows)), case.own)
