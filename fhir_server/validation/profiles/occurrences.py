"""The values of an element in an object, under any of its JSON names. https://hl7.org/fhir/R4/json.html#primitive"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from fhir_server.validation.profiles.rules import Rule

Json = dict[str, Any]

# A value, the id and extensions of a primitive, its type, and its place in an array (-1: it is in none).
Occurrence = tuple[Any, Json | None, str, int]


@dataclass(slots=True)
class Kind:
    """One JSON name that an element may have: its type, whether that is a primitive, and the rules of its values."""

    code: str
    is_primitive: bool
    rule: Rule | None = None


def occurrences(holder: Json, name: str, kind: Kind) -> list[Occurrence]:
    """Return the values under a JSON name; a primitive that has only extensions is one."""
    value, code = holder.get(name), kind.code
    if not kind.is_primitive:
        if type(value) is list:
            return [(one, None, code, index) for index, one in enumerate(value)]
        return [] if value is None else [(value, None, code, -1)]
    beside = holder.get("_" + name)
    if value is None and beside is None and name not in holder:
        return []
    if type(value) is list or type(beside) is list:
        pairs = zip_longest(value if type(value) is list else (), beside if type(beside) is list else ())
        return [
            (one, more if type(more) is dict else None, code, index)
            for index, (one, more) in enumerate(pairs)
            if one is not None or type(more) is dict
        ]
    return [(value, beside if type(beside) is dict else None, code, -1)]


def several(holder: Json, names: Mapping[str, str], kinds: Mapping[str, Kind]) -> list[Occurrence]:
    """Return the values under any name of an element, in the order of the JSON; `names` has them by key."""
    rows: list[Occurrence] = []
    seen: list[str] = []
    for key in holder:
        name = names.get(key)
        if name is not None and name not in seen:
            seen.append(name)
            rows += occurrences(holder, name, kinds[name])
    return rows
