"""Tiny releases of our own making: the layout and headers of the real ones, with invented codes and names."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Mapping, Sequence

from fhir_server.api import StoredConcept
from terminology.loaders.files import Files
from terminology.loaders.findings import Findings
from terminology.loaders.formats import FORMATS
from terminology.loaders.hierarchy import Hierarchy
from terminology.loaders.limits import within_limits
from terminology.loaders.release import Asked, Json

LOINC_HEADER = [
    "LOINC_NUM",
    "COMPONENT",
    "PROPERTY",
    "TIME_ASPCT",
    "SYSTEM",
    "SCALE_TYP",
    "METHOD_TYP",
    "CLASS",
    "VersionLastChanged",
    "CHNG_TYPE",
    "DefinitionDescription",
    "STATUS",
    "CONSUMER_NAME",
    "CLASSTYPE",
    "FORMULA",
    "EXMPL_ANSWERS",
    "SURVEY_QUEST_TEXT",
    "SURVEY_QUEST_SRC",
    "UNITSREQUIRED",
    "RELATEDNAMES2",
    "SHORTNAME",
    "ORDER_OBS",
    "HL7_FIELD_SUBFIELD_ID",
    "EXTERNAL_COPYRIGHT_NOTICE",
    "EXAMPLE_UNITS",
    "LONG_COMMON_NAME",
    "EXAMPLE_UCUM_UNITS",
    "STATUS_REASON",
    "STATUS_TEXT",
    "CHANGE_REASON_PUBLIC",
    "COMMON_TEST_RANK",
    "COMMON_ORDER_RANK",
    "HL7_ATTACHMENT_STRUCTURE",
    "EXTERNAL_COPYRIGHT_LINK",
    "PanelType",
    "AskAtOrderEntry",
    "AssociatedObservations",
    "VersionFirstReleased",
    "ValidHL7AttachmentRequest",
    "DisplayName",
]
ANSWER_HEADER = [
    "AnswerListId",
    "AnswerListName",
    "AnswerListOID",
    "ExtDefinedYN",
    "ExtDefinedAnswerListCodeSystem",
    "ExtDefinedAnswerListLink",
    "AnswerStringId",
    "LocalAnswerCode",
    "LocalAnswerCodeSystem",
    "SequenceNumber",
    "DisplayText",
    "ExtCodeId",
    "ExtCodeDisplayName",
    "ExtCodeSystem",
    "ExtCodeSystemVersion",
    "ExtCodeSystemCopyrightNotice",
    "SubsequentTextPrompt",
    "Description",
    "Score",
]
COMPONENT = "id effectiveTime active moduleId"
CONCEPT = f"{COMPONENT} definitionStatusId".split()
DESCRIPTION = f"{COMPONENT} conceptId languageCode typeId term caseSignificanceId".split()
LINK = "relationshipGroup typeId characteristicTypeId modifierId"
RELATIONSHIP = f"{COMPONENT} sourceId destinationId {LINK}".split()
CONCRETE = f"{COMPONENT} sourceId value {LINK}".split()
LANGUAGE = f"{COMPONENT} refsetId referencedComponentId acceptabilityId".split()
SIMPLE = f"{COMPONENT} refsetId referencedComponentId".split()
DEPENDENCY = f"{SIMPLE[0]} {' '.join(SIMPLE[1:])} sourceEffectiveTime targetEffectiveTime".split()


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    """Return a zip archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


def table(header: Sequence[str], *rows: Mapping[str, str]) -> str:
    """Return a comma-separated table, quoted as LOINC quotes."""
    made = io.StringIO()
    writer = csv.writer(made, quoting=csv.QUOTE_ALL)
    writer.writerow(header)
    writer.writerows([row.get(column, "") for column in header] for row in rows)
    return made.getvalue()


def tabbed(header: Sequence[str], *rows: Sequence[str]) -> str:
    """Return a tab-separated table, with the line ends of RF2."""
    return "".join("\t".join(row) + "\r\n" for row in (header, *rows))


def piped(*rows: str) -> str:
    """Return lines of RRF."""
    return "".join(f"{row}\n" for row in rows)


def load(
    kind: str, content: bytes, name: str, asked: Asked | None = None, *, lenient: bool = False
) -> tuple[Json, list[StoredConcept], Findings]:
    """Read a release to its end, as the job does; return its head, its concepts and what was left out."""
    findings = Findings(lenient=lenient)
    release = FORMATS[kind](Files(io.BytesIO(content), name), asked or Asked(), findings)
    hierarchy = Hierarchy(findings)
    found = [one.concept for one in within_limits(hierarchy.passing(release.concepts), findings)]
    hierarchy.close()
    findings.close()
    return release.head, found, findings


def by_code(concepts: Iterable[StoredConcept]) -> dict[str, StoredConcept]:
    """Return concepts by their codes."""
    return {concept.code: concept for concept in concepts}


def values(concept: StoredConcept, code: str) -> list[object]:
    """Return the values of a property; of Codings the codes."""
    found = [next(v for k, v in row.items() if k != "code") for row in concept.properties if row["code"] == code]
    return [value["code"] if isinstance(value, dict) else value for value in found]
