"""Shortcuts by hand for invariants that many resources meet and that ask for more than which members are there.

Like those of presence.py they say what FHIRPath would say, or None. https://hl7.org/fhir/R4/bundle.html#invs
"""

from __future__ import annotations

from typing import Any

from fhir_server.validation.findings import Json, Shortcut

_REQUESTS = frozenset({"batch", "transaction", "history"})
_RESPONSES = frozenset({"batch-response", "transaction-response", "history"})
_CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
_ENDED = ("resolved", "remission", "inactive")
_IN_ERROR = "entered-in-error"


def per_1(item: Json) -> bool | None:
    """Start and end in order: times of the same form and offset have the order of their text."""
    start, end = item.get("start"), item.get("end")
    if start is None or end is None:
        return True
    if type(start) is not str or type(end) is not str or len(start) != len(end) or start > end:
        return None
    if len(start) <= 10 or start[-6:] == end[-6:] or (start[-1] == "Z" and end[-1] == "Z"):
        return True
    return None


def bdl_3(item: Json) -> bool | None:
    """Requests in batches, transactions and histories, and only there."""
    return _all_or_none(item, "request", _REQUESTS)


def bdl_4(item: Json) -> bool | None:
    """Responses in answers and histories, and only there."""
    return _all_or_none(item, "response", _RESPONSES)


def _all_or_none(item: Json, member: str, types: frozenset[str]) -> bool | None:
    kind, entries = item.get("type"), _entries(item)
    if type(kind) is not str or entries is None:
        return None
    expected = kind in types
    return all((member in entry) is expected for entry in entries)


def bdl_7(item: Json) -> bool | None:
    """No resource twice, by fullUrl and version."""
    kind, entries = item.get("type"), _entries(item)
    if kind == "history":
        return True
    if type(kind) is not str or entries is None:
        return None
    urls = [_version_url(entry) for entry in entries if "fullUrl" in entry or "_fullUrl" in entry]
    return None if None in urls else len(set(urls)) == len(urls)


def _version_url(entry: Json) -> str | None:
    url, resource = entry.get("fullUrl"), entry.get("resource")
    meta: Any = resource.get("meta") if type(resource) is dict else None
    version: Any = meta.get("versionId", "") if type(meta) is dict else ""
    return url + version if type(url) is str and type(version) is str else None


def _entries(item: Json) -> list[Json] | None:
    entries = item.get("entry", [])
    if type(entries) is not list or not all(type(entry) is dict for entry in entries):
        return None
    return entries


def bdl_8(item: Json) -> bool | None:
    """No version in a fullUrl."""
    url = item.get("fullUrl")
    return "/_history/" not in url if type(url) is str else None


def org_1(item: Json) -> bool | None:
    """An identifier or a name."""
    return True if "identifier" in item or "name" in item else None


def not_home(item: Json) -> bool | None:
    """An organization has no home (org-2, org-3)."""
    use = item.get("use")
    return use != "home" if type(use) is str else None if "_use" in item or "use" in item else True


def con_4(item: Json) -> bool | None:
    """What has abated is not active."""
    codings = _codings(item, "clinicalStatus")
    return any(row.get("code") in _ENDED and row.get("system") == _CLINICAL for row in codings) or None


def not_in_error(item: Json) -> bool | None:
    """Something entered in error has no clinical status (ait-2, con-5)."""
    if type(item.get("verificationStatus")) is not dict:
        return None
    codings = _codings(item, "verificationStatus")
    return not any(row.get("code", _IN_ERROR) == _IN_ERROR for row in codings) or None


def ig_1(item: Json) -> bool | None:
    """Resources are in groupings that there are."""
    return _are_among(_rows(item.get("resource")), "groupingId", _rows(item.get("grouping")), "id")


def ig_2(item: Json) -> bool | None:
    """Resources are for versions of FHIR that the guide is for."""
    definition, versions = item.get("definition"), item.get("fhirVersion")
    rows = _rows(definition.get("resource")) if type(definition) is dict else []
    known = [{"id": version} for version in _list(versions)]
    named = [{"id": one} for row in rows for one in _list(row.get("fhirVersion"))]
    return _are_among(named, "id", known, "id")


def _are_among(rows: list[Json], name: str, others: list[Json], key: str) -> bool | None:
    known = {row.get(key) for row in others if type(row.get(key)) is str}
    values = [row.get(name) for row in rows if name in row or "_" + name in row]
    return all(value in known for value in values) if all(type(value) is str for value in values) else None


def _list(value: Any) -> list[Any]:
    return value if type(value) is list else []


def _rows(value: Any) -> list[Json]:
    return [row for row in _list(value) if type(row) is dict]


def _codings(item: Json, name: str) -> list[Json]:
    concept: Any = item.get(name)
    codings = concept.get("coding") if type(concept) is dict else None
    return _rows(codings)


BY_KEY: dict[tuple[str, str], Shortcut] = {
    ("Period", "per-1"): per_1,
    ("Bundle", "bdl-3"): bdl_3,
    ("Bundle", "bdl-4"): bdl_4,
    ("Bundle", "bdl-7"): bdl_7,
    ("Bundle.entry", "bdl-8"): bdl_8,
    ("Organization", "org-1"): org_1,
    ("AllergyIntolerance", "ait-2"): not_in_error,
    ("Condition", "con-4"): con_4,
    ("Condition", "con-5"): not_in_error,
    ("ImplementationGuide.definition", "ig-1"): ig_1,
    ("ImplementationGuide", "ig-2"): ig_2,
    ("Address", "org-2"): not_home,
    ("ContactPoint", "org-3"): not_home,
}
