"""Constraints on how long the text of a primitive is, as those on the precision of vital signs' times are written.

https://hl7.org/fhir/R4/observation-vitalsigns.html: `($this as dateTime).toString().length() >= 8`, to the day.
"""

from __future__ import annotations

from fhir_server.fhir.fhirpath.ast import Binary, Call, Expression, Invocation, Literal, Special, TypeOperation
from fhir_server.fhir.fhirpath.parser import parse

_THIS = Special("$this")


def enough(expression: str, kind: str) -> int | None:
    """Return the length of a text of this type with which it surely keeps a constraint; None where nobody knows."""
    return _enough(parse(expression), kind)


def _enough(tree: Expression, kind: str) -> int | None:
    if not isinstance(tree, Binary):
        return None
    if tree.operator == "or":
        return next((one for side in (tree.left, tree.right) if (one := _enough(side, kind)) is not None), None)
    least = tree.right.node.value if isinstance(tree.right, Literal) and tree.right.node is not None else None
    is_length = _called(_called(tree.left, "length"), "toString") in (_THIS, TypeOperation("as", _THIS, kind))
    return least if tree.operator == ">=" and is_length and type(least) is int else None


def _called(tree: Expression | None, name: str) -> Expression | None:
    """Return what a function without arguments is called on."""
    return tree.target if isinstance(tree, Invocation) and tree.member == Call(name, ()) else None
