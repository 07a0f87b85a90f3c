"""ConceptMap/$translate: a code in another code system. https://hl7.org/fhir/R4/conceptmap-operation-translate.html"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

from fhir_server.api import InvalidRequest, Json, Operation, OperationContext, Order, Parameters, decode_stored
from terminology.asking import answering, sources, stored
from terminology.closing import is_table
from terminology.failures import Broken, canonical
from terminology.shapes import codings_of, shaped
from terminology.sources import Sources
from terminology.translating import NO_MATCH, Match
from terminology.translating import translate as apply
from terminology.versions import split

MAX_MAPS = 100
MAX_HOPS = 10


@answering
async def translate(context: OperationContext) -> Json:
    """Return every translation, from one map or from all that fit. Not to find one is an answer: result is false."""
    said = context.parameters
    codings = _codings(said)
    found = sources(context)
    maps = await _maps(context, found, codings)
    rows: list[Json] = []
    is_found = False
    for concept_map in maps:
        for coding in codings:
            for match, origin in await _matches(found, concept_map, coding, said):
                is_found = is_found or match.equivalence not in NO_MATCH
                rows.append({"name": "match", "part": _parts(match, origin)})
    answer: list[Json] = [{"name": "result", "valueBoolean": is_found}]
    if not is_found:
        answer.append({"name": "message", "valueString": "No translation was found."})
    return {"resourceType": "Parameters", "parameter": [*answer, *rows]}


def _codings(said: Parameters) -> list[Json]:
    if said.one("coding") is not None:
        return [shaped(said.one("coding"), "Coding")]
    if said.one("codeableConcept") is not None:
        return codings_of(said.one("codeableConcept"))
    if said.one("code") is None or said.one("system") is None:
        raise InvalidRequest("Send a code and its system, a coding or a codeableConcept.", location="http.code")
    return [{"system": said.one("system"), "code": said.one("code")}]


async def _maps(context: OperationContext, found: Sources, codings: list[Json]) -> list[Json]:
    """Return the maps to use: the instance, the one sent, the one named, else all stored ones that fit."""
    said = context.parameters
    if context.resource_id:
        return [await stored(context)]
    if said.one("conceptMap") is not None:
        return [shaped(said.one("conceptMap"), "ConceptMap")]
    if said.one("url"):
        url, version = split(str(said.one("url")))
        return [await found.concept_map(url, said.one("conceptMapVersion") or version)]
    query = []
    given = {"source-uri": said.one("source"), "target-uri": said.one("target")}
    given["source-system" if not said.one("reverse") else "target-system"] = (
        codings[0].get("system") if codings else None
    )
    given["target-system" if not said.one("reverse") else "source-system"] = said.one("targetsystem")
    query = [(name, _escaped(str(value))) for name, value in given.items() if value]
    if not query:
        raise InvalidRequest("Name the concept map with url, or the target with targetsystem.", location="http.url")
    where = await context.server.criterion("ConceptMap", query)
    page = await context.records.search(where, Order("updated"), MAX_MAPS)
    maps = (decode_stored(record.raw) for record in page.records)
    return [concept_map for concept_map in maps if not is_table(concept_map)]


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(",", "\\,").replace("$", "\\$").replace("|", "\\|")


async def _matches(found: Sources, concept_map: Json, coding: Json, said: Parameters) -> list[tuple[Match, str]]:
    """Return the matches of a code with the map each is from, maps that a map refers to included."""
    results: list[tuple[Match, str]] = []
    waiting, hops = [concept_map], 0
    while waiting:
        current = waiting.pop(0)
        origin = canonical(str(current.get("url", "")), str(current.get("version", "")))
        system, code = str(coding.get("system", "")), str(coding.get("code", ""))
        target, reverse = said.one("targetsystem") or "", bool(said.one("reverse"))
        for match in apply(current, system, code, target, is_reverse=reverse):
            if not match.other_map:
                results.append((match, origin))
                continue
            hops += 1
            if hops > MAX_HOPS:
                raise Broken(f"The concept maps behind {origin} refer to each other more than {MAX_HOPS} times.")
            waiting.append(await found.concept_map(*split(match.other_map)))
    return results


def _parts(match: Match, origin: str) -> list[Json]:
    parts: list[dict[str, Any]] = [{"name": "equivalence", "valueCode": match.equivalence}]
    if match.code:
        concept = {"system": match.system, "code": match.code, "display": match.display}
        parts.append({"name": "concept", "valueCoding": {k: v for k, v in concept.items() if v}})
    for product in match.products:
        concept = {k: v for k, v in product.items() if v and k != "element"}
        inner = [{"name": "element", "valueUri": product["element"]}, {"name": "concept", "valueCoding": concept}]
        parts.append({"name": "product", "part": inner})
    if origin:
        parts.append({"name": "source", "valueUri": origin})
    return parts


OPERATION = Operation(definition=files(__name__) / "definition.json", type=translate, instance=translate)
