"""Rules that entries keep in Bundles of any type: fullUrls, links. https://hl7.org/fhir/R4/bundle.html#bundle-unique

Not looked at here is what invariants say: fullUrls without a version (bdl-8) that are unique (bdl-7), and which of
search, request and response stand where (bdl-2 to bdl-5).
"""

from __future__ import annotations

import re

from fhir_server.validation.bundles.contents import Contents, Entry, is_absolute, restful
from fhir_server.validation.findings import Json, shown
from fhir_server.validation.report import Report

_is_uuid = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_is_oid = re.compile(r"[0-2](?:\.(?:0|[1-9][0-9]*))+").fullmatch

_REQUESTS = ("transaction", "batch")
_UNNAMED = ("transaction", "batch", "transaction-response", "batch-response")
_PAGES = ("first", "previous", "prev", "next", "last")


def check_entries(contents: Contents, report: Report) -> None:
    """Look at the fullUrl of each entry."""
    for entry in contents.entries:
        if entry.url:
            _full_url(entry, contents, report)
        elif contents.kind not in _UNNAMED and entry.resource is not None and "_fullUrl" not in entry.row:
            text = "The entry needs a fullUrl, the identity of its resource; urn:uuid: and a UUID where it has none."
            report.add(entry.path, "required", text)


def check_links(bundle: Json, contents: Contents, report: Report) -> None:
    """Look at the links of the Bundle: pages are of searches and histories, and each relation is there once."""
    given = bundle.get("link")
    seen: set[str] = set()
    for index, link in enumerate(given if type(given) is list else ()):
        relation = link.get("relation") if type(link) is dict else None
        if type(relation) is not str:
            continue
        path = f".link[{index}].relation"
        if relation in _PAGES and contents.kind not in ("searchset", "history"):
            text = f"A Bundle of type {shown(contents.kind)} has no pages, so it has no link {relation}."
            report.add(path, "invalid", text)
        if relation in seen and relation in (*_PAGES, "self"):
            report.add(path, "invalid", f"There is more than one link {relation}.")
        seen.add(relation)


def _full_url(entry: Entry, contents: Contents, report: Report) -> None:
    path, url = entry.path + ".fullUrl", entry.url
    if not is_absolute(url):
        text = f"A fullUrl is absolute: https://server/{shown(url.strip('/'))}, or urn:uuid: and a UUID."
        report.add(path, "value", text)
    elif url[:9].lower() == "urn:uuid:":
        if not _is_uuid(url[9:].lower()) or not url.startswith("urn:uuid:"):
            report.add(path, "value", "A fullUrl of this kind is urn:uuid: and 32 hexadecimal digits, as 8-4-4-4-12.")
        elif not _is_uuid(url[9:]):
            report.add(path, "value", "The digits of a UUID are written in lower case.", "warning")
    elif url.startswith("urn:oid:"):
        if not _is_oid(url[8:]):
            report.add(path, "value", "An OID is written urn:oid: and numbers separated by dots.")
    else:
        _restful(entry, contents, report)


def _restful(entry: Entry, contents: Contents, report: Report) -> None:
    _, kind, own = restful(entry.url)
    if not kind or entry.resource is None:
        return
    path = entry.path + ".fullUrl"
    if kind != entry.kind and entry.kind:
        text = f"The fullUrl says {kind}, the resource is of type {shown(entry.kind)}. Let them agree."
        report.add(path, "invalid", text)
    elif entry.id and own != entry.id:
        text = f"The fullUrl says {kind}/{own}, the id of the resource is {shown(entry.id)}. Let them agree."
        report.add(path, "invalid", text)
    elif not entry.id:
        is_new = contents.kind in _REQUESTS and entry.member("request").get("method") == "POST"
        text = f"The fullUrl says {kind}/{own}, the resource has no id."
        way = "Give it that id, or a fullUrl that is urn:uuid: and a UUID."
        report.add(path, "invalid", f"{text} {way}", "warning" if is_new else "error")
