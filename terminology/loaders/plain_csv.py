"""A code system as a table: one concept a row, columns named by their role or mapped to it.

https://www.rfc-editor.org/rfc/rfc4180. Roles: code, display, definition, parent (several with `|` between them), status
(`active` or anything else), `property.NAME` or `property.NAME:TYPE`, `designation.LANGUAGE`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any

from fhir_server.api import InvalidRequest, StoredConcept, Unprocessable
from terminology.loaders.files import Files
from terminology.loaders.findings import Findings, broken
from terminology.loaders.release import Asked, Found, Release, declared, head
from terminology.loaders.tables import header_of, quoted

Json = dict[str, Any]

PLAIN = ("code", "display", "definition", "parent", "status")
TYPES = ("string", "code", "boolean", "integer", "decimal", "dateTime")
BETWEEN_PARENTS = "|"
_PROPERTY = re.compile(rf"property\.([^\s:]+)(?::({'|'.join(TYPES)}))?")
_LANGUAGE = re.compile(r"designation\.([a-z]{2,3}(?:-[A-Za-z0-9]{2,8})*)")
_CODE = re.compile(r"\S+( \S+)*")  # https://hl7.org/fhir/R4/datatypes.html#code
# https://hl7.org/fhir/R4/datatypes.html#primitive; an integer is not longer than one of 32 bits
_PATTERNS = {
    "boolean": re.compile(r"(?i:true|false)"),
    "integer": re.compile(r"0|[-+]?[1-9][0-9]{0,8}"),
    "decimal": re.compile(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?"),
    "dateTime": re.compile(r"\d{4}(-\d\d(-\d\d(T\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d))?)?)?"),
    "code": _CODE,
}
_MADE: dict[str, Callable[[str], Any]] = {
    "boolean": lambda text: text.lower() == "true",
    "integer": int,
    "decimal": Decimal,
}


def read(files: Files, asked: Asked, findings: Findings) -> Release:
    """Return the release. Raises InvalidRequest for a role that does not exist, Unprocessable for a missing column."""
    if not asked.system:
        raise InvalidRequest("A table does not say which code system it is: give the parameter system.")
    if len(asked.delimiter) > 1:
        raise InvalidRequest("delimiter must be one character.", location="http.delimiter")
    name = files.one(r"[^/]*\.(csv|tsv|txt)", "table (.csv, .tsv or .txt)") if files.is_archive else files.name
    delimiter = asked.delimiter or _delimiter(files, name, asked.encoding)
    header = header_of(files, name, delimiter=delimiter, encoding=asked.encoding)
    columns = _columns(name, header, asked.columns)
    properties = [role for role, _ in columns if role.startswith("property.")]
    made = head(
        asked.system, asked.version, _named(asked.system), asked.system,
        hierarchyMeaning="is-a", property=declared(map(_property, properties)),
    )  # fmt: skip
    rows = quoted(files, name, [c for _, c in columns], findings, delimiter=delimiter, encoding=asked.encoding)
    return Release(made, _concepts(name, rows, [role for role, _ in columns], findings))


def _concepts(
    name: str, rows: Iterator[tuple[int, Sequence[str]]], roles: Sequence[str], findings: Findings
) -> Iterator[Found]:
    plain = [roles.index(role) if role in roles else -1 for role in PLAIN]
    languages = [(at, role.partition(".")[2]) for at, role in enumerate(roles) if role.startswith("designation.")]
    properties = [(at, *_property(role)) for at, role in enumerate(roles) if role.startswith("property.")]
    for line, values in rows:
        code, display, definition, parents, status = [values[at].strip() if at >= 0 else "" for at in plain]
        if not _CODE.fullmatch(code):
            findings.bad(name, line, "there is no code in this row." if not code else f"{code[:40]!r} is no code.")
            continue
        try:
            found = [_value(kind, property_, values[at]) for at, property_, kind in properties if values[at]]
        except ValueError as error:
            findings.bad(name, line, str(error))
            continue
        above = (one.strip() for one in parents.split(BETWEEN_PARENTS))
        concept = StoredConcept(
            code,
            display,
            definition,
            tuple({"language": language, "value": values[at]} for at, language in languages if values[at]),
            tuple(found),
            parents=tuple(dict.fromkeys(one for one in above if one)),
            inactive=status.lower() not in ("", "active"),
        )
        yield Found(name, line, concept)


def _columns(name: str, header: Sequence[str], mapped: Sequence[str]) -> list[tuple[str, str]]:
    """Return (role, header) of the columns to be read: as mapped, and of the rest those that are named like a role."""
    given = [(role, column) for role, sign, column in (one.partition("=") for one in mapped) if sign]
    if len(given) != len(mapped):
        raise InvalidRequest("A column is given as role=header, as in display=Long name.", location="http.column")
    for role, column in given:
        if not _is_role(role):
            raise InvalidRequest(
                f"{role[:60]!r} is no role: {', '.join(PLAIN)}, property.NAME[:TYPE], designation.LANGUAGE.",
                location="http.column",
            )
        if column not in header:
            raise broken(name, 1, f"the header has no column {column[:60]!r}.")
    taken = {role for role, _ in given}
    free = [one for one in header if one not in {column for _, column in given}]
    columns = [*given, *((one, one) for one in free if _is_role(one) and one not in taken)]
    roles = [role for role, _ in columns]
    if "code" not in roles:
        raise broken(name, 1, "no column is the code: name one code, or map it with column code=HEADER.")
    twice = sorted({role for role in roles if roles.count(role) > 1})
    if twice:
        raise broken(name, 1, f"several columns are {', '.join(twice)}.")
    return columns


def _is_role(text: str) -> bool:
    return text in PLAIN or bool(_PROPERTY.fullmatch(text) or _LANGUAGE.fullmatch(text))


def _property(role: str) -> tuple[str, str]:
    """Return the code and the type of a property column."""
    found = _PROPERTY.fullmatch(role)
    assert found is not None, "a role was checked before"
    return found[1], found[2] or "string"


def _value(kind: str, name: str, text: str) -> Json:
    """Return a property's row. Raises ValueError for a text that is no such value."""
    text = text.strip()
    pattern = _PATTERNS.get(kind)
    if pattern is not None and not pattern.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is no {kind}, which property {name} has.")
    return {"code": name, f"value{kind[0].upper()}{kind[1:]}": _MADE.get(kind, str)(text)}


def _delimiter(files: Files, name: str, encoding: str) -> str:
    """Return what stands between the columns of the header: the commonest of comma, semicolon, tab and pipe."""
    _, first = next(files.lines(name, encoding), (0, ""))
    if not first:
        raise Unprocessable(f"{name} is empty.")
    return max(",;\t|", key=first.count)


def _named(url: str) -> str:
    """Return a computer-friendly name for a code system of that URL."""
    text = "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", url.rpartition("//")[2]))
    return text if text[:1].isalpha() else f"CodeSystem{text}"
