"""The items of a response, each beside the item of the Questionnaire that it answers; what has no place is found here.

The hierarchy of a response mirrors that of its Questionnaire: items of groups stand in `item`, those of questions in
each `answer.item`. https://hl7.org/fhir/R4/questionnaireresponse.html#link
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from fhir_server.fhir.json import MAX_DEPTH
from fhir_server.validation.findings import Json, did_you_mean, shown
from fhir_server.validation.questionnaires.definition import DISPLAY, GROUP, Form, Item
from fhir_server.validation.questionnaires.values import rows
from fhir_server.validation.report import Report

_FEW = 200  # more names than these are not searched for a similar one


class Occurrence:
    """An item of a response, the response itself, or (`is_answer`) one answer, which holds items for itself.

    It and all below it have the places from `place` to `end`. `enabled` is worked out later.
    """

    __slots__ = ("below", "enabled", "end", "is_answer", "item", "parent", "path", "place", "row")

    def __init__(self, item: Item, row: Json, parent: Occurrence | None, path: str, place: int) -> None:
        self.item = item
        self.row = row
        self.parent = parent
        self.path = path
        self.place = place
        self.end = place + 1
        self.is_answer = False
        self.enabled: Any = ...
        self.below: dict[Item, list[Occurrence]] = {}


class Occurrences:
    """Everything in a response that has its place in the form, in order."""

    def __init__(self, form: Form, response: Json, report: Report) -> None:
        self._form = form
        self._report = report
        self._by_item: dict[Item, list[Occurrence]] = {}
        self._places: dict[Item, list[int]] = {}
        self.all: list[Occurrence] = []
        self.root = self._add(form.root, response, None, "")
        self._items(response, self.root, 0)
        self.root.end = len(self.all)

    def nearest(self, question: Item, holder: Occurrence, place: int) -> Occurrence | None:
        """Return the occurrence of a question that an item in `holder`, at this place, means by its linkId.

        That is one above it, else the nearest before, else the nearest after. Only what shares the innermost
        repetition of everything both are part of is looked at: what was said in one repetition of a group says
        nothing of the next.
        """
        scope = holder
        while not scope.item.is_above(question) and scope.parent is not None:
            scope = scope.parent
        if scope.item is question:
            return scope
        places = self._places.get(question)
        if places is None:
            return None
        first, last = bisect_left(places, scope.place), bisect_left(places, scope.end)
        if first == last:
            return None
        at = bisect_left(places, place, first, last)
        return self._by_item[question][at - 1 if at > first else at]

    def _add(self, item: Item, row: Json, parent: Occurrence | None, path: str) -> Occurrence:
        one = Occurrence(item, row, parent, path, len(self.all))
        self.all.append(one)
        return one

    def _items(self, holder: Json, parent: Occurrence, depth: int) -> None:
        """Place the items that stand in a response, a group or an answer."""
        given = holder.get("item")
        latest = -1
        for index, row in enumerate(given if type(given) is list else ()):
            if type(row) is not dict:
                continue
            path, link = f"{parent.path}.item[{index}]", row.get("linkId")
            item = parent.item.children.get(link) if type(link) is str else None
            if item is None:
                if type(link) is str:
                    self._report.add(path + ".linkId", *self._misplaced(link, parent))
                continue
            if item.index < latest:
                text = f"The item {shown(item.link or '')} comes after items that follow it in the Questionnaire."
                self._report.add(path, "invalid", f"{text} Keep its order.")
            latest = max(latest, item.index)
            self._item(item, row, parent, path, depth)

    def _item(self, item: Item, row: Json, parent: Occurrence, path: str, depth: int) -> None:
        one = self._add(item, row, parent, path)
        parent.below.setdefault(item, []).append(one)
        self._by_item.setdefault(item, []).append(one)
        self._places.setdefault(item, []).append(one.place)
        if depth < MAX_DEPTH:
            self._below(one, depth)
        one.end = len(self.all)

    def _below(self, one: Occurrence, depth: int) -> None:
        item, row, path = one.item, one.row, one.path
        name = shown(item.link or "")
        if item.kind in (GROUP, DISPLAY):
            if rows(row, "answer"):
                text = f"The item {name} is a {item.kind}, which has no answers."
                self._report.add(path + ".answer", "invalid", text)
            if item.kind == GROUP:
                self._items(row, one, depth + 1)
            elif rows(row, "item"):
                self._report.add(path + ".item", "invalid", f"The item {name} is a display, which holds no items.")
            return
        if rows(row, "item"):
            text = f"The item {name} is a question: what belongs to it stands in answer.item, not in item."
            self._report.add(path + ".item", "invalid", text)
        given = row.get("answer")
        for index, answer in enumerate(given if type(given) is list else ()):
            if type(answer) is dict and (item.demanding or "item" in answer):
                part = self._add(item, answer, one, f"{path}.answer[{index}]")
                part.is_answer = True
                self._items(answer, part, depth + 1)
                part.end = len(self.all)

    def _misplaced(self, link: str, parent: Occurrence) -> tuple[str, str]:
        """Return the code and text for a linkId that has no place here."""
        item, where = self._form.by_link.get(link), _named(parent.item)
        if item is None:
            links = self._form.by_link
            near = did_you_mean(link, links) if len(links) <= _FEW else ""
            return "not-found", f"The Questionnaire has no item with the linkId {shown(link)}.{near}"
        assert item.parent is not None
        text = f"The item {shown(link)} does not belong {where}: in the Questionnaire it is {_named(item.parent)}."
        return "structure", text


def _named(item: Item) -> str:
    if item.link is None:
        return "at the top"
    return f"below the {'group' if item.kind == GROUP else 'question'} {shown(item.link)}"
