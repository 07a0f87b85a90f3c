"""Shortcuts say what FHIRPath says, or nothing: compared on objects made of what each invariant looks at."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_server.fhir import fhirpath
from fhir_server.fhir.definitions import Constraint, r4
from fhir_server.fhir.fhirpath.elements import is_primitive, rows
from fhir_server.validation.invariants import ELSEWHERE
from fhir_server.validation.presence import shortcut, unknown
from fhir_server.validation.shortcuts import BY_KEY

Json = dict[str, Any]
TYPES = r4().types
_LITERALS = re.compile(r"'([^']*)'")
_NAMES = re.compile(r"[A-Za-z]+")
_DAYS = ["2020", "2021-05", "2020-01-02", "2021-01-02"]
_TIMES = [
    "2020-01-02T10:00:00Z", "2020-01-02T09:00:00Z", "2020-01-02T10:00:00+02:00", "2020-01-02T09:30:00+02:00",
    "2020-01-02T09:59:59.999-05:00", "2020-01-02T10:00:00.000000Z", "2020-01-02T10:00:00.5Z",
]  # fmt: skip
_VALUES: dict[str, list[Any]] = {
    "boolean": [True, False],
    "integer": [-1, 0, 1, 2], "positiveInt": [1, 2], "unsignedInt": [0, 1], "decimal": [-1, 0, 1, 2],
    "date": _DAYS, "dateTime": [*_DAYS, *_TIMES], "instant": _TIMES, "time": ["10:00:00"], "base64Binary": ["aGVs"],
}  # fmt: skip
_SOMETHING: Json = {"extension": [{"url": "http://example.org", "valueCode": "x"}]}


def invariants() -> list[tuple[str, Constraint]]:
    """Return every invariant that may have a shortcut, with the complex type it is evaluated on."""
    found: dict[tuple[str, str], Constraint] = {}
    for name, definition in TYPES.items():
        for row in definition.constraints if not definition.abstract else ():
            found[name, row.key] = row
        for element in definition.elements:
            for row in element.constraints:
                found |= {(ref.code, row.key): row for ref in element.types if not is_primitive(ref.code)}
    return [(own, row) for (own, key), row in found.items() if key not in ELSEWHERE]


CASES = invariants()


def values(own: str, texts: list[str], names: frozenset[str], depth: int) -> st.SearchStrategy[Any]:
    """Return values of a type that an invariant with these literals and names may treat differently."""
    if is_primitive(own):
        return st.sampled_from(_VALUES.get(own, [*texts, "else"]))
    if own in ("Resource", "DomainResource"):
        kinds = st.sampled_from(["Patient", "Composition", "MessageHeader"])
        versions = st.sampled_from([{}, {"meta": {"versionId": "1"}}, {"meta": {"versionId": "2"}}])
        return st.builds(lambda kind, meta: {"resourceType": kind, **meta}, kinds, versions)
    if depth == 0:
        return st.just(_SOMETHING)
    return objects(own, texts, names, depth - 1).map(lambda item: item or _SOMETHING)


def objects(own: str, texts: list[str], names: frozenset[str], depth: int) -> st.SearchStrategy[Json]:
    """Return objects of a type with some of the members that are named; at most one of each choice."""
    chosen: list[st.SearchStrategy[Json]] = []
    for name, pairs in rows(own).items():
        element = TYPES[own].element(name)
        if name not in names or element is None:
            continue
        options: list[st.SearchStrategy[Json]] = [st.just({})]
        for key, kind in pairs[:3] + pairs[-2:]:
            value = values(kind, texts, names, depth)
            many = st.lists(value, min_size=1, max_size=3) if element.repeats else value
            options.append(st.fixed_dictionaries({key: many}))
            if is_primitive(kind) and not element.repeats:
                options.append(st.just({"_" + key: _SOMETHING}))
        chosen.append(st.one_of(options))
    return st.tuples(*chosen).map(lambda parts: {k: v for part in parts for k, v in part.items()})


def by_fhirpath(row: Constraint, own: str, item: Json) -> bool | None:
    """Return what FHIRPath says; None where it says nothing or cannot."""
    try:
        return fhirpath.compile(row.expression, own).boolean(fhirpath.Node(item, own))
    except fhirpath.FhirPathError:
        return None


def compared(row: Constraint, own: str, quick: Any, examples: int) -> dict[bool | None, int]:
    """Compare on many objects, and return how often the shortcut said what."""
    said: dict[bool | None, int] = {True: 0, False: 0, None: 0}
    texts = [*_LITERALS.findall(row.expression), "http://unitsofmeasure.org"]

    @settings(max_examples=examples, deadline=None, derandomize=True, database=None)
    @given(objects(own, texts, frozenset(_NAMES.findall(row.expression)), 2))
    def check(item: Json) -> None:
        answer = quick(item)
        said[answer] += 1
        if answer is None:
            return
        assert by_fhirpath(row, own, item) is answer

    check()
    return said


@pytest.mark.parametrize(("own", "row"), CASES, ids=[f"{own}-{row.key}" for own, row in CASES])
def test_a_shortcut_says_what_fhirpath_says(own: str, row: Constraint) -> None:
    quick = shortcut(row.expression, own)
    if quick is not unknown:
        assert sum(compared(row, own, quick, 40).values()) > 0


@pytest.mark.parametrize(("own", "key"), BY_KEY)
def test_a_shortcut_by_hand_says_what_fhirpath_says(own: str, key: str) -> None:
    [row] = [row for name, row in CASES if (name, row.key) == (own, key)]

    assert compared(row, own, BY_KEY[own, key], 400)[True] > 0


def test_most_invariants_have_a_shortcut() -> None:
    without = sorted({row.key for own, row in CASES if row.severity == "error" and (own, row.key) not in BY_KEY
                      and shortcut(row.expression, own) is unknown})  # fmt: skip

    assert without == [
        "cpb-2", "csd-1", "eld-19", "ipn-1", "lnk-1", "msq-3", "msq-6", "que-2", "ras-2", "sdf-9", "tcp-2",
    ]  # fmt: skip
