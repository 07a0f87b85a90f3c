"""A value set becomes its expansion. https://hl7.org/fhir/R4/valueset-operation-expand.html

R4 has no place for the properties of concepts: they are written as the extensions that stand for R5's `property`
(https://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.contains.property).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from terminology.codesystem import STANDARD, property_value
from terminology.expansions import Expansions
from terminology.failures import TooMany, canonical
from terminology.fetching import settled
from terminology.gathering import Part, gathered, named, narrowed, size
from terminology.gathering import page as read_page
from terminology.languages import Languages, choose, names
from terminology.statuses import DEPRECATED_HERE, STANDARDS_STATUS, code_systems, extension_value, imported, status_of
from terminology.valueset import Entry, ValueSet

Json = dict[str, Any]

MAX_UNPAGED = 1_000
MAX_PAGE = 10_000
R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion."
FHIR = "http://hl7.org/fhir/StructureDefinition/"
# Extensions that an expansion repeats: of either, of the value set, of a designation; and those it makes properties.
RENDERING = frozenset({FHIR + "rendering-style", FHIR + "rendering-xhtml"})
OF_VALUE_SET = frozenset({DEPRECATED_HERE, STANDARDS_STATUS, FHIR + "valueset-concept-definition"})
OF_DESIGNATION = frozenset({FHIR + "coding-sctdescid", STANDARDS_STATUS})
AS_PROPERTY = {
    "label": (FHIR + "valueset-label", FHIR + "codesystem-label"),
    "order": (FHIR + "valueset-conceptOrder", FHIR + "codesystem-conceptOrder"),
    "weight": (FHIR + "itemWeight",),
}
PROPERTY_URI = {"weight": "itemWeight"}
UNCLOSED = FHIR + "valueset-unclosed"
UNCLOSED_REASON = FHIR + "valueset-unclosed-reason"


@dataclass(frozen=True, slots=True)
class Wish:
    """How the expansion shall look."""

    filter: str = ""
    offset: int | None = None
    count: int | None = None
    active_only: bool = False
    is_flat: bool = False
    for_ui: bool = False
    with_designations: bool = False
    designations: Sequence[str] = ()
    properties: Sequence[str] = ()
    without_systems: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Page:
    """Codes of an expansion, and how many there are in all of it."""

    entries: Sequence[Entry]
    total: int


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
    writer = _Writer(wish, languages, _is_overloaded(value_set))
    is_nested = not wish.is_flat and len(page) == found.total and not wish.filter and _has_one_tree(value_set)
    contains = writer.tree(page) if is_nested else [writer.row(e) for e in page]
    expansion: Json = {"total": found.total}
    if wish.offset is not None or wish.count is not None:
        expansion["offset"] = wish.offset or 0
    expansion["parameter"] = [*parameters, *_used(value_set)]
    declared = [_declared(code, uri) for code, uri in writer.declared.items()]
    extensions = [*_unclosed(value_set), *declared]
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
        return _paged(await named(wanted, wish.filter), value_set, wish)
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


class _Writer:
    """Writes entries as rows of `contains`; `declared` are the properties that occurred, with their URIs."""

    def __init__(self, wish: Wish, languages: Languages, with_version: bool) -> None:
        self.wish, self.languages, self.with_version = wish, languages, with_version
        self.declared: dict[str, str] = {}

    def tree(self, entries: Sequence[Entry]) -> list[Json]:
        """Return rows nested as the code system nests its concepts; one whose parents are not there stands on top."""
        rows = {e.code: self.row(e) for e in entries}
        top: list[Json] = []
        for entry in entries:
            parent = next((p for p in (entry.node.parents if entry.node else ()) if p in rows), None)
            if parent is None:
                top.append(rows[entry.code])
            else:
                rows[parent].setdefault("contains", []).append(rows[entry.code])
        return top if _counted(top) == len(rows) else list(rows.values())

    def row(self, entry: Entry) -> Json:
        """Return one code as a row."""
        row: Json = {}
        properties = self._properties(entry)
        extensions = [*self._extensions(entry), *(_property(code, value) for code, value in properties)]
        if extensions:
            row["extension"] = extensions
        row["system"] = entry.system
        if entry.is_abstract:
            row["abstract"] = True
        if entry.is_inactive:
            row["inactive"] = True
        if self.with_version and entry.version:
            row["version"] = entry.version
        row["code"] = entry.code
        self._name(entry, row)
        return row

    def _name(self, entry: Entry, row: Json) -> None:
        known = names(entry)
        shown = choose(known, self.languages)
        if shown is not None:
            row["display"] = shown.value
        if not self.wish.with_designations:
            return
        rest = []
        for name in known:
            if name is shown:
                continue
            if name.designation is not None:
                made = _known(name.designation)
            else:
                made = {"language": name.language, "value": name.value} if name.language else {"value": name.value}
            if self._is_wanted(made):
                rest.append(made)
        if rest:
            row["designation"] = rest

    def _is_wanted(self, designation: Json) -> bool:
        if not self.wish.designations:
            return True
        use = designation.get("use", {})
        said = (designation.get("language", ""), f"{use.get('system', '')}|{use.get('code', '')}")
        return any(
            wanted in said or wanted.removeprefix("urn:ietf:bcp:47|") == said[0] for wanted in self.wish.designations
        )

    def _extensions(self, entry: Entry) -> list[Json]:
        own = [e for e in entry.listed.get("extension", ()) if e.get("url") in RENDERING | OF_VALUE_SET]
        said = {e["url"] for e in own}
        of_node = entry.node.extensions if entry.node is not None else ()
        return [*own, *(e for e in of_node if e.get("url") in RENDERING and e["url"] not in said)]

    def _properties(self, entry: Entry) -> list[tuple[str, Json]]:
        rows: list[tuple[str, Json]] = []
        node, source = entry.node, entry.source
        extensions = [*entry.listed.get("extension", ()), *(node.extensions if node is not None else ())]
        for code, urls in AS_PROPERTY.items():
            value = next((v for url in urls if (v := extension_value(extensions, url)) is not None), None)
            if value is not None:
                self.declared[code] = STANDARD + PROPERTY_URI.get(code, code)
                kind = "valueString" if isinstance(value, str) else "valueDecimal"
                rows.append((code, {kind: value}))
        if node is None or source is None:
            return rows
        status = next(node.values(source.property_names("status")), None)
        if status is None:
            status = extension_value(node.extensions, STANDARDS_STATUS)
        if status not in (None, "active"):
            self.declared["status"] = STANDARD + "status"
            rows.append(("status", {"valueCode": status}))
        if "definition" in self.wish.properties and node.definition:
            self.declared["definition"] = STANDARD + "definition"
            rows.append(("definition", {"valueString": node.definition}))
        declared = {p.get("code"): p.get("uri", "") for p in source.head.get("property", ())}
        for name in self.wish.properties:
            if name in declared:
                self.declared[name] = declared[name]
            for property_row in node.properties:
                if property_row.get("code") == name and name != "status":
                    kind = next(k for k in property_row if k.startswith("value"))
                    rows.append((name, {kind: property_value(property_row)}))
        return rows


def _known(designation: Json) -> Json:
    extensions = [e for e in designation.get("extension", ()) if e.get("url") in OF_DESIGNATION]
    rest = {k: v for k, v in designation.items() if k != "extension"}
    return {"extension": extensions, **rest} if extensions else rest


def _counted(rows: Sequence[Json]) -> int:
    return sum(1 + _counted(row.get("contains", ())) for row in rows)


def _property(code: str, value: Json) -> Json:
    parts = [{"url": "code", "valueCode": code}, {"url": "value", **value}]
    return {"url": R5 + "contains.property", "extension": parts}


def _declared(code: str, uri: str) -> Json:
    parts = [{"url": "code", "valueCode": code}]
    return {"url": R5 + "property", "extension": [*parts, {"url": "uri", "valueUri": uri}] if uri else parts}


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
