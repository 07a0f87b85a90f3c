"""Where an extension may stand. https://hl7.org/fhir/R4/defining-extensions.html#context"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.fhir import fhirpath
from fhir_server.fhir.definitions import r4
from fhir_server.validation.profiles.run import Run

Json = dict[str, Any]
Contexts = Sequence[tuple[str, str]]  # type (element, extension, fhirpath) and expression

_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"
# Their definitions in R4 list fewer places than those where the specification and the guides put them.
ANYWHERE = frozenset(
    {
        f"{_DEFINITION}capabilitystatement-expectation",
        f"{_DEFINITION}capabilitystatement-prohibited",
        f"{_DEFINITION}structuredefinition-normative-version",
    }
)

_FAILURES = (fhirpath.FhirPathError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@dataclass(frozen=True, slots=True)
class Holder:
    """What an extension stands on: an element or a resource.

    `value` is its object or, of a primitive, its value, and `beside` what a primitive has besides. `paths` are the ways
    to name it: its path in the resource and in the types on the way (`Patient.name.family`, `HumanName.family`). `kind`
    is its type; `urls` are those of the extensions it is in.
    """

    value: Any
    beside: Json | None
    kind: str
    paths: frozenset[str]
    urls: tuple[str, ...] = ()


def fits(contexts: Contexts, holder: Holder, run: Run) -> bool:
    """Whether the contexts of an extension allow it there; one that cannot be evaluated allows it."""
    return not contexts or any(_fits(kind, expression, holder, run) for kind, expression in contexts)


def _fits(kind: str, expression: str, holder: Holder, run: Run) -> bool:
    if kind == "extension":
        return bool(holder.urls) and expression in holder.urls
    if kind == "fhirpath":
        return _is_selected(expression, holder, run)
    name = expression.removeprefix(_DEFINITION).rpartition("#")[2]
    if name == "Element" or name in holder.paths or name in r4().ancestors(holder.kind):
        return True
    return name.partition(".")[0] not in r4().types  # what is no path of R4 is not for us to judge


def _is_selected(expression: str, holder: Holder, run: Run) -> bool:
    try:
        found = fhirpath.compile(expression).evaluate(run.resource, environment=run.environment)
    except _FAILURES:
        return True
    if holder.beside is None:
        return any(node.value is holder.value for node in found)
    return any(node.element is holder.beside for node in found)


def broken_invariants(invariants: Sequence[str], holder: Holder, extension: Json, run: Run) -> list[str]:
    """Return the context invariants of an extension's definition that its holder breaks."""
    broken = []
    for expression in invariants:
        try:
            node = fhirpath.Node(holder.value, holder.kind, holder.beside)
            holds = fhirpath.compile(expression).boolean(
                node,
                resource=run.resource,
                root=run.root,
                variables={"extension": fhirpath.Node(extension, "Extension")},
                environment=run.environment,
            )
        except _FAILURES:
            continue
        if holds is False:
            broken.append(expression)
    return broken
