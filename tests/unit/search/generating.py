"""Small resources and search values, made at random from a few texts so that they meet often.

Elements are made from the definitions, those that a search parameter reads: https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from fhir_server.fhir.dates import PREFIXES, parse_range
from fhir_server.fhir.definitions import Element, r4
from fhir_server.search.matching.token import BOOLEANS, implied_system
from fhir_server.search.parameters import Parameter
from tests.unit.search.memory import BASE, PARAMETERS, Json

UCUM = "http://unitsofmeasure.org"
MAX_DEPTH = 5
_NEVER = frozenset({"id", "contained"})

_WORD = re.compile(r"[A-Za-z]+")
_QUOTED = re.compile(r"'([^']*)'")

CODES = ["a", "A", "b|c", "d,e", "male", "true", "final", "ß"]
SYSTEMS = ["urn:s", "urn:S", "http://x.example/cs"]
TEXTS = [
    "Anna",
    "anna lena",
    "Müller",
    "muller",
    "Straße",
    "ÉÉ",
    "a",
    "Lena\tAnna",
    "x" * 1001,
    "x" * 1000 + "y",
    "ﬃ $5",
]
NUMBERS = [
    *("0", "-0.0", "1", "1.0", "0.95", "1.05", "1.049", "5.4", "5.40", "99.5", "100", "100.5", "-3", "1e2", "1e-9"),
    *("0.1", "123456789012345678.9", "123456789012345678.8", "1e400", "-1e400", "18", "0.018"),
]
UNITS = ["mg", "g", "kg", "Cel", "K", "a", "{score}", "zz"]
DATES = [
    *("2020", "2021", "2020-02", "2020-03", "2020-02-29", "2020-03-01", "0001", "9999", "1969-12-31", "2025-12"),
    *("2020-02-29T23:59:59Z", "2020-03-01T01:00:00+02:00", "2020-03-01T00:00:00.000Z", "2020-03-01T00:00:00.001Z"),
]
KEYS = ["Patient/1", "Patient/2", "Group/1", "Practitioner/1", "Location/1"]
REFERENCES = [
    *KEYS,
    *(f"{BASE}/Patient/1", "Patient/1/_history/2", "https://there.example/fhir/Patient/1", "#p", "urn:uuid:1", "1"),
]
URIS = [
    *("http://x.example/fhir/ValueSet/s", "http://x.example/fhir/ValueSet/s|1", "http://x.example/fhir", "urn:oid:1.2"),
    *("http://x.example/fhir/ValueSet", "http://x.example/fh", "http://x.example/fhir/", "http://x.example/fhir?a#b"),
]


def escaped(text: str) -> str:
    """Return a text as one value of a query."""
    return re.sub(r"([\\,$|])", r"\\\1", text)


def _objects(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """Return objects with any of the members."""
    return st.fixed_dictionaries({}, optional=members)


def _is_period(value: Json) -> bool:
    """Whether an object is a Period that a resource may have: with an end, and that not before the start."""
    return bool(value) and ("start" not in value or _is_before(value["start"], value.get("end", "9999")))


def _is_before(start: str, end: str) -> bool:
    return parse_range(start)[0] < parse_range(end)[1]


def _lists(items: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.lists(items, min_size=1, max_size=2)


_codes, _systems, _texts = map(st.sampled_from, (CODES, SYSTEMS, TEXTS))
_dates = st.sampled_from(DATES)
_numbers = st.sampled_from(NUMBERS).map(Decimal)
_periods = _objects(start=_dates, end=_dates).filter(_is_period)
_codings = _objects(system=_systems, code=_codes, display=_texts)
_concepts = _objects(coding=_lists(_codings), text=_texts)
_units = st.sampled_from(UNITS)
_quantities = _objects(value=_numbers, system=st.sampled_from([UCUM, *SYSTEMS]), code=_units, unit=_units)
_identifiers = _objects(system=_systems, value=st.sampled_from([*CODES, *TEXTS]), type=_concepts)

PRIMITIVES: dict[str, st.SearchStrategy[Any]] = {
    "boolean": st.booleans(),
    "integer": st.integers(-3, 100),
    "positiveInt": st.integers(1, 100),
    "unsignedInt": st.integers(0, 100),
    "decimal": _numbers,
    "code": _codes,
    "id": st.sampled_from(["1", "a"]),
    "string": _texts,
    "markdown": _texts,
    "date": _dates.filter(lambda text: "T" not in text),
    "dateTime": _dates,
    "instant": _dates.filter(lambda text: "T" in text),
    "time": st.just("12:00:00"),
    "base64Binary": st.just("AAAA"),
    **dict.fromkeys(("uri", "url", "canonical", "oid", "uuid"), st.sampled_from(URIS)),
}
COMPLEX: dict[str, st.SearchStrategy[Json]] = {
    "CodeableConcept": _concepts,
    "Coding": _codings,
    "Identifier": _identifiers,
    "Period": _periods,
    "Timing": _objects(event=_lists(_dates), repeat=_objects(boundsPeriod=_periods)),
    "Range": _objects(low=_quantities, high=_quantities),
    "Money": _objects(value=_numbers, currency=_codes),
    "HumanName": _objects(family=_texts, given=_lists(_texts), text=_texts, use=_codes),
    "Address": _objects(line=_lists(_texts), city=_texts, country=_texts, use=_codes),
    "ContactPoint": _objects(system=st.sampled_from(["phone", "email"]), value=_codes, use=_codes),
    "Reference": _objects(
        reference=st.sampled_from(REFERENCES),
        type=st.sampled_from(["Patient", "Group"]),
        identifier=_identifiers,
        display=_texts,
    ),
    "Annotation": _objects(text=_texts),
    **dict.fromkeys(("Quantity", "Age", "Duration", "Count", "Distance", "SimpleQuantity"), _quantities),
}
_unsaid = st.just({"extension": [{"url": "urn:absent", "valueCode": "unknown"}]})


def resources(*parameters: Parameter) -> st.SearchStrategy[Json]:
    """Return resources of the parameters' type that have what these read, or some of it."""
    expressions = [p.expression for p in parameters]
    expressions += [c.expression for p in parameters for c in PARAMETERS.components(p)]
    expressions += [c.parameter.expression for p in parameters for c in PARAMETERS.components(p)]
    names = frozenset(name for text in expressions for name in _WORD.findall(text))
    urls = sorted({url for text in expressions for url in _QUOTED.findall(text) if "://" in url})
    kind = parameters[0].resource_type

    @st.composite
    def made(draw: st.DrawFn) -> Json:
        whole = draw(_elements(kind, names, urls, MAX_DEPTH))
        return {**whole, "resourceType": kind, "id": "1"}

    return made()


def _elements(type_name: str, names: frozenset[str], urls: list[str], depth: int) -> st.SearchStrategy[Json]:
    """Return objects of a type with any of its elements of these names."""

    @st.composite
    def made(draw: st.DrawFn) -> Json:
        whole: Json = {}
        elements = [e for e in r4().types[type_name].elements if e.name not in _NEVER]
        for element in [e for e in elements if e.name in names] or [e for e in elements if _is_known(e)]:
            if not depth:
                break
            how = draw(st.sampled_from(["there", "there", "there", "not", "unsaid"]))
            if how == "not":
                continue
            name, kind = draw(st.sampled_from(_choices(element)))
            if how == "unsaid" and kind in PRIMITIVES and not element.repeats:
                whole["_" + name] = draw(_unsaid)
                continue
            value = _unsaid if how == "unsaid" and kind in COMPLEX else _value(kind, names, urls, depth)
            whole[name] = draw(_lists(value) if element.repeats else value)
        return whole

    return made()


def _is_known(element: Element) -> bool:
    return element.types[0].code in PRIMITIVES or element.types[0].code in COMPLEX


def _choices(element: Element) -> list[tuple[str, str]]:
    found = [(name, ref.code) for name, ref in element.json_names().items()]
    known = [(n, code) for n, code in found if code in PRIMITIVES or code in COMPLEX]
    return known or found


def _value(kind: str, names: frozenset[str], urls: list[str], depth: int) -> st.SearchStrategy[Any]:
    if kind in PRIMITIVES:
        return PRIMITIVES[kind]
    if kind in COMPLEX:
        return COMPLEX[kind]
    if kind == "Extension":
        values = _objects(valueString=_texts, valueCode=_codes, valueCodeableConcept=_concepts, valueDateTime=_dates)
        return st.builds(lambda url, value: {"url": url, **value}, st.sampled_from(urls or ["urn:none"]), values)
    if kind == "Meta":
        return _elements("Meta", names | {"tag", "profile"}, urls, depth - 1)
    return _elements(kind, names, urls, depth - 1) if kind in r4().types else st.just({})


def _tokens(parameter: Parameter) -> st.SearchStrategy[str]:
    implied = implied_system(parameter.resource_type, parameter.expression)
    systems = st.sampled_from([*SYSTEMS, BOOLEANS, *([implied] if implied else [])])
    codes = st.sampled_from([*CODES, "TRUE", "anna"]).map(escaped)
    pairs = st.builds("{}|{}".format, st.one_of(st.just(""), systems), codes)
    return st.one_of(codes, pairs, systems.map("{}|".format))


def dates(values: list[str]) -> st.SearchStrategy[str]:
    """Return search values of dates, with prefixes."""
    return _compared(values)


def _compared(values: list[str]) -> st.SearchStrategy[str]:
    return st.builds("{}{}".format, st.sampled_from(["", *PREFIXES]), st.sampled_from(values))


def _amounts(parameter: Parameter) -> st.SearchStrategy[str]:
    numbers = _compared(NUMBERS)
    units = st.builds("{}|{}|{}".format, numbers, st.sampled_from(["", UCUM, *SYSTEMS]), _units)
    return st.one_of(numbers, units)


def _places(parameter: Parameter) -> st.SearchStrategy[str]:
    return st.sampled_from(["1|1", "0|0|200|km", "5.4|100|1|mi", "90|0|20000|km", "-3|18"])


def _asked_texts(parameter: Parameter) -> st.SearchStrategy[str]:
    shorter = [_texts.map(lambda t: t[:3]), _texts.map(str.upper), _texts.map(lambda t: t[1:])]
    return st.one_of(_texts, *shorter).filter(bool).map(escaped)


_VALUES: dict[str, Callable[[Parameter], st.SearchStrategy[str]]] = {
    "token": _tokens,
    "string": _asked_texts,
    "date": lambda parameter: _compared(DATES),
    "number": lambda parameter: _compared(NUMBERS),
    "quantity": _amounts,
    "reference": lambda parameter: st.sampled_from([*REFERENCES, "2", *URIS]).map(escaped),
    "uri": lambda parameter: st.sampled_from(URIS).map(escaped),
    "special": _places,
}
_MODIFIERS = {
    "token": ("", "", "not", "text", "of-type", "in", "not-in", "below", "above"),
    "string": ("", "exact", "contains"),
    "reference": ("", "identifier", "Patient", "Group"),
    "uri": ("", "above", "below"),
}
SETS = {
    "urn:set": frozenset({("urn:s", "a"), ("http://x.example/cs", "B|C"), ("urn:s", "male")}),
    "urn:open": frozenset({("urn:s", ""), ("http://hl7.org/fhir/administrative-gender", "male"), ("", "final")}),
}


@st.composite
def asked(draw: st.DrawFn, parameter: Parameter) -> tuple[str, str]:
    """Draw a name and value pair that a query could ask of the parameter."""
    if draw(st.integers(0, 7)) == 0:
        return f"{parameter.code}:missing", draw(st.sampled_from(["true", "false"]))
    if parameter.type == "composite":
        return parameter.code, draw(_joined(parameter))
    modifier = draw(st.sampled_from(_MODIFIERS.get(parameter.type, ("",))))
    name = f"{parameter.code}:{modifier}" if modifier else parameter.code
    values = _VALUES[parameter.type](parameter)
    if modifier in ("in", "not-in") or (parameter.type == "token" and modifier in ("above", "below")):
        values = st.sampled_from(sorted(SETS))
    elif modifier == "of-type":
        values = st.builds("{}|{}|{}".format, _systems, _codes.map(escaped), _codes.map(escaped))
    elif modifier == "identifier":
        values = _tokens(parameter)
    elif modifier == "text":
        values = _asked_texts(parameter)
    return name, ",".join(draw(st.lists(values, min_size=1, max_size=2)))


def _joined(parameter: Parameter) -> st.SearchStrategy[str]:
    parts = [_VALUES[c.parameter.type](c.parameter) for c in PARAMETERS.components(parameter)]
    return st.tuples(*parts).map("$".join)
