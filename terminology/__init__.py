"""The terminology service: what codes mean, and which of them belong to a value set.

https://hl7.org/fhir/R4/terminology-module.html
"""

from __future__ import annotations

from terminology.service import LocalTerminology

TERMINOLOGY = LocalTerminology()
