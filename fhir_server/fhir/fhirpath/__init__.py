"""FHIRPath N1 with the functions of FHIR R4, compiled to closures over plain JSON.

https://hl7.org/fhirpath/N1/ and https://hl7.org/fhir/R4/fhirpath.html
"""

from __future__ import annotations

from fhir_server.fhir.fhirpath.errors import (
    FhirPathBudgetExceeded,
    FhirPathError,
    FhirPathEvaluationError,
    FhirPathNotSupported,
    FhirPathSemanticError,
    FhirPathSyntaxError,
)
from fhir_server.fhir.fhirpath.expression import Expression, compile, locate
from fhir_server.fhir.fhirpath.frame import Environment
from fhir_server.fhir.fhirpath.nodes import Node, Quantity

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
    "locate",
]
