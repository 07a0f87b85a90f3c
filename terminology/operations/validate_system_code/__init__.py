"""CodeSystem/$validate-code: is a code in a code system? https://hl7.org/fhir/R4/codesystem-operation-validate-code.html"""

from __future__ import annotations

from importlib.resources import files

from fhir_server.api import InvalidRequest, Json, Operation, OperationContext
from terminology.asking import answering, languages, rules, sources, stored
from terminology.checking import Checker
from terminology.reporting import one_coding, report
from terminology.shapes import shaped
from terminology.versions import split


@answering
async def validate_code(context: OperationContext) -> Json:
    """Return whether the code is in the code system, and everything that is wrong with it."""
    said = context.parameters
    own = await stored(context) if context.resource_id else said.one("codeSystem")
    if own is not None:
        own = shaped(own, "CodeSystem")
    url, version = split(str(own.get("url", "") if own is not None else said.one("url") or ""))
    single = one_coding(said, url)
    if not url and not (single is not None and single[0].get("system")) and said.one("codeableConcept") is None:
        raise InvalidRequest("Name the code system with url, or send a coding that has one.", location="http.url")
    found = sources(context, given=[own] if own is not None else [])
    await found.named_supplements()
    return await report(Checker(found, None, rules(said, languages(context))), said, url, version)


OPERATION = Operation(definition=files(__name__) / "definition.json", type=validate_code, instance=validate_code)
