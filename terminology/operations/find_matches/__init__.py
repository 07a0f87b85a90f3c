"""CodeSystem/$find-matches: codes that have given properties.

https://hl7.org/fhir/R4/codesystem-operation-find-matches.html. No expressions are composed, so `compositional`, which
would allow them, changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from importlib.resources import files
from itertools import groupby

from fhir_server.api import InvalidRequest, Json, Operation, OperationContext, TooCostly, Unprocessable
from terminology.asking import answering, sources, stored
from terminology.candidates import candidates
from terminology.codesystem import CodeSystem
from terminology.failures import Contentless, canonical
from terminology.fetching import settled
from terminology.matching import Match, Wanted, find_matches, is_known
from terminology.shapes import check_words, shaped
from terminology.versions import split

MAX_PROPERTIES = 50
MAX_MATCHES = 1_000


@answering
async def matches(context: OperationContext) -> Json:
    """Return the codes with the most of the properties first, each with those that it does not have.

    Of the codes that have equally many either all are returned or none: what would be more than 1,000 ends the list,
    and is refused where nothing better was found.
    """
    said = context.parameters
    wanted = _wanted(said.all("property"))
    own = await stored(context) if context.resource_id else None
    url, version = split(str(own.get("url", "") if own is not None else said.one("system") or ""))
    if not url:
        raise InvalidRequest("Name the code system with system, or call it on one CodeSystem.", location="http.system")
    given = [own] if own is not None else []
    wish_version = str(said.one("version") or (own or {}).get("version") or version)
    source = await sources(context, given=given).code_system(url, wish_version)
    if not source.has_content:
        raise Contentless(url, source.version)
    _check_names(source, wanted)
    is_exact = bool(said.one("exact"))
    nodes = await candidates(source, wanted)
    found = await settled(lambda: list(find_matches(source, nodes, wanted, is_exact=is_exact)))
    found.sort(key=lambda match: (-match.matched, len(match.nearly)))
    rows = [_row(source, match, is_exact) for match in _best(found, source)]
    return {"resourceType": "Parameters", "parameter": rows} if rows else {"resourceType": "Parameters"}


def _wanted(given: Sequence[list[Json]]) -> list[Wanted]:
    if not given or len(given) > MAX_PROPERTIES:
        raise InvalidRequest(f"Send 1 to {MAX_PROPERTIES} properties, each with its code.", location="http.property")
    return [_property(rows, f"property[{i}]") for i, rows in enumerate(given)]


def _property(rows: list[Json], where: str, *, is_inner: bool = False) -> Wanted:
    code, value = "", None
    inner: list[Wanted] = []
    kept: list[Json] = []
    for row in rows if isinstance(rows, list) else ():
        name = row.get("name") if isinstance(row, dict) else None
        found = next((v for k, v in row.items() if k.startswith("value")), None) if isinstance(row, dict) else None
        if name == "code" and isinstance(found, str):
            code = found
        elif name == "value" and found is not None:
            value = shaped(found, "Coding") if isinstance(found, dict) else found
            check_words(str(value.get("code", "") if isinstance(value, dict) else value), "A value to be matched")
        elif name == "subproperty" and not is_inner and len(inner) < MAX_PROPERTIES:
            inner.append(_property(row.get("part", []), f"{where}.subproperty[{len(inner)}]", is_inner=True))
            continue
        else:
            raise InvalidRequest(
                f"A property has a code, a value and subproperties; not this: {name!r}.", location=where
            )
        kept.append(row)
    if not code or (is_inner and value is None):
        needed = "a code and a value" if is_inner else "a code"
        raise InvalidRequest(f"Every property needs {needed}.", location=where)
    return Wanted(code, value, tuple(kept), tuple(inner))


def _check_names(source: CodeSystem, wanted: Iterable[Wanted]) -> None:
    """Refuse a wish of which the code system has no property at all."""
    names = [w.code for wish in wanted for w in (wish, *wish.inner)]
    if not any(is_known(source, name) for name in names):
        there = ", ".join(sorted(str(p.get("code")) for p in source.head.get("property", ()))) or "none of its own"
        raise Unprocessable(
            f"The code system {canonical(source.url, source.version)} has none of the properties "
            f"{', '.join(n[:64] for n in names)}; it has {there}, and code, display, definition, designation, parent, "
            "child, ancestor.",
            expression="Parameters.parameter",
        )


def _best(found: Sequence[Match], source: CodeSystem) -> list[Match]:
    kept: list[Match] = []
    for _, tied in groupby(found, key=lambda m: m.matched):
        more = list(tied)
        if len(kept) + len(more) > MAX_MATCHES:
            if not kept:
                raise TooCostly(f"More than {MAX_MATCHES} codes of {source.url} match as well; give more properties.")
            break
        kept += more
    return kept


def _row(source: CodeSystem, match: Match, is_exact: bool) -> Json:
    coding = {"system": source.url, "version": source.version, "code": match.node.code, "display": match.node.display}
    parts: list[Json] = [{"name": "code", "valueCoding": {k: v for k, v in coding.items() if v}}]
    parts += [{"name": "unmatched", "part": list(rows)} for rows in match.unmatched]
    if not is_exact:
        parts.append({"name": "comment", "valueString": _comment(match)})
    return {"name": "match", "part": parts}


def _comment(match: Match) -> str:
    kind = "possible" if match.nearly else "partial" if match.unmatched else "complete"
    return f"A {kind} match" + (f": {'; '.join(match.nearly)}." if match.nearly else ".")


OPERATION = Operation(definition=files(__name__) / "definition.json", type=matches, instance=matches)
