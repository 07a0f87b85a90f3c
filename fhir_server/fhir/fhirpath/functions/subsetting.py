"""Subsetting. https://hl7.org/fhirpath/N1/#subsetting"""

from __future__ import annotations

from functools import cmp_to_key

from fhir_server.fhir.fhirpath.equality import distinct_nodes, identity, order, weight
from fhir_server.fhir.fhirpath.errors import FhirPathEvaluationError
from fhir_server.fhir.fhirpath.frame import Frame, Run
from fhir_server.fhir.fhirpath.nodes import EMPTY, Collection, Node
from fhir_server.fhir.fhirpath.singletons import single as only
from fhir_server.fhir.fhirpath.singletons import whole

_COPIED_PER_STEP = 16


def item(frame: Frame, focus: Collection, index: Collection) -> Collection:
    position = whole(index)
    if position is None or not 0 <= position < len(focus):
        return EMPTY
    return [focus[position]]


def single(frame: Frame, focus: Collection) -> Collection:
    only(focus)
    return focus


def first(frame: Frame, focus: Collection) -> Collection:
    return focus[:1]


def last(frame: Frame, focus: Collection) -> Collection:
    return focus[-1:]


def tail(frame: Frame, focus: Collection) -> Collection:
    return _part(frame, focus, slice(1, None))


def skip(frame: Frame, focus: Collection, count: Collection) -> Collection:
    return _part(frame, focus, slice(max(0, _needed(count)), None))


def take(frame: Frame, focus: Collection, count: Collection) -> Collection:
    return _part(frame, focus, slice(max(0, _needed(count))))


def _part(frame: Frame, focus: Collection, which: slice) -> Collection:
    frame.spend_many(len(focus) // _COPIED_PER_STEP)
    return focus[which]


def _needed(count: Collection) -> int:
    value = whole(count)
    if value is None:
        raise FhirPathEvaluationError("a number of items is needed")
    return value


def intersect(frame: Frame, focus: Collection, other: Collection) -> Collection:
    frame.spend(weight(focus) + weight(other))
    wanted = {identity(node) for node in other}
    return distinct_nodes([node for node in focus if identity(node) in wanted])


def exclude(frame: Frame, focus: Collection, other: Collection) -> Collection:
    frame.spend(weight(focus) + weight(other))
    unwanted = {identity(node) for node in other}
    return [node for node in focus if identity(node) not in unwanted]


def sort(frame: Frame, focus: Collection, *keys: tuple[Run, int]) -> Collection:
    """Sort by each key in turn; a key's sign is -1 for descending. Items without a key come first either way.

    https://hl7.org/fhirpath/#sort, newer than N1.
    """
    frame.spend(len(focus) * max(1, len(keys)) * len(focus).bit_length())
    this, index = frame.this, frame.index
    rows: list[tuple[list[Collection], Node]] = []
    for frame.index, node in enumerate(focus):
        frame.this = [node]
        rows.append(([key(frame) for key, _ in keys] if keys else [[node]], node))
    frame.this, frame.index = this, index
    signs = [sign for _, sign in keys] or [1]

    def compare(left: tuple[list[Collection], Node], right: tuple[list[Collection], Node]) -> int:
        return _compare_keys(left[0], right[0], signs)

    return [node for _, node in sorted(rows, key=cmp_to_key(compare))]


def _compare_keys(left: list[Collection], right: list[Collection], signs: list[int]) -> int:
    for first_key, second_key, sign in zip(left, right, signs, strict=True):
        one, other = only(first_key), only(second_key)
        if one is None or other is None:
            result = (one is not None) - (other is not None)
        else:
            result = sign * (order(one, other) or 0)
        if result:
            return result
    return 0
