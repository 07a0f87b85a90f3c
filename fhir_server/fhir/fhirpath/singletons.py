"""One value from a collection that should hold one. https://hl7.org/fhirpath/N1/#singleton-evaluation-of-collections"""

from __future__ import annotations

from decimal import Decimal

from fhir_server.fhir.fhirpath.errors import FhirPathEvaluationError
from fhir_server.fhir.fhirpath.nodes import BOOLEAN, DECIMAL, INTEGER, QUANTITY, STRING, Collection, Node, Quantity
from fhir_server.fhir.fhirpath.quantities import quantity_of
from fhir_server.fhir.fhirpath.types import system_type, system_types

Number = int | Decimal


def single(collection: Collection) -> Node | None:
    """Return the only node, None if there is none. Raises FhirPathEvaluationError if there are many."""
    if not collection:
        return None
    if len(collection) > 1:
        raise FhirPathEvaluationError(f"one item is needed, not {len(collection)}")
    return collection[0]


def truth(collection: Collection) -> bool | None:
    """Return the collection as a condition: a boolean is itself, any other single item is true, nothing is None."""
    if not collection:
        return None
    if len(collection) > 1:
        raise FhirPathEvaluationError(f"a condition is one item, not {len(collection)}")
    node = collection[0]
    if system_types().get(node.type) == BOOLEAN:
        return node.value if type(node.value) is bool else None
    return True


def text(collection: Collection) -> str | None:
    """Return the only string, None if there is none."""
    node = single(collection)
    if node is None or node.value is None:
        return None
    if system_type(node) != STRING:
        raise FhirPathEvaluationError(f"a string is needed, not {node.type}")
    value: str = node.value
    return value


def whole(collection: Collection) -> int | None:
    """Return the only integer, None if there is none."""
    node = single(collection)
    if node is None or node.value is None:
        return None
    if system_type(node) != INTEGER:
        raise FhirPathEvaluationError(f"an integer is needed, not {node.type}")
    value: int = node.value
    return value


def number(node: Node) -> Number | None:
    """Return the node's number, or None if it is none."""
    if system_type(node) in (INTEGER, DECIMAL):
        value: Number = node.value
        return value
    return None


def quantity(node: Node) -> Quantity | None:
    """Return the node as a quantity, numbers included (unit `1`), or None if it is none."""
    if system_type(node) == QUANTITY:
        return quantity_of(node.value)
    value = number(node)
    return None if value is None else Quantity(Decimal(value), "1")
