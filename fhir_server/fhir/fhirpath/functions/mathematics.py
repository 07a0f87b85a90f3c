"""Math. https://hl7.org/fhirpath/N1/#math"""

from __future__ import annotations

from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal, DecimalException

from fhir_server.fhir.fhirpath.arithmetic import Number, context, fitting, is_sane
from fhir_server.fhir.fhirpath.errors import FhirPathEvaluationError
from fhir_server.fhir.fhirpath.frame import Frame
from fhir_server.fhir.fhirpath.nodes import DECIMAL, EMPTY, INTEGER, QUANTITY, Collection, Node, Quantity
from fhir_server.fhir.fhirpath.singletons import number, quantity, single, whole


def number_node(value: Number | None) -> Collection:
    """Return the collection of a number, empty if it does not fit its type."""
    fit = None if value is None else fitting(value)
    return EMPTY if fit is None else [Node(fit, DECIMAL if isinstance(fit, Decimal) else INTEGER)]


def needed(collection: Collection) -> Number | None:
    """Return the only number, None if there is none. Raises FhirPathEvaluationError for anything else."""
    node = single(collection)
    if node is None or node.value is None:
        return None
    value = number(node)
    if value is None:
        raise FhirPathEvaluationError(f"a number is needed, not {node.type}")
    return value


def absolute(frame: Frame, focus: Collection) -> Collection:
    if len(focus) == 1 and number(focus[0]) is None:
        amount = quantity(focus[0])
        if amount is not None:
            return [Node(Quantity(abs(amount.value), amount.unit), QUANTITY)]
    value = needed(focus)
    return EMPTY if value is None else number_node(-value if value < 0 else value)


def ceiling(frame: Frame, focus: Collection) -> Collection:
    return _to_whole(focus, ROUND_CEILING)


def floor(frame: Frame, focus: Collection) -> Collection:
    return _to_whole(focus, ROUND_FLOOR)


def truncate(frame: Frame, focus: Collection) -> Collection:
    return _to_whole(focus, ROUND_DOWN)


def _to_whole(focus: Collection, rounding: str) -> Collection:
    value = needed(focus)
    if isinstance(value, Decimal):
        value = int(value.to_integral_value(rounding)) if is_sane(value) else None
    return number_node(value)


def round_(frame: Frame, focus: Collection, precision: Collection = EMPTY) -> Collection:
    """Round half away from zero to so many digits after the point."""
    value, digits = needed(focus), whole(precision) or 0
    if value is None:
        return EMPTY
    if not 0 <= digits <= 28:
        raise FhirPathEvaluationError("the precision of round() is 0 to 28")
    if isinstance(value, int):
        return number_node(value)
    return _calculated(lambda: value.quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP, context()))


def square_root(frame: Frame, focus: Collection) -> Collection:
    value = needed(focus)
    return EMPTY if value is None else _calculated(lambda: Decimal(value).sqrt(context()))


def exponential(frame: Frame, focus: Collection) -> Collection:
    value = needed(focus)
    return EMPTY if value is None else _calculated(lambda: Decimal(value).exp(context()))


def natural_logarithm(frame: Frame, focus: Collection) -> Collection:
    value = needed(focus)
    return EMPTY if value is None else _calculated(lambda: Decimal(value).ln(context()))


def logarithm(frame: Frame, focus: Collection, base: Collection) -> Collection:
    value, root = needed(focus), needed(base)
    if value is None or root is None:
        return EMPTY
    rules = context()
    rules.prec = 40
    found = _calculated(lambda: Decimal(value).ln(rules) / Decimal(root).ln(rules))
    return [Node(context().plus(node.value).normalize(), DECIMAL) for node in found]


def power(frame: Frame, focus: Collection, exponent: Collection) -> Collection:
    value, by = needed(focus), needed(exponent)
    if value is None or by is None:
        return EMPTY
    found = _calculated(lambda: context().power(Decimal(value), Decimal(by)))
    if found and isinstance(value, int) and isinstance(by, int) and by >= 0:
        return number_node(int(found[0].value))
    return found


def _calculated(calculate: Callable[[], Decimal]) -> Collection:
    """Return the result, empty where mathematics has none or it does not fit."""
    try:
        return number_node(calculate())
    except DecimalException:
        return EMPTY
