"""One filter's values as criteria: the rules of each parameter type. https://hl7.org/fhir/R4/search.html#ptypes"""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation

from fhir_server.api.criteria import And, Criterion, Not, Nothing, Or, Range, Term, any_of
from fhir_server.api.errors import InvalidRequest
from fhir_server.fhir.dates import parse_search_date
from fhir_server.fhir.outcomes import Issue
from fhir_server.fhir.references import is_id
from fhir_server.search.query import Filter, unescape
from fhir_server.search.terms import (
    ANY_SYSTEM,
    EXACT,
    LAST,
    SEPARATOR,
    TermHash,
    fold,
    ordered_number,
    ordered_time,
    range_prefix,
)
from fhir_server.search.values import reference_key

# Far outside of what a double can hold, and within what Decimal can calculate with.
_MOST_DIGITS = 1000
_BAR = re.compile(r"(?<!\\)\|")
PREFIXES = ("eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap")


def condition(one: Filter, term: TermHash, now: int, base_url: str) -> Criterion:
    """Return the criterion of a filter without a chain. `now` is in milliseconds, for `ap`.

    Raises InvalidRequest for a value the type cannot have and for a modifier that is not there yet.
    """
    kind = one.parameter.type
    if kind == "reference" and one.modifier not in ("", "identifier"):
        return _reference(one, term, base_url, one.modifier)
    if one.modifier not in MODIFIERS.get(kind, ()):
        raise unsupported(one, f"{one.parameter.code}:{one.modifier[:32]} is not supported by this server yet.")
    make = MAKERS[kind]
    made = any_of(*(make(one, v, term, now, base_url) for v in one.values))
    return Not(made) if one.modifier == "not" else made


def token_forms(value: str) -> tuple[str, str]:
    """Return (system, code) of a token value; the system is ANY_SYSTEM where none is asked, the code may be empty."""
    parts = _BAR.split(value, maxsplit=1)
    if len(parts) == 1:
        return ANY_SYSTEM, unescape(parts[0]).casefold()
    return unescape(parts[0]), unescape(parts[1]).casefold()


def _token(one: Filter, value: str, term: TermHash, now: int, base_url: str) -> Criterion:
    system, code = token_forms(value)
    if not code and system in ("", ANY_SYSTEM):
        raise _bad(one, "a code, system|code, |code or system|")
    return Term((term(f"{one.parameter.index_name}{SEPARATOR}{system}{SEPARATOR}{code}"),))


def _string(one: Filter, value: str, term: TermHash, now: int, base_url: str) -> Criterion:
    text = unescape(value)
    name = one.parameter.index_name
    if one.modifier == "exact":
        return Term((term(f"{name}{SEPARATOR}{EXACT}{text}"),))
    folded = fold(text)
    if not folded:
        raise _bad(one, "a text")
    prefix = range_prefix(name) + folded
    return Range(prefix, prefix + LAST)


def _uri(one: Filter, value: str, term: TermHash, now: int, base_url: str) -> Criterion:
    return Term((term(one.parameter.index_name + SEPARATOR + unescape(value)),))


def _plain_reference(one: Filter, value: str, term: TermHash, now: int, base_url: str) -> Criterion:
    if one.modifier == "identifier":
        system, code = token_forms(value)
        return Term((term(f"{one.parameter.index_name}:identifier{SEPARATOR}{system}{SEPARATOR}{code}"),))
    keys = reference_keys(one, value, base_url)
    return Term(tuple(term(one.parameter.index_name + SEPARATOR + k) for k in keys)) if keys else Nothing()


def _reference(one: Filter, term: TermHash, base_url: str, target: str) -> Criterion:
    if target not in one.parameter.targets:
        raise InvalidRequest(
            f"{one.parameter.code} never refers to a {target[:64]}; it refers to {', '.join(one.parameter.targets)}.",
            location=one.location,
        )
    keys = [k for v in one.values for k in reference_keys(one, v, base_url) if k.startswith(target + "/")]
    return Term(tuple(term(one.parameter.index_name + SEPARATOR + k) for k in keys)) if keys else Nothing()


def reference_keys(one: Filter, value: str, base_url: str) -> list[str]:
    """Return the keys a reference value can mean: a bare id is tried with every type the parameter refers to."""
    text = reference_key(unescape(value), base_url)
    parameter = one.parameter
    if is_id(text):
        targets = (parameter.target_type,) if parameter.target_type else parameter.targets
        return [f"{target}/{text}" for target in targets]
    if parameter.target_type and "://" not in text and not text.startswith(parameter.target_type + "/"):
        return []
    return [text]


def date_value(one: Filter, value: str) -> tuple[str, int, int]:
    """Return (prefix, low, high) of a date value; raises InvalidRequest for any other text."""
    try:
        return parse_search_date(unescape(value))
    except ValueError:
        raise _bad(one, "a date such as 2026, 2026-11 or ge2026-11-23T09:00:00Z") from None


def _date(one: Filter, value: str, term: TermHash, now: int, base_url: str) -> Criterion:
    prefix, low, high = date_value(one, value)
    name = one.parameter.index_name
    starts = range_prefix(name + SEPARATOR + "low")
    ends = range_prefix(name + SEPARATOR + "high")

    def start(at_least: int | None, below: int | None) -> Range:
        return _between(starts, at_least, below)

    def end(at_least: int | None, below: int | None) -> Range:
        return _between(ends, at_least, below)

    if prefix == "ap":
        fuzz = max(high - low, abs(now - low) // 10)
        return And((start(None, high + fuzz), end(low - fuzz + 1, None)))
    return _COMPARISONS[prefix](start, end, low, high)


Bounds = Callable[[int | None, int | None], Range]

# A value covers [l, h) and the search [low, high). https://hl7.org/fhir/R4/search.html#prefix
_COMPARISONS: dict[str, Callable[[Bounds, Bounds, int, int], Criterion]] = {
    "eq": lambda start, end, low, high: And((start(low, high), end(low + 1, high + 1))),
    "ne": lambda start, end, low, high: Or((start(None, low), end(high + 1, None))),
    "gt": lambda start, end, low, high: end(high + 1, None),
    "lt": lambda start, end, low, high: start(None, low),
    "ge": lambda start, end, low, high: Or((end(high + 1, None), start(low, None))),
    "le": lambda start, end, low, high: Or((start(None, low), end(None, high + 1))),
    "sa": lambda start, end, low, high: start(high, None),
    "eb": lambda start, end, low, high: end(None, low + 1),
}


def _between(prefix: str, at_least: int | None, below: int | None) -> Range:
    return Range(
        prefix if at_least is None else prefix + ordered_time(at_least),
        prefix + LAST if below is None else prefix + ordered_time(below),
    )


def _number(one: Filter, value: str, term: TermHash, now: int, base_url: str) -> Criterion:
    return _numeric(one, unescape(value), range_prefix(one.parameter.index_name))


def _quantity(one: Filter, value: str, term: TermHash, now: int, base_url: str) -> Criterion:
    parts = [unescape(p) for p in _BAR.split(value)]
    name = one.parameter.index_name
    if len(parts) == 3 and parts[2]:
        if not parts[1]:
            raise unsupported(
                one,
                f"{one.parameter.code}: a unit without its system is not supported yet; ask for number|system|code.",
            )
        name = f"{name}{SEPARATOR}{parts[1]}{SEPARATOR}{parts[2]}"
    elif len(parts) != 1:
        raise _bad(one, "a number or number|system|code")
    return _numeric(one, parts[0], range_prefix(name))


def _numeric(one: Filter, text: str, index_prefix: str) -> Criterion:
    prefix = text[:2] if text[:2] in PREFIXES else "eq"
    try:
        number = Decimal(text.removeprefix(prefix))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number.adjusted() > _MOST_DIGITS or int(number.as_tuple().exponent) < -_MOST_DIGITS:
        raise _bad(one, "a number such as 5.4, lt60 or ge1e2")
    half = Decimal(5).scaleb(int(number.as_tuple().exponent) - 1)
    low, high = number - half, number + half
    if prefix == "ap":
        low, high = number - abs(number) / 10, number + abs(number) / 10
    first, last = index_prefix, index_prefix + LAST

    def at(value: Decimal) -> str:
        return index_prefix + ordered_number(value)

    exact = at(number)
    ranges: dict[str, Criterion] = {
        "eq": Range(at(low), at(high)),
        "ap": Range(at(low), at(high) + LAST),
        "ne": Or((Range(first, at(low)), Range(at(high), last))),
        "gt": Range(exact + " ", last),
        "sa": Range(exact + " ", last),
        "ge": Range(exact, last),
        "lt": Range(first, exact),
        "eb": Range(first, exact),
        "le": Range(first, exact + " "),
    }
    return ranges[prefix]


def unsupported(one: Filter, text: str) -> InvalidRequest:
    """Return the refusal of what a search may ask but not here; a search without it would answer something else.

    https://hl7.org/fhir/R4/search.html#modifiers: a modifier that is not supported is rejected.
    """
    return InvalidRequest(issues=[Issue("not-supported", text, location=one.location)])


def _bad(one: Filter, wanted: str) -> InvalidRequest:
    return InvalidRequest(f"{one.parameter.code} must be {wanted}.", location=one.location)


MODIFIERS: dict[str, tuple[str, ...]] = {
    "token": ("", "not"),
    "string": ("", "exact"),
    "reference": ("", "identifier"),
    "uri": ("",),
    "date": ("",),
    "number": ("",),
    "quantity": ("",),
}
MAKERS: dict[str, Callable[[Filter, str, TermHash, int, str], Criterion]] = {
    "token": _token,
    "string": _string,
    "reference": _plain_reference,
    "uri": _uri,
    "date": _date,
    "number": _number,
    "quantity": _quantity,
}
