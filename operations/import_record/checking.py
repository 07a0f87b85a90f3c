"""What of a record cannot be imported: resources that break FHIR's rules, and references that lead nowhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from fhir_server.api import Issue, OperationContext
from operations.import_record.links import Links, is_elsewhere, literals
from operations.import_record.source import Item


@dataclass(slots=True)
class Checked:
    """The resources that can be imported, and the issues of those that cannot, by their original URL."""

    good: list[Item]
    bad: dict[str, list[Issue]] = field(default_factory=dict)

    @property
    def issues(self) -> list[Issue]:
        """Every issue, in the order of the Bundle's checks."""
        return [issue for found in self.bad.values() for issue in found]

    def refuse(self, item: Item, issues: Sequence[Issue]) -> None:
        """Move a resource to the bad ones."""
        self.bad.setdefault(item.url, []).extend(issues)
        self.good = [one for one in self.good if one is not item]


async def check(context: OperationContext, items: list[Item], links: Links) -> Checked:
    """Check each resource by itself, and where its references lead."""
    checked = Checked(list(items))
    for item in items:
        issues = await _invalid(context, item)
        if issues:
            checked.refuse(item, issues)
    alive = await _alive(context, checked.good, links)
    for item in list(checked.good):
        dangling = [text for text in dict.fromkeys(literals(item.resource)) if _leads_nowhere(item, text, links, alive)]
        if dangling:
            checked.refuse(item, [_dangling(item, text) for text in dangling])
    return checked


def check_owner(checked: Checked, links: Links, patient: str) -> None:
    """Refuse resources that refer to a patient of this server who is not the one the record is imported for.

    Then what refers to a refused resource cannot be imported either.
    """
    for item in list(checked.good):
        for literal in dict.fromkeys(literals(item.resource)):
            key = "" if links.inside(item, literal) else links.here(item, literal)
            if key.startswith("Patient/") and key != patient:
                text = f"{literal} is another patient than the one whose record this is."
                checked.refuse(item, [Issue("business-rule", text, item.expression)])
                break
    _spread(checked, links)


async def _invalid(context: OperationContext, item: Item) -> list[Issue]:
    """Return the errors of a resource, each placed in the Bundle."""
    found = await context.server.validate(item.resource, references_open=True)
    return [
        replace(issue, expression=item.expression + issue.expression.removeprefix(item.type))
        for issue in found
        if issue.severity in ("error", "fatal")
    ]


async def _alive(context: OperationContext, items: Sequence[Item], links: Links) -> set[str]:
    """Return those keys of this server which the items refer to and which are there."""
    keys = {
        key
        for item in items
        for text in literals(item.resource)
        if links.inside(item, text) is None and (key := links.here(item, text))
    }
    found = await context.records.read_many(sorted(keys)) if keys else {}
    return {key for key, record in found.items() if not record.deleted}


def _leads_nowhere(item: Item, literal: str, links: Links, alive: set[str]) -> bool:
    if links.inside(item, literal) is not None:
        return False
    key = links.here(item, literal)
    return key not in alive if key else not is_elsewhere(literal)


def _dangling(item: Item, literal: str) -> Issue:
    return Issue("not-found", f"{literal} is neither in the Bundle nor on this server.", item.expression)


def _spread(checked: Checked, links: Links) -> None:
    """Refuse what refers to refused resources, until nothing does."""
    while True:
        before = len(checked.good)
        for item in list(checked.good):
            targets = [links.inside(item, literal) for literal in literals(item.resource)]
            lost = sorted({t.url for t in targets if t is not None and t.url in checked.bad})
            if lost:
                text = "It refers to what cannot be imported: {}."
                checked.refuse(item, [Issue("not-found", text.format(url), item.expression) for url in lost])
        if len(checked.good) == before:
            return
