"""Ids of elements, and links of narratives to them. https://hl7.org/fhir/R4/element.html"""

from __future__ import annotations

from typing import Any

from fhir_server.validation.anchors import check_anchors

DIV = '<div xmlns="http://www.w3.org/1999/xhtml">%s</div>'


def told(resource: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return severity, code and path of what is found."""
    return [(row.severity, row.code, row.path) for row in check_anchors(resource) or ()]


def patient(**members: Any) -> dict[str, Any]:
    """Return a Patient whose id is p."""
    return {"resourceType": "Patient", "id": "p", **members}


def test_elements_have_ids_of_their_own() -> None:
    assert told(patient(name=[{"id": "a"}, {"id": "b"}])) == []
    assert told(patient(name=[{"id": "a"}, {"id": "b"}, {"id": "a"}], contact=[{"name": {"id": "b"}}])) == [
        ("error", "business-rule", ".name[2].id"),
        ("error", "business-rule", ".contact[0].name.id"),
    ]


def test_ids_beside_primitives_count() -> None:
    assert told(patient(birthDate="1970", _birthDate={"id": "a"}, name=[{"id": "a"}])) == [
        ("error", "business-rule", ".name[0].id")
    ]


def test_resources_have_ids_apart() -> None:
    held = {"resourceType": "Organization", "id": "p", "alias": [{"id": "a"}]}
    assert told(patient(contained=[held, {**held}], name=[{"id": "a"}, {"id": "p"}])) == []
    entries = [{"id": "a", "resource": patient(name=[{"id": "a"}])} for _ in range(2)]
    assert told({"resourceType": "Bundle", "entry": entries}) == [("error", "business-rule", ".entry[1].id")]


def test_both_views_of_a_structure_have_the_same_ids() -> None:
    rows = [{"id": "Patient"}, {"id": "Patient.name"}]
    views = {"snapshot": {"element": rows}, "differential": {"element": rows}}
    assert told({"resourceType": "StructureDefinition", **views}) == []
    views["snapshot"] = {"element": [*rows, *rows[1:]]}
    assert told({"resourceType": "StructureDefinition", **views}) == [
        ("error", "business-rule", ".snapshot.element[2].id")
    ]


def test_links_lead_to_ids_and_names() -> None:
    links = "".join(f'<a href="#{name}">x</a>' for name in ("p", "e", "h", "n", "x"))
    div = DIV % f'{links}<p id="h"><a name="n">y</a></p>'
    found = told(patient(text={"div": div}, name=[{"id": "e"}]))
    assert found == [("warning", "not-found", ".text.div")]
    assert told(patient(text={"div": div.replace("#x", "https://example.org/#x")}, name=[{"id": "e"}])) == []


def test_what_is_malformed_is_somebody_elses_finding() -> None:
    assert told(patient(name=7, contact=[[7], {"id": 7}, {"id": 7}], text={"div": {"id": []}}, id=None)) == []
