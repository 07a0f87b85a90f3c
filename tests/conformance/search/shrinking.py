"""A counterexample made small: what is not needed for the disagreement is left out, step by step.

Hypothesis would do it through ever simpler examples, each loaded into the server: minutes, where this takes seconds.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

Json = dict[str, Any]
Pair = tuple[str, str]
Example = tuple[list[Json], list[Pair]]
# Without these a resource is none, or cannot be found.
KEPT = frozenset({"resourceType", "id"})


async def smallest(resources: list[Json], pairs: list[Pair], disagree: Callable[..., Awaitable[bool]]) -> Example:
    """Return as few parameters, resources and members as still `disagree`, which is asked with resources and pairs."""
    example = (resources, pairs)
    changed = True
    while changed:
        changed = False
        for simpler in _simpler(*example):
            if await disagree(*simpler):
                example, changed = simpler, True
                break
    return example


def _simpler(resources: list[Json], pairs: list[Pair]) -> Iterator[Example]:
    for place in range(len(pairs)):
        yield resources, pairs[:place] + pairs[place + 1 :]
    for place, resource in enumerate(resources):
        before, after = resources[:place], resources[place + 1 :]
        yield [*before, *after], pairs
        for name, value in resource.items():
            if name not in KEPT:
                yield [*before, {n: v for n, v in resource.items() if n != name}, *after], pairs
            if isinstance(value, list) and len(value) > 1:
                for one in value:
                    yield [*before, {**resource, name: [one]}, *after], pairs
