"""LOINC: the terms, parts and answer lists of a release as downloaded (Loinc_2.77.zip).

https://hl7.org/fhir/R4/loinc.html, https://loinc.org/kb/users-guide/loinc-database-structure/. Properties are those of
LOINC's own CodeSystem resource. Terms and parts stand in the component hierarchy; an answer has the property LIST.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from fhir_server.api import StoredConcept
from terminology.loaders import loinc_tables as accessories
from terminology.loaders.files import Files
from terminology.loaders.findings import Findings
from terminology.loaders.release import Asked, Found, Release, declared, head
from terminology.loaders.tables import quoted
from terminology.loaders.workspace import Workspace

Json = dict[str, Any]

URL = "http://loinc.org"
NAMES = ("SHORTNAME", "DisplayName")
# Axes are Codings of parts, where LoincPartLink says which, and the text of the column.
AXES = ("COMPONENT", "PROPERTY", "TIME_ASPCT", "SYSTEM", "SCALE_TYP", "METHOD_TYP", "CLASS")
TEXTS = (
    "STATUS", "CONSUMER_NAME", "CLASSTYPE", "ORDER_OBS", "CHNG_TYPE", "STATUS_REASON", "UNITSREQUIRED",
    "EXAMPLE_UNITS", "EXAMPLE_UCUM_UNITS", "SURVEY_QUEST_TEXT", "FORMULA", "PanelType", "COMMON_TEST_RANK",
    "COMMON_ORDER_RANK", "HL7_ATTACHMENT_STRUCTURE", "ValidHL7AttachmentRequest", "VersionFirstReleased",
    "VersionLastChanged", "EXTERNAL_COPYRIGHT_NOTICE",
)  # fmt: skip
TERMS = ("AskAtOrderEntry", "AssociatedObservations")  # codes of other terms, divided by semicolons
_PROPERTY = f"{URL}/property/"
_VERSION = re.compile(r"Loinc[_-]?v?(\d\.\d+(?:\.\d+)?)", re.IGNORECASE)


def read(files: Files, asked: Asked, findings: Findings) -> Release:
    """Return the release. Names in other languages are kept where `asked.languages` wants them."""
    found = next((m[1] for name in (files.name, *files.names()[:100]) if (m := _VERSION.search(name))), "")
    work = Workspace()
    accessories.read_parts(files, work, findings)
    accessories.read_hierarchy(files, work, findings)
    accessories.read_answers(files, work, findings)
    accessories.read_variants(files, work, asked, findings)
    linked = [str(code) for code in work.distinct("links", 1)]
    codings = dict.fromkeys([*AXES, *linked, *TERMS, "answer-list", "answers-for"])
    properties = [
        *declared(((code, "Coding") for code in codings), _PROPERTY),
        *declared(((code, "string") for code in (*TEXTS, "PartTypeName")), _PROPERTY),
        *declared([("LIST", "code"), ("inactive", "boolean")]),
    ]
    made = head(
        asked.system or URL, asked.version or found, "LOINC", "LOINC Code System",
        caseSensitive=False, hierarchyMeaning="is-a", property=properties,
    )  # fmt: skip
    return Release(made, _concepts(files, work, findings))


def _concepts(files: Files, work: Workspace, findings: Findings) -> Iterator[Found]:
    yield from _terms(files, work, findings)
    yield from _parts(work)
    yield from _answers(work)


def _terms(files: Files, work: Workspace, findings: Findings) -> Iterator[Found]:
    name = accessories.terms_file(files)
    columns = ("LOINC_NUM", "LONG_COMMON_NAME", "DefinitionDescription", "STATUS", *AXES)
    optional = (*NAMES, *TEXTS, *TERMS)
    for line, row in quoted(files, name, columns, findings, optional=optional):
        code, display, definition, status = row[:4]
        if not code:
            findings.bad(name, line, "LOINC_NUM is empty.")
            continue
        at = 4 + len(AXES)
        axes, names = row[4:at], row[at : at + len(NAMES)]
        texts = row[at + len(NAMES) : at + len(NAMES) + len(TEXTS)]
        concept = StoredConcept(
            code,
            display,
            definition,
            designations=(*_names(names), *_variants(work, code)),
            properties=(
                *_axes(work, code, axes),
                *({"code": k, "valueString": v} for k, v in zip(TEXTS, texts, strict=True) if v),
                *_others(row[-len(TERMS) :]),
                *({"code": "answer-list", "valueCoding": _coding(*row)} for row in work.get("lists_of", code)),
            ),
            parents=_parents(work, code),
            inactive=status == "DEPRECATED",
        )
        yield Found(name, line, concept)


def _axes(work: Workspace, code: str, axes: Sequence[str]) -> Iterator[Json]:
    """Yield the parts that a term is made of, and the text of its axes: value sets filter by either."""
    for name, part, text in dict.fromkeys(work.get("links", code)):  # primary parts are among the supplementary too
        yield {"code": name, "valueCoding": _coding(part, text)}
    for name, text in zip(AXES, axes, strict=True):
        if text:
            yield {"code": name, "valueString": text}


def _names(names: Sequence[str]) -> Iterator[Json]:
    for use, value in zip(NAMES, names, strict=True):
        if value:
            yield {"use": {"system": URL, "code": use}, "value": value}


def _variants(work: Workspace, code: str) -> Iterator[Json]:
    for language, value in work.get("variants", code):
        yield {"language": language, "value": value}


def _others(columns: Sequence[str]) -> Iterator[Json]:
    for name, text in zip(TERMS, columns, strict=True):
        for code in filter(None, (one.strip() for one in text.split(";"))):
            yield {"code": name, "valueCoding": {"system": URL, "code": code}}


def _parts(work: Workspace) -> Iterator[Found]:
    for code, kind, name, display, status, file, line in work.all("parts"):
        properties: list[Json] = []
        if kind:
            properties.append({"code": "PartTypeName", "valueString": kind})
        if status:
            properties.append({"code": "STATUS", "valueString": status})
        names = ({"value": name},) if name != display else ()
        inactive = status == "DEPRECATED"
        parents = _parents(work, code)
        made = StoredConcept(code, display or name, "", names, tuple(properties), (), parents, inactive)
        yield Found(file, line, made)


def _answers(work: Workspace) -> Iterator[Found]:
    for code, name, file, line in work.all("lists"):
        terms = ({"code": "answers-for", "valueCoding": _coding(row[0], "")} for row in work.get("answers_for", code))
        yield Found(file, line, StoredConcept(code, name, properties=tuple(terms)))
    for code, display, file, line in work.all("answers"):
        lists = [{"code": "LIST", "valueCode": row[0]} for row in work.get("answered_in", code)]
        yield Found(file, line, StoredConcept(code, display, properties=tuple(lists)))


def _parents(work: Workspace, code: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(row[0] for row in work.get("hierarchy", code)))


def _coding(code: str, display: str) -> Json:
    return {"system": URL, "code": code, "display": display} if display else {"system": URL, "code": code}
