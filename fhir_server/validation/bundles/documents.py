"""Documents and messages: what their first entry refers to is there, and nothing is there that it does not lead to.

https://hl7.org/fhir/R4/documents.html#content, https://hl7.org/fhir/R4/messaging.html. That the first entry is a
Composition or a MessageHeader, and that a document has an identifier and a timestamp, are invariants (bdl-9 to bdl-12).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from fhir_server.validation.bundles.contents import Contents, Entry, is_absolute, objects, plain
from fhir_server.validation.bundles.links import Links
from fhir_server.validation.bundles.references import place_of
from fhir_server.validation.findings import Json
from fhir_server.validation.report import Report

# The references of a Composition whose targets a document holds; `relatesTo` is about other documents.
_COMPOSITION = ("subject", "encounter", "author", "attester.party", "custodian", "event.detail")
_SECTION = ("author", "focus", "entry")


def check_document(bundle: Json, contents: Contents, links: dict[Entry, Links], report: Report) -> None:
    """Look at a document: what the Composition names, and what else there is."""
    first = _first("document", "Composition", contents, report)
    if first is None or first.resource is None:
        return
    wanted = [row for path in _COMPOSITION for row in _elements(first.resource, path.split("."))]
    for section in _sections(first.resource):
        wanted += [row for name in _SECTION for row in _elements(section, [name])]
    _present(wanted, first, contents, links, report)
    sheets = [link.get("url") for link in objects(bundle, "link")]
    reached = [first, *(entry for entry in contents.entries if _is_stylesheet(entry, sheets))]
    _reachable(reached, contents, links, report)


def check_message(contents: Contents, links: dict[Entry, Links], report: Report) -> None:
    """Look at a message: what the MessageHeader is about, and what else there is."""
    first = _first("message", "MessageHeader", contents, report)
    if first is None or first.resource is None:
        return
    _present(_elements(first.resource, ["focus"]), first, contents, links, report)
    _reachable([first], contents, links, report)


def _first(kind: str, expected: str, contents: Contents, report: Report) -> Entry | None:
    if not contents.entries:
        report.add("", "required", f"A {kind} has entries, of which the first is a {expected}.")
        return None
    first = contents.entries[0]
    return first if first.kind == expected else None


def _present(wanted: list[Json], first: Entry, contents: Contents, links: dict[Entry, Links], report: Report) -> None:
    """Each of these References of the first entry leads to another entry."""
    for element in wanted:
        reference = element.get("reference")
        if type(reference) is not str or reference.startswith("#") or contents.find(reference, first):
            continue
        if reference[:9].lower() == "urn:uuid:" or reference.startswith("urn:oid:"):
            continue  # that is said of every reference
        hint = contents.hint(reference)
        if hint and not is_absolute(reference) and contents.kind == "document":
            continue  # that too
        text = f"The {contents.kind} has to hold {plain(reference)}, which its {first.kind} refers to.{hint}"
        report.add(place_of(first, links[first], element), "not-found", text)


def _reachable(start: list[Entry], contents: Contents, links: dict[Entry, Links], report: Report) -> None:
    """Every entry is led to from the first, or is Provenance of one that is."""
    targets = {entry: _targets(entry, own, contents) for entry, own in links.items()}
    sources: dict[Entry, list[Entry]] = {}
    for entry, found in targets.items():
        for target in found:
            sources.setdefault(target, []).append(entry)
    reached = _walk(start, targets, set())
    backwards: set[Entry] = set()
    todo = list(reached)
    for entry in todo:
        for source in sources.get(entry, ()):
            if source not in reached:
                backwards.add(source)
                new = _walk([source], targets, reached)
                reached |= new
                todo += new
    for entry in contents.entries:
        name = f"the {contents.entries[0].kind}"
        if entry not in reached:
            severity = "error" if contents.kind == "document" else "warning"
            text = f"Nothing leads from {name} to this entry, so it does not belong to the {contents.kind}."
            report.add(entry.path, "business-rule", text, severity)
        elif entry in backwards and entry.kind != "Provenance":
            text = f"This entry refers to others, and nothing leads from {name} to it."
            report.add(entry.path, "business-rule", text, "warning")


def _targets(entry: Entry, links: Links, contents: Contents) -> set[Entry]:
    found = {target for _, reference in links.references for target in contents.find(reference, entry)}
    for text in links.texts:
        found.update(contents.find(text, entry))
        found.update(contents.by_canonical.get(text.partition("|")[0], ()))
    return found


def _walk(start: Iterable[Entry], targets: dict[Entry, set[Entry]], known: set[Entry]) -> set[Entry]:
    todo = list(start)
    found = set(todo)
    for entry in todo:
        new = targets.get(entry, set()) - found - known
        found |= new
        todo += new
    return found


def _elements(holder: Any, names: list[str]) -> list[Json]:
    """Return the objects a path leads to."""
    found: list[Any] = [holder]
    for name in names:
        values = [row.get(name) for row in found if type(row) is dict]
        found = [one for value in values for one in (value if type(value) is list else [value])]
    return [row for row in found if type(row) is dict]


def _sections(composition: Json) -> list[Json]:
    todo = _elements(composition, ["section"])
    for section in todo:
        todo += _elements(section, ["section"])
    return todo


def _is_stylesheet(entry: Entry, urls: list[Any]) -> bool:
    return entry.kind == "Binary" and (entry.url in urls or f"Binary/{entry.id}" in urls)
