"""Limits of values that extensions of an ElementDefinition set: regex, minLength, maxDecimalPlaces, maxSize.

https://hl7.org/fhir/R4/elementdefinition-profiles.html. They may stand with the element or with its type.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

from fhir_server.validation.findings import Findings, refuse
from fhir_server.validation.patterns import pattern_of, steps_of
from fhir_server.validation.profiles.rules import Rule
from fhir_server.validation.profiles.run import Run

Json = dict[str, Any]

_CORE = "http://hl7.org/fhir/StructureDefinition/"


def limit_rules(definition: Json, above: list[Json], title: str, by: str) -> list[Rule]:
    """Return the rules of an element's limits, without those that an element of `above` sets too.

    A regular expression that cannot be run in time is not looked at.
    """
    makers: dict[str, Callable[[Any, str, str], Rule | None]] = {
        "regex": _form,
        "minLength": _shortest,
        "maxDecimalPlaces": _decimals,
        "maxSize": _largest,
    }
    known = [limit for one in above for limit in _limits(one)]
    rules = [makers[name](wanted, title, by) for name, wanted in _limits(definition) if (name, wanted) not in known]
    return [rule for rule in rules if rule is not None]


def _limits(definition: Json) -> Iterator[tuple[str, Any]]:
    types = definition.get("type")
    for holder in (definition, *(types if type(types) is list else ())):
        rows = holder.get("extension") if type(holder) is dict else None
        for row in rows if type(rows) is list else ():
            url = row.get("url") if type(row) is dict else None
            if url == f"{_CORE}regex":
                yield "regex", row.get("valueString")
            elif url in (f"{_CORE}minLength", f"{_CORE}maxDecimalPlaces"):
                yield url.removeprefix(_CORE), row.get("valueInteger")
            elif url == f"{_CORE}maxSize":
                yield "maxSize", row.get("valueDecimal")


def _form(regex: Any, title: str, by: str) -> Rule | None:
    pattern = pattern_of(regex) if type(regex) is str else None
    if pattern is None:
        return None
    text = f"{title} has to match the regular expression {regex[:200]}{by}"

    def check(value: Any, beside: Json | None, run: Run) -> Findings | None:
        if type(value) is not str:
            return None
        run.spend(steps_of(pattern, value))
        return None if pattern.fullmatch(value) else refuse("value", text)

    return check


def _shortest(limit: Any, title: str, by: str) -> Rule | None:
    if type(limit) is not int:
        return None
    text = f"{title} has to have at least {limit} characters{by}"
    return lambda value, _, run: refuse("value", text) if type(value) is str and len(value) < limit else None


def _decimals(limit: Any, title: str, by: str) -> Rule | None:
    if type(limit) is not int:
        return None
    text = f"{title} may have at most {limit} decimal places{by}"

    def check(value: Any, beside: Json | None, run: Run) -> Findings | None:
        number = value.get("value") if type(value) is dict else value
        exponent = number.as_tuple().exponent if isinstance(number, Decimal) else 0
        return refuse("value", text) if type(exponent) is int and -exponent > limit else None

    return check


def _largest(limit: Any, title: str, by: str) -> Rule | None:
    if type(limit) is not int and not isinstance(limit, Decimal):
        return None
    text = f"{title} may have at most {limit} bytes{by}"

    def check(value: Any, beside: Json | None, run: Run) -> Findings | None:
        row = value if type(value) is dict else {"data": value}
        stated, data = row.get("size"), row.get("data")
        held = len(data.rstrip("=")) * 3 // 4 if type(data) is str else 0
        return refuse("too-long", text) if max(stated if type(stated) is int else 0, held) > limit else None

    return check
