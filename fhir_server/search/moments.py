"""The principal date of a type: what "newest first" means for it, and what `$everything` bounds by start and end.

https://hl7.org/fhir/R4/patient-operation-everything.html speaks of "care dates" and leaves open which.
"""

from __future__ import annotations

from collections.abc import Mapping

from fhir_server.search.parameters import Parameter

# The first of these codes that a type has as a date parameter.
PREFERENCE = (
    "date",
    "period",
    "authored",
    "authoredon",
    "authored-on",
    "effective-time",
    "effective",
    "whenhandedover",
    "started",
    "start",
    "start-date",
    "onset-date",
    "sent",
    "created",
    "recorded",
    "issued",
    "collected",
    "birthdate",
)
# Where the specification's `date` is something else than when the thing happened.
EXCEPTIONS = {"MedicationRequest": "authoredon"}


def principal_date(resource_type: str, parameters: Mapping[str, Parameter]) -> str:
    """Return the code of the type's principal date parameter, or '' where it has none."""
    for code in (EXCEPTIONS.get(resource_type, ""), *PREFERENCE):
        found = parameters.get(code)
        if found is not None and found.type == "date":
            return code
    return ""
