"""Dates in the index: a value covers [start, end) and the search [low, high), all in milliseconds.

https://hl7.org/fhir/R4/search.html#date
"""

from __future__ import annotations

from fhir_server.api.criteria import And, Checked, Moment, Not, Or, Range
from fhir_server.search.conditions.condition import Condition, Index, either
from fhir_server.search.elements import repeats
from fhir_server.search.matching.asking import asked, unsupported
from fhir_server.search.matching.date import asked_date
from fhir_server.search.query import Filter
from fhir_server.search.terms import LAST, SEPARATOR, ordered_time, range_prefix


def date(one: Filter, index: Index) -> Condition:
    """Return the condition of a date filter; raises InvalidRequest."""
    if one.modifier:
        raise unsupported(one)
    return either(_one(one, value, index) for value in one.values)


def _one(one: Filter, value: str, index: Index) -> Condition:
    ask = asked(one, asked_date, value)
    low, high = ask.near(index.setting.now) if ask.prefix == "ap" else (ask.low, ask.high)
    name = index.name(one.parameter)
    start, end = _Bounds(name, "low"), _Bounds(name, "high")
    # Where one bound says nearly all, the other is checked on what it finds.
    match ask.prefix:
        case "eq":
            return _single(one, And((start(low, high), Checked(end(low + 1, high + 1)))))
        case "ne":
            return _single(one, And((start(None, None), Checked(Or((start(None, low), end(high + 1, None)))))))
        case "ge":
            return _single(one, And((end(low + 1, None), Checked(Or((end(high + 1, None), start(low, None)))))))
        case "le":
            return _single(one, And((start(None, high), Checked(Or((start(None, low), end(None, high + 1)))))))
        case "ap":
            return _single(one, And((start(None, high), end(low + 1, None))))
        case "gt":
            return Condition(end(high + 1, None))
        case "lt":
            return Condition(start(None, low))
        case "sa":
            return Condition(start(high, None))
    return Condition(end(None, low + 1))  # eb


def _single(one: Filter, where: And) -> Condition:
    """Return a condition whose two bounds are those of one value only where there is no more than one."""
    return Condition(where, exact=not repeats(one.parameter.expression))


class _Bounds:
    """The index strings of one end of a parameter's intervals."""

    def __init__(self, name: str, end: str) -> None:
        self._prefix = range_prefix(f"{name}{SEPARATOR}{end}")

    def __call__(self, at_least: int | None, below: int | None) -> Range:
        prefix = self._prefix
        return Range(
            prefix if at_least is None else prefix + ordered_time(at_least),
            prefix + LAST if below is None else prefix + ordered_time(below),
        )


def on_moment(one: Filter, index: Index) -> Condition | None:
    """Return a filter on the principal date as a bound on the order that pages are read in, or None.

    The principal date is the latest end among the values. An end after the asked interval settles `gt` and `ge`; one
    inside it settles `ge` and `eq` only if the value begins inside too, which hardly any does not.
    """
    if len(one.values) != 1 or one.modifier:
        return None
    ask = asked(one, asked_date, one.values[0])
    if ask.prefix == "gt":
        return Condition(Moment(ask.high + 1, None))
    begins_inside = _Bounds(index.name(one.parameter), "low")(ask.low, None)
    if ask.prefix == "ge":
        straddling = And((Moment(None, ask.high + 1), Not(begins_inside)))
        return _single(one, And((Moment(ask.low + 1, None), Checked(Not(straddling)))))
    if ask.prefix == "eq" and not repeats(one.parameter.expression):
        return Condition(And((Moment(ask.low + 1, ask.high + 1), Checked(begins_inside))))
    return None
