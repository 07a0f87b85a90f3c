"""Results of searches: why each entry is there, how many there are, what was asked. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from fhir_server.validation.bundles.contents import Contents, Entry, objects
from fhir_server.validation.bundles.links import Links
from fhir_server.validation.findings import Json
from fhir_server.validation.report import Report


def check_searchset(bundle: Json, contents: Contents, links: dict[Entry, Links], report: Report) -> None:
    """Look at a page of search results."""
    relations = [link.get("relation") for link in objects(bundle, "link")]
    if "self" not in relations:
        text = "The link self is missing: it says which search the server understood."
        report.add(".link", "business-rule", text, "warning")
    modes = [entry.member("search").get("mode") for entry in contents.entries]
    total = bundle.get("total")
    if type(total) is int and total < modes.count("match"):
        text = f"The total is {total}, and there are {modes.count('match')} matches on this page alone."
        report.add(".total", "business-rule", text, "warning")
    for entry, mode in zip(contents.entries, modes, strict=True):
        if mode is None and entry.resource is not None:
            text = "Why the entry is here is not said: search.mode is match, include or outcome."
            report.add(entry.path + ".search.mode", "business-rule", text, "information")
        if (mode == "outcome") != (entry.kind == "OperationOutcome") and mode is not None:
            text = "An outcome is an OperationOutcome about the search, and what is found is none."
            report.add(entry.path + ".search.mode", "business-rule", text)
        if entry.resource is not None and "id" not in entry.resource and entry.kind != "OperationOutcome":
            text = "What a search finds has been stored, so it has an id."
            report.add(entry.path + ".resource.id", "required", text)
    _included(contents, modes, links, report)


def _included(contents: Contents, modes: list[object], links: dict[Entry, Links], report: Report) -> None:
    """What is included is referred to by another entry, or refers to one."""
    connected: set[Entry] = set()
    for entry, own in links.items():
        for _, reference in own.references:
            for target in contents.find(reference, entry):
                if target is not entry:
                    connected |= {entry, target}
    for entry, mode in zip(contents.entries, modes, strict=True):
        if mode == "include" and entry.resource is not None and entry not in connected:
            text = "The entry is included, and no reference connects it with another entry of this page."
            report.add(entry.path, "business-rule", text, "information")
