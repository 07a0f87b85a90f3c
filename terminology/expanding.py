"""A value set becomes its expansion. https://hl7.org/fhir/R4/valueset-operation-expand.html"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.api import TooCostly
from terminology.expansions import Expansions
from terminology.failures import TooMany, canonical
from terminology.fetching import settled
from terminology.gathering import Part, first_named, gathered, named, narrowed, size
from terminology.gathering import page as read_page
from terminology.languages import Languages
from terminology.rows import FHIR, Wish, Writer, declared
from terminology.statuses import code_systems, imported, status_of
from terminology.valueset import Entry, ValueSet

Json = dict[str, Any]

MAX_UNPAGED = 1_000
MAX_PAGE = 10_000
UNCLOSED = FHIR + "valueset-unclosed"
UNCLOSED_REASON = FHIR + "valueset-unclosed-reason"


@dataclass(frozen=True, slots=True)
class Page:
    """Codes of an expansion, and how many there are in all of it; None where nobody has counted."""

    entries: Sequence[Entry]
    total: int | None


async def expand(
    value_set: ValueSet,
    wish: Wish,
    languages: Languages,
    parameters: list[Json],
    known: Expansions | None = None,
) -> Json:
    """Return the expansion, without identifier and timestamp; `parameters` are those of the request, to be repeated.

    Raises TooMany where more codes than 1,000 would be returned and nobody asked for a page, or a page of more than
    10,000.
    """
    if wish.count is not None and wish.count > MAX_PAGE:
        raise TooMany(value_set.url, MAX_PAGE)
    parts = await gathered(value_set)
    if parts is None:
        held = (known or Expansions()).of
        left_out = (wish.filter, wish.active_only, wish.for_ui, tuple(wish.without_systems))
        kept = await settled(lambda: held(value_set, left_out, lambda: _kept(value_set, wish)))
        found = _paged(kept, value_set, wish)
    else:
        found = await _read(parts, value_set, wish)
    page = found.entries
    writer = Writer(wish, languages, _is_overloaded(value_set))
    is_nested = not wish.is_flat and len(page) == found.total and not wish.filter and _has_one_tree(value_set)
    contains = writer.tree(page) if is_nested else [writer.row(e) for e in page]
    expansion: Json = {} if found.total is None else {"total": found.total}
    if wish.offset is not None or wish.count is not None:
        expansion["offset"] = wish.offset or 0
    expansion["parameter"] = [*parameters, *_used(value_set)]
    properties = [declared(code, uri) for code, uri in writer.declared.items()]
    extensions = [*_unclosed(value_set), *properties]
    if extensions:
        expansion["extension"] = extensions
    if contains:
        expansion["contains"] = contains
    return expansion


def _paged(kept: Sequence[Entry], value_set: ValueSet, wish: Wish) -> Page:
    start = wish.offset or 0
    _check(len(kept), value_set, wish)
    return Page(kept[start:] if wish.count is None else kept[start : start + wish.count], len(kept))


def _check(total: int, value_set: ValueSet, wish: Wish) -> None:
    """Raise TooMany where the page would be too large."""
    limit = MAX_UNPAGED if wish.count is None else MAX_PAGE
    left = total - (wish.offset or 0)
    if (left if wish.count is None else min(left, wish.count)) > limit:
        raise TooMany(value_set.url, limit)


async def _read(parts: Sequence[Part], value_set: ValueSet, wish: Wish) -> Page:
    """Return the page of a value set over stored code systems."""
    wanted = [p for p in parts if p.source.url not in wish.without_systems]
    wanted = await narrowed(wanted, active_only=wish.active_only, for_ui=wish.for_ui)
    if wish.filter.strip():
        try:
            return _paged(await named(wanted, wish.filter), value_set, wish)
        except TooCostly:
            if wish.count is None:
                raise
            start = wish.offset or 0
            return Page((await first_named(wanted, wish.filter, start + wish.count))[start:], None)
    total = size(wanted)
    _check(total, value_set, wish)
    return Page(await read_page(wanted, wish.offset or 0, total if wish.count is None else wish.count), total)


def _kept(value_set: ValueSet, wish: Wish) -> list[Entry]:
    """Return the codes that the request does not leave out."""
    found: Iterable[Entry] = value_set.entries()
    if wish.active_only:
        found = (e for e in found if not e.is_inactive)
    if wish.for_ui:
        found = (e for e in found if not e.is_abstract)
    if wish.without_systems:
        found = (e for e in found if e.system not in wish.without_systems)
    kept = list(found)
    for word in wish.filter.casefold().split():
        kept = [e for e in kept if word in e.words]
    return kept


def _has_one_tree(value_set: ValueSet) -> bool:
    """Whether the codes are those of one code system in its own order, so that its hierarchy can be shown."""
    if len(value_set.includes) != 1 or value_set.excludes:
        return False
    return bool(value_set.includes[0].system) and value_set.includes[0].listed is None


def _is_overloaded(value_set: ValueSet) -> bool:
    """Whether it draws on more than one version of a system, so that each code must say its own."""
    urls = [system.url for system in code_systems(value_set)]
    return len(urls) > len(set(urls))


def _used(value_set: ValueSet) -> list[Json]:
    """Return the parameters that say what the expansion was made from, and what to mind about it."""
    rows = []
    systems = code_systems(value_set)
    for system in systems:
        name = canonical(system.url, system.version)
        rows.append(("used-codesystem", name))
        if system.content in ("fragment", "example"):
            rows.append((f"used-{system.content}", name))
        if warning := status_of(system.head):
            rows.append((f"warning-{warning}", name))
        rows += [("used-supplement", supplement) for supplement in system.supplements]
    for index, one in enumerate((value_set, *imported(value_set))):
        name = canonical(one.url, one.version)
        if index and one.url and not one.is_contained:
            rows.append(("used-valueset", name))
        warning = status_of(one.resource)
        if one.url and warning and (index or warning in ("deprecated", "withdrawn")):
            rows.append((f"warning-{warning}", name))
    made: list[Json] = [{"name": name, "valueUri": value} for name, value in dict.fromkeys(rows)]
    if value_set.joins_versions:
        made.append({"name": "versionsMatch", "valueBoolean": True})
    return made


def _unclosed(value_set: ValueSet) -> list[Json]:
    """Return what says that codes may be missing, for a code system is known in part only."""
    parts = [s for s in code_systems(value_set) if s.content == "fragment"]
    if not parts:
        return []
    text = f"This extension is based on a fragment of the code system {parts[0].url}"
    return [{"url": UNCLOSED, "valueBoolean": True}, {"url": UNCLOSED_REASON, "valueString": text}]
