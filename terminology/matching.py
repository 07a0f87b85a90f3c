"""Which codes have given properties: all of them, some, or nearly.

https://hl7.org/fhir/R4/codesystem-operation-find-matches.html. R4 cannot nest the properties of a concept, so the
properties of a group count each for itself, and the group is matched where all of them are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from terminology.codesystem import CodeSystem, Node, property_value
from terminology.stored import StoredCodeSystem

Json = dict[str, Any]

TEXTS = ("display", "definition", "designation")
HIERARCHY = ("parent", "child", "ancestor")
# Properties that need not be declared. https://hl7.org/fhir/R4/codesystem-concept-properties.html
STANDARD = frozenset({*TEXTS, *HIERARCHY, "code", "inactive", "status", "deprecated", "notSelectable"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """One property that is asked for. Without a value any will do; `rows` is how the request wrote it, as parts."""

    code: str
    value: Any
    rows: tuple[Json, ...]
    inner: tuple[Wanted, ...] = ()


@dataclass(frozen=True, slots=True)
class Match:
    """A code with what of the wish it does not have, as parts of the answer, and with what it has only nearly."""

    node: Node
    matched: int
    unmatched: tuple[tuple[Json, ...], ...]
    nearly: tuple[str, ...]


def find_matches(
    source: CodeSystem, nodes: Iterable[Node], wanted: Iterable[Wanted], *, is_exact: bool
) -> Iterator[Match]:
    """Yield every one of these concepts that has at least one of the properties, in their order.

    Codes that are not to be used are left out, unless the wish is about that. What is not exact takes a text that has
    the words, and a code that is below or above the one that is asked for, as nearly the same.
    """
    wishes = list(wanted)
    asked = {w.code for w in wishes}
    with_inactive = bool(asked & {"inactive", *source.property_names("inactive"), *source.property_names("status")})
    with_abstract = bool(asked & {*source.property_names("notSelectable"), *source.property_names("abstract")})
    for node in nodes:
        if (not with_inactive and source.is_inactive(node)) or (not with_abstract and source.is_abstract(node)):
            continue
        match = _match(source, node, wishes, is_exact)
        if match.matched:
            yield match


def is_known(source: CodeSystem, code: str) -> bool:
    """Whether concepts of a code system have a property of that name."""
    return code in STANDARD or any(row.get("code") == code for row in source.head.get("property", ()))


def _match(source: CodeSystem, node: Node, wishes: Iterable[Wanted], is_exact: bool) -> Match:
    nearly: list[str] = []

    def is_held(wish: Wanted) -> bool:
        return _holds(source, node, wish) or (not is_exact and _is_near(source, node, wish, nearly))

    matched = 0
    unmatched: list[tuple[Json, ...]] = []
    for wish in wishes:
        missing = [inner for inner in wish.inner if not is_held(inner)]
        # A group has a name and no value of its own.
        if not missing and (is_held(wish) if wish.value is not None or not wish.inner else True):
            matched += 1
        else:
            unmatched.append((*wish.rows, *({"name": "property", "part": list(w.rows)} for w in missing)))
    return Match(node, matched, tuple(unmatched), tuple(nearly))


def _holds(source: CodeSystem, node: Node, wish: Wanted) -> bool:
    if wish.code in HIERARCHY:
        return _is_placed(source, node, wish)
    found = list(_values(source, node, wish.code))
    return bool(found) if wish.value is None else any(_is_same(value, wish.value) for value in found)


def _values(source: CodeSystem, node: Node, code: str) -> Iterator[Any]:
    if code == "display":
        yield node.display
    elif code == "definition":
        yield node.definition
    elif code == "designation":
        yield from (row.get("value") for row in node.designations)
    elif code == "code":
        yield node.code
    elif code == "inactive":
        yield source.is_inactive(node)
    else:
        yield from (property_value(row) for row in node.properties if row.get("code") == code)


def _is_placed(source: CodeSystem, node: Node, wish: Wanted) -> bool:
    """Whether a concept has the parent, child or ancestor that is asked for, or any."""
    if wish.value is None:
        has_child = bool(node.children or getattr(node, "below", ()))
        return has_child if wish.code == "child" else bool(node.parents)
    code = str(wish.value.get("code", "")) if isinstance(wish.value, dict) else str(wish.value)
    if wish.code == "ancestor":
        return source.is_below(node.code, code)
    child = source.get(code) if wish.code == "child" else None
    return code in node.parents if wish.code == "parent" else child is not None and node.code in child.parents


def _is_same(has: Any, wanted: Any) -> bool:
    if isinstance(wanted, dict):  # a Coding: of the system itself where the property is a plain code
        if isinstance(has, dict):
            return wanted.get("code") == has.get("code") and wanted.get("system", has.get("system")) == has.get(
                "system"
            )
        return bool(has == wanted.get("code"))
    if isinstance(has, dict):
        return bool(has.get("code") == wanted)
    if isinstance(has, bool) or isinstance(wanted, bool):
        return has is wanted or str(wanted) == str(has).lower()
    if isinstance(has, (int, Decimal)) and isinstance(wanted, (int, Decimal)):
        return bool(has == wanted)
    return str(has) == str(wanted)


def _is_near(source: CodeSystem, node: Node, wish: Wanted, said: list[str]) -> bool:
    """Whether a value is close to the one wanted; what is different is said."""
    text = wish.value.get("code") if isinstance(wish.value, dict) else wish.value
    if not isinstance(text, str) or not text.strip() or wish.code in ("code", *HIERARCHY):
        return False
    if wish.code in TEXTS:
        names = node.definition.casefold() if wish.code == "definition" else node.words
        if all(word in names for word in text.casefold().split()):
            said.append(f"{wish.code} has the words of {text[:64]!r}")
            return True
        return False
    for value in _values(source, node, wish.code):
        own = value.get("code") if isinstance(value, dict) else value
        if not isinstance(own, str):
            continue
        if own.casefold() == text.casefold():
            said.append(f"{wish.code} is {own!r}, in other letters")
            return True
        if (
            source.subsumes_by_hierarchy
            and not isinstance(source, StoredCodeSystem)
            and {text, own} <= source.nodes.keys()
        ):
            if text in source.ancestors(own):
                said.append(f"{wish.code} is {own!r}, which is narrower than {text!r}")
                return True
            if own in source.ancestors(text):
                said.append(f"{wish.code} is {own!r}, which is wider than {text!r}")
                return True
    return False
