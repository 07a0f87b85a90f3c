"""Value sets that nobody wrote: a URL made of a code system's says what is in it.

https://hl7.org/fhir/R4/snomedct.html#implicit and https://hl7.org/fhir/R4/loinc.html#implicit. `?fhir_vs` is all of a
system, `?fhir_vs=isa/CODE` a code and what is below it; understood for every code system.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

LOINC = "http://loinc.org"
_QUERY = "?fhir_vs"


def implicit(url: str, version: str = "") -> Json | None:
    """Return the value set that the URL itself describes, or None where it describes none."""
    if url == f"{LOINC}/vs":
        return _value_set(url, LOINC, version)
    system, query, rest = url.partition(_QUERY)
    if not query or not system:
        return None
    if not rest:
        return _value_set(url, system, version)
    if rest.startswith("=isa/") and len(rest) > len("=isa/"):
        row = {"property": "concept", "op": "is-a", "value": rest.removeprefix("=isa/")}
        return _value_set(url, system, version, [row])
    return None


def _value_set(url: str, system: str, version: str, filters: list[Json] | None = None) -> Json:
    include: Json = {"system": system}
    if version:
        include["version"] = version
    if filters:
        include["filter"] = filters
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": {"include": [include]}}
