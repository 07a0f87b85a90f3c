"""_include and _revinclude: what else a page carries. https://hl7.org/fhir/R4/search.html#include"""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.api.criteria import Criterion, Order, Term, all_of
from fhir_server.api.errors import TooCostly
from fhir_server.api.ports import Reading
from fhir_server.api.records import Stored
from fhir_server.fhir.json import decode_stored
from fhir_server.fhir.references import local_reference
from fhir_server.search.parameters import Parameters
from fhir_server.search.query import Include, SearchQuery
from fhir_server.search.terms import SEPARATOR, TermHash
from fhir_server.search.values import reference_key

MAX_INCLUDED = 10_000


async def included(
    parameters: Parameters,
    term: TermHash,
    records: Reading,
    query: SearchQuery,
    found: Sequence[Stored],
    base_url: str,
) -> list[Stored]:
    """Return what the page's resources refer to and what refers to them, each once, none of the page itself.

    Everything is read with the caller's access, so that an include never shows what a search would not.
    """
    matches = {r.key for r in found}
    extra: dict[str, Stored] = {}
    keys = _targets(parameters, query.includes, found, base_url) - matches
    if keys:
        read = await records.read_many(sorted(keys))
        extra.update({k: r for k, r in read.items() if not r.deleted})
    if query.reverse_includes and found:
        where = [_referring(parameters, term, i, found) for i in query.reverse_includes]
        for one in where:
            page = await records.search(one, Order("moment", descending=True), MAX_INCLUDED)
            if page.more:
                raise TooCostly(f"_revinclude finds more than {MAX_INCLUDED} resources. Ask for fewer with _count.")
            extra.update({r.key: r for r in page.records if r.key not in matches})
    return list(extra.values())


def _targets(parameters: Parameters, includes: Sequence[Include], found: Sequence[Stored], base_url: str) -> set[str]:
    keys: set[str] = set()
    for include in includes:
        for record in found:
            if record.type == include.source:
                keys |= _references(parameters, include, record, base_url)
    return keys


def _references(parameters: Parameters, include: Include, record: Stored, base_url: str) -> set[str]:
    of_type = parameters.of(include.source)
    asked = (
        [of_type[include.parameter]] if include.parameter else [p for p in of_type.values() if p.type == "reference"]
    )
    resource = decode_stored(record.raw)
    keys = set()
    for parameter in asked:
        for node in parameter.path.evaluate(resource) if parameter.expression else ():
            literal = node.value.get("reference") if isinstance(node.value, dict) else None
            local = local_reference(reference_key(literal, base_url)) if isinstance(literal, str) else None
            if local and (not include.target or local[0] == include.target):
                keys.add(f"{local[0]}/{local[1]}")
    return keys


def _referring(parameters: Parameters, term: TermHash, include: Include, found: Sequence[Stored]) -> Criterion:
    of_type = parameters.of(include.source)
    asked = (
        [of_type[include.parameter]] if include.parameter else [p for p in of_type.values() if p.type == "reference"]
    )
    keys = [r.key for r in found if not include.target or r.type == include.target]
    names = dict.fromkeys(p.index_name for p in asked)
    terms = tuple(term(name + SEPARATOR + key) for name in names for key in keys)
    return all_of(Term(terms))
