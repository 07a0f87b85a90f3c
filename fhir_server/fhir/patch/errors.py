"""Why a patch was not applied. https://hl7.org/fhir/R4/http.html#patch"""

from __future__ import annotations

from fhir_server.fhir.outcomes import Issue


class PatchError(ValueError):
    """The patch is malformed or does not fit the resource; nothing of it was applied.

    The issue says which operation: `location` is `[2]/path` in a JSON Patch, `expression` is `Parameters.parameter[1]`
    in a FHIRPath Patch.
    """

    def __init__(self, issue: Issue) -> None:
        self.issue = issue
        super().__init__(issue.diagnostics)


class PatchTestFailed(PatchError):
    """A `test` of a JSON Patch did not hold: the resource is not in the state that the client assumed."""


class Refused(Exception):
    """Inside this package: one operation cannot be done. `at` is its member at fault, as in `/path`.

    Becomes a PatchError where the number of the operation is known.
    """

    def __init__(self, code: str, diagnostics: str, at: str = "") -> None:
        self.code = code
        self.diagnostics = diagnostics
        self.at = at
        super().__init__(diagnostics)


class Unmet(Refused):
    """Inside this package: a `test` did not hold."""
