"""Trees of plain JSON values: copied, compared and weighed the way a patch needs."""

from __future__ import annotations

from typing import Any

from fhir_server.fhir.json import MAX_DEPTH
from fhir_server.fhir.patch.errors import Refused


def copy_of(value: Any, levels: int = MAX_DEPTH) -> Any:
    """Return a copy that shares no object or array with the value.

    Raises Refused when it nests deeper than `levels`, so that no patch builds a resource that could not be read again.
    """
    if isinstance(value, dict):
        below = one_below(levels)
        return {name: copy_of(child, below) for name, child in value.items()}
    if isinstance(value, list):
        below = one_below(levels)
        return [copy_of(child, below) for child in value]
    return value


def is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal as JSON: members in any order, 1 equal to 1.0, but true not equal to 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(child, other[name]) for name, child in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_same, one, other))
    return bool(one == other)


def weight_of(value: Any) -> int:
    """Return about how many characters the value takes when written."""
    if isinstance(value, dict):
        return 2 + sum(len(name) + 4 + weight_of(child) for name, child in value.items())
    if isinstance(value, list):
        return 2 + sum(1 + weight_of(child) for child in value)
    return len(value) + 2 if isinstance(value, str) else 5


def one_below(levels: int) -> int:
    """Return how many levels are left inside an object or array; raises Refused when there are none."""
    if levels <= 0:
        raise Refused("too-long", f"the resource would nest deeper than {MAX_DEPTH} levels")
    return levels - 1
