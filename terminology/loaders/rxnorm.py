"""RxNorm: a full release in Rich Release Format (RxNorm_full_MMDDYYYY.zip).

https://hl7.org/fhir/R4/rxnorm.html, https://www.nlm.nih.gov/research/umls/rxnorm/docs/techdoc.html. A concept is an
RXCUI that the source RXNORM names. RxNorm has no hierarchy: how its concepts relate are properties.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fhir_server.api import StoredConcept
from terminology.loaders.files import Files
from terminology.loaders.findings import Findings
from terminology.loaders.release import Asked, Found, Release, declared, head
from terminology.loaders.tables import piped
from terminology.loaders.workspace import Workspace

Json = dict[str, Any]

URL = "http://www.nlm.nih.gov/research/umls/rxnorm"
SOURCE = "RXNORM"
# A concept's other names: synonyms, tall-man synonyms, prescribable names, entry terms of dose forms.
SECONDARY = {"PSN": 1, "ET": 1, "SY": 2, "TMSY": 2}
_NAMES = re.compile(r"rxnorm[a-z_]*_(\d{8})", re.IGNORECASE)
_SEMANTIC_TYPE = "STY"


def read(files: Files, asked: Asked, findings: Findings) -> Release:
    """Return the release. Of an archive the tables in the folder rrf are read, not the prescribable subset's."""
    work = Workspace()
    atoms = _table(files, "RXNCONSO")
    work.fill("atoms", 6, _atoms(files, atoms, findings))
    work.fill("sources", 2, _sources(files, atoms))
    work.fill("types", 2, _types(files, findings))
    work.fill("relations", 3, _relations(files, findings))
    work.fill("attributes", 3, _attributes(files, findings))
    relations = ((str(code), "code") for code in work.distinct("relations", 1))
    attributes = ((str(code), "string") for code in work.distinct("attributes", 1))
    kept = [("TTY", "code"), ("SAB", "code"), (_SEMANTIC_TYPE, "code")]
    made = head(
        asked.system or URL, asked.version or _version(files, findings), "RxNorm", "RxNorm",
        caseSensitive=False, property=declared((*kept, *relations, *attributes)),
    )  # fmt: skip
    return Release(made, _concepts(atoms, work))


def _concepts(name: str, work: Workspace) -> Iterator[Found]:
    for code in work.keys("atoms"):
        atoms = sorted(work.get("atoms", code), key=lambda row: row[3])
        _, display, suppressed, _, line = atoms[0]
        kinds = dict.fromkeys(row[0] for row in atoms)
        others = dict.fromkeys((row[0], row[1]) for row in atoms[1:] if row[1] != display)
        concept = StoredConcept(
            code,
            display,
            designations=tuple({"use": {"system": URL, "code": kind}, "value": text} for kind, text in others),
            properties=(
                *({"code": "TTY", "valueCode": kind} for kind in kinds),
                *({"code": "SAB", "valueCode": row[0]} for row in dict.fromkeys(work.get("sources", code))),
                *({"code": _SEMANTIC_TYPE, "valueCode": row[0]} for row in work.get("types", code)),
                *({"code": kind, "valueCode": other} for kind, other in dict.fromkeys(work.get("relations", code))),
                *({"code": kind, "valueString": text} for kind, text in dict.fromkeys(work.get("attributes", code))),
            ),
            inactive=suppressed == "O",
        )
        yield Found(name, line, concept)


def _table(files: Files, table: str) -> str:
    """Return the name of a table; an archive has the prescribable subset too, in a folder of its own."""
    pattern = rf"{table}\.RRF"
    whole = [name for name in files.matching(pattern) if "prescribe" not in name.lower().split("/")]
    return whole[0] if len(whole) == 1 else files.one(pattern, f"rrf/{table}.RRF")


def _optional(files: Files, table: str) -> list[str]:
    return [_table(files, table)] if files.matching(rf"{table}\.RRF") else []


def _version(files: Files, findings: Findings) -> str:
    """Return the date of the release as its file is called, MMDDYYYY: by that name, else by RXNSAB (20AA_240102F)."""
    named = _NAMES.search(files.name)
    if named is not None:
        return named[1]
    for name in _optional(files, "RXNSAB"):
        for _, row in piped(files, name, 25, findings):
            dated = re.search(r"_(\d\d)(\d\d)(\d\d)F?$", row[6])
            if row[3] == SOURCE and dated is not None:
                return f"{dated[2]}{dated[3]}20{dated[1]}"
    return ""


def _atoms(files: Files, name: str, findings: Findings) -> Iterator[tuple[Any, ...]]:
    """Yield code, term type, name, suppression, rank of the type, and line."""
    for line, row in piped(files, name, 18, findings):
        if row[11] == SOURCE:
            if not row[0]:
                findings.bad(name, line, "RXCUI is empty.")
                continue
            yield row[0], row[12], row[14], row[16], SECONDARY.get(row[12], 0), line


def _sources(files: Files, name: str) -> Iterator[tuple[str, str]]:
    for _, row in piped(files, name, 18, Findings(lenient=True)):  # what is wrong was found in the first reading
        yield row[0], row[11]


def _types(files: Files, findings: Findings) -> Iterator[tuple[str, str]]:
    for name in _optional(files, "RXNSTY"):
        for _, row in piped(files, name, 6, findings):
            yield row[0], row[1]


def _relations(files: Files, findings: Findings) -> Iterator[tuple[str, str, str]]:
    """Yield code, relationship and other code: the second concept of a row has the relationship to the first."""
    for name in _optional(files, "RXNREL"):
        for _, row in piped(files, name, 16, findings):
            if row[10] == SOURCE and row[2] == row[6] == "CUI" and row[0] and row[4]:
                yield row[4], row[7] or row[3], row[0]


def _attributes(files: Files, findings: Findings) -> Iterator[tuple[str, str, str]]:
    for name in _optional(files, "RXNSAT"):
        for _, row in piped(files, name, 13, findings):
            if row[9] == SOURCE and (row[8].startswith("RXN_") or row[8] in ("NDC", "RXTERM_FORM")):
                yield row[0], row[8], row[10]
