"""The Bundle to import: its resources under their original URLs, and which of them is the patient.

https://hl7.org/fhir/R4/bundle.html
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from fhir_server.api import Issue, Json, Unprocessable, encode

BUNDLE_TYPES = ("searchset", "collection", "document")


@dataclass(frozen=True, slots=True)
class Item:
    """A resource of the Bundle: its place, and the URL it had where it comes from (fullUrl, else `Type/id`)."""

    index: int
    url: str
    resource: Json

    @property
    def type(self) -> str:
        """The resource type."""
        return str(self.resource["resourceType"])

    @property
    def expression(self) -> str:
        """The FHIRPath of the resource in the Bundle."""
        return f"Bundle.entry[{self.index}].resource"

    @property
    def web_base(self) -> str:
        """The base URL of the server the resource comes from, or ''. https://hl7.org/fhir/R4/bundle.html#references"""
        if not self.url.startswith(("http://", "https://")):
            return ""
        tail = f"/{self.type}/{self.resource.get('id')}"
        return self.url.removesuffix(tail) if self.url.endswith(tail) else ""

    @property
    def is_absolute(self) -> bool:
        """Whether the original URL means the same thing everywhere."""
        return self.url.startswith(("http://", "https://", "urn:"))


def read_bundle(bundle: Json) -> list[Item]:
    """Return the resources of a Bundle. Raises Unprocessable with everything that keeps it from being read."""
    if bundle.get("type") not in BUNDLE_TYPES:
        hint = " Post a transaction to the base URL instead." if bundle.get("type") == "transaction" else ""
        raise Unprocessable(
            f"The type of the Bundle must be {' or '.join(BUNDLE_TYPES)}.{hint}", expression="Bundle.type"
        )
    rows = bundle.get("entry")
    items: dict[str, Item] = {}
    issues: list[Issue] = []
    for index, row in enumerate(rows if isinstance(rows, list) else ()):
        found = _item(index, row)
        if isinstance(found, Issue):
            issues.append(found)
        elif found is not None and items.setdefault(found.url, found).resource != found.resource:
            text = f"Two entries have the URL {found.url} and are not the same."
            issues.append(Issue("duplicate", text, f"Bundle.entry[{index}].fullUrl"))
    if issues:
        raise Unprocessable(issues=issues)
    return list(items.values())


def only_patient(items: Sequence[Item]) -> Item:
    """Return the one Patient. Raises Unprocessable when there is none, or naming each when there are several."""
    patients = [item for item in items if item.type == "Patient"]
    if not patients:
        raise Unprocessable("The Bundle has no Patient; a record is imported with its patient.", expression="Bundle")
    if len(patients) > 1:
        text = "The Bundle must have exactly one Patient; this is one of {}: {}."
        raise Unprocessable(
            issues=[Issue("invalid", text.format(len(patients), p.url), p.expression) for p in patients]
        )
    return patients[0]


def identity(bundle: Json, items: Sequence[Item]) -> tuple[str, str]:
    """Return (system, value) of what makes this Bundle the same when it comes again: its identifier, or its content."""
    given = bundle.get("identifier")
    if isinstance(given, dict) and isinstance(given.get("value"), str) and given["value"]:
        return str(given.get("system", "")), given["value"]
    content = sha256(encode([[item.url, item.resource] for item in items])).hexdigest()
    return "", f"sha-256:{content}"


def _item(index: int, row: object) -> Item | Issue | None:
    """Return a resource, what is wrong with the entry, or None for an outcome of the search that made the Bundle."""
    where = f"Bundle.entry[{index}]"
    resource = row.get("resource") if isinstance(row, dict) else None
    if not isinstance(row, dict) or not isinstance(resource, dict):
        return Issue("required", "The entry has no resource.", where)
    kind, own = resource.get("resourceType"), resource.get("id")
    if not isinstance(kind, str):
        return Issue("structure", "A resource says what it is in resourceType.", f"{where}.resource")
    if kind == "OperationOutcome":
        return None
    url = row.get("fullUrl", f"{kind}/{own}" if isinstance(own, str) else f"entry/{index}")
    if not isinstance(url, str) or not url:
        return Issue("structure", "fullUrl is a URL.", f"{where}.fullUrl")
    return Item(index, url, resource)
