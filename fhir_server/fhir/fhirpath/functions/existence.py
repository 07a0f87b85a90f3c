"""Existence. https://hl7.org/fhirpath/N1/#existence"""

from __future__ import annotations

from fhir_server.fhir.fhirpath.equality import distinct_nodes, identity, weight
from fhir_server.fhir.fhirpath.errors import FhirPathEvaluationError
from fhir_server.fhir.fhirpath.frame import Frame, Run
from fhir_server.fhir.fhirpath.functions.filtering import where
from fhir_server.fhir.fhirpath.nodes import BOOLEAN, FALSE, TRUE, Collection, boolean, integer
from fhir_server.fhir.fhirpath.singletons import truth
from fhir_server.fhir.fhirpath.types import system_type


def empty(frame: Frame, focus: Collection) -> Collection:
    return FALSE if focus else TRUE


def exists(frame: Frame, focus: Collection, criteria: Run | None = None) -> Collection:
    if criteria is not None:
        focus = where(frame, focus, criteria)
    return TRUE if focus else FALSE


def all_(frame: Frame, focus: Collection, criteria: Run) -> Collection:
    frame.spend(len(focus))
    this, index = frame.this, frame.index
    answer = TRUE
    for frame.index, node in enumerate(focus):
        frame.this = [node]
        if truth(criteria(frame)) is not True:
            answer = FALSE
            break
    frame.this, frame.index = this, index
    return answer


def not_(frame: Frame, focus: Collection) -> Collection:
    value = truth(focus)
    return boolean(None if value is None else not value)


def all_true(frame: Frame, focus: Collection) -> Collection:
    return boolean(all(_booleans(frame, focus)))


def any_true(frame: Frame, focus: Collection) -> Collection:
    return boolean(any(_booleans(frame, focus)))


def all_false(frame: Frame, focus: Collection) -> Collection:
    return boolean(not any(_booleans(frame, focus)))


def any_false(frame: Frame, focus: Collection) -> Collection:
    return boolean(not all(_booleans(frame, focus)))


def _booleans(frame: Frame, focus: Collection) -> list[bool]:
    frame.spend_many(len(focus))
    for node in focus:
        if system_type(node) != BOOLEAN and node.value is not None:
            raise FhirPathEvaluationError(f"booleans are needed, not {node.type}")
    return [node.value for node in focus if node.value is not None]


def subset_of(frame: Frame, focus: Collection, other: Collection) -> Collection:
    frame.spend(weight(focus) + weight(other))
    return boolean({identity(node) for node in focus} <= {identity(node) for node in other})


def superset_of(frame: Frame, focus: Collection, other: Collection) -> Collection:
    return subset_of(frame, other, focus)


def count(frame: Frame, focus: Collection) -> Collection:
    return integer(len(focus))


def distinct(frame: Frame, focus: Collection) -> Collection:
    """Return the items without repetitions, in their first order."""
    if len(focus) < 2:
        return focus
    frame.spend(weight(focus))
    return distinct_nodes(focus)


def is_distinct(frame: Frame, focus: Collection) -> Collection:
    frame.spend(weight(focus))
    return boolean(len({identity(node) for node in focus}) == len(focus))
