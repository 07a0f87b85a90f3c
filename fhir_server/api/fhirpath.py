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
]
