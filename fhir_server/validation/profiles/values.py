"""Fixed values, patterns, bounds and lengths. https://hl7.org/fhir/R4/elementdefinition.html#ElementDefinition.fixed_x_"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhir_server.fhir.fhirpath import Node
from fhir_server.fhir.fhirpath.equality import order
from fhir_server.fhir.fhirpath.errors import FhirPathError

Json = dict[str, Any]

# Whether a value is what a profile says.
Test = Callable[[Any], bool]

_LONGEST_SHOWN = 120


def is_equal(value: Any, fixed: Any) -> bool:
    """Whether a value is exactly the fixed one, with nothing missing and nothing besides; 1.0 is not 1.00."""
    kind = type(fixed)
    if kind is dict:
        if type(value) is not dict or value.keys() != fixed.keys():
            return False
        return all(is_equal(value[name], one) for name, one in fixed.items())
    if kind is list:
        return type(value) is list and len(value) == len(fixed) and all(map(is_equal, value, fixed))
    return _same(value, fixed)


def same_as(fixed: Any) -> Test:
    """Return whether values are exactly the fixed one."""
    return _text(fixed) if type(fixed) is str else lambda value: is_equal(value, fixed)


def having(pattern: Any) -> Test:
    """Return whether values have all that the pattern has; each item of its lists is found somewhere in the value."""
    kind = type(pattern)
    if kind is dict:
        return _members({name: having(one) for name, one in pattern.items()})
    if kind is list:
        return _items([having(one) for one in pattern])
    return _text(pattern) if kind is str else lambda value: _same(value, pattern)


def _members(tests: dict[str, Test]) -> Test:
    rows = tuple(tests.items())

    def test(value: Any) -> bool:
        if type(value) is not dict:
            return False
        for name, one in rows:  # noqa: SIM110 (a generator costs more than the tests)
            if name not in value or not one(value[name]):
                return False
        return True

    return test


def _items(tests: list[Test]) -> Test:
    if len(tests) == 1:
        only = tests[0]
        return lambda value: type(value) is list and any(map(only, value))
    return lambda value: type(value) is list and all(any(map(one, value)) for one in tests)


def _text(wanted: str) -> Test:
    plain = _plain(wanted)
    return lambda value: value == wanted or (type(value) is str and _plain(value) == plain)


def _same(value: Any, fixed: Any) -> bool:
    if type(fixed) is str:
        return _text(fixed)(value)
    if isinstance(fixed, (int, Decimal, float)) and type(fixed) is not bool:
        is_number = isinstance(value, (int, Decimal, float)) and type(value) is not bool
        return is_number and Decimal(str(value)).as_tuple() == Decimal(str(fixed)).as_tuple()
    return value is fixed


def _plain(text: str) -> str:
    """Whitespace around and runs of it within do not count."""
    return text if text.isalnum() else " ".join(text.split())


def compare(value: Any, bound: Any, kind: str) -> int | None:
    """Return -1, 0 or 1 as a value of this type is below, at or above the bound; None where that cannot be told."""
    try:
        return order(Node(value, kind), Node(bound, kind))
    except (FhirPathError, ArithmeticError, AttributeError, TypeError, ValueError):
        return None


def given(definition: Json, prefix: str) -> tuple[str, Any] | None:
    """Return (name, value) of `fixed[x]`, `pattern[x]`, `minValue[x]` or `maxValue[x]`; None where it is not given."""
    for name, value in definition.items():
        if name.startswith(prefix) and name[len(prefix) : len(prefix) + 1].isupper():
            return name, value
    beside = next((name for name in definition if name.startswith("_" + prefix)), None)
    return None if beside is None else (beside, None)


def parts(value: Any, names: tuple[str, ...]) -> list[Any]:
    """Return what a fixed value or a pattern has under a path; lists are walked through."""
    found = [value]
    for name in names:
        found = [row[name] for row in _flat(found) if type(row) is dict and name in row]
    return _flat(found)


def _flat(rows: list[Any]) -> list[Any]:
    return [one for row in rows for one in (row if type(row) is list else (row,))]


def shown(value: Any) -> str:
    """Return a value of a profile as a message says it."""
    if type(value) is dict:
        coded = _coded(value)
        if coded:
            return coded
        inner = ", ".join(f"{name} {shown(one)}" for name, one in value.items())
        return _cut("{" + inner + "}")
    if type(value) is list:
        return _cut(", ".join(map(shown, value)))
    return _cut({True: "true", False: "false"}.get(value, str(value)) if type(value) is bool else str(value))


def _coded(value: Json) -> str:
    if value.keys() <= {"system", "code", "display", "version", "userSelected"} and "code" in value:
        return f"{value.get('system', '')}|{value['code']}"
    if value.keys() <= {"coding", "text"} and type(value.get("coding")) is list:
        return ", ".join(map(shown, value["coding"]))
    return ""


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
