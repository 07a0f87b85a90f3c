"""Where references lead inside a Bundle, and what type of resource they lead to. https://hl7.org/fhir/R4/bundle.html#references"""

from __future__ import annotations

import re
from typing import Any

Json = dict[str, Any]

# The base of a RESTful fullUrl: what a relative reference is appended to.
_restful = re.compile(r"(https?://.+/)[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}").fullmatch


def index_of(bundle: Json) -> dict[str, Json]:
    """Return {fullUrl: entry} of a Bundle, and {Type/id: entry} for entries that have no RESTful fullUrl."""
    found: dict[str, Json] = {}
    entries = bundle.get("entry")
    for entry in entries if type(entries) is list else ():
        resource = entry.get("resource") if type(entry) is dict else None
        if type(resource) is not dict:
            continue
        url = entry.get("fullUrl")
        if type(url) is str:
            found.setdefault(url, entry)
        name = f"{resource.get('resourceType')}/{resource.get('id')}"
        if name not in found:
            found[name] = entry
    return found


def bundle_target(reference: str, full_url: str, index: dict[str, Json]) -> Json | None:
    """Return the entry that a reference in the resource called `full_url` leads to.

    A relative reference is relative to the base of that URL; where it has none (`urn:uuid:`), type and id decide.
    """
    bare = reference.partition("/_history/")[0].partition("#")[0]
    if ":" in bare:
        return index.get(bare)
    base = _restful(full_url)
    if base is not None and (found := index.get(base[1] + bare)) is not None:
        return found
    found = index.get(bare)
    if found is None or (base is not None and _restful(str(found.get("fullUrl", ""))) is not None):
        return None  # a resource of that name on another server
    return found


def is_stub(value: Any, root: Json, bundle: Json | None) -> bool:
    """Whether a value is not a resource that is here, but what resolve() makes of the name of one that is not."""
    if type(value) is not dict or not value.keys() <= {"resourceType", "id"}:
        return False
    contained, entries = root.get("contained"), (bundle or {}).get("entry")
    rows = [row.get("resource") for row in (entries if type(entries) is list else ()) if type(row) is dict]
    return not any(row is value for row in (*(contained if type(contained) is list else ()), *rows))
