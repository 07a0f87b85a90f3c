"""The definitions of FHIR R4 as plugins may read them. https://hl7.org/fhir/R4/structuredefinition.html"""

from __future__ import annotations

from fhir_server.fhir.definitions import Definitions, Element, TypeDefinition, TypeRef, r4

__all__ = ["Definitions", "Element", "TypeDefinition", "TypeRef", "r4"]
