"""Which files are to be imported: the manifest, as Parameters.

https://github.com/smart-on-fhir/bulk-import (the Argonaut draft has the same members as JSON)
"""

from __future__ import annotations

from typing import Any

from fhir_server.api import InvalidRequest, Issue, Json, NotSupported, OperationContext

FORMATS = ("application/fhir+ndjson", "application/ndjson", "ndjson")
MAX_INPUTS = 1_000


def read_asked(context: OperationContext) -> Json:
    """Return the job's input. Raises InvalidRequest with every file that cannot be imported, NotSupported for a format.

    Every URL is shown to the server's list of allowed sources now, so that a client need not wait for the job to learn
    that its host is not listed.
    """
    given = context.parameters.one("inputFormat")
    if given is not None and given not in FORMATS:
        raise NotSupported(f"inputFormat must be {FORMATS[0]}.", location="http.inputFormat")
    rows = context.parameters.all("input")
    if not rows or len(rows) > MAX_INPUTS:
        raise InvalidRequest(f"Give 1 to {MAX_INPUTS} input parameters.", expression="Parameters.parameter")
    inputs: list[Json] = []
    issues: list[Issue] = []
    for number, row in enumerate(rows):
        try:
            inputs.append(_input(context, row))
        except InvalidRequest as failure:
            text = f"input {number + 1}: {failure}"
            issues.append(Issue("invalid", text, "Parameters.parameter.where(name='input')" + f"[{number}]"))
    if issues:
        raise InvalidRequest(issues=issues)
    asked: Json = {"inputs": inputs, "request": f"{context.server.base_url}/$import"}
    source = context.parameters.one("inputSource")
    return {**asked, "inputSource": source} if source is not None else asked


def _input(context: OperationContext, parts: Any) -> Json:
    kind, url = _part(parts, "type"), _part(parts, "url")
    if not isinstance(kind, str) or kind not in context.server.resource_types:
        raise InvalidRequest("its part type must be the resource type of the file.")
    if not isinstance(url, str):
        raise InvalidRequest("its part url must say where the file is.")
    context.server.open_source(url)
    return {"type": kind, "url": url}


def _part(parts: Any, name: str) -> Any:
    """Return the value of a part, or None."""
    for part in parts if isinstance(parts, list) else ():
        if isinstance(part, dict) and part.get("name") == name:
            return next((value for member, value in part.items() if member.startswith("value")), None)
    return None
