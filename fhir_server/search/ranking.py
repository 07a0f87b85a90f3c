"""Which condition leads: the one expected to hold for the fewest resources is asked of the index first.

See fhir_server.api.criteria.And, and docs/adr/0003.
"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.api.criteria import And, Criterion, Key, Nothing, OfType, Or, Range, Term, Updated


def flat(where: Criterion) -> tuple[Criterion, ...]:
    """Return the conditions that a conjunction is made of."""
    return where.conditions if isinstance(where, And) else (where,)


def rank(where: Criterion) -> int:
    """Return a number that is the smaller the fewer resources a condition is expected to hold for."""
    match where:
        case Nothing() | Key():
            return 0
        case Term(_, broad):
            return 6 if broad else 1
        case Range():
            return 3
        case And(conditions):
            return min(map(rank, conditions))
        case Updated():
            return 5
        case Or(conditions):
            return max(7, *map(rank, conditions))
    return 8


def with_type(kinds: Criterion, types: tuple[str, ...], conditions: Sequence[Criterion]) -> Sequence[Criterion]:
    """Add the type where no other condition implies it: terms, ranges and keys name the type."""

    def implies(one: Criterion) -> bool:
        if isinstance(one, And):
            return any(map(implies, one.conditions))
        if isinstance(one, Or):
            return all(map(implies, one.conditions))
        return isinstance(one, Key | Range | Nothing) or (isinstance(one, Term) and bool(one.any_of))

    if any(map(implies, conditions)):
        return conditions
    if types and any(isinstance(c, Updated) for c in conditions):
        return [OfType(types), *conditions]
    return [kinds, *conditions]
