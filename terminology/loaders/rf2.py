"""The files of SNOMED CT Release Format 2, put where the concepts find them.

https://confluence.ihtsdotools.org/display/DOCRELFMT/4+Component+Release+Files+Specification. Only snapshots are read,
and of these only active rows; the state of concepts themselves is theirs to tell.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import chain
from typing import Any

from fhir_server.api import Unprocessable
from terminology.loaders.files import Files
from terminology.loaders.findings import Findings
from terminology.loaders.release import Asked
from terminology.loaders.tables import Row, tabbed
from terminology.loaders.workspace import Workspace

IS_A = "116680003"
TEXT_DEFINITION = "900000000000550004"
PREFERRED = "900000000000548007"
INTERNATIONAL = "900000000000207008"
SPANISH = "449081005"  # an edition with an id like those of the International one
FEW = 20  # concepts that a module has for itself, its maps and reference sets
INFERRED = "900000000000011006"
_COMPONENT = ("id", "effectiveTime", "active", "moduleId")
_CONCEPT = (*_COMPONENT, "definitionStatusId")
_DESCRIPTION = (*_COMPONENT, "conceptId", "languageCode", "typeId", "term", "caseSignificanceId")
_LINK = ("relationshipGroup", "typeId", "characteristicTypeId", "modifierId")
_RELATIONSHIP = (*_COMPONENT, "sourceId", "destinationId", *_LINK)
_CONCRETE = (*_COMPONENT, "sourceId", "value", *_LINK)
_MEMBER = (*_COMPONENT, "refsetId", "referencedComponentId")
_LANGUAGE = (*_MEMBER, "acceptabilityId")
_DEPENDENCY = (*_MEMBER, "sourceEffectiveTime", "targetEffectiveTime")


def snapshot(kind: str) -> str:
    """Return the pattern of a kind of snapshot file, whatever its language, country and date."""
    return rf"x?{kind}_?Snapshot[-_][^/]*\.txt"


def concepts(files: Files, name: str, findings: Findings) -> Iterator[Row]:
    """Yield (line, (id, effectiveTime, active, moduleId, definitionStatusId)) for each concept."""
    return tabbed(files, name, _CONCEPT, findings)


def read_descriptions(files: Files, work: Workspace, asked: Asked, findings: Findings) -> None:
    """Keep, for each concept, (type, language, term, id, reference sets that prefer it) of its names; definitions too.

    Reference sets are ids divided by blanks.
    """
    languages = files.matching(snapshot("der2_cRefset_Language"))
    work.fill("preferred", 2, chain.from_iterable(_preferred(files, name, findings) for name in languages))
    names = files.matching(snapshot("sct2_Description"))
    if not names:
        raise Unprocessable(f"{files.name} has no snapshot of descriptions (sct2_Description_Snapshot...).")
    rows = chain.from_iterable(_terms(files, name, findings) for name in names)
    work.fill("descriptions", 6, ((*row, _refsets(work, row[4])) for row in rows if row[1] != TEXT_DEFINITION))
    texts = files.matching(snapshot("sct2_TextDefinition"))
    found = chain.from_iterable(_terms(files, name, findings) for name in texts)
    wanted = [one.partition("-")[0] for one in asked.languages] or ["en"]
    work.fill("definitions", 2, ((row[0], row[3]) for row in found if row[2] in wanted))


def read_relationships(files: Files, work: Workspace, findings: Findings) -> None:
    """Keep parents, other relationships, and those to numbers and texts."""
    names = files.matching(snapshot("sct2_Relationship"))
    if not names:
        raise Unprocessable(f"{files.name} has no snapshot of relationships (sct2_Relationship_Snapshot...).")
    rows = chain.from_iterable(_links(files, name, _RELATIONSHIP, findings) for name in names)
    work.fill("relationships", 3, rows)
    work.split("relationships", "is_a", "attributes", IS_A)
    values = files.matching(snapshot("sct2_RelationshipConcreteValues"))
    found = chain.from_iterable(_links(files, name, _CONCRETE, findings) for name in values)
    work.fill("concrete", 3, ((source, kind, _value(text)) for source, kind, text in found))


def read_reference_sets(files: Files, work: Workspace, findings: Findings) -> None:
    """Keep which simple reference sets a concept is in."""
    names = files.matching(snapshot("der2_Refset_[^/]*"))
    work.fill("members", 2, chain.from_iterable(_members(files, name, findings) for name in names))


def edition(files: Files, concepts_file: str, findings: Findings) -> str:
    """Return the module that names the edition. Raises Unprocessable where the files leave that open.

    Without national modules it is the International Edition; one national module is the edition. Of several (maps
    have modules of their own) it is the only one with more than a few concepts, else the only one no other needs.
    """
    modules: set[str] = set()
    needed: set[str] = set()
    for name in files.matching(snapshot("der2_ssRefset_ModuleDependency")):
        for _, row in tabbed(files, name, _DEPENDENCY, findings):
            if row[2] == "1":
                modules |= {row[3], row[5]}
                needed.add(row[5])
    if not modules:
        raise Unprocessable(f"{files.name} has no module dependency reference set: give the parameter module.")
    national = sorted(module for module in modules if _is_national(module))
    if not national:
        return INTERNATIONAL
    owned = Counter(row[3] for _, row in concepts(files, concepts_file, Findings(lenient=True)))
    for chosen in (
        national,
        [module for module in national if owned[module] > FEW],
        [module for module in national if module not in needed],
    ):
        if len(chosen) == 1:
            return chosen[0]
    raise Unprocessable(f"This could be the edition of {', '.join(national[:10])}: say which in the parameter module.")


def _is_national(module: str) -> bool:
    """Whether a module's id was given out by somebody else than SNOMED International (partition 10)."""
    return module[-3:-1] == "10" or module == SPANISH


def _preferred(files: Files, name: str, findings: Findings) -> Iterator[tuple[str, str]]:
    for _, row in tabbed(files, name, _LANGUAGE, findings):
        if row[2] == "1" and row[6] == PREFERRED:
            yield row[5], row[4]


def _refsets(work: Workspace, description: str) -> str:
    return " ".join(row[0] for row in work.get("preferred", description))


def _terms(files: Files, name: str, findings: Findings) -> Iterator[tuple[str, str, str, str, str]]:
    """Yield concept, type, language, term and id of the active descriptions."""
    for _, (key, _, active, _, concept, language, kind, term, _) in tabbed(files, name, _DESCRIPTION, findings):
        if active == "1":
            yield concept, kind, language, term, key


def _links(files: Files, name: str, header: tuple[str, ...], findings: Findings) -> Iterator[tuple[str, str, str]]:
    """Yield source, type and target of the active relationships that a classifier has inferred."""
    for _, row in tabbed(files, name, header, findings):
        if row[2] == "1" and row[8] == INFERRED:
            yield row[4], row[7], row[5]


def _members(files: Files, name: str, findings: Findings) -> Iterator[tuple[str, str]]:
    for _, row in tabbed(files, name, _MEMBER, findings):
        if row[2] == "1":
            yield row[5], row[4]


def _value(text: str) -> Any:
    """Return a concrete value as text: numbers are written #5, texts in quotes."""
    return text[1:] if text.startswith("#") else text.strip('"')
