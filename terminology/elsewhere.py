"""What a terminology server elsewhere is asked, and what its answers mean.

Of a request only codes, code systems, canonical URLs and wishes about the answer are sent: no display, no text and no
extension, which may be about a patient, and no resource but, where the settings allow it, the value set.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from fhir_server.api import (
    Coding,
    Concept,
    Expansion,
    Json,
    Membership,
    Parameters,
    core_terminology,
    decode_stored,
)
from terminology.failures import Broken, TerminologyError, TooMany, Unreachable
from terminology.remote import Remote
from terminology.shapes import shaped
from terminology.sources import Sources
from terminology.versions import split

MAX_TEXT = 500
PAGE = 1_000
MAX_PAGES = 20
MAX_SENT = 30  # value sets

_COMMON = {"displayLanguage": "valueCode", "system-version": "valueUri", "check-system-version": "valueUri"}
_COMMON |= {"force-system-version": "valueUri", "url": "valueUri", "version": "valueString"}
_CODE = {"code": "valueCode", "system": "valueUri", "systemVersion": "valueString", "coding": "valueCoding"}
_FLAGS = ("abstract", "activeOnly", "excludeNested", "excludeNotForUI", "includeDesignations", "reverse")
_KINDS = {
    **_COMMON,
    **_CODE,
    **dict.fromkeys(_FLAGS, "valueBoolean"),
    "codeA": "valueCode",
    "codeB": "valueCode",
    "codeableConcept": "valueCodeableConcept",
    "codingA": "valueCoding",
    "codingB": "valueCoding",
    "conceptMapVersion": "valueString",
    "count": "valueInteger",
    "designation": "valueString",
    "exclude-system": "valueUri",
    "filter": "valueString",
    "offset": "valueInteger",
    "property": "valueCode",
    "source": "valueUri",
    "target": "valueUri",
    "targetsystem": "valueUri",
    "valueSetVersion": "valueString",
}
_CODING = ("system", "version", "code")


def sent(said: Parameters, resources: Sequence[Json] = ()) -> list[Json]:
    """Return the parameters of a call that may leave this server; a value set that is sent itself needs no URL."""
    rows: list[Json] = []
    left_out = ("url", "valueSetVersion") if any(r["name"] == "valueSet" for r in resources) else ()
    for name, kind in _KINDS.items():
        if name in left_out:
            continue
        for value in said.all(name):
            if kind == "valueCoding":
                value = _bare(value)
            elif kind == "valueCodeableConcept":
                value = {"coding": [_bare(coding) for coding in value.get("coding", ())]}
            rows.append({"name": name, kind: value})
    return rows


def _bare(coding: Json) -> Json:
    return {name: coding[name] for name in _CODING if name in coding}


async def check(remote: Remote, coding: Coding, value_set: str, content: list[Json]) -> Membership | None:
    """Return what the server elsewhere says of a coding; None where it does not know either. Raises Unreachable.

    `content` are the parameters that send the value set; without them it is asked by its URL. Names are not checked.
    """
    rows = [_row("code", "valueCode", coding.code)]
    if coding.system:
        rows.append(_row("system" if value_set else "url", "valueUri", coding.system))
    elif value_set:
        rows.append({"name": "inferSystem", "valueBoolean": True})
    if coding.version:
        rows.append(_row("systemVersion" if value_set else "version", "valueString", coding.version))
    if value_set:
        rows += content or _named(value_set)
    answer = await remote.call(f"{'ValueSet' if value_set else 'CodeSystem'}/$validate-code", rows)
    told = _told(answer)
    if told.get("result") is True:
        return Membership(True)
    if told.get("result") is not False or _is_unknown(told):
        return None
    if "issues" not in told and coding.system and not await _knows(remote, coding.system):
        return None  # an older server says of what it does not know the same as of what is wrong
    text = told.get("message")
    where = f"the value set {value_set}" if value_set else coding.system
    return Membership(False, text[:MAX_TEXT] if isinstance(text, str) else f"{coding.code[:64]!r} is not in {where}.")


async def expand(remote: Remote, name: str, content: list[Json], limit: int) -> Expansion | None:
    """Return the codes of a value set, page by page; None where it is not known. Raises Unreachable, TooMany."""
    rows = content or _named(name)
    found: list[Concept] = []
    for _ in range(MAX_PAGES):
        paging = [{"name": "count", "valueInteger": PAGE}, {"name": "offset", "valueInteger": len(found)}]
        answer = await remote.call("ValueSet/$expand", [*rows, *paging])
        if answer is None:
            return None
        page, total = _page(answer)
        if max(total, len(found) + len(page)) > limit:
            raise TooMany(name, limit)
        found += page
        if len(found) >= total:
            return Expansion(tuple(found))
    raise Unreachable("gave less of the value set than it has")


def below(system: str, code: str, op: str) -> list[Json]:
    """Return the parameters that send a value set of the codes below (is-a) or above (generalizes) a code."""
    include = {"system": system, "filter": [{"property": "concept", "op": op, "value": code}]}
    made = {"resourceType": "ValueSet", "status": "active", "compose": {"include": [include]}}
    return [{"name": "valueSet", "resource": made}]


def _page(answer: Json) -> tuple[list[Concept], int]:
    """Return the codes on a page and how many there are at all. Raises Unreachable for what is no expansion."""
    try:
        expansion = shaped(answer, "ValueSet")["expansion"]
        waiting = list(reversed(expansion.get("contains", ())))
    except (Broken, KeyError) as error:
        raise Unreachable("answered with something that is no expansion") from error
    found = []
    while waiting:
        row = waiting.pop()
        if "code" in row:
            version, display = row.get("version", ""), row.get("display", "")
            flags = (bool(row.get("inactive")), bool(row.get("abstract")))
            found.append(Concept(row.get("system", ""), row["code"], display, version, *flags))
        waiting += reversed(row.get("contains", ()))
    return found, expansion.get("total", len(found))


async def _knows(remote: Remote, system: str) -> bool:
    bundle = await remote.search("CodeSystem", url=split(system)[0], _elements="content", _count="1")
    rows = [e.get("resource") for e in (bundle or {}).get("entry", ()) if isinstance(e, dict)]
    return any(isinstance(r, dict) and r.get("content") != "not-present" for r in rows)


def _is_unknown(told: dict[str, Any]) -> bool:
    """Whether a no is for lack of knowledge: issues say not-found, or a parameter names what is missing."""
    if "x-unknown-system" in told or "x-caused-by-unknown-system" in told:
        return True
    outcome = told.get("issues")
    issues = outcome.get("issue", ()) if isinstance(outcome, dict) else ()
    errors = [i.get("code") for i in issues if isinstance(i, dict) and i.get("severity") in ("error", "fatal")]
    return any(code in ("not-found", "not-supported", "exception", "timeout", "too-costly") for code in errors)


def _told(answer: Json | None) -> dict[str, Any]:
    return dict(_pairs(answer)) if answer is not None else {}


def _pairs(answer: Json) -> Iterator[tuple[str, Any]]:
    rows = answer.get("parameter")
    for row in rows if isinstance(rows, list) else ():
        if isinstance(row, dict) and isinstance(row.get("name"), str):
            yield row["name"], row.get("resource") or next((v for k, v in row.items() if k.startswith("value")), None)


def _named(value_set: str) -> list[Json]:
    url, version = split(value_set)
    rows = [_row("url", "valueUri", url)]
    return [*rows, _row("valueSetVersion", "valueString", version)] if version else rows


def _row(name: str, kind: str, value: str) -> Json:
    return {"name": name, kind: value}


def is_undecided(answer: Json) -> bool:
    """Whether a $validate-code of this server was answered with no only because something is not known here."""
    told = _told(answer)
    if told.get("result") is not False or "issues" not in told:
        return False
    errors = (issue for issue in told["issues"]["issue"] if issue["severity"] == "error")
    kinds = {coding["code"] for issue in errors for coding in issue.get("details", {}).get("coding", ())}
    return bool(kinds) and kinds <= {"not-found", "invalid-display"}


async def content(found: Sources, resource: Json, remote: Remote) -> list[Json] | None:
    """Return the parameters that send a value set with those of the tenant that it imports.

    Nothing is sent of one that is FHIR's own, which is asked by its URL. None where the settings let none be sent.
    """
    own: dict[str, Json] = {}
    waiting = [resource]
    while waiting and len(own) < MAX_SENT:
        one = waiting.pop()
        if not _is_core(one) and str(one.get("url", "")) not in own:
            own[str(one.get("url", ""))] = one
            with suppress(TerminologyError):
                waiting += [await found.value_set(*split(name)) for name in _imports(one)]
    if own and not remote.server.sends_value_sets:
        return None
    if _is_core(resource):
        return []
    others = [r for url, r in own.items() if url != resource.get("url", "")]
    rows = [{"name": "tx-resource", "resource": _lean(r)} for r in others]
    return [{"name": "valueSet", "resource": _lean(resource)}, *rows]


def _imports(value_set: Json) -> list[str]:
    compose = value_set.get("compose", {})
    rows = [*compose.get("include", ()), *compose.get("exclude", ())]
    return [name for row in rows for name in row.get("valueSet", ()) if not name.startswith("#")]


def _lean(value_set: Json) -> Json:
    """Return a value set without what people wrote about it."""
    kept = ("resourceType", "url", "version", "status", "compose", "contained", "expansion")
    return {name: value_set[name] for name in kept if name in value_set}


def _is_core(value_set: Json) -> bool:
    raw = core_terminology("ValueSet", str(value_set.get("url", "")))
    return raw is not None and decode_stored(raw) == value_set
