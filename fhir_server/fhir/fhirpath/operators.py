"""The operators, each a function of two collections. https://hl7.org/fhirpath/N1/#operations"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal, DecimalException

from fhir_server.fhir.fhirpath import quantities, temporal
from fhir_server.fhir.fhirpath.arithmetic import Number, context
from fhir_server.fhir.fhirpath.equality import equal, equivalent, identity, order, temporal_of, weight
from fhir_server.fhir.fhirpath.errors import FhirPathEvaluationError
from fhir_server.fhir.fhirpath.frame import Frame
from fhir_server.fhir.fhirpath.functions.mathematics import number_node
from fhir_server.fhir.fhirpath.nodes import EMPTY, QUANTITY, STRING, TIME, Collection, Node, Quantity, boolean, string
from fhir_server.fhir.fhirpath.singletons import number, quantity, single, text
from fhir_server.fhir.fhirpath.types import system_type
from fhir_server.fhir.fhirpath.units import CALENDAR, CODES_CALENDAR

Operator = Callable[[Frame, Collection, Collection], Collection]


def equals(frame: Frame, left: Collection, right: Collection) -> Collection:
    return boolean(_equal(frame, left, right))


def differs(frame: Frame, left: Collection, right: Collection) -> Collection:
    answer = _equal(frame, left, right)
    return boolean(None if answer is None else not answer)


def _equal(frame: Frame, left: Collection, right: Collection) -> bool | None:
    if len(left) != 1 or type(left[0].value) is dict:
        frame.spend(weight(left) + weight(right))
    return equal(left, right)


def is_equivalent(frame: Frame, left: Collection, right: Collection) -> Collection:
    return boolean(_equivalent(frame, left, right))


def is_not_equivalent(frame: Frame, left: Collection, right: Collection) -> Collection:
    return boolean(not _equivalent(frame, left, right))


def _equivalent(frame: Frame, left: Collection, right: Collection) -> bool:
    """Compare each with each, at worst."""
    if len(left) == len(right):
        frame.spend(weight(left) * len(right) + len(left) * weight(right))
    return equivalent(left, right)


def _ordering(decide: Callable[[int], bool]) -> Operator:
    def run(frame: Frame, left: Collection, right: Collection) -> Collection:
        first, second = single(left), single(right)
        if first is None or second is None:
            return EMPTY
        answer = order(first, second)
        return EMPTY if answer is None else boolean(decide(answer))

    return run


def is_in(frame: Frame, left: Collection, right: Collection) -> Collection:
    """Whether the single item on the left is among those on the right."""
    node = single(left)
    if node is None:
        return EMPTY
    frame.spend(weight(left) + weight(right))
    key = identity(node)
    return boolean(any(identity(other) == key for other in right))


def contains(frame: Frame, left: Collection, right: Collection) -> Collection:
    return is_in(frame, right, left)


def concatenate(frame: Frame, left: Collection, right: Collection) -> Collection:
    """Join two strings; nothing counts as the empty string."""
    result = (text(left) or "") + (text(right) or "")
    frame.read(len(result))
    return string(result)


def add(frame: Frame, left: Collection, right: Collection) -> Collection:
    operands = _operands(left, right)
    if operands is None:
        return EMPTY
    first, second = operands
    kinds = {system_type(first), system_type(second)}
    if kinds == {STRING}:
        return concatenate(frame, left, right)
    if temporal_of(first) is not None:
        return _moved(first, second, 1)
    return _computed("+", first, second, context().add, lambda one, two: quantities.add(one, two, 1))


def subtract(frame: Frame, left: Collection, right: Collection) -> Collection:
    operands = _operands(left, right)
    if operands is None:
        return EMPTY
    first, second = operands
    if temporal_of(first) is not None:
        return _moved(first, second, -1)
    return _computed("-", first, second, context().subtract, lambda one, two: quantities.add(one, two, -1))


def multiply(frame: Frame, left: Collection, right: Collection) -> Collection:
    operands = _operands(left, right)
    if operands is None:
        return EMPTY
    return _computed("*", *operands, context().multiply, lambda one, two: quantities.multiply(one, two, 1))


def divide(frame: Frame, left: Collection, right: Collection) -> Collection:
    """Divide; the result is always a decimal, and empty for a division by zero."""
    operands = _operands(left, right)
    if operands is None:
        return EMPTY
    first, second = number(operands[0]), number(operands[1])
    if first is not None and second is not None:
        return _calculated(context().divide, Decimal(first), Decimal(second))
    return _computed("/", *operands, context().divide, lambda one, two: quantities.multiply(one, two, -1))


def whole_divide(frame: Frame, left: Collection, right: Collection) -> Collection:
    found = _numeric("div", left, right, context().divide_int)
    return number_node(int(found[0].value)) if found else EMPTY


def modulo(frame: Frame, left: Collection, right: Collection) -> Collection:
    return _numeric("mod", left, right, context().remainder)


def _operands(left: Collection, right: Collection) -> tuple[Node, Node] | None:
    first, second = single(left), single(right)
    if first is None or second is None or first.value is None or second.value is None:
        return None
    return first, second


def _numeric(
    name: str, left: Collection, right: Collection, calculate: Callable[[Decimal, Decimal], Decimal]
) -> Collection:
    operands = _operands(left, right)
    return EMPTY if operands is None else _computed(name, *operands, calculate, None)


def _computed(
    name: str,
    left: Node,
    right: Node,
    calculate: Callable[[Decimal, Decimal], Decimal],
    measure: Callable[[Quantity, Quantity], Quantity | None] | None,
) -> Collection:
    first, second = number(left), number(right)
    if first is not None and second is not None:
        found = _calculated(calculate, Decimal(first), Decimal(second))
        are_whole = isinstance(first, int) and isinstance(second, int)
        return number_node(int(found[0].value)) if found and are_whole else found
    one, two = quantity(left), quantity(right)
    if measure is None or one is None or two is None:
        raise FhirPathEvaluationError(f"{left.type} {name} {right.type} is not defined")
    try:
        result = measure(one, two)
    except DecimalException:
        return EMPTY
    return EMPTY if result is None else [Node(result, QUANTITY)]


def _calculated(calculate: Callable[[Decimal, Decimal], Decimal], left: Decimal, right: Decimal) -> Collection:
    try:
        return number_node(calculate(left, right))
    except DecimalException:
        return EMPTY


def _moved(node: Node, by: Node, sign: int) -> Collection:
    """Return a date or time moved by a duration.

    The unit is a calendar word or a UCUM code that means the same: an average year or month (`'a'`, `'mo'`) does not.
    The part of an amount after the point is ignored.
    """
    moment = temporal_of(node)
    amount = quantity(by) if system_type(by) == QUANTITY else None
    if moment is None or amount is None:
        raise FhirPathEvaluationError(f"{node.type} can only be moved by a quantity of time")
    unit = CALENDAR.get(amount.unit) or CODES_CALENDAR.get(amount.unit, "")
    if not unit or amount.unit in ("a", "mo"):
        raise FhirPathEvaluationError("a date or time can only be moved by calendar units")
    if moment.kind == TIME and unit not in temporal.CLOCK_UNITS:
        raise FhirPathEvaluationError(f"a time of day cannot be moved by a {unit}")
    result = temporal.add(moment, sign * int(amount.value), unit)
    return EMPTY if result is None else [Node(temporal.text(result), node.type)]


def both(left: bool | None, right: bool | None) -> bool | None:
    """`and` with three values."""
    if left is False or right is False:
        return False
    return None if left is None or right is None else True


def either(left: bool | None, right: bool | None) -> bool | None:
    """`or` with three values."""
    if left or right:
        return True
    return None if left is None or right is None else False


def exclusively(left: bool | None, right: bool | None) -> bool | None:
    """`xor` with three values."""
    return None if left is None or right is None else left is not right


def implies(left: bool | None, right: bool | None) -> bool | None:
    """`implies` with three values."""
    return either(None if left is None else not left, right)


def negate(frame: Frame, operand: Collection) -> Collection:
    """Unary minus."""
    node = single(operand)
    if node is None or node.value is None:
        return EMPTY
    value: Number | None = number(node)
    if value is not None:
        return number_node(-value)
    amount = quantity(node)
    if amount is None:
        raise FhirPathEvaluationError(f"{node.type} has no sign")
    return [Node(Quantity(-amount.value, amount.unit), QUANTITY)]


def affirm(frame: Frame, operand: Collection) -> Collection:
    """Unary plus: the number itself."""
    return negate(frame, negate(frame, operand)) if operand else EMPTY


OPERATORS: dict[str, Operator] = {
    "=": equals,
    "!=": differs,
    "~": is_equivalent,
    "!~": is_not_equivalent,
    "<": _ordering(lambda answer: answer < 0),
    ">": _ordering(lambda answer: answer > 0),
    "<=": _ordering(lambda answer: answer <= 0),
    ">=": _ordering(lambda answer: answer >= 0),
    "in": is_in,
    "contains": contains,
    "&": concatenate,
    "+": add,
    "-": subtract,
    "*": multiply,
    "/": divide,
    "div": whole_divide,
    "mod": modulo,
}

# operator: (decision, the left value that settles it without looking right)
LOGIC: dict[str, tuple[Callable[[bool | None, bool | None], bool | None], bool | None]] = {
    "and": (both, False),
    "or": (either, True),
    "implies": (implies, False),
    "xor": (exclusively, None),
}
