"""What can go wrong with a FHIRPath expression. https://hl7.org/fhirpath/N1/#expressions

FhirPathError
├── FhirPathSyntaxError      the text is not FHIRPath
├── FhirPathSemanticError    it is FHIRPath, but names a type, element or function that is not there
├── FhirPathEvaluationError  it cannot be evaluated on this input
│   └── FhirPathBudgetExceeded
└── FhirPathNotSupported     FHIR has it, this engine does not
"""

from __future__ import annotations


class FhirPathError(ValueError):
    """Any failure of an expression; the message never quotes data, only the expression."""


class FhirPathSyntaxError(FhirPathError):
    """The text is not FHIRPath. `position` counts characters from 0."""

    def __init__(self, message: str, position: int) -> None:
        super().__init__(f"{message} at position {position}")
        self.position = position


class FhirPathSemanticError(FhirPathError):
    """The expression names something that does not exist, or cannot mean anything on its input type."""


class FhirPathEvaluationError(FhirPathError):
    """The expression cannot be evaluated on this input: many items where one is needed, or operands of wrong types."""


class FhirPathBudgetExceeded(FhirPathEvaluationError):
    """The evaluation took more steps than the environment allows."""


class FhirPathNotSupported(FhirPathError):
    """A function of FHIR's that this engine does not have."""
