"""The search parameters R4 defines, looked up the slow way. https://hl7.org/fhir/R4/searchparameter-registry.html"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

from fhir_server.fhir.definitions import SearchParameter, r4

_SIMPLE = re.compile(r"\w+(\.\w+)+")


class BadQuery(Exception):
    """The query is not one that R4 defines."""


_added: list[SearchParameter] = []


@contextmanager
def added(resources: Iterable[dict[str, Any]]) -> Iterator[None]:
    """Have the parameters that SearchParameter resources define among those of R4, for as long as this lasts."""
    rows = [_row(resource) for resource in resources]
    _added.extend(rows)
    parameters.cache_clear()
    try:
        yield
    finally:
        _added.clear()
        parameters.cache_clear()


def _row(resource: dict[str, Any]) -> SearchParameter:
    # Guides write a choice element by its name in JSON, which FHIRPath does not know.
    written = re.sub(r"\.value([A-Z])(\w+)", lambda m: f".value.as({m[1].lower()}{m[2]})", resource["expression"])
    bases, targets = tuple(resource["base"]), tuple(resource.get("target", ()))
    return SearchParameter(resource["url"], resource["code"], resource["type"], bases, written, targets, (), "normal")


@cache
def parameters(resource_type: str) -> dict[str, SearchParameter]:
    """Return the type's parameters by code, those of its base types included."""
    found: dict[str, SearchParameter] = {}
    for base in r4().ancestors(resource_type):
        for row in (*r4().search_parameters, *_added):
            if base in row.bases and (row.expression or row.type == "special"):
                found.setdefault(row.code, row)
    return found


def parameter(resource_type: str, code: str) -> SearchParameter:
    """Return a parameter of a type. Raises BadQuery where R4 defines none."""
    found = parameters(resource_type).get(code)
    if found is None:
        raise BadQuery(f"{resource_type} has no {code}")
    return found


@cache
def implied_system(resource_type: str, code: str) -> str:
    """Return the one system that the required binding of a code element has, or ''.

    https://hl7.org/fhir/R4/search.html#token: of a code "the system is defined in the value set".
    """
    for branch in parameters(resource_type)[code].expression.split(" | "):
        branch = branch.strip("() ")
        if _SIMPLE.fullmatch(branch) and branch.startswith(resource_type + "."):
            binding = _binding(branch.split("."))
            systems = r4().code_lists.get(binding, {})
            if len(systems) == 1:
                return next(iter(systems))
    return ""


def _binding(path: list[str]) -> str:
    owner = path[0]
    for position, name in enumerate(path[1:], start=1):
        definition = r4().types.get(owner)
        element = definition.element(name) if definition else None
        if element is None:
            return ""
        if position == len(path) - 1:
            return element.binding[-1].partition("|")[0] if element.binding else ""
        inner = ".".join(path[: position + 1])
        owner = inner if inner in r4().types else element.types[0].code
    return ""
