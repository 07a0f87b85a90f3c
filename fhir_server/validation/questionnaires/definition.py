"""A Questionnaire made ready: its items in order, by linkId, each knowing what stands above and below it.

https://hl7.org/fhir/R4/questionnaire.html
"""

from __future__ import annotations

from collections.abc import Iterator

from fhir_server.fhir.json import MAX_DEPTH
from fhir_server.validation.findings import Json
from fhir_server.validation.questionnaires.values import extensions, rows

_CORE = "http://hl7.org/fhir/StructureDefinition/"
MIN_OCCURS = _CORE + "questionnaire-minOccurs"
MAX_OCCURS = _CORE + "questionnaire-maxOccurs"

_EXPRESSION = "http://hl7.org/fhir/uv/sdc/StructureDefinition/sdc-questionnaire-enableWhenExpression"

GROUP, DISPLAY = "group", "display"


class Item:
    """One item, or (with the linkId None) the Questionnaire. It and all below it have the places from `place` to `end`.

    `index` is its place among its siblings, `least` and `most` how often a completed response may have it; most is
    None where there is no limit.
    """

    __slots__ = (
        "children",
        "demanding",
        "end",
        "index",
        "is_required",
        "kind",
        "least",
        "link",
        "most",
        "parent",
        "place",
        "row",
    )

    def __init__(self, row: Json, parent: Item | None, index: int, place: int) -> None:
        link, kind = row.get("linkId"), row.get("type")
        self.row = row
        self.parent = parent
        self.index = index
        self.place = place
        self.end = place + 1
        self.link = link if type(link) is str and parent is not None else None
        self.kind = kind if type(kind) is str and parent is not None else GROUP
        self.children: dict[str, Item] = {}
        self.demanding: list[Item] = []  # the children that a completed response cannot be without
        self.is_required = row.get("required") is True
        self.least = max([int(self.is_required), *_counts(row, MIN_OCCURS)])
        self.most = min(_counts(row, MAX_OCCURS), default=None) if row.get("repeats") is True else 1

    @property
    def path(self) -> str:
        """The FHIRPath of the item below the Questionnaire."""
        return "" if self.parent is None else f"{self.parent.path}.item[{self.index}]"

    def is_above(self, other: Item) -> bool:
        """Whether the other is the item itself or below it."""
        return self.place <= other.place < self.end


class Form:
    """The items of one Questionnaire. Of items with the same linkId the first counts.

    `container` is what `#id` in it leads into: the Questionnaire itself, or the response that contains it.
    """

    def __init__(self, questionnaire: Json, container: Json | None = None) -> None:
        self.questionnaire = questionnaire
        self.container = questionnaire if container is None else container
        self.items: list[Item] = []
        self.by_link: dict[str, Item] = {}
        self.root = self._read(questionnaire, None, 0, 0)

    def _read(self, row: Json, parent: Item | None, index: int, depth: int) -> Item:
        item = Item(row, parent, index, len(self.items))
        self.items.append(item)
        if item.link is not None:
            self.by_link.setdefault(item.link, item)
        for number, below in _children(row) if depth < MAX_DEPTH else ():
            child = self._read(below, item, number, depth + 1)
            if child.link is not None and item.children.setdefault(child.link, child) is child and child.least:
                item.demanding.append(child)
        item.end = len(self.items)
        return item


def is_open(item: Item) -> bool:
    """Whether something that is not looked at says when an item is enabled: an expression, or a modifier extension."""
    return "modifierExtension" in item.row or bool(extensions(item.row, _EXPRESSION))


def conditions(item: Item) -> list[Json]:
    """Return the enableWhen of an item."""
    return rows(item.row, "enableWhen")


def _children(row: Json) -> Iterator[tuple[int, Json]]:
    given = row.get("item")
    for index, child in enumerate(given if type(given) is list else ()):
        if type(child) is dict:
            yield index, child


def _counts(row: Json, url: str) -> list[int]:
    return [value for value in extensions(row, url) if type(value) is int and value >= 0]
