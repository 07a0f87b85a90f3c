"""ICD-10-CM: the order file (every code, the longest too), the tabular XML (chapters, sections, notes), or both.

https://hl7.org/fhir/R4/icd.html, https://www.cdc.gov/nchs/icd/icd-10-cm/files.html. With both in one archive, codes and
what is billable come from the order file, and all else from the XML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fhir_server.api import StoredConcept, Unprocessable
from terminology.loaders.files import Files
from terminology.loaders.findings import Findings
from terminology.loaders.icd10cm_tabular import Node, read_tabular
from terminology.loaders.release import Asked, Found, Release, declared, head

Json = dict[str, Any]

URL = "http://hl7.org/fhir/sid/icd-10-cm"
BILLABLE = "billable"
_ORDER = r"icd10cm[-_]?order(?![^/]*addend)[^/]*\.txt"
_TABULAR = r"icd10cm[-_]?tabular(?![^/]*addend)[^/]*\.xml"
_YEAR = re.compile(r"(20\d\d)")
_CODE = re.compile(r"[A-Z][0-9][0-9A-Z]{1,5}")


def read(files: Files, asked: Asked, findings: Findings) -> Release:
    """Return the release. The version is the fiscal year, of the XML or of the order file's name."""
    order, tabular = _sources(files)
    year, tree = read_tabular(files, tabular) if tabular else ("", {})
    named = _YEAR.search(order.rpartition("/")[2]) or _YEAR.search(files.name)
    notes = dict.fromkeys(row["code"] for node in tree.values() for row in node.notes)
    kept = [(BILLABLE, "boolean"), ("kind", "code"), *((code, "string") for code in notes)]
    made = head(
        asked.system or URL, asked.version or year or (named[1] if named else ""), "ICD10CM", "ICD-10-CM",
        caseSensitive=False, hierarchyMeaning="is-a", property=declared(kept),
    )  # fmt: skip
    listed = _ordered(files, order, findings) if order else iter(())
    return Release(made, _concepts(tabular, tree, listed, has_order=bool(order)))


def _sources(files: Files) -> tuple[str, str]:
    """Return the names of the order file and of the XML; one may be empty."""
    if not files.is_archive:
        with files.open(files.name) as file:
            is_xml = file.read(256).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
        return ("", files.name) if is_xml else (files.name, "")
    order, tabular = files.matching(_ORDER), files.matching(_TABULAR)
    if len(order) > 1 or len(tabular) > 1:
        several = ", ".join((order if len(order) > 1 else tabular)[:5])
        raise Unprocessable(f"{files.name} has several releases: {several}. Load one at a time.")
    if not order and not tabular:
        raise Unprocessable(f"{files.name} has neither an order file (icd10cm_order_2024.txt) nor a tabular XML.")
    return next(iter(order), ""), next(iter(tabular), "")


def _concepts(
    tabular: str, tree: dict[str, Node], listed: Iterator[tuple[Found, bool]], *, has_order: bool
) -> Iterator[Found]:
    """Yield chapters and sections, then the codes: of the order file with the notes of the XML, or of the XML alone."""
    for code, node in tree.items():
        if node.kind != "code" or not has_order:
            billable = () if node.kind != "code" else ({"code": BILLABLE, "valueBoolean": node.is_billable},)
            kind = {"code": "kind", "valueCode": node.kind}
            yield Found(tabular, node.line, _concept(code, node.title, node, (kind, *billable), node.parent))
    known: set[str] = set()
    for found, is_billable in listed:
        code = found.concept.code
        known.add(code)
        leaf = tree.get(code)
        rows = ({"code": "kind", "valueCode": "code"}, {"code": BILLABLE, "valueBoolean": is_billable})
        parent = _parent(code, known) or (leaf.parent if leaf is not None else "")
        yield Found(found.file, found.line, _concept(code, found.concept.display, leaf, rows, parent))


def _concept(code: str, display: str, node: Node | None, rows: tuple[Json, ...], parent: str) -> StoredConcept:
    names = tuple({"value": text} for text in node.names) if node is not None else ()
    notes = tuple(node.notes) if node is not None else ()
    abstract = node is not None and node.kind != "code"
    parents = (parent,) if parent else ()
    return StoredConcept(code, display, "", names, (*rows, *notes), (), parents, abstract=abstract)


def _ordered(files: Files, name: str, findings: Findings) -> Iterator[tuple[Found, bool]]:
    """Yield the codes of the order file, with a dot, and whether each is billable.

    Columns: 1-5 number, 7-13 code, 15 whether it is billable, 17-76 short name, from 78 on the long one.
    """
    for line, text in files.lines(name):
        if not text.strip():
            continue
        code, flag, title = text[6:13].strip(), text[14:15], text[77:].strip() or text[16:76].strip()
        if not text[:5].isdigit() or not _CODE.fullmatch(code) or flag not in ("0", "1") or not title:
            findings.bad(name, line, "this is no line of an order file (number, code, 0 or 1, short and long name).")
            continue
        yield Found(name, line, StoredConcept(dotted(code), title)), flag == "1"


def dotted(code: str) -> str:
    """Return a code as it is written: with a dot after the third character, where there are more."""
    return f"{code[:3]}.{code[3:]}" if len(code) > 3 else code


def _parent(code: str, known: set[str]) -> str:
    """Return the longest beginning of a code that is a code; placeholders X before a seventh character are none."""
    for end in range(len(code) - 1, 2, -1):
        shorter = code[:end].rstrip(".")
        if shorter in known:
            return shorter
    return ""
