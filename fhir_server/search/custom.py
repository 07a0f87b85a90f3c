"""A tenant's own search parameters as they are kept, and their expressions, which come from strangers.

https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

import logging
from hashlib import sha256
from typing import Any, Protocol

import msgspec

from fhir_server.fhir.fhirpath import Environment, Expression, FhirPathError, Node

Json = dict[str, Any]

# What one evaluation may cost: an expression over an everyday resource takes tens of steps.
MAX_STEPS = 10_000
MAX_VALUES = 1_000
_PATIENCE = Environment(max_steps=MAX_STEPS, safe_patterns=True)
_TEXTS = ("string", "markdown", "code", "id", "uri", "url", "canonical", "oid", "uuid", "System.String")
_WHOLE = ("integer", "positiveInt", "unsignedInt", "System.Integer")
_AMOUNTS = ("Quantity", "SimpleQuantity", "Age", "Count", "Distance", "Duration", "Money", "MoneyQuantity")
# The types of elements that a type of parameter has a way to index. https://hl7.org/fhir/R4/search.html#ptypes
FITTING: dict[str, frozenset[str]] = {
    "token": frozenset(
        {"Coding", "CodeableConcept", "Identifier", "ContactPoint", "boolean", "System.Boolean", *_TEXTS, *_WHOLE}
    ),
    "reference": frozenset({"Reference", "canonical", "uri", "url"}),
    "string": frozenset(
        {"HumanName", "Address", "CodeableConcept", "Coding", "Identifier", "Annotation", "Reference", *_TEXTS}
    ),
    "date": frozenset({"date", "dateTime", "instant", "Period", "Timing", "System.Date", "System.DateTime"}),
    "uri": frozenset(_TEXTS),
    "number": frozenset({"decimal", "System.Decimal", "Range", *_WHOLE}),
    "quantity": frozenset({"Range", *_AMOUNTS}),
}

_log = logging.getLogger(__name__)


class Selector(Protocol):
    """What selects the values of a parameter from a resource."""

    def evaluate(self, node: Json, /) -> list[Node]:
        """Return the selected elements."""
        ...


class Custom(msgspec.Struct, frozen=True):
    """One search parameter of a tenant in force; `components` are (definition url, expression) pairs of a composite.

    `key` is the SearchParameter it comes from; `since` the generation of the set that it came with. While it is not
    `ready` resources from before are still being indexed by it.
    """

    key: str
    url: str
    code: str
    type: str
    bases: tuple[str, ...]
    expression: str
    targets: tuple[str, ...] = ()
    components: tuple[tuple[str, str], ...] = ()
    since: int = 0
    ready: bool = False

    @property
    def digest(self) -> str:
        """What tells its terms from those of any parameter that reads something else."""
        read = (self.url, self.code, self.type, self.bases, self.expression, self.targets, self.components)
        return sha256(msgspec.json.encode(read)).hexdigest()[:12]


class Bounded:
    """An expression that a stranger wrote: it costs what it may cost, never fails, and selects only what fits.

    A resource it fails on is found by everything else; that it is not found by this is in the log, once.
    """

    __slots__ = ("_expression", "_fitting", "_has_failed", "_url")

    def __init__(self, expression: Expression, url: str, kind: str) -> None:
        self._expression = expression
        self._url = url
        self._fitting = FITTING.get(kind)
        self._has_failed = False

    def evaluate(self, node: Json, /) -> list[Node]:
        """Return the selected elements that the parameter's type can index; none where the expression fails."""
        try:
            found = self._expression.evaluate(node, environment=_PATIENCE)
        except Exception as error:  # noqa: BLE001  whatever a stranger's expression does, the resource must be written
            return self._failed(node, error)
        if self._fitting is not None:
            found = [one for one in found if one.type in self._fitting]
        return found if len(found) <= MAX_VALUES else self._failed(node, ValueError(f"more than {MAX_VALUES} values"))

    def _failed(self, node: Json, error: Exception) -> list[Node]:
        if not self._has_failed:
            self._has_failed = True
            text = str(error) if isinstance(error, FhirPathError) else type(error).__name__
            _log.warning("search_parameter_fails url=%s on=%s error=%s", self._url, node.get("resourceType"), text)
        return []
