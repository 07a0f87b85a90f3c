"""The accessory files of LOINC, put where the terms find them. https://loinc.org/file-access/ (licence needed)"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from terminology.loaders.files import Files
from terminology.loaders.findings import Findings, broken
from terminology.loaders.limits import MAX_CONCEPTS
from terminology.loaders.release import Asked
from terminology.loaders.tables import quoted
from terminology.loaders.workspace import Workspace

_AXES = ("COMPONENT", "PROPERTY", "TIME_ASPCT", "SYSTEM", "SCALE_TYP", "METHOD_TYP")
_SEARCH = "search"  # synonyms and fragments: more of them than of all the rest
_VARIANT = ("LOINC_NUM", "LONG_COMMON_NAME", *_AXES)


def terms_file(files: Files) -> str:
    """Return the name of the table of terms; of an archive that is LoincTable/Loinc.csv."""
    if not files.is_archive:
        return files.name
    named = files.matching(r"LoincTable/Loinc\.csv")  # PanelsAndForms has one that is shorter
    return named[0] if len(named) == 1 else files.one(r"Loinc\.csv", "LoincTable/Loinc.csv")


def read_parts(files: Files, work: Workspace, findings: Findings) -> None:
    """Keep the parts, those that only the hierarchy has too, and which parts a term is made of."""
    work.fill("parts", 7, _parts(files, findings))
    links = files.matching(r"LoincPartLink_(Primary|Supplementary)\.csv")
    work.fill("links", 4, chain.from_iterable(_links(files, name, findings) for name in links))


def read_hierarchy(files: Files, work: Workspace, findings: Findings) -> None:
    """Keep the parents of terms and parts."""
    names = files.matching(r"ComponentHierarchyBySystem\.csv")
    rows = chain.from_iterable(quoted(files, name, ("CODE", "IMMEDIATE_PARENT"), findings) for name in names)
    work.fill("hierarchy", 2, ((code, parent) for _, (code, parent) in rows if code and parent))


def read_answers(files: Files, work: Workspace, findings: Findings) -> None:
    """Keep answer lists, their answers, and which terms they are for."""
    lists: dict[str, tuple[str, str, int]] = {}
    answers: dict[str, tuple[str, str, int]] = {}
    members: dict[tuple[str, str], None] = {}
    columns = ("AnswerListId", "AnswerListName", "AnswerStringId", "DisplayText")
    for name in files.matching(r"AnswerFile/AnswerList\.csv"):
        for line, (code, title, answer, text) in quoted(files, name, columns, findings):
            lists.setdefault(code, (title, name, line))
            if answer:  # a list that is defined elsewhere has none
                answers.setdefault(answer, (text, name, line))
                members[answer, code] = None
            if len(members) > MAX_CONCEPTS or len(lists) > MAX_CONCEPTS:
                raise broken(name, line, f"these are more than {MAX_CONCEPTS} answers.")
    links = list(_answer_links(files, findings))
    for _, code, title, file, line in links:
        lists.setdefault(code, (title, file, line))
    work.fill("lists", 4, ((code, *rest) for code, rest in lists.items()))
    work.fill("answers", 4, ((code, *rest) for code, rest in answers.items()))
    work.fill("answered_in", 2, members)
    work.fill("lists_of", 3, ((term, code, title) for term, code, title, _, _ in links))
    work.fill("answers_for", 2, ((code, term) for term, code, _, _, _ in links))


def read_variants(files: Files, work: Workspace, asked: Asked, findings: Findings) -> None:
    """Keep the names in the languages that are asked for."""
    languages: list[tuple[str, str]] = []
    for index in files.matching(r"LinguisticVariants\.csv") if asked.languages else ():
        for _, (number, language, country) in quoted(files, index, ("ID", "ISO_LANGUAGE", "ISO_COUNTRY"), findings):
            tag = f"{language}-{country}" if country else language
            if asked.wants(tag):
                pattern = rf"{language}{country}{number}LinguisticVariant\.csv"
                languages += [(tag, name) for name in files.matching(pattern)]
    rows = chain.from_iterable(_variants(files, tag, name, findings) for tag, name in languages)
    work.fill("variants", 3, rows)


def _parts(files: Files, findings: Findings) -> Iterator[tuple[str | int, ...]]:
    known: set[str] = set()
    columns = ("PartNumber", "PartTypeName", "PartName", "PartDisplayName", "Status")
    for name in files.matching(r"PartFile/Part\.csv"):
        for line, row in quoted(files, name, columns, findings):
            known.add(row[0])
            yield (*row, name, line)
    for name in files.matching(r"ComponentHierarchyBySystem\.csv"):
        for line, (code, text) in quoted(files, name, ("CODE", "CODE_TEXT"), findings):
            if code.startswith("LP") and code not in known:
                known.add(code)
                yield code, "", text, text, "", name, line


def _links(files: Files, name: str, findings: Findings) -> Iterator[tuple[str, str, str, str]]:
    columns = ("LoincNumber", "Property", "PartNumber", "PartName")
    for _, (term, uri, part, text) in quoted(files, name, columns, findings):
        code = uri.rpartition("/")[2]
        if code != _SEARCH:
            yield term, code, part, text


def _answer_links(files: Files, findings: Findings) -> Iterator[tuple[str, str, str, str, int]]:
    columns = ("LoincNumber", "AnswerListId", "AnswerListName")
    seen: set[tuple[str, str]] = set()
    for name in files.matching(r"AnswerFile/LoincAnswerListLink\.csv"):
        for line, (term, code, title) in quoted(files, name, columns, findings):
            if (term, code) not in seen:  # the same list may be linked again in another context
                seen.add((term, code))
                yield term, code, title, name, line


def _variants(files: Files, tag: str, name: str, findings: Findings) -> Iterator[tuple[str, str, str]]:
    for _, row in quoted(files, name, ("LOINC_NUM",), findings, optional=_VARIANT[1:]):
        value = row[1] or ":".join(filter(None, row[2:]))
        if value:
            yield row[0], tag, value
