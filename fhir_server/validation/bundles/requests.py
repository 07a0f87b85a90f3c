"""What the entries of transactions, batches and histories ask or tell. https://hl7.org/fhir/R4/http.html#transaction

The url of a request agrees with the resource, conditions stand where they mean something, and no two entries of a
transaction change the same resource.
"""

from __future__ import annotations

import re

from fhir_server.fhir.definitions import r4
from fhir_server.validation.bundles.contents import Contents, Entry, is_absolute, plain
from fhir_server.validation.findings import did_you_mean, shown
from fhir_server.validation.report import Report

_WITH_BODY = ("POST", "PUT", "PATCH")
_CONDITIONS = {
    "ifNoneExist": ("POST",),
    "ifMatch": ("PUT", "PATCH", "DELETE"),
    "ifNoneMatch": ("GET", "HEAD", "PUT"),
    "ifModifiedSince": ("GET", "HEAD"),
}
_has_status = re.compile(r"[1-5][0-9]{2}(?![0-9])").match


def check_requests(contents: Contents, report: Report) -> None:
    """Look at the requests of a transaction or a batch."""
    changed: dict[str, Entry] = {}
    for entry in contents.entries:
        _request(entry, report)
        _conditions(entry, report)
        target = _changed(entry)
        if target and contents.kind == "transaction":
            first = changed.setdefault(target, entry)
            if first is not entry:
                text = f"{plain(target)} is already changed by Bundle{first.path}; a transaction changes it once."
                report.add(entry.path + ".request.url", "duplicate", text)


def check_history(contents: Contents, report: Report) -> None:
    """Look at the changes of a history: those that left a resource have it."""
    for entry in contents.entries:
        method = entry.member("request").get("method")
        if method in ("POST", "PUT") and entry.resource is None:
            text = f"A history shows the resource that a {method} left."
            report.add(entry.path + ".resource", "required", text)
        elif method == "DELETE" and entry.resource is not None:
            report.add(entry.path + ".resource", "invalid", "A deletion leaves no resource.", "warning")


def check_responses(contents: Contents, report: Report) -> None:
    """Look at the answers that a Bundle has: their status begins with a code of three digits."""
    for entry in contents.entries:
        status = entry.member("response").get("status")
        if type(status) is str and not _has_status(status):
            text = "The status starts with an HTTP code of three digits, as in 404 Not Found."
            report.add(entry.path + ".response.status", "value", text)


def _request(entry: Entry, report: Report) -> None:
    request = entry.member("request")
    method, url = request.get("method"), request.get("url")
    if type(method) is not str or type(url) is not str:
        return
    path = entry.path + ".request.url"
    if is_absolute(url):
        report.add(
            path, "value", "The url is relative to the server the Bundle is sent to: Type, or Type/id.", "warning"
        )
        return
    name, question, _ = url.removeprefix("/").partition("?")
    parts = name.split("/")
    is_operation = any(part.startswith(("$", "_")) for part in parts)
    if method in ("POST", "PUT") and entry.resource is None and not is_operation:
        report.add(entry.path + ".resource", "required", f"A {method} needs the resource that is to be stored.")
    if method in ("GET", "HEAD", "DELETE") and entry.resource is not None:
        text = f"A {method} has no resource; this one is not looked at."
        report.add(entry.path + ".resource", "invalid", text, "warning")
    if is_operation or not name:
        return
    if parts[0] not in r4().resource_types:
        near = did_you_mean(parts[0], r4().resource_types)
        report.add(path, "value", f"There is no resource type {shown(parts[0])}.{near}")
        return
    if method in _WITH_BODY:
        _agrees(entry, method, parts, bool(question), path, report)


def _agrees(entry: Entry, method: str, parts: list[str], is_conditional: bool, path: str, report: Report) -> None:
    """Look whether the url of a change fits the resource."""
    kind, own = parts[0], parts[1] if len(parts) == 2 else ""
    if entry.resource is not None and kind != entry.kind and method != "PATCH":
        report.add(path, "invalid", f"The url says {kind}, the resource is of type {shown(entry.kind)}.")
    if method == "POST":
        if len(parts) > 1 or is_conditional:
            text = f"Resources are created at {kind}, without an id; conditions stand in ifNoneExist."
            report.add(path, "value", text)
        return
    if is_conditional or len(parts) > 2:
        if len(parts) > 1:
            report.add(path, "value", f"A {method} goes to {kind}/id, or to {kind}? and a search.")
        return
    if not own:
        report.add(path, "value", f"A {method} goes to {kind}/id, or to {kind}? and a search.")
    elif method == "PUT" and entry.resource is not None and entry.id != own:
        has = f"the id of the resource is {shown(entry.id)}" if entry.id else "the resource has no id"
        report.add(path, "invalid", f"The url says {kind}/{shown(own)}, {has}. Let them agree.")


def _conditions(entry: Entry, report: Report) -> None:
    request = entry.member("request")
    method = request.get("method")
    for name, methods in _CONDITIONS.items():
        if name in request and type(method) is str and method not in methods:
            text = f"{name} says nothing to a {shown(method)}; it is for {', '.join(methods)}."
            report.add(f"{entry.path}.request.{name}", "business-rule", text, "warning")
    criteria = request.get("ifNoneExist")
    if type(criteria) is str and "?" in criteria:
        text = "ifNoneExist is only what follows the question mark of a search."
        report.add(entry.path + ".request.ifNoneExist", "value", text, "warning")


def _changed(entry: Entry) -> str:
    """Return what an entry changes that has a name already, or nothing."""
    request = entry.member("request")
    url = request.get("url")
    if request.get("method") not in ("PUT", "PATCH", "DELETE") or type(url) is not str:
        return ""
    return url.removeprefix("/").partition("/_history/")[0]
