"""The directives that change the form of the answer. https://hl7.org/fhir/R4/graphql.html#flattening"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from graphql.language import DirectiveNode, FieldNode

from operations.graphql.filters import Filters, Path
from operations.graphql.refusals import refused
from operations.graphql.values import arguments

INDEX = "$index"


@dataclass(frozen=True, slots=True)
class Shape:
    """How the values of a field go into the answer. `suffix` makes of a value and its place what its name ends in."""

    is_flat: bool = False
    is_first: bool = False
    is_single: bool = False
    suffix: Callable[[Any, int, Any], str] | None = None


PLAIN = Shape()


def read_shape(node: FieldNode, filters: Filters, type_name: str, variables: Mapping[str, Any]) -> Shape:
    """Return the shape of a field of a type. Raises Refused for a directive that is unknown or wrongly used."""
    if not node.directives:
        return PLAIN
    flat = first = single = False
    suffix = None
    for directive in node.directives:
        match directive.name.value:
            case "skip" | "include":
                continue
            case "flatten":
                flat = True
            case "first":
                first = True
            case "singleton":
                single = True
            case "slice":
                suffix = _suffix(directive, filters, type_name, variables)
                continue
            case name:
                raise refused(
                    f"There is no directive @{name}; skip, include, flatten, first, singleton and slice there are.",
                    directive,
                )
        if directive.arguments:
            raise refused(f"@{directive.name.value} takes no arguments.", directive)
    if flat and node.selection_set is None:
        raise refused(f"@flatten needs fields below {node.name.value}.", node)
    return Shape(flat, first, single, suffix)


def _suffix(
    directive: DirectiveNode, filters: Filters, type_name: str, variables: Mapping[str, Any]
) -> Callable[[Any, int, Any], str]:
    given = arguments(directive.arguments or (), variables)
    text = given.get("path", given.get("fhirpath"))
    if not isinstance(text, str) or len(given) != 1:
        raise refused('@slice takes one argument, path: the FHIRPath of what the names end in, or "$index".', directive)
    if text.strip() == INDEX:
        return lambda value, place, resource: f".{place}"
    path: Path = filters.path(text, directive)

    def suffix(value: Any, place: int, resource: Any) -> str:
        found = filters.texts(path, value, type_name, resource)
        return "." + "".join(found) if found else ""

    return suffix
