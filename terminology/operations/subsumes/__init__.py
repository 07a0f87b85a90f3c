"""CodeSystem/$subsumes: how two codes of one system stand to each other.

https://hl7.org/fhir/R4/codesystem-operation-subsumes.html
"""

from __future__ import annotations

from importlib.resources import files

from fhir_server.api import InvalidRequest, Json, NotFound, NotSupported, Operation, OperationContext, Parameters
from terminology.asking import answering, sources, stored
from terminology.codesystem import CodeSystem
from terminology.failures import Contentless, canonical
from terminology.fetching import settled
from terminology.shapes import shaped
from terminology.versions import split


@answering
async def subsumes(context: OperationContext) -> Json:
    """Return equivalent, subsumes, subsumed-by or not-subsumed. Raises NotFound for a code that the system lacks."""
    said = context.parameters
    own = await stored(context) if context.resource_id else None
    codings = [_coding(said, letter) for letter in "AB"]
    named = {str(c["system"]) for c in codings if c.get("system")}
    url, version = split(str(own.get("url", "") if own is not None else said.one("system") or next(iter(named), "")))
    if not url or named - {url}:
        raise InvalidRequest("Both codes must be of one code system, and it must be named.", location="http.system")
    found = sources(context, given=[own] if own is not None else [])
    system = await found.code_system(url, said.one("version") or version)
    if not system.has_content:
        raise Contentless(url, system.version)
    if not system.subsumes_by_hierarchy:
        raise NotSupported(
            f"The hierarchy of {url} is {system.head['hierarchyMeaning']}: no code of it subsumes another."
        )
    outcome = await settled(lambda: _outcome(system, *(_known(system, str(c["code"])) for c in codings)))
    return {"resourceType": "Parameters", "parameter": [{"name": "outcome", "valueCode": outcome}]}


def _coding(said: Parameters, letter: str) -> Json:
    coding = shaped(said.one(f"coding{letter}") or {}, "Coding")
    code = said.one(f"code{letter}") or coding.get("code")
    if not code:
        raise InvalidRequest(f"Send code{letter} or coding{letter}.", location=f"http.code{letter}")
    return {**coding, "code": code}


def _known(system: CodeSystem, code: str) -> str:
    node = system.get(code)
    if node is None:
        raise NotFound(f"The code system {canonical(system.url, system.version)} has no code {code[:64]!r}.")
    return node.code


def _outcome(system: CodeSystem, first: str, second: str) -> str:
    if first == second:
        return "equivalent"
    if system.is_below(second, first):
        return "subsumes"
    return "subsumed-by" if system.is_below(first, second) else "not-subsumed"


OPERATION = Operation(definition=files(__name__) / "definition.json", type=subsumes, instance=subsumes)
