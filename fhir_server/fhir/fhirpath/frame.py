"""What an evaluation knows besides its input. https://hl7.org/fhirpath/N1/#environment-variables"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_server.fhir.fhirpath.errors import FhirPathBudgetExceeded, FhirPathEvaluationError
from fhir_server.fhir.fhirpath.nodes import EMPTY, Collection, Node

DEFAULT_STEPS = 1_000_000
CHARACTERS_PER_STEP = 64
MAX_TEXT = 4_000_000
FEW = 8


@dataclass(frozen=True, slots=True)
class Environment:
    """What a server lends to expressions; each part may be missing.

    `resolve(reference)` returns the resource or None. `member_of(node, value_set_url)` and
    `conforms_to(node, profile_url)` return True, False or None (cannot tell). `html_checks(xhtml)` says whether a
    narrative is safe. `now()` is the clock, with a zone. `trace(name, collection)` is told what `trace()` sees.
    `max_steps` bounds the work and `safe_patterns` the time of regular expressions: an expression from a stranger must
    end.
    """

    resolve: Callable[[str], dict[str, Any] | None] | None = None
    member_of: Callable[[Node, str], bool | None] | None = None
    conforms_to: Callable[[Node, str], bool | None] | None = None
    html_checks: Callable[[str], bool] | None = None
    now: Callable[[], datetime] | None = None
    trace: Callable[[str, Collection], None] | None = None
    max_steps: int = DEFAULT_STEPS
    safe_patterns: bool = False


NO_ENVIRONMENT = Environment()


class Frame:
    """The state of one evaluation. `this` is what a path without a start begins at; lambdas set and restore it."""

    __slots__ = (
        "contained",
        "environment",
        "index",
        "moment",
        "resource",
        "root",
        "steps",
        "this",
        "top",
        "total",
        "variables",
    )

    def __init__(
        self,
        this: Collection,
        resource: Node | None,
        root: Node | None,
        variables: Mapping[str, Any] | None,
        environment: Environment,
    ) -> None:
        self.this = this
        self.top = this
        self.resource = resource
        self.root = root
        self.variables = variables
        self.environment = environment
        self.steps = environment.max_steps
        self.index = -1
        self.total: Collection = EMPTY
        self.moment: datetime | None = None
        self.contained: dict[str, dict[str, Any]] | None = None

    def spend(self, steps: int) -> None:
        """Count work that grows with the data. Raises FhirPathBudgetExceeded when there was too much."""
        self.steps -= steps
        if self.steps < 0:
            raise FhirPathBudgetExceeded(f"more than {self.environment.max_steps} steps")

    def spend_many(self, items: int) -> None:
        """Count work on items one by one; a few are free, so that a step of an everyday path costs no call."""
        if items > FEW:
            self.spend(items)

    def read(self, length: int) -> None:
        """Count work that grows with a text. Raises FhirPathBudgetExceeded for one longer than any element may have."""
        if length > MAX_TEXT:
            raise FhirPathBudgetExceeded(f"a text of more than {MAX_TEXT} characters")
        self.spend(length // CHARACTERS_PER_STEP)

    def now(self) -> datetime:
        """Return the time of this evaluation: the same however often it is asked for."""
        if self.moment is None:
            if self.environment.now is None:
                raise FhirPathEvaluationError("now(), today() and timeOfDay() need a clock in the environment")
            self.moment = self.environment.now()
        return self.moment


Run = Callable[[Frame], Collection]
