"""Bundles: identities, references between entries, documents, messages, requests. https://hl7.org/fhir/R4/bundle.html"""

from __future__ import annotations

from fhir_server.validation.bundles.contents import Contents
from fhir_server.validation.bundles.documents import check_document, check_message
from fhir_server.validation.bundles.entries import check_entries, check_links
from fhir_server.validation.bundles.links import Links
from fhir_server.validation.bundles.references import check_references
from fhir_server.validation.bundles.requests import check_history, check_requests, check_responses
from fhir_server.validation.bundles.searchsets import check_searchset
from fhir_server.validation.findings import Findings, Json
from fhir_server.validation.report import Enough, Report, TooCostly

__all__ = ["check_bundle"]


def check_bundle(bundle: Json) -> Findings | None:
    """Return what is wrong with a Bundle as a whole, beyond its invariants; None when all is well.

    What its resources are for themselves is not looked at, nor is a Bundle inside of it.
    """
    report = Report()
    try:
        _check(bundle, report)
    except TooCostly:
        report.give_up()
    except Enough:
        pass
    return report.all()


def _check(bundle: Json, report: Report) -> None:
    contents = Contents(bundle)
    links = {entry: Links(entry.resource) for entry in contents.entries if entry.resource is not None}
    check_links(bundle, contents, report)
    check_entries(contents, report)
    check_references(contents, links, report)
    check_responses(contents, report)
    if contents.kind == "document":
        check_document(bundle, contents, links, report)
    elif contents.kind == "message":
        check_message(contents, links, report)
    elif contents.kind == "searchset":
        check_searchset(bundle, contents, links, report)
    elif contents.kind == "history":
        check_history(contents, report)
    elif contents.kind in ("transaction", "batch"):
        check_requests(contents, report)
