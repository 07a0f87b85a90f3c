"""A page of a value set over stored code systems, without reading what is not on it.

Its includes and excludes become sets of ordinals; only the concepts of the page are read. Whatever cannot be said so
(code systems in memory, lists of codes, several versions of a system) is gone through entry by entry.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from fhir_server.api import words
from terminology import spans
from terminology.failures import TooHard
from terminology.fetching import settled
from terminology.selecting import abstract, inactive, selection
from terminology.spans import Spans
from terminology.stored import StoredCodeSystem, StoredNode
from terminology.valueset import Entry, Selection, ValueSet

MAX_NAMED = 20_000  # concepts that are looked at for a text
FEW = 500  # are read without asking for their words


@dataclass(frozen=True, slots=True)
class Part:
    """Some of the concepts of one stored system."""

    source: StoredCodeSystem
    spans: Spans


async def gathered(value_set: ValueSet) -> list[Part] | None:
    """Return what a value set holds in its order, or None where that cannot be said by ordinals."""
    if not _is_of_stored(value_set) or any(i.listed is not None for i in value_set.includes):
        return None
    return await settled(lambda: _parts(value_set))


def _is_of_stored(value_set: ValueSet) -> bool:
    """Whether all it draws on is stored, in one version each."""
    if value_set.stored is not None:
        return False
    keys: dict[str, str] = {}
    for one in value_set.includes + value_set.excludes:
        if not all(_is_of_stored(v) for v in one.imports):
            return False
        for source in _sources(one):
            if source is None or keys.setdefault(source.url, source.stored.key) != source.stored.key:
                return False
    return True


def _sources(one: Selection) -> Iterable[StoredCodeSystem | None]:
    if one.system:
        yield one.source if isinstance(one.source, StoredCodeSystem) else None
    for inner in (s for v in one.imports for s in v.includes + v.excludes):
        yield from _sources(inner)


def _parts(value_set: ValueSet) -> list[Part]:
    """Return what a value set holds. Raises NotFetched."""
    taken: dict[str, Spans] = {}
    for exclude in value_set.excludes:
        for part in _selected(exclude):
            taken[part.source.stored.key] = _union(taken.get(part.source.stored.key, ()), part.spans)
    found = []
    for part in (p for include in value_set.includes for p in _selected(include)):
        key = part.source.stored.key
        left = spans.without(part.spans, taken.get(key, ()))
        taken[key] = _union(taken.get(key, ()), part.spans)
        if not value_set.with_inactive:
            left = spans.without(left, inactive(part.source))
        if left:
            found.append(replace(part, spans=left))
    return found


def _selected(one: Selection) -> list[Part]:
    """Return what an include or exclude holds. Raises NotFetched."""
    imported = [_parts(v) for v in one.imports]
    if one.system:
        assert isinstance(one.source, StoredCodeSystem)
        found, others = [Part(one.source, _own(one, one.source))], imported
    else:
        found, others = imported[0], imported[1:]
    for other in others:
        found = [replace(p, spans=spans.both(p.spans, _of(p.source, other))) for p in found]
    return found


def _own(one: Selection, source: StoredCodeSystem) -> Spans:
    if one.missing is not None:
        raise one.missing
    if one.listed is None:
        return selection(source, one.filters, one.tests)
    source.need(one.listed)
    return spans.of_ordinals(node.ordinal for node in map(source.get, one.listed) if node is not None)


def _of(source: StoredCodeSystem, parts: Sequence[Part]) -> Spans:
    return spans.joined(s for p in parts if p.source.stored.key == source.stored.key for s in p.spans)


def _union(one: Spans, other: Spans) -> Spans:
    return spans.joined((*one, *other)) if one else other


async def narrowed(parts: Sequence[Part], *, active_only: bool = False, for_ui: bool = False) -> list[Part]:
    """Return the parts without what is inactive or abstract."""

    def left(part: Part) -> Part:
        found = part.spans
        if active_only:
            found = spans.without(found, inactive(part.source))
        if for_ui:
            found = spans.without(found, abstract(part.source))
        return replace(part, spans=found)

    return await settled(lambda: [left(part) for part in parts])


def size(parts: Sequence[Part]) -> int:
    """Return how many codes there are."""
    return sum(spans.size(part.spans) for part in parts)


async def page(parts: Sequence[Part], offset: int, count: int) -> list[Entry]:
    """Return the codes from an offset on."""
    found: list[Entry] = []
    for part in parts:
        length = spans.size(part.spans)
        if offset < length and count > 0:
            some = spans.page(part.spans, offset, count)
            found += _entries(part.source, await part.source.read(some))
            count -= spans.size(some)
        offset = max(0, offset - length)
    return found


async def named(parts: Sequence[Part], text: str) -> list[Entry]:
    """Return the codes with, for each word of a text, a word that begins so; the nearest names first.

    Raises TooCostly where too many concepts would have to be looked at.
    """
    wanted = words(text)
    if not wanted:
        return []
    found: list[tuple[tuple[bool, bool, int], Entry]] = []
    whole = " ".join(wanted)
    for part in parts:
        if spans.size(part.spans) <= FEW:
            nodes = await part.source.unkept(part.spans)
        else:
            nodes = await part.source.named(wanted, MAX_NAMED)
        fitting = [n for n in nodes if spans.holds(part.spans, n.ordinal) and _is_named(n, wanted)]
        found += [(_rank(e, whole), e) for e in _entries(part.source, fitting)]
    found.sort(key=lambda row: row[0])
    return [entry for _, entry in found]


async def first_named(parts: Sequence[Part], text: str, count: int) -> list[Entry]:
    """Return the first codes that have the words of a text, in the order of the value set: for a text that many have.

    Raises TooHard where too many concepts would have to be looked at.
    """
    wanted = words(text)
    found: list[Entry] = []
    looked_at = 0
    for part in parts:
        for some in spans.portions(part.spans, 500):
            nodes = await part.source.unkept(some)
            found += _entries(part.source, (n for n in nodes if _is_named(n, wanted)))
            looked_at += len(nodes)
            if len(found) >= count:
                return found[:count]
            if looked_at >= MAX_NAMED:
                raise TooHard(part.source.url)
    return found


def _is_named(node: StoredNode, wanted: Sequence[str]) -> bool:
    known = node.folded
    return all(f" {word}" in known for word in wanted)


def _rank(entry: Entry, whole: str) -> tuple[bool, bool, int]:
    name = " ".join(words(entry.display))
    return (entry.code.casefold() != whole and name != whole, not name.startswith(whole), len(name))


def _entries(source: StoredCodeSystem, nodes: Iterable[StoredNode]) -> list[Entry]:
    nothing: dict[str, object] = {}
    return [Entry(source.url, source.version, node.code, nothing, node, source) for node in nodes]
