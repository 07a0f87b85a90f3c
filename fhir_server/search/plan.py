"""A plan: what the index is asked for, and what is tested on each resource that it finds.

The index never misses a match; where it may find more than that, the test decides from the resource itself (and, for
links, from other resources, which is why tests take many at a time). https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from fhir_server.api.criteria import Criterion
from fhir_server.search.conditions import Condition, both, either, negated

Json = dict[str, Any]
# Which of the resources match.
Test = Callable[[Sequence[Json]], Awaitable[list[bool]]]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a query: its condition of the index, and the test that is the whole truth about it.

    `keys` are there where the part says no more than that one of these is referred to.
    """

    condition: Condition
    test: Test
    keys: tuple[str, ...] = ()

    @property
    def residual(self) -> Test | None:
        """What is left to be tested on resources of which the condition holds."""
        return None if self.condition.exact else self.test


@dataclass(frozen=True, slots=True)
class Plan:
    """What a query asks of the index, and what is to be tested on the results, if anything."""

    where: Criterion
    test: Test | None = None


def key_of(resource: Json) -> str:
    """Return `Type/id` of a resource; what is contained may have none to speak of."""
    return f"{resource['resourceType']}/{resource.get('id')}"


def on_each(predicate: Callable[[Json], bool]) -> Test:
    """Return the test of a predicate that needs nothing but the resource."""

    async def test(resources: Sequence[Json]) -> list[bool]:
        return [predicate(resource) for resource in resources]

    return test


def every(parts: Sequence[Part]) -> Part:
    """Return the part that all of these hold."""
    return Part(both(p.condition for p in parts), all_tests([p.test for p in parts]))


def some(parts: Sequence[Part]) -> Part:
    """Return the part that one of these holds."""
    return Part(either(p.condition for p in parts), _any_test([p.test for p in parts]))


def none(part: Part) -> Part:
    """Return the part that this one does not hold."""

    async def test(resources: Sequence[Json]) -> list[bool]:
        return [not held for held in await part.test(resources)]

    return Part(negated(part.condition), test)


def contained(part: Part, resource_types: Sequence[str]) -> Part:
    """Return the part that one contained resource of these types meets all of `part`."""

    async def test(resources: Sequence[Json]) -> list[bool]:
        rows = [contained_of(r, resource_types) for r in resources]
        held = iter(await part.test([c for row in rows for c in row]))
        return [any(list(islice(held, len(row)))) for row in rows]

    return Part(Condition(part.condition.where, exact=False), test)


def contained_of(resource: Json, resource_types: Sequence[str]) -> list[Json]:
    """Return the resources of these types (all, when there are none) that a resource contains.

    Each comes with all that are contained beside it, for it may refer to them.
    """
    inside = resource.get("contained", ())
    return [{**c, "contained": inside} for c in inside if not resource_types or c["resourceType"] in resource_types]


def all_tests(tests: Sequence[Test]) -> Test:
    """Return the test that all of these pass; later ones see only what passed the earlier."""

    async def test(resources: Sequence[Json]) -> list[bool]:
        held = [True] * len(resources)
        for one in tests:
            left = [i for i, h in enumerate(held) if h]
            if not left:
                break
            for i, passed in zip(left, await one([resources[i] for i in left]), strict=True):
                held[i] = passed
        return held

    return test


def _any_test(tests: Sequence[Test]) -> Test:
    async def test(resources: Sequence[Json]) -> list[bool]:
        held = [False] * len(resources)
        for one in tests:
            left = [i for i, h in enumerate(held) if not h]
            if not left:
                break
            for i, passed in zip(left, await one([resources[i] for i in left]), strict=True):
                held[i] = passed
        return held

    return test
