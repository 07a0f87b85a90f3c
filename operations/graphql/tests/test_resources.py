"""References, searches and connections. https://hl7.org/fhir/R4/graphql.html#references"""

from __future__ import annotations

from typing import Any

import pytest

from operations.conftest import BASE, Records, Server
from operations.graphql import loading
from operations.graphql.tests.conftest import Run

Json = dict[str, Any]
EVERYONE = 60


def observation(name: str, reference: str, **more: Any) -> Json:
    return {"resourceType": "Observation", "id": name, "subject": {"reference": reference}, **more}


@pytest.fixture(autouse=True)
def stored(records: Records) -> None:
    """Sixty patients of three organizations, each with two conditions; some observations."""
    for number in range(3):
        records.add({"resourceType": "Organization", "id": f"o{number}", "name": f"Hospital {number}"})
    for number in range(EVERYONE):
        organization = {"reference": f"Organization/o{number % 3}"}
        records.add(
            {"resourceType": "Patient", "id": f"p{number:02}", "active": True, "managingOrganization": organization}
        )
        for name in ("a", "b"):
            subject = {"reference": f"Patient/p{number:02}"}
            records.add({"resourceType": "Condition", "id": f"c{number:02}{name}", "subject": subject})
    records.add(observation("o", "Patient/p00"))
    records.add(observation("absolute", f"{BASE}/Patient/p00"))
    records.add(observation("version", "Patient/p00/_history/1"))
    records.add(observation("gone", "Patient/none"))
    records.add(observation("elsewhere", "http://other.test/fhir/Patient/p00"))
    records.add(
        observation("inside", "#x", contained=[{"resourceType": "Patient", "id": "x", "birthDate": "1990-01-01"}])
    )
    records.add({"resourceType": "Observation", "id": "named", "subject": {"display": "somebody"}})


@pytest.mark.parametrize("name", ["o", "absolute", "version"])
async def test_a_reference_is_followed(run: Run, name: str) -> None:
    query = "{ subject { resource { resourceType id managingOrganization { resource { name } } } } }"
    ran = await run(f"Observation/{name}", query)
    assert ran.data["subject"]["resource"] == {
        "resourceType": "Patient",
        "id": "p00",
        "managingOrganization": {"resource": {"name": "Hospital 0"}},
    }


@pytest.mark.parametrize("first", ["", "@first"])
async def test_fields_come_in_the_order_of_the_query(run: Run, first: str) -> None:
    ran = await run("Patient/p00", f"{{ ConditionList(_reference: subject) {first} {{ id }} active id }}")
    assert list(ran.data) == ["ConditionList", "active", "id"]


async def test_a_contained_resource(run: Run) -> None:
    ran = await run(
        "Observation/inside", "{ subject { resource { birthDate } } contained { ... on Patient { id birthDate } } }"
    )
    assert ran.data == {
        "subject": {"resource": {"birthDate": "1990-01-01"}},
        "contained": [{"id": "x", "birthDate": "1990-01-01"}],
    }
    assert ran.reads == [1]


async def test_a_contained_resource_of_another_type_than_asked_for(run: Run) -> None:
    query = "{ subject { resource(type: Group) { quantity } } }"
    assert (await run("Observation/inside", query)).data == {"subject": {}}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gone", "Patient/none"),
        ("elsewhere", "http://other.test/fhir/Patient/p00"),
        ("named", "A reference without a literal"),
    ],
)
async def test_what_cannot_be_resolved_is_an_error_unless_optional(run: Run, name: str, said: str) -> None:
    ran = await run(f"Observation/{name}", "{ id subject { resource { id } } }")
    assert (ran.error, ran.code) == (f"{said} cannot be resolved.", "not-found")
    ran = await run(f"Observation/{name}", "{ id subject { resource(optional: true) { id } } }")
    assert ran.data == {"id": name, "subject": {}}


async def test_a_deleted_target_is_told_from_one_that_never_was_by_nothing(run: Run, records: Records) -> None:
    records.delete("Patient/p00")
    ran = await run("Observation/o", "{ subject { resource { id } } }")
    assert (ran.error, ran.code) == ("Patient/p00 cannot be resolved.", "not-found")


async def test_an_old_version_is_a_command_of_its_own(
    run: Run, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = [{"reference": f"Patient/p0{number}/_history/9"} for number in range(2)]
    records.add({"resourceType": "Observation", "id": "old", "performer": old})
    query = "{ performer { resource(optional: true) { id } } }"
    monkeypatch.setattr(loading, "MAX_COMMANDS", 2)
    assert (await run("Observation/old", query)).data == {"performer": [{}, {}]}
    monkeypatch.setattr(loading, "MAX_COMMANDS", 1)
    assert (await run("Observation/old", query)).code == "too-costly"
    assert (await run("Observation/version", "{ subject { resource { id } } }")).reads == [1, 1]


async def test_only_of_a_type(run: Run) -> None:
    query = """{ subject { reference resource(type: Group) { quantity } resource(type: [Patient, Device]) { id } } }"""
    ran = await run("Observation/o", query)
    assert ran.data == {"subject": {"reference": "Patient/p00", "resource": {"id": "p00"}}}
    assert ran.reads == [1, 1]
    missing = await run("Observation/gone", "{ subject { resource(type: Group) { quantity } } }")
    assert missing.data == {"subject": {}}
    assert missing.reads == [1]


async def test_fields_of_what_a_reference_refers_to(run: Run) -> None:
    ran = await run("Observation/o", "{ subject { resource { ... on Patient { active } ... on Group { quantity } } } }")
    assert ran.data == {"subject": {"resource": {"active": True}}}
    ran = await run("Observation/o", "{ subject { resource { quantity } } }")
    assert ran.error == "Patient has no field quantity."
    ran = await run("Observation/named", "{ subject { resource(optional: true) { colour } } }")
    assert ran.error.endswith(" has no field colour.")
    ran = await run("Observation/named", "{ subject { resource(optional: true) { ... on Group { colour } } } }")
    assert ran.error == "Group has no field colour."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("optional: 1", "resource takes optional: true or false."),
        ("kind: Patient", "resource takes no argument kind."),
        ("type: Patent", "type: there is no resource type Patent in FHIR R4."),
    ],
)
async def test_arguments_of_a_reference(run: Run, arguments: str, message: str) -> None:
    assert (await run("Observation/o", f"{{ subject {{ resource({arguments}) {{ id }} }} }}")).error == message


async def test_one_resource_of_the_system(run: Run) -> None:
    assert (await run("", '{ Patient(id: "p01") { id active } }')).data == {"Patient": {"id": "p01", "active": True}}
    assert (await run("", "{ a: Patient(id: p01) { id } b: Patient(_id: p02) { id } }")).data == {
        "a": {"id": "p01"},
        "b": {"id": "p02"},
    }
    ran = await run("", "{ Patient(id: nobody) { id } }")
    assert (ran.error, ran.code, ran.place) == ("There is no Patient/nobody.", "not-found", (1, 3))


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("{ Patent(id: 1) { id } }", "There is no Patent to query."),
        ("{ PatentList { id } }", "There is no PatentList to query."),
        ("{ id }", "There is no id to query."),
        ("{ Patient { id } }", "Patient takes one id"),
        ('{ Patient(id: "a/b") { id } }', "Patient takes one id"),
        ("{ Patient(name: x) { id } }", "Patient takes id and no argument name; use PatientList."),
        ("{ PatientList { colour } }", "Patient has no field colour."),
        ('{ PatientList(_include: "x") { id } }', "PatientList takes no argument _include here."),
        ('{ PatientList(_reference: "x") { id } }', "_reference is for searches inside a resource"),
        ("{ PatientConnection { total } }", "PatientConnection has no field total."),
        ("{ PatientConnection(_count: -1) { count } }", "_count must be a whole number from 0."),
        ("{ PatientConnection { edges { node { id } } } }", "PatientEdge has no field node."),
        ("{ PatientConnection(_cursor: 1) { count } }", "_cursor is an argument of the outermost fields alone"),
        ('{ PatientConnection(_cursor: "1", _count: 2) { count } }', "_cursor is an argument of the outermost"),
        ('{ PatientConnection(_cursor: "1") { count } }', "not a cursor"),
    ],
)
async def test_mistakes_on_the_system(run: Run, query: str, message: str) -> None:
    ran = await run("", query)
    assert ran.error.startswith(message)
    assert ran.reads == []


@pytest.mark.parametrize("name", ["__schema { types { name } }", '__type(name: "Patient") { name }'])
async def test_introspection_is_said_to_be_unsupported(run: Run, name: str) -> None:
    ran = await run("", f"{{ {name} }}")
    assert ran.code == "not-supported"
    assert "introspection is not supported" in ran.error


async def test_the_name_of_the_system(run: Run) -> None:
    assert (await run("", "{ __typename }")).data == {"__typename": "Query"}


async def test_a_list_has_all_that_match(run: Run, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_PAGE", 25)
    ran = await run("", "{ PatientList { id } }")
    assert [p["id"] for p in ran.data["PatientList"]] == [f"p{n:02}" for n in range(EVERYONE)]
    assert [pairs for _, pairs in server.searched] == [
        (("_count", "25"),),
        (("_count", "25"), ("_cursor", "25")),
        (("_count", "25"), ("_cursor", "50")),
    ]


async def test_a_list_has_as_many_as_are_asked_for(run: Run, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "MAX_PAGE", 25)
    ran = await run("", "{ PatientList(_count: 30) { id } }")
    assert len(ran.data["PatientList"]) == 30
    assert [dict(pairs)["_count"] for _, pairs in server.searched] == ["25", "5"]


async def test_arguments_become_search_parameters(run: Run, server: Server) -> None:
    await run("", '{ PatientList(_id: ["p01", "p,02"], _sort: [_id, "-_id"], organization: "Organization/o1") { id } }')
    assert server.searched == [
        (
            "Patient",
            (("_id", "p01,p\\,02"), ("_sort", "_id,-_id"), ("organization", "Organization/o1"), ("_count", "1000")),
        )
    ]
    server.searched.clear()
    await run("", "{ ConditionList(clinical_status: active) { id } }")
    assert server.searched == [("Condition", (("clinical-status", "active"), ("_count", "1000")))]


async def test_the_resources_of_a_list_filtered_by_fhirpath(run: Run) -> None:
    ran = await run("", "{ PatientList(fhirpath: \"%resource.id.endsWith('7')\") { id } }")
    assert [p["id"] for p in ran.data["PatientList"]] == ["p07", "p17", "p27", "p37", "p47", "p57"]


async def test_references_of_a_level_are_read_with_one_command(run: Run, server: Server) -> None:
    ran = await run("", "{ PatientList { managingOrganization { resource { name } } } }")
    assert [p["managingOrganization"]["resource"]["name"] for p in ran.data["PatientList"][:4]] == [
        "Hospital 0", "Hospital 1", "Hospital 2", "Hospital 0",
    ]  # fmt: skip
    assert ran.reads == [3]
    assert len(server.searched) == 1


async def test_what_was_read_is_not_read_again(run: Run) -> None:
    ran = await run(
        "",
        "{ a: Patient(id: p00) { id } b: Patient(id: p00) { id } Observation(id: o) { subject { resource { id } } } }",
    )
    assert ran.reads == [2]


async def test_what_refers_to_the_resources_of_a_list_is_searched_for_together(run: Run, server: Server) -> None:
    ran = await run("", "{ PatientList { id ConditionList(_reference: subject) { id subject { resource { id } } } } }")
    rows = ran.data["PatientList"]
    assert len(rows) == EVERYONE
    assert rows[7] == {
        "id": "p07",
        "ConditionList": [
            {"id": "c07a", "subject": {"resource": {"id": "p07"}}},
            {"id": "c07b", "subject": {"resource": {"id": "p07"}}},
        ],
    }
    assert [(kind, len(dict(pairs).get("subject", "").split(","))) for kind, pairs in server.searched] == [
        ("Patient", 1), ("Condition", 50), ("Condition", 10),
    ]  # fmt: skip
    assert ran.reads == [EVERYONE]


async def test_what_refers_to_two_resources_is_found_once_for_each(run: Run, records: Records) -> None:
    records.add(observation("both", "Patient/p01", performer=[{"reference": "Patient/p59"}]))
    ran = await run("", "{ PatientList { id ObservationList(_reference: subject) { id } } }")
    found = {row["id"]: row["ObservationList"] for row in ran.data["PatientList"] if "ObservationList" in row}
    both = [{"id": "both"}]
    assert (found["p01"], found["p59"]) == (both, both)
    assert set(found) == {"p00", "p01", "p59"}


async def test_a_search_in_one_resource(run: Run, server: Server) -> None:
    ran = await run(
        "Patient/p03",
        "{ ConditionList(_reference: subject, _count: 1) { id } OrganizationList(_reference: subject) { id } }",
    )
    assert ran.data == {"ConditionList": [{"id": "c03a"}]}
    assert server.searched == [
        ("Organization", (("subject", "Patient/p03"), ("_count", "1000"))),
        ("Condition", (("subject", "Patient/p03"), ("_count", "1"))),
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("", "ConditionList inside a resource needs _reference"),
        ("(_reference: colour)", "no parameter colour"),
        ("(_reference: subject, id: 1)", "ConditionList takes no argument id here."),
        ('(_cursor: "1")', "_cursor is an argument of the outermost fields alone"),
        ('(_reference: subject, _cursor: "1")', "_cursor is an argument of the outermost fields alone"),
    ],
)
async def test_mistakes_in_reverse_searches(run: Run, arguments: str, message: str) -> None:
    ran = await run("", f"{{ PatientList {{ ConditionList{arguments} {{ id }} }} }}")
    assert ran.error.startswith(message)
    assert ran.place == (1, 17)


async def test_nothing_refers_to_a_contained_resource(run: Run, server: Server) -> None:
    query = "{ contained { ... on Patient { id ConditionList(_reference: subject) { id } } } }"
    assert (await run("Observation/inside", query)).data == {"contained": [{"id": "x"}]}
    assert server.searched == []


async def test_a_connection_page_by_page(run: Run) -> None:
    fields = "{ count offset pageSize pagesize edges { mode score resource { id } } first previous next last }"
    found = (await run("", f"{{ PatientConnection(_count: 25) {fields} }}")).data["PatientConnection"]
    assert "first" not in found
    pages = [found]
    while "next" in pages[-1]:
        ran = await run("", f'{{ PatientConnection(_cursor: "{pages[-1]["next"]}") {fields} }}')
        pages.append(ran.data["PatientConnection"])
    assert [(p["count"], p["offset"], p["pageSize"], p["pagesize"], len(p["edges"])) for p in pages] == [
        (60, 0, 25, 25, 25), (60, 25, 25, 25, 25), (60, 50, 25, 25, 10),
    ]  # fmt: skip
    ids = [edge["resource"]["id"] for page in pages for edge in page["edges"]]
    assert ids == [f"p{n:02}" for n in range(EVERYONE)]
    assert {edge["mode"] for edge in pages[0]["edges"]} == {"match"}
    again = await run("", f'{{ PatientConnection(_cursor: "{pages[-1]["first"]}") {fields} }}')
    assert again.data["PatientConnection"] == pages[0]


async def test_only_a_count_that_is_asked_for_is_counted(run: Run, server: Server) -> None:
    await run("", "{ PatientConnection { edges { resource { id } } } }")
    assert server.searched == [("Patient", (("_count", "50"),))]
    server.searched.clear()
    await run("", "{ PatientConnection { count } }")
    assert server.searched == [("Patient", (("_count", "50"),)), ("Patient", (("_summary", "count"),))]


async def test_a_connection_keeps_its_fhirpath_on_every_page(run: Run) -> None:
    query = "{ PatientConnection(_count: 30, fhirpath: \"id.endsWith('7')\") { next edges { resource { id } } } }"
    found = (await run("", query)).data["PatientConnection"]
    assert [edge["resource"]["id"] for edge in found["edges"]] == ["p07", "p17", "p27"]
    ran = await run("", f'{{ PatientConnection(_cursor: "{found["next"]}") {{ edges {{ resource {{ id }} }} }} }}')
    assert [e["resource"]["id"] for e in ran.data["PatientConnection"]["edges"]] == ["p37", "p47", "p57"]


async def test_the_next_page_of_a_reverse_connection_is_asked_for_by_itself(run: Run) -> None:
    query = "{ ConditionConnection(_reference: subject, _count: 1) { next edges { resource { id } } } }"
    found = (await run("Patient/p03", query)).data["ConditionConnection"]
    assert found["edges"] == [{"resource": {"id": "c03a"}}]
    ran = await run(
        "", f'{{ ConditionConnection(_cursor: "{found["next"]}") {{ next edges {{ resource {{ id }} }} }} }}'
    )
    assert ran.data["ConditionConnection"] == {"edges": [{"resource": {"id": "c03b"}}]}


async def test_a_cursor_is_of_one_type(run: Run) -> None:
    found = (await run("", "{ PatientConnection(_count: 1) { next } }")).data["PatientConnection"]
    ran = await run("", f'{{ ConditionConnection(_cursor: "{found["next"]}") {{ next }} }}')
    assert ran.error == "a cursor of something else"


async def test_searches_are_flattened_too(run: Run) -> None:
    query = """
      { ConditionList(_reference: subject) @first { id }
        b: ConditionList(_reference: subject) @slice(path: "$index") { id } }
    """
    assert (await run("Patient/p03", query)).data == {
        "ConditionList": {"id": "c03a"},
        "b.0": [{"id": "c03a"}],
        "b.1": [{"id": "c03b"}],
    }
    ran = await run("Patient/p03", "{ id ConditionList(_reference: subject) @flatten { condition: id } }")
    assert ran.data == {"id": "p03", "condition": ["c03a", "c03b"]}
    ran = await run("Observation/o", "{ subject @flatten { resource @flatten { active } } id }")
    assert ran.data == {"id": "o", "active": True}
