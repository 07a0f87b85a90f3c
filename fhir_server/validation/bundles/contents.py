"""What a Bundle holds, and where references inside of it lead. https://hl7.org/fhir/R4/bundle.html#references

A reference is looked for among the fullUrls. A relative one is first put behind the base of the fullUrl of the entry
that it stands in. Where that is a UUID the specification sees no meaning in `Type/id`; validators in use, and many
documents, take it for the entry of that type whose fullUrl is the id as a UUID, and so it is taken here.
"""

from __future__ import annotations

import re
from typing import Any

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.references import is_id
from fhir_server.validation.findings import Json, shown

is_absolute = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:").match


class Entry:
    """One entry. `root` is the base of its fullUrl, with a slash at its end; empty where that is no RESTful URL."""

    __slots__ = ("id", "index", "kind", "resource", "root", "row", "url", "version")

    def __init__(self, index: int, row: Json) -> None:
        resource: Any = row.get("resource")
        self.index = index
        self.row = row
        self.resource: Json | None = resource if type(resource) is dict else None
        held: Json = self.resource or {}
        meta = held.get("meta")
        self.url = _text(row, "fullUrl")
        self.kind = _text(held, "resourceType")
        self.id = _text(held, "id")
        self.version = _text(meta, "versionId") if type(meta) is dict else ""
        self.root, _, _ = restful(self.url)

    @property
    def path(self) -> str:
        """The FHIRPath of the entry below the Bundle."""
        return f".entry[{self.index}]"

    def member(self, name: str) -> Json:
        """Return `request`, `response` or `search`, empty where it is missing."""
        value: Any = self.row.get(name)
        return value if type(value) is dict else {}


class Contents:
    """The entries of a Bundle by what they can be found by."""

    def __init__(self, bundle: Json) -> None:
        given = bundle.get("entry")
        self.kind = _text(bundle, "type")
        self.entries = [
            Entry(index, row) for index, row in enumerate(given if type(given) is list else ()) if type(row) is dict
        ]
        self.by_url: dict[str, list[Entry]] = {}
        self.by_canonical: dict[str, list[Entry]] = {}
        self._alike: dict[str, list[Entry]] = {}
        for entry in self.entries:
            canonical = _text(entry.resource or {}, "url")
            if canonical:
                self.by_canonical.setdefault(canonical, []).append(entry)
            if entry.url:
                self.by_url.setdefault(entry.url, []).append(entry)
            for key in {entry.url.lower(), f"{entry.kind}/{entry.id}", f"/{entry.id}".lower()}:
                self._alike.setdefault(key, []).append(entry)

    def find(self, reference: str, source: Entry) -> list[Entry]:
        """Return the entries that a literal reference in an entry leads to; several only where a version is open."""
        url, _, version = reference.partition("#")[0].partition("/_history/")
        if is_absolute(url):
            found = self.by_url.get(url, [])
        elif source.root:
            found = self.by_url.get(source.root + url, [])
        else:
            kind, _, own = url.partition("/")
            found = [entry for entry in self.by_url.get("urn:uuid:" + own, []) if entry.kind == kind]
        return [entry for entry in found if not version or entry.version == version]

    def near(self, reference: str) -> list[Entry]:
        """Return entries that a reference which leads nowhere may have meant."""
        url = reference.partition("#")[0].partition("/_history/")[0]
        _, kind, own = restful(url if is_absolute(url) else "http://x/" + url)
        if kind:
            found = self._alike.get(f"{kind}/{own}", []) or self._alike.get(url.lower(), [])
            return found or [one for one in self._alike.get(f"urn:uuid:{own}".lower(), []) if one.kind == kind]
        return self._alike.get(url.lower(), []) or self._alike.get("/" + url.rpartition(":")[2].lower(), [])

    def hint(self, reference: str) -> str:
        """Return a sentence about what the Bundle has instead, or nothing."""
        near = self.near(reference)
        if not near:
            return ""
        has = f"The reference says {plain(reference)}, the Bundle has {plain(near[0].url) or 'it without a fullUrl'}"
        versions = f" in version {shown(near[0].version)}" if near[0].version and "/_history/" in reference else ""
        return f" {has}{versions}."


def restful(url: str) -> tuple[str, str, str]:
    """Return base, type and id of the URL of a resource on a RESTful server; empty texts for anything else.

    https://hl7.org/fhir/R4/references.html#regex
    """
    if not url.startswith(("http://", "https://")):
        return "", "", ""
    head, _, own = url.rpartition("/")
    root, slash, kind = head.rpartition("/")
    if not slash or kind not in r4().resource_types or not is_id(own):
        return "", "", ""
    return root + "/", kind, own


def objects(holder: Json, name: str) -> list[Json]:
    """Return the objects of a list, and nothing of what is malformed."""
    value = holder.get(name)
    return [row for row in value if type(row) is dict] if type(value) is list else []


def plain(url: str) -> str:
    """Return a URL that a stranger chose in a form that is safe to print."""
    return url if url.isprintable() and len(url) <= 256 else shown(url)


def _text(row: Json, name: str) -> str:
    value = row.get(name)
    return value if type(value) is str else ""
