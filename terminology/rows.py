"""Codes of an expansion as rows of `contains`: their names, what is asked for of their properties, their nesting.

R4 has no place for the properties of concepts: they are written as the extensions that stand for R5's `property`
(https://hl7.org/fhir/5.0/StructureDefinition/extension-ValueSet.expansion.contains.property).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from terminology.codesystem import STANDARD, property_value
from terminology.languages import Languages, choose, names
from terminology.statuses import DEPRECATED_HERE, STANDARDS_STATUS, extension_value
from terminology.valueset import Entry

Json = dict[str, Any]

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
MAX_NESTING = 25  # each level of codes is two of JSON, of which many readers, this server too, follow 64


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


class Writer:
    """Writes entries as rows of `contains`; `declared` are the properties that occurred, with their URIs."""

    def __init__(self, wish: Wish, languages: Languages, with_version: bool) -> None:
        self.wish, self.languages, self.with_version = wish, languages, with_version
        self.declared: dict[str, str] = {}

    def tree(self, entries: Sequence[Entry]) -> list[Json]:
        """Return rows nested as the code system nests its concepts; one whose parents are not there stands on top.

        Where concepts stand in a circle, or deeper than readers of JSON follow, the rows are not nested.
        """
        rows = {e.code: self.row(e) for e in entries}
        top: list[Json] = []
        for entry in entries:
            parent = next((p for p in (entry.node.parents if entry.node else ()) if p in rows), None)
            if parent is None:
                top.append(rows[entry.code])
            else:
                rows[parent].setdefault("contains", []).append(rows[entry.code])
        if not _is_tree(top, len(rows)):
            for row in rows.values():
                row.pop("contains", None)
            return list(rows.values())
        return top

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
        if not entry.listed and (entry.node is None or not entry.node.extensions):
            return []
        own = [e for e in entry.listed.get("extension", ()) if e.get("url") in RENDERING | OF_VALUE_SET]
        said = {e["url"] for e in own}
        of_node = entry.node.extensions if entry.node is not None else ()
        return [*own, *(e for e in of_node if e.get("url") in RENDERING and e["url"] not in said)]

    def _properties(self, entry: Entry) -> list[tuple[str, Json]]:
        rows: list[tuple[str, Json]] = []
        node, source = entry.node, entry.source
        extensions = [*entry.listed.get("extension", ()), *(node.extensions if node is not None else ())]
        for code, urls in AS_PROPERTY.items() if extensions else ():
            value = next((v for url in urls if (v := extension_value(extensions, url)) is not None), None)
            if value is not None:
                self.declared[code] = STANDARD + PROPERTY_URI.get(code, code)
                kind = "valueString" if isinstance(value, str) else "valueDecimal"
                rows.append((code, {kind: value}))
        if node is None or source is None:
            return rows
        status = next(node.values(source.property_names("status")), None) if node.properties else None
        if status is None and node.extensions:
            status = extension_value(node.extensions, STANDARDS_STATUS)
        if status not in (None, "active"):
            self.declared["status"] = STANDARD + "status"
            rows.append(("status", {"valueCode": status}))
        if not self.wish.properties:
            return rows
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


def _is_tree(top: Sequence[Json], count: int) -> bool:
    """Whether all of so many rows are reached from the top, not too deep."""
    level = top
    for _ in range(MAX_NESTING):
        count -= len(level)
        level = [inner for row in level for inner in row.get("contains", ())]
        if not level:
            return count == 0
    return False


def _property(code: str, value: Json) -> Json:
    parts = [{"url": "code", "valueCode": code}, {"url": "value", **value}]
    return {"url": R5 + "contains.property", "extension": parts}


def declared(code: str, uri: str) -> Json:
    parts = [{"url": "code", "valueCode": code}]
    return {"url": R5 + "property", "extension": [*parts, {"url": "uri", "valueUri": uri}] if uri else parts}
