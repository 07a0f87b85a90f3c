"""SNOMED CT: the snapshot of an edition in Release Format 2, as its zip archive.

https://hl7.org/fhir/R4/snomedct.html, https://confluence.ihtsdotools.org/display/DOCRELFMT. Every concept is kept,
inactive ones too, with its active descriptions, inferred relationships and memberships of simple reference sets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fhir_server.api import InvalidRequest, StoredConcept, Unprocessable
from terminology.loaders import rf2
from terminology.loaders.files import Files
from terminology.loaders.findings import Findings
from terminology.loaders.release import Asked, Found, Release, declared, head
from terminology.loaders.workspace import Workspace

Json = dict[str, Any]

URL = "http://snomed.info/sct"
FULLY_DEFINED = "900000000000073002"
FSN = "900000000000003001"
SYNONYM = "900000000000013009"
_USES = {
    FSN: {"system": URL, "code": FSN, "display": "Fully specified name"},
    SYNONYM: {"system": URL, "code": SYNONYM, "display": "Synonym"},
}
# Dialects whose language reference set is published with the International Edition; others go by their language.
DIALECTS = {"900000000000509007": "en-US", "900000000000508004": "en-GB"}
_DATE = re.compile(r"_(\d{8})\.txt$")
_STANDARD = "http://hl7.org/fhir/concept-properties#"


def read(files: Files, asked: Asked, findings: Findings) -> Release:
    """Return the release. The first of `asked.languages` gives the displays, American English where none is given.

    Raises Unprocessable where the files do not tell the edition: then `asked.module` has to.
    """
    concepts = files.one(rf2.snapshot("sct2_Concept"), "snapshot of concepts (sct2_Concept_Snapshot...)")
    work = Workspace()
    rf2.read_descriptions(files, work, asked, findings)
    rf2.read_relationships(files, work, findings)
    rf2.read_reference_sets(files, work, findings)
    attributes = [(str(code), "code") for code in work.distinct("attributes", 1)]
    values = [(str(code), "string") for code in work.distinct("concrete", 1)]
    properties = [
        {"code": "inactive", "uri": f"{_STANDARD}inactive", "type": "boolean"},
        *declared([("sufficientlyDefined", "boolean"), ("moduleId", "code"), ("effectiveTime", "string")], f"{URL}#"),
        *declared([("memberOf", "code")], f"{URL}#"),
        *declared(dict((*values, *attributes)).items(), f"{URL}/id/"),
    ]
    made = head(
        asked.system or URL, asked.version or _version(files, concepts, asked, findings), "SNOMED_CT", "SNOMED CT",
        caseSensitive=False, hierarchyMeaning="is-a", compositional=True, property=properties,
    )  # fmt: skip
    return Release(made, _concepts(files, concepts, work, asked, findings))


def _version(files: Files, concepts: str, asked: Asked, findings: Findings) -> str:
    """Return the URI of the edition and its date. https://confluence.ihtsdotools.org/display/DOCURI"""
    if asked.module and not asked.module.isdigit():
        raise InvalidRequest("module must be the concept id of an edition's module.", location="http.module")
    date = _DATE.search(concepts)
    if date is None:
        raise Unprocessable(f"The name of {concepts} has no date: give the parameter version.")
    module = asked.module or rf2.edition(files, concepts, findings)
    return f"{URL}/{module}/version/{date[1]}"


def _concepts(files: Files, name: str, work: Workspace, asked: Asked, findings: Findings) -> Iterator[Found]:
    for line, (code, time, active, module, status) in rf2.concepts(files, name, findings):
        if not code.isdigit():
            findings.bad(name, line, f"the id {code[:40]!r} is no number.")
            continue
        names = work.get("descriptions", code)
        is_active = active == "1"
        yield Found(
            name,
            line,
            StoredConcept(
                code,
                _display(names, asked),
                next((row[0] for row in work.get("definitions", code)), ""),
                tuple(_designations(names)),
                (
                    {"code": "inactive", "valueBoolean": not is_active},
                    {"code": "sufficientlyDefined", "valueBoolean": status == FULLY_DEFINED},
                    {"code": "moduleId", "valueCode": module},
                    {"code": "effectiveTime", "valueString": time},
                    *(
                        {"code": kind, "valueCode": other}
                        for kind, other in dict.fromkeys(work.get("attributes", code))
                    ),
                    *({"code": kind, "valueString": text} for kind, text in dict.fromkeys(work.get("concrete", code))),
                    *({"code": "memberOf", "valueCode": row[0]} for row in work.get("members", code)),
                ),
                parents=tuple(dict.fromkeys(row[0] for row in work.get("is_a", code))),
                inactive=not is_active,
            ),
        )


def _designations(names: list[tuple[Any, ...]]) -> Iterator[Json]:
    """Yield every name once, in the language in which it stands, or the dialects that prefer or accept it."""
    seen: set[tuple[str, str]] = set()
    for kind, language, term, _, preferred in names:
        if (kind, term) not in seen:
            seen.add((kind, term))
            dialects = {DIALECTS.get(refset, language) for refset in preferred.split()}
            tag = next(iter(dialects)) if len(dialects) == 1 else language
            yield {"language": tag, "use": _USES.get(kind, {"system": URL, "code": kind}), "value": term}


def _display(names: list[tuple[Any, ...]], asked: Asked) -> str:
    """Return the preferred term of the first language that has one; then any synonym, then the full name."""
    synonyms = [row for row in names if row[0] == SYNONYM]
    for wanted in (*asked.languages, "en-US", "en-GB"):
        for _, language, term, _, preferred in synonyms:
            tags = [DIALECTS.get(refset, language) for refset in preferred.split()]
            if any(wanted in (tag, tag.partition("-")[0]) for tag in tags):
                return str(term)
    ranked = [*(row for row in synonyms if row[4]), *synonyms, *names]
    return str(ranked[0][2]) if ranked else ""
