"""What a search asks of the store: a small algebra of conditions, free of any database's language.

The search layer compiles a query string into these, access rules are ANDed in, and the store turns the whole into one
query. Terms are the 64-bit keyed hashes that `search.terms` makes of `Type.param|value`; ranges are over the ordered
strings it makes of dates, numbers and names. https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Everything:
    """Holds for every resource."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """Holds for no resource."""


@dataclass(frozen=True, slots=True)
class Term:
    """The resource carries at least one of these index terms.

    A `broad` one is expected on a share of all resources, as a code or a status is, and not on a handful.
    """

    any_of: tuple[int, ...]
    broad: bool = False


@dataclass(frozen=True, slots=True)
class Range:
    """The resource carries an ordered string s with low <= s < high."""

    low: str
    high: str


@dataclass(frozen=True, slots=True)
class Containing:
    """The resource carries an ordered string that begins with the prefix and has the text somewhere after it."""

    prefix: str
    text: str


@dataclass(frozen=True, slots=True)
class Present:
    """The resource has a value for the search parameter of this code."""

    code: str


@dataclass(frozen=True, slots=True)
class Key:
    """The resource is one of these (`Patient/1`)."""

    any_of: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OfType:
    """The resource is of one of these types."""

    any_of: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Updated:
    """meta.lastUpdated lies in [low, high), milliseconds since the epoch; None is open."""

    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """The resource's principal date (see search.moments) lies in [low, high), milliseconds; None is open."""

    low: int | None = None
    high: int | None = None


@dataclass(frozen=True, slots=True)
class And:
    """Every condition holds. They stand in the order of how few resources each is expected to hold for."""

    conditions: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one condition holds."""

    conditions: tuple[Criterion, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The condition does not hold."""

    condition: Criterion


@dataclass(frozen=True, slots=True)
class Checked:
    """The condition holds; it leaves out next to nothing, so results are better checked than the query burdened.

    Made only of Moment, Range, And, Or and Not.
    """

    condition: Criterion


Criterion = (
    Everything
    | Nothing
    | Term
    | Range
    | Containing
    | Present
    | Key
    | OfType
    | Updated
    | Moment
    | And
    | Or
    | Not
    | Checked
)


def all_of(*conditions: Criterion) -> Criterion:
    """AND conditions, leaving out those that always hold."""
    flat: list[Criterion] = []
    for condition in conditions:
        if isinstance(condition, And):
            flat.extend(condition.conditions)
        elif isinstance(condition, Nothing):
            return condition
        elif not isinstance(condition, Everything):
            flat.append(condition)
    if not flat:
        return Everything()
    return flat[0] if len(flat) == 1 else And(tuple(flat))


def any_of(*conditions: Criterion) -> Criterion:
    """OR conditions, leaving out those that never hold."""
    kept = [c for c in conditions if not isinstance(c, Nothing)]
    if not kept:
        return Nothing()
    if any(isinstance(c, Everything) for c in kept):
        return Everything()
    return kept[0] if len(kept) == 1 else Or(tuple(kept))


@dataclass(frozen=True, slots=True)
class Order:
    """The order of a result: by `moment` (principal date), `updated` or `key`; ties fall to the key, ascending."""

    by: str = "moment"
    descending: bool = True


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the sort value of its last resource, its key, and in a history its version."""

    value: int
    key: str
    version: int = 0


@dataclass(frozen=True, slots=True)
class HistoryOf:
    """Which versions: of a key (`Patient/1`), of a type (`Patient`), or of all (both empty).

    `since` keeps versions made at or after that time; `at` is [low, high) and keeps those that were current at some
    point in it. Milliseconds since the epoch. https://hl7.org/fhir/R4/http.html#history
    """

    key: str = ""
    type: str = ""
    since: int | None = None
    at: tuple[int, int] | None = None
