"""Objects made of what an invariant looks at: some keep it and some break it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from fhir_server.fhir import fhirpath
from fhir_server.fhir.definitions import Constraint, Element, r4
from fhir_server.fhir.fhirpath.elements import is_primitive, rows
from fhir_server.validation.invariants import ELSEWHERE

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
    "integer": [-1, 0, 1, 2], "positiveInt": [1, 2], "unsignedInt": [0, 1], "decimal": [-1, 0, 1, 101],
    "date": _DAYS, "dateTime": [*_DAYS, *_TIMES], "instant": _TIMES, "time": ["10:00:00"], "base64Binary": ["aGVs"],
}  # fmt: skip
# Members that an invariant looks at without naming them.
_MORE_NAMES = {"rng-2": frozenset({"value"}), "que-2": frozenset({"item"}), "sdf-9": frozenset({"snapshot"})}
_SOMETHING: Json = {"extension": [{"url": "http://example.org", "valueCode": "x"}]}


@dataclass(frozen=True)
class Case:
    """An invariant and the complex type it is evaluated on; `element` of `parent` if it holds in that place only."""

    own: str
    row: Constraint
    parent: str = ""
    element: Element | None = None

    def __str__(self) -> str:
        return f"{self.own}-{self.row.key}"


def invariants() -> list[Case]:
    """Return every invariant that is evaluated, on each complex type."""
    found: dict[tuple[str, str], Case] = {}
    for name, definition in TYPES.items():
        for row in definition.constraints if not definition.abstract else ():
            found[name, row.key] = Case(name, row)
        for element in definition.elements:
            for row in element.constraints:
                owns = [ref.code for ref in element.types if not is_primitive(ref.code)]
                found |= {(own, row.key): Case(own, row, name, element) for own in owns}
    return [case for case in found.values() if case.row.key not in ELSEWHERE]


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


def made_of(case: Case) -> st.SearchStrategy[Json]:
    """Return objects of a type made of what the invariant looks at."""
    texts = [*_LITERALS.findall(case.row.expression), "http://unitsofmeasure.org", "1", "0", ":"]
    names = frozenset(_NAMES.findall(case.row.expression)) | _MORE_NAMES.get(case.row.key, frozenset())
    return objects(case.own, texts, names, 3 if case.row.key == "sdf-19" else 2)


def by_fhirpath(case: Case, item: Json, resource: Json | None = None) -> bool | None:
    """Return what FHIRPath says; None where it says nothing or cannot."""
    expression = fhirpath.compile(case.row.expression, case.own)
    try:
        return expression.boolean(fhirpath.Node(item, case.own), resource=resource)
    except fhirpath.FhirPathError:
        return None
