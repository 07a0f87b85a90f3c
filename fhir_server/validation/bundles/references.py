"""References in the entries of a Bundle: those that only the Bundle can resolve, and those that nearly name an entry.

https://hl7.org/fhir/R4/bundle.html#references. Where a reference may be resolved by a server it is nobody's fault that
the Bundle does not hold what it names: so a relative reference, or a URL, is right unless a document asks for more.
"""

from __future__ import annotations

from fhir_server.fhir.references import local_reference
from fhir_server.validation.bundles.contents import Contents, Entry, is_absolute, plain
from fhir_server.validation.bundles.links import Links
from fhir_server.validation.findings import Json
from fhir_server.validation.report import Report

_SELF_CONTAINED = ("document", "message")
_REQUESTS = ("transaction", "batch")

_UNBASED = (
    "The fullUrl of the entry is a UUID, so Type/id has no meaning here by the specification; it is taken for the "
    "entry that has this id as its UUID. Refer to urn:uuid: itself. This is said once."
)


def check_references(contents: Contents, links: dict[Entry, Links], report: Report) -> None:
    """Look at every reference of every entry."""
    is_said = contents.kind in _REQUESTS
    for entry, own in links.items():
        for element, reference in own.references:
            if reference.startswith("#"):
                continue
            found = contents.find(reference, entry)
            report.spend(max(0, len(found) - 1))
            if found and not is_said and not entry.root and not is_absolute(reference):
                report.add(place_of(entry, own, element), "business-rule", _UNBASED, "warning")
                is_said = True
            problem = _found(found, reference, contents) if found else _not_found(reference, entry, contents)
            if problem is not None and report.wants(problem[2]):
                code, text, severity = problem
                report.add(place_of(entry, own, element), code, text, severity)


def place_of(entry: Entry, links: Links, element: Json) -> str:
    """Return the FHIRPath of the literal of a Reference below the Bundle."""
    return f"{entry.path}.resource{links.path_of(element)}.reference"


def _found(found: list[Entry], reference: str, contents: Contents) -> tuple[str, str, str] | None:
    if contents.kind == "batch" and reference.startswith("urn:"):
        text = "The entries of a batch do not know of each other, so this reference stays as it is; use a transaction."
        return "business-rule", text, "error"
    if len(found) > 1 and contents.kind != "history":
        text = f"The Bundle has {len(found)} versions of {plain(reference)}: say which is meant with /_history/."
        return "multiple-matches", text, "warning"
    return None


def _not_found(reference: str, entry: Entry, contents: Contents) -> tuple[str, str, str] | None:
    kind, hint = contents.kind, contents.hint(reference)
    if reference[:9].lower() == "urn:uuid:" or reference.startswith("urn:oid:"):
        is_wrong = kind in _SELF_CONTAINED or kind in _REQUESTS
        text = f"No entry of the Bundle has the fullUrl {plain(reference)}, and nothing else can resolve it.{hint}"
        return "not-found", text, "error" if is_wrong else "warning"
    if local_reference(reference) is None:
        if kind == "document" and "/_history/" in reference and hint:
            return "not-found", f"The document does not hold what is referred to.{hint}", "warning"
        return None
    if kind in _REQUESTS:
        return _of_request(reference, contents)
    if hint:
        way = " A relative reference is read behind the base of the fullUrl of its own entry."
        text = f"The Bundle does not hold what is referred to.{hint}{way}"
        return "not-found", text, "error" if kind == "document" else "warning"
    if not entry.root and kind in _SELF_CONTAINED:
        text = "The fullUrl of the entry is no RESTful URL, so this relative reference has no meaning; use a URL."
        return "not-found", text, "warning"
    return None


def _of_request(reference: str, contents: Contents) -> tuple[str, str, str] | None:
    """Look at a relative reference in a transaction or a batch, which is about what is, or will be, on the server."""
    for near in contents.near(reference):
        if near.member("request").get("method") == "POST" and f"{near.kind}/{near.id}" == reference:
            text = f"The entry {reference} is created, and gets an id of the server's choice: refer to its fullUrl"
            text += f" {plain(near.url)}." if near.url.startswith("urn:") else ", a urn:uuid:."
            return "business-rule", text, "warning"
    return None
