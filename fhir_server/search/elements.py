"""What the definitions say of the elements a search parameter reads: can there be several, and of which types.

Only paths are understood, `Patient.gender` and `(Observation.effective as dateTime)`; of any other expression nothing
is known. https://hl7.org/fhir/R4/searchparameter-definitions.html#SearchParameter.expression
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from fhir_server.fhir.definitions import Definitions, Element, r4

_PATH = re.compile(
    r"\(?(?P<path>[A-Z]\w*(?:\.\w+)+)(?: as (?P<infix>\w+)\)|\)?\.as\((?P<call>\w+)\)|\)?)"
    r"(?:\.where\(resolve\(\) is \w+\))?"
)


@lru_cache(maxsize=4096)
def repeats(expression: str) -> bool:
    """Whether one resource can have several values for a parameter; True where that is not known.

    The types of one choice element exclude each other: `Condition.onset` is a dateTime or a Period.
    """
    paths = list(_paths(expression))
    if not paths or paths[0] is None:
        return True
    first = paths[0][0]
    return any(p is None or p[0] != first for p in paths) or any(step.repeats for step in first)


@lru_cache(maxsize=4096)
def may_be_a_range(expression: str) -> bool:
    """Whether a number or quantity may be a Range, so that it has two ends or an open one."""
    return any(p is None or "Range" in p[1] for p in _paths(expression))


@lru_cache(maxsize=4096)
def may_be_canonical(expression: str) -> bool:
    """Whether a reference may be by canonical URL, and not by where the other resource is."""
    return any(p is None or not {"canonical", "uri"}.isdisjoint(p[1]) for p in _paths(expression))


def _paths(expression: str) -> Iterator[tuple[list[Element], frozenset[str]] | None]:
    """Yield the elements along each branch of a union with the types at its end, None for what is no path."""
    for branch in expression.split(" | "):
        match = _PATH.fullmatch(branch.strip())
        steps = _steps(r4(), match["path"].split(".")) if match else None
        if match is None or steps is None:
            yield None
            continue
        only = match["infix"] or match["call"]
        yield steps, frozenset([only] if only else [t.code for t in steps[-1].types])


def _steps(definitions: Definitions, names: list[str]) -> list[Element] | None:
    steps: list[Element] = []
    kind = names[0]
    for name in names[1:]:
        definition = definitions.types.get(kind)
        element = definition.element(name) if definition else None
        if element is None:
            return None
        steps.append(element)
        kind = element.types[0].code if element.types else ""
    return steps
