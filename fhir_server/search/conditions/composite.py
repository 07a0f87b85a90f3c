"""Composites and places in the index: each part by itself, for the rest is checked.

https://hl7.org/fhir/R4/search.html#combining
"""

from __future__ import annotations

from collections.abc import Callable
from math import degrees

from fhir_server.api.criteria import Everything, Range
from fhir_server.api.errors import InvalidRequest
from fhir_server.search.conditions.condition import Condition, Index, both, either
from fhir_server.search.matching.asking import asked, unsupported
from fhir_server.search.matching.composite import asked_parts
from fhir_server.search.matching.position import EARTH_RADIUS, asked_near
from fhir_server.search.query import Filter
from fhir_server.search.terms import ordered_number, range_prefix

Maker = Callable[[Filter, Index], Condition]


def composite(one: Filter, index: Index, make: Maker) -> Condition:
    """Return the condition of a composite filter; raises InvalidRequest."""
    if one.modifier:
        raise unsupported(one)
    return Condition(either(_parts(one, value, index, make) for value in one.values).where, exact=False)


def _parts(one: Filter, value: str, index: Index, make: Maker) -> Condition:
    components = index.parameters.components(one.parameter)
    if not components:
        raise InvalidRequest(f"{one.parameter.code} has a part that is not known here.", location=one.location)
    texts = asked(one, lambda text: asked_parts(text, len(components)), value)
    rows = []
    for component, text in zip(components, texts, strict=True):
        made = make(Filter(component.parameter, "", (text,)), index)
        if component.parameter.ready and not index.contained:
            rows.append(made)
    return both(rows)


def position(one: Filter, index: Index) -> Condition:
    """Return the condition of `near`: a band of latitude that holds the circle; raises InvalidRequest."""
    if one.modifier or one.parameter.code != "near":
        raise unsupported(one)
    prefix = range_prefix(index.name(one.parameter))
    bands = []
    for value in one.values:
        ask = asked(one, asked_near, value)
        reach = degrees(ask.kilometres / EARTH_RADIUS) + 1e-6
        south, north = ordered_number(ask.latitude - reach), ordered_number(ask.latitude + reach)
        bands.append(Condition(Range(prefix + south, prefix + north + "~"), exact=False))
    return either(bands) if bands else Condition(Everything(), exact=False)
