"""ValueSet/$validate-code: is a code in a value set? https://hl7.org/fhir/R4/valueset-operation-validate-code.html"""

from __future__ import annotations

from importlib.resources import files

from fhir_server.api import Json, Operation, OperationContext
from terminology.asking import answering, ask, rules
from terminology.checking import Checker
from terminology.failures import Unknown
from terminology.reporting import not_resolved, report


@answering
async def validate_code(context: OperationContext) -> Json:
    """Return whether the code is in the value set, and everything that is wrong with it.

    A value set that is not known fails the request; one that it imports only leaves the question open.
    """
    try:
        asked = await ask(context)
    except Unknown as unknown:
        named = str(context.parameters.one("url") or "").partition("|")[0]
        if unknown.kind != "ValueSet" or unknown.url == named:
            raise
        return not_resolved(context.parameters, unknown)
    checker = Checker(asked.sources, asked.value_set, rules(context.parameters, asked.languages), asked.with_version)
    return await report(checker, context.parameters)


OPERATION = Operation(definition=files(__name__) / "definition.json", type=validate_code, instance=validate_code)
