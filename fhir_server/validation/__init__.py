"""Is this resource what FHIR R4 says it is? Structure, values, references, required codes, narrative, invariants.

https://hl7.org/fhir/R4/validation.html. Types are compiled to checkers when first met; a resource that is in order
costs a few dozen microseconds. Profiles are not looked at here.
"""

from __future__ import annotations

from fhir_server.fhir.definitions import Definitions
from fhir_server.fhir.outcomes import Issue
from fhir_server.validation.compiler import Compiler
from fhir_server.validation.findings import MAX_FINDINGS, Findings, JsonValue, is_full, issues_of, refuse, shown

__all__ = ["MAX_ISSUES", "Validator"]

MAX_ISSUES = MAX_FINDINGS


class Validator:
    """Checks resources against the base definitions; safe to share between threads."""

    def __init__(self, definitions: Definitions) -> None:
        self._compilers = {
            (conditional, advice): Compiler(definitions, conditional_references=conditional, advice=advice)
            for conditional in (False, True)
            for advice in (False, True)
        }

    def validate(
        self,
        resource: JsonValue,
        *,
        type_name: str | None = None,
        allow_conditional_references: bool = False,
        advice: bool = False,
    ) -> list[Issue]:
        """Return everything that is wrong with a decoded resource, nothing when it is in order. Never raises.

        `type_name` is the type the resource has to be. Conditional references (`Patient?identifier=...`) are right in
        transactions only, so the caller has to allow them. At most MAX_ISSUES are listed, then one that says so.
        Without `advice` every issue is an error; with it, best practices that are not kept and invariants that could
        not be evaluated come after the errors, which they never crowd out.
        """
        found = self._walk(resource, conditional=allow_conditional_references, advice=advice)
        if advice and found:
            errors = [finding for finding in found if finding.severity == "error"]
            if is_full(found):  # advice may have crowded out errors
                errors = self._walk(resource, conditional=allow_conditional_references, advice=False) or []
            found = [*errors, *(finding for finding in found if finding.severity != "error")]
        if type_name is not None and type(resource) is dict:
            found = _other_type(resource.get("resourceType"), type_name, found)
        return issues_of(found, resource) if found else []

    def _walk(self, resource: JsonValue, *, conditional: bool, advice: bool) -> Findings | None:
        return self._compilers[conditional, advice].any_resource(resource, {}, 0, {})


def _other_type(name: JsonValue, expected: str, found: Findings | None) -> Findings | None:
    if type(name) is not str or name == expected:
        return found
    text = f"The resource is of type {shown(name)}; here it has to be of type {expected}."
    return refuse("structure", text) + (found or [])
