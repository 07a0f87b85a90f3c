"""Value sets that nobody wrote: a URL made of a code system's says what is in it.

https://hl7.org/fhir/R4/snomedct.html#implicit and https://hl7.org/fhir/R4/loinc.html#implicit. `?fhir_vs` is all of a
system, `?fhir_vs=isa/CODE` a code and what is below it; understood for every code system. RxNorm has none of its own.
"""

from __future__ import annotations

from typing import Any

from terminology.failures import Unsupported
from terminology.relations import LOINC, SNOMED

Json = dict[str, Any]

_LOINC_SETS = f"{LOINC}/vs"
_QUERY = "?fhir_vs"


def implicit(url: str, version: str = "") -> Json | None:
    """Return the value set that the URL itself describes, or None where it describes none.

    Raises Unsupported for one that can be read and not be answered.
    """
    if url.startswith(_LOINC_SETS):
        return _of_loinc(url, version)
    system, query, rest = url.partition(_QUERY)
    if not query or not system:
        return None
    if system.startswith(f"{SNOMED}/"):  # an edition, or a version of one
        system, version = SNOMED, version or system
    if not rest:
        return _value_set(url, system, version)
    kind, _, value = rest.removeprefix("=").partition("/")
    if kind == "isa" and value:
        return _value_set(url, system, version, ("concept", "is-a", value))
    if system != SNOMED:
        return None
    if kind == "refset" and value:
        return _value_set(url, system, version, ("concept", "in", value))
    if kind == "ecl":
        raise Unsupported(f"{url}: expression constraints (ECL) of SNOMED CT are not supported.")
    if kind == "refset":
        raise Unsupported(f"{url}: name one reference set, as ?fhir_vs=refset/[id]; all of them is not supported.")
    return None


def _of_loinc(url: str, version: str) -> Json | None:
    """Return all of LOINC, the answers of a list (LL), or the terms that have a part (LP) above them."""
    if url == _LOINC_SETS:
        return _value_set(url, LOINC, version)
    code = url.removeprefix(f"{_LOINC_SETS}/")
    name = {"LL": "LIST", "LP": "ancestor"}.get(code[:2].upper())
    return None if name is None else _value_set(url, LOINC, version, (name, "=", code))


def _value_set(url: str, system: str, version: str, wanted: tuple[str, str, str] | None = None) -> Json:
    include: Json = {"system": system}
    if version:
        include["version"] = version
    if wanted is not None:
        include["filter"] = [dict(zip(("property", "op", "value"), wanted, strict=True))]
    return {"resourceType": "ValueSet", "url": url, "status": "active", "compose": {"include": [include]}}
