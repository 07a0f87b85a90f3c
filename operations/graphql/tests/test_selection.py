"""Fields, fragments, arguments and directives on one resource. https://hl7.org/fhir/R4/graphql.html#fields"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from operations.conftest import Records
from operations.graphql.tests.conftest import Run

Json = dict[str, Any]

PATIENT: Json = {
    "resourceType": "Patient",
    "id": "1",
    "active": True,
    "name": [
        {"use": "official", "family": "Chalmers", "given": ["Peter", "James"]},
        {"use": "usual", "given": ["Jim"]},
        {"use": "maiden", "family": "Windsor", "given": ["Peter"]},
    ],
    "birthDate": "1974-12-25",
    "_birthDate": {"extension": [{"url": "http://example.org/time", "valueDateTime": "1974-12-25T14:35:45Z"}]},
    "contact": [{"name": {"family": "du Marché"}, "relationship": [{"text": "friend"}]}],
    "multipleBirthInteger": 2,
}
OBSERVATION: Json = {
    "resourceType": "Observation",
    "id": "o",
    "status": "final",
    "valueQuantity": {"value": Decimal("72.50"), "unit": "kg"},
    "component": [
        {"code": {"coding": [{"system": "s", "code": "a"}]}, "valueQuantity": {"value": 1}},
        {"code": {"coding": [{"system": "s", "code": "b"}]}, "valueQuantity": {"value": 2}},
    ],
}


@pytest.fixture(autouse=True)
def stored(records: Records) -> None:
    records.add(PATIENT)
    records.add(OBSERVATION)


async def test_scalars_objects_and_lists_without_what_is_absent(run: Run) -> None:
    ran = await run("Patient/1", "{ resourceType id active gender birthDate name { family given text } }")
    assert ran.data == {
        "resourceType": "Patient",
        "id": "1",
        "active": True,
        "birthDate": "1974-12-25",
        "name": [
            {"family": "Chalmers", "given": ["Peter", "James"]},
            {"given": ["Jim"]},
            {"family": "Windsor", "given": ["Peter"]},
        ],
    }
    assert ran.reads == [1]


async def test_decimals_keep_their_digits(run: Run) -> None:
    ran = await run("Observation/o", "{ valueQuantity { value unit } }")
    assert str(ran.data["valueQuantity"]["value"]) == "72.50"


async def test_the_extension_of_a_primitive(run: Run) -> None:
    ran = await run("Patient/1", "{ _birthDate { extension { url valueDateTime } } }")
    assert ran.data == {"_birthDate": PATIENT["_birthDate"]}


async def test_backbone_elements_choices_and_type_names(run: Run) -> None:
    ran = await run(
        "Patient/1", "{ __typename multipleBirthInteger contact { __typename name { family } relationship { text } } }"
    )
    assert ran.data == {
        "__typename": "Patient",
        "multipleBirthInteger": 2,
        "contact": [
            {"__typename": "PatientContact", "name": {"family": "du Marché"}, "relationship": [{"text": "friend"}]}
        ],
    }


async def test_aliases(run: Run) -> None:
    ran = await run("Patient/1", '{ born: birthDate first: name(use: "usual") { called: given } }')
    assert ran.data == {"born": "1974-12-25", "first": [{"called": ["Jim"]}]}


async def test_fragments_and_their_types(run: Run) -> None:
    query = """
      query { ...ids ... on Patient { active } ... on Observation { status } ... on DomainResource { birthDate } }
      fragment ids on Resource { id ...more }
      fragment more on Patient { contact { ... on PatientContact { relationship { text } } } }
    """
    assert (await run("Patient/1", query)).data == {
        "id": "1",
        "contact": [{"relationship": [{"text": "friend"}]}],
        "active": True,
        "birthDate": "1974-12-25",
    }


async def test_one_field_by_two_fragments_is_one(run: Run) -> None:
    query = """
      { ...a ...b }
      fragment a on Patient { name(use: "official") { family } active }
      fragment b on Patient { name(use: "official") { given } active }
    """
    assert (await run("Patient/1", query)).data == {
        "name": [{"family": "Chalmers", "given": ["Peter", "James"]}],
        "active": True,
    }


async def test_fields_of_two_fragments_with_other_arguments_are_two(run: Run) -> None:
    query = """
      { ...a ...b ...a }
      fragment a on Patient { name(use: "usual") { given } }
      fragment b on Patient { name(use: "maiden") { given } ...b }
    """
    assert (await run("Patient/1", query)).data == {"name": [{"given": ["Jim"]}, {"given": ["Peter"]}]}


async def test_a_field_written_twice_is_answered_twice(run: Run) -> None:
    ran = await run("Observation/o", "{ valueQuantity { value } valueQuantity { unit } id id }")
    assert ran.data == {"valueQuantity": [{"value": Decimal("72.50")}, {"unit": "kg"}], "id": "o"}


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("use: official", ["Chalmers"]),
        ('use: "official"', ["Chalmers"]),
        ("use: [official, maiden]", ["Chalmers", "Windsor"]),
        ('given: "Peter"', ["Chalmers", "Windsor"]),
        ('fhirpath: "family.exists()"', ["Chalmers", "Windsor"]),
        ('fhirpath: "$index = 2"', ["Windsor"]),
        ('fhirpath: "given.count() > 1 // two"', ["Chalmers"]),
        ("fhirpath: \"%resource.active and $this.use = 'maiden'\"", ["Windsor"]),
        ('fhirpath: "family.exists()", _offset: 1', ["Windsor"]),
        ("_offset: 2", ["Windsor"]),
        ("use: null, _offset: 2", ["Windsor"]),
        ("_offset: 0, _count: 1", ["Chalmers"]),
        ("_count: 0", []),
        ("_offset: 9", []),
        ('use: "nickname"', []),
    ],
)
async def test_arguments_of_lists(run: Run, arguments: str, expected: list[str]) -> None:
    ran = await run("Patient/1", f"{{ name({arguments}) {{ family }} }}")
    assert [name["family"] for name in ran.data.get("name", [])] == expected


async def test_an_element_that_is_called_resource_type(run: Run, records: Records) -> None:
    instance = [
        {"resourceId": "a", "resourceType": "Patient", "name": "x"},
        {"resourceId": "b", "resourceType": "Group"},
    ]
    records.add({"resourceType": "ExampleScenario", "id": "e", "status": "draft", "instance": instance})
    query = "{ instance(fhirpath: \"resourceId = 'a' and name.is(string)\") { resourceType name } }"
    assert (await run("ExampleScenario/e", query)).data == {"instance": [{"resourceType": "Patient", "name": "x"}]}


async def test_contained_resources_by_fhirpath(run: Run, records: Records) -> None:
    contained = [{"resourceType": "Patient", "id": "p"}, {"resourceType": "Group", "id": "g"}]
    records.add({**OBSERVATION, "id": "c", "contained": contained})
    ran = await run("Observation/c", '{ contained(fhirpath: "$this is Group") { id } }')
    assert ran.data == {"contained": [{"id": "g"}]}


async def test_a_number_is_matched_as_a_number(run: Run) -> None:
    ran = await run("Observation/o", "{ a: valueQuantity(value: 72.5) { unit } b: valueQuantity(value: 7) { unit } }")
    assert ran.data == {"a": {"unit": "kg"}}


async def test_variables_with_and_without_defaults(run: Run) -> None:
    query = """
      query q($use: String = "usual", $path: String!, $show: Boolean!, $n: Int) {
        a: name(use: $use) { given }
        b: name(fhirpath: $path, _count: $n) { family }
        active @include(if: $show)
      }
    """
    ran = await run("Patient/1", query, path="family = 'Windsor'", show=False)
    assert ran.data == {"a": [{"given": ["Jim"]}], "b": [{"family": "Windsor"}]}
    ran = await run("Patient/1", query, path="true", show=True, use="maiden", n=1)
    assert ran.data == {"a": [{"given": ["Peter"]}], "b": [{"family": "Chalmers"}], "active": True}


async def test_skip_and_include_on_fields_and_fragments(run: Run) -> None:
    query = """
      { id @skip(if: true) active @skip(if: false) @include(if: true)
        ... on Patient @include(if: false) { birthDate } ...f @skip(if: true) ... @include(if: true) { gender } }
      fragment f on Patient { name { family } }
    """
    assert (await run("Patient/1", query)).data == {"active": True}


async def test_one_of_several_operations(run: Run) -> None:
    query = "query a { id } query b { active }"
    assert (await run("Patient/1", query, operation="b")).data == {"active": True}
    assert "operationName must say" in (await run("Patient/1", query)).error
    assert (await run("Patient/1", query, operation="c")).error == "The query has no operation 'c'."


FLATTENED = [
    ("name @flatten { family }", {"family": ["Chalmers", "Windsor"]}),
    ("name @first { family }", {"name": {"family": "Chalmers"}}),
    ("name @first @flatten { given family }", {"given": ["Peter", "James"], "family": "Chalmers"}),
    ("name @flatten { given @first }", {"given": ["Peter", "Jim", "Peter"]}),
    ("contact @flatten { name @flatten { family @singleton } }", {"family": "du Marché"}),
    ("contact @flatten { name @flatten { family } }", {"family": ["du Marché"]}),
    (
        'name @slice(path: "use") { given @first }',
        {
            "name.official": [{"given": "Peter"}],
            "name.usual": [{"given": "Jim"}],
            "name.maiden": [{"given": "Peter"}],
        },
    ),
    (
        'contact @flatten @slice(path: "$index") { relationship @flatten @slice(path: "text") { text @singleton } }',
        {"text.0.friend": "friend"},
    ),
    ("name @flatten { a: family } b: name @flatten { a: use @skip(if: true) }", {"a": ["Chalmers", "Windsor"]}),
]


@pytest.mark.parametrize(("query", "expected"), FLATTENED, ids=[query for query, _ in FLATTENED])
async def test_flattening(run: Run, query: str, expected: Json) -> None:
    assert (await run("Patient/1", f"{{ {query} }}")).data == expected


MISTAKES = [
    ("{ id somthing }", "Patient has no field somthing.", (1, 6)),
    ("{ name { family sirname } }", "HumanName has no field sirname.", (1, 17)),
    ("{ _id { extension { url } } }", "Patient has no field _id.", (1, 3)),
    ("{ deceased }", "Patient has no field deceased; it has deceasedBoolean and deceasedDateTime.", (1, 3)),
    ("{ name }", "name is an object; say in braces which of its fields you want.", (1, 3)),
    ("{ id { x } }", "id is a scalar; nothing can be selected on it.", (1, 3)),
    ("{ id(x: 1) }", "id is a scalar and takes no argument x.", (1, 3)),
    (
        "{ name(colour: red) { family } }",
        "colour cannot be an argument here: as a field of HumanName it is none.",
        (1, 3),
    ),
    (
        "{ name(period: x) { family } }",
        "period cannot be an argument here: as a field of HumanName it is no scalar.",
        (1, 3),
    ),
    ("{ name(_count: -1) { family } }", "_count must be a whole number from 0.", (1, 3)),
    ("{ name(use: a, use: b) { family } }", "The argument use is given twice.", (1, 16)),
    ("{ name(use: $x) { family } }", "The operation declares no variable $x.", (1, 13)),
    ("{ name(use: {a: 1}) { family } }", "An object is no value that any argument takes.", (1, 13)),
    ("{ a: id a: birthDate }", "id and birthDate would both be called a; give one another alias.", (1, 9)),
    ("{ ...f }", "There is no fragment f.", (1, 3)),
    ("{ ... on Patent { id } }", "There is no type Patent, so nothing can be selected on it.", (1, 10)),
    ("{ id @upper }", "There is no directive @upper; skip, include, flatten, ", (1, 6)),
    ("{ id @include }", "@include takes one argument, if: true or false.", (1, 6)),
    ("{ id @first(n: 1) }", "@first takes no arguments.", (1, 6)),
    ("{ id @flatten }", "@flatten needs fields below id.", (1, 3)),
    (
        '{ name @slice(by: "use") { family } }',
        '@slice takes one argument, path: the FHIRPath of what the names end in, or "$index".',
        (1, 8),
    ),
    ("{ name @flatten { family @singleton } }", "family is marked @singleton and has more than one value.", (1, 19)),
    (
        "{ name @flatten { a: family } contact @flatten { a: gender b: name { family } } x: name @flatten { b: use } }",
        "b would have values of the types HumanName and code.",
        (1, 100),
    ),
    ('{ name(fhirpath: "family.") { family } }', "The FHIRPath cannot be read: ", (1, 3)),
    ('{ name(fhirpath: "true) or (true") { family } }', "The FHIRPath cannot be read: ", (1, 3)),
    ('{ name(fhirpath: "nothing()") { family } }', "The FHIRPath is wrong: ", (1, 3)),
    ('{ name(fhirpath: "given + 1") { family } }', "The FHIRPath cannot be evaluated: ", (1, 3)),
    ("query($a: Int!) { id }", "The variable $a has no value.", (1, 7)),
    ("query($v: Int) { id }", "The variable $v must be an Int.", (1, 7)),
    ("query($v: Colour) { id }", "There is no type Colour for variables", (1, 7)),
    ("mutation { PatientDelete(id: 1) { id } }", "A mutation is not supported, only queries; write with REST.", (1, 1)),
    ("type A { b: C }", "A query has operations and fragments, no definitions of types.", (1, 1)),
    ("{ id", "Syntax error: Expected Name, found <EOF>.", (1, 5)),
    (
        "{ name { ...n } } fragment n on HumanName { extension { ...e } } fragment e on Extension { value: extension "
        "{ ...e } }",
        "A fragment contains itself.",
        (1, 109),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("query", "message", "place"), MISTAKES, ids=[query[:50] for query, _, _ in MISTAKES])
async def test_mistakes_are_named_with_their_place(run: Run, query: str, message: str, place: tuple[int, int]) -> None:
    ran = await run("Patient/1", query, v="x")
    assert ran.error.startswith(message)
    assert ran.place == place


async def test_a_wrong_query_reads_nothing(run: Run) -> None:
    assert (await run("Patient/1", "{ somthing }")).reads == []


async def test_no_such_resource(run: Run, records: Records) -> None:
    assert (await run("Patient/2", "{ id }")).error == "There is no Patient/2."
    records.delete("Patient/1")
    ran = await run("Patient/1", "{ id }")
    assert (ran.error, ran.code) == ("Patient/1 was deleted.", "deleted")
