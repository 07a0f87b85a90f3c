"""FHIRPath as plugins may use it: compiled once, evaluated on plain JSON. https://hl7.org/fhirpath/N1/"""

from __future__ import annotations

from fhir_server.fhir.fhirpath import (
    Environment,
    Expression,
    FhirPathBudgetExceeded,
    FhirPathError,
    FhirPathEvaluationError,
    FhirPathNotSupported,
    FhirPathSemanticError,
    FhirPathSyntaxError,
    Node,
    Quantity,
    compile,
)

__all__ = [
    "Environment",
    "Expression",
    "FhirPathBudgetExceeded",
    "FhirPathError",
    "FhirPathEvaluationError",
    "FhirPathNotSupported",
    "FhirPathSemanticError",
    "FhirPathSyntaxError",
    "Node",
    "Quantity",
    "compile",
    "compile_given",
]


def compile_given(expression: str, root_type: str | None = None) -> Expression:
    """Compile an expression that a client sent: as `compile`, but it is not kept.

    What `compile` keeps are the expressions of definitions; strangers must not be able to push them out, or to fill
    the memory with their own.
    """
    return compile.__wrapped__(expression, root_type)
