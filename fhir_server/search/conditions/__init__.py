"""One filter as a condition of the index: a file for each kind of parameter. https://hl7.org/fhir/R4/search.html#ptypes

A condition never misses a resource that matches. Where it may hold for others too it says so, and search.matching
decides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fhir_server.api.criteria import Everything
from fhir_server.search.conditions.composite import composite, position
from fhir_server.search.conditions.condition import Condition, Index, both, either, negated, present
from fhir_server.search.conditions.date import date, on_moment
from fhir_server.search.conditions.number import number, quantity, with_ranges
from fhir_server.search.conditions.reference import NARROW_TARGETS, reference, reference_keys
from fhir_server.search.conditions.text import string, uri
from fhir_server.search.conditions.token import forms, token
from fhir_server.search.elements import may_be_a_range
from fhir_server.search.matching.asking import asked
from fhir_server.search.matching.missing import asked_missing
from fhir_server.search.query import Filter

__all__ = [
    "NARROW_TARGETS",
    "Condition",
    "Index",
    "both",
    "condition",
    "either",
    "forms",
    "negated",
    "on_moment",
    "present",
    "reference_keys",
]


def condition(one: Filter, index: Index) -> Condition:
    """Return the condition of a filter without a chain. Raises InvalidRequest for what cannot be asked.

    Where several types are searched, any of the types' own may hold.
    """
    if not one.per_type:
        return _own(one, index)
    if one.modifier in _POSITIVE:  # none of the types' own holds, which is not: one of them does not
        return negated(condition(replace(one, modifier=_POSITIVE[one.modifier]), index))
    rows = [_own(replace(one, parameter=p, per_type=()), index) for p in one.per_type]
    if one.modifier != "missing":
        return either(rows)
    return rows[0] if len(set(rows)) == 1 else Condition(Everything(), exact=False)


def _own(one: Filter, index: Index) -> Condition:
    if one.modifier == "missing":
        return _missing(one, index)
    kind = one.parameter.type
    if kind == "composite":
        return composite(one, index, _own)
    made = _MAKERS[kind](one, index)
    if kind in ("number", "quantity") and may_be_a_range(one.parameter.expression):
        return with_ranges(one, index)
    return made


def _missing(one: Filter, index: Index) -> Condition:
    wanted = {asked(one, asked_missing, value) for value in one.values}
    if len(wanted) == 2:
        return Condition(Everything())
    found = present(one.parameter, index)
    return negated(found) if True in wanted else found


_POSITIVE = {"not": "", "not-in": "in"}
_MAKERS: dict[str, Callable[[Filter, Index], Condition]] = {
    "token": token,
    "string": string,
    "reference": reference,
    "uri": uri,
    "date": date,
    "number": number,
    "quantity": quantity,
    "special": position,
}
