"""Calling an operation: its parameters read and checked by its own definition. https://hl7.org/fhir/R4/operations.html"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from fhir_server.api.errors import (
    Failure,
    InvalidRequest,
    NotAllowed,
    NotFound,
    NotSupported,
    Unprocessable,
    UnsupportedFormat,
)
from fhir_server.api.operation import Content, Job, OperationContext, Parameters
from fhir_server.api.ports import Answer
from fhir_server.fhir.json import encode
from fhir_server.fhir.outcomes import Issue
from fhir_server.interactions.hosting import Host
from fhir_server.interactions.route import Route
from fhir_server.interactions.services import Call
from fhir_server.kernel.registry import Registered

Json = dict[str, Any]

# Archives, which an operation that takes a Binary is given as its content. https://docs.npmjs.com/about-packages-and-modules
ARCHIVE_TYPES = ("application/gzip", "application/x-gzip", "application/tar+gzip", "application/x-compressed-tar")
# Parameters of a GET that belong to the edge or to paging, not to the operation.
PASSED_OVER = frozenset({"_format", "_pretty", "_cursor", "_summary", "_elements"})


async def operation(call: Call, route: Route, host: Host) -> Answer:
    """Run the operation and return its result; a Job is taken on and answered with where to ask for it."""
    level = "instance" if route.id else "type" if route.type else "system"
    found = call.services.registry.find(route.operation, level, route.type)
    if found is None:
        raise _missing(call, route, level)
    if call.request.method == "GET" and found.affects_state:
        raise NotAllowed(f"${found.code} changes things and is called with POST.", allowed=("POST",))
    if call.request.method not in ("GET", "HEAD", "POST"):
        raise NotAllowed("Operations are called with GET or POST.", allowed=("GET", "POST"))
    handler = found.handler(level)
    assert handler is not None, "the registry finds only operations with a handler on the level"
    body = _own_body(call, found)
    given = parameters(call if body is None else replace(call, request=replace(call.request, body=None)), found)
    asked = call.request
    context = OperationContext(
        route.type, route.id, given, call.records, host.server(call), asked.query, body, asked.languages
    )
    result = await handler(context)
    if isinstance(result, Job):
        return await host.accept(call, context, result)
    if isinstance(result, Content):
        return Answer("ok", result.body, media_type=result.media_type, failure=result.failure)
    return Answer("ok", result if isinstance(result, bytes) else encode(result))


def _own_body(call: Call, found: Registered) -> Any:
    """Return the body that the operation reads itself, or None where there is none but Parameters or a resource."""
    body = call.request.body
    if found.operation.reads_body:
        return None if isinstance(body, dict) and "resourceType" in body else body
    is_archive = call.request.content in ARCHIVE_TYPES and call.request.method == "POST"
    takes_binary = any(parameter.get("type") == "Binary" for parameter in _inputs(found).values())
    if isinstance(body, str) or (is_archive and not takes_binary):
        raise UnsupportedFormat(f"${found.code} takes application/fhir+json.")
    return None


def _missing(call: Call, route: Route, level: str) -> Failure:
    names = {o.code for o in call.services.registry.operations}
    where = {"system": "on the system", "type": f"on {route.type}", "instance": f"on one {route.type}"}[level]
    known = any(o.get("code") == route.operation for o in call.services.definitions.operations)
    text = f"There is no operation ${route.operation[:64]} {where}. GET metadata lists those there are."
    return NotSupported(text) if known and route.operation not in names else NotFound(text)


def parameters(call: Call, found: Registered) -> Parameters:
    """Return the input parameters of a call; raises with every issue when they are not what the definition says."""
    body = call.request.body
    if body is None:
        given = [(n, v) for n, v in call.request.query if n not in PASSED_OVER]
        values = _from_query(found, given)
    elif isinstance(body, dict) and body.get("resourceType") == "Parameters":
        values = _from_parameters(found, body.get("parameter", []))
    else:
        values = _from_resource(found, body)
    if call.request.method == "POST" and body is not None:
        given = [(n, v) for n, v in call.request.query if n not in PASSED_OVER and n not in values]
        values.update(_from_query(found, given))
    _check_cardinality(found, values)
    return Parameters(values)


def query_parameters(found: Registered, given: Sequence[tuple[str, str]]) -> tuple[Parameters, list[tuple[str, str]]]:
    """Return a named query's own parameters, checked, and the rest of what is given."""
    inputs = _inputs(found)
    values = _from_query(found, [(n, v) for n, v in given if n in inputs])
    _check_cardinality(found, values)
    return Parameters(values), [(n, v) for n, v in given if n not in inputs]


def _inputs(found: Registered) -> dict[str, Json]:
    return {p["name"]: p for p in found.definition.get("parameter", []) if p.get("use") == "in"}


def _from_query(found: Registered, pairs: Sequence[tuple[str, str]]) -> dict[str, list[Any]]:
    inputs = _inputs(found)
    values: dict[str, list[Any]] = {}
    for name, text in pairs:
        if name not in inputs:
            raise InvalidRequest(_unknown(found, name), location=f"http.{name[:64]}")
        values.setdefault(name, []).append(_primitive(found, inputs[name], text))
    return values


def _primitive(found: Registered, parameter: Json, text: str) -> Any:
    kind = parameter.get("type", "string")
    if kind in _READERS:
        value = _READERS[kind](text)
        if value is None:
            raise InvalidRequest(f"{parameter['name']} must be a {kind}.", location=f"http.{parameter['name']}")
        return value
    if kind[:1].isupper() and kind not in ("Reference",):
        raise InvalidRequest(
            f"{parameter['name']} is a {kind} and needs a POST with Parameters.", location=f"http.{parameter['name']}"
        )
    return {"reference": text} if kind == "Reference" else text


def _integer(least: int) -> Callable[[str], int | None]:
    def read(text: str) -> int | None:
        number = int(text) if text.lstrip("-").isdigit() and text.isascii() and len(text) < 12 else least - 1
        return number if least <= number < 1 << 31 else None

    return read


_READERS: dict[str, Callable[[str], bool | int | None]] = {
    "boolean": lambda text: {"true": True, "false": False}.get(text),
    "integer": _integer(-(1 << 31)),
    "unsignedInt": _integer(0),
    "positiveInt": _integer(1),
}


def _from_parameters(found: Registered, rows: Any) -> dict[str, list[Any]]:
    inputs = _inputs(found)
    values: dict[str, list[Any]] = {}
    for index, row in enumerate(rows if isinstance(rows, list) else [None]):
        where = f"Parameters.parameter[{index}]"
        name = row.get("name") if isinstance(row, dict) else None
        if not isinstance(name, str):
            raise InvalidRequest("Every parameter needs a name.", expression=where)
        if name not in inputs:
            raise InvalidRequest(_unknown(found, name), expression=f"{where}.name")
        values.setdefault(name, []).append(_value(inputs[name], row, where))
    return values


def _value(parameter: Json, row: Json, where: str) -> Any:
    """Return a parameter's value; its member must be of the declared type."""
    kind = parameter.get("type")
    if "resource" in row:
        resource = row["resource"]
        if isinstance(resource, dict) and (kind in ("Resource", "Any", None) or resource.get("resourceType") == kind):
            return resource
    elif "part" in row:
        if "part" in parameter:
            if not _are_parts(row["part"]):
                raise InvalidRequest(f"{parameter['name']} must have parts, each with a name.", expression=where)
            return row["part"]
    else:
        values = [(n, v) for n, v in row.items() if n.startswith("value")]
        if len(values) == 1 and (kind is None or _fits(*values[0], kind)):
            return values[0][1]
    raise InvalidRequest(f"{parameter['name']} must be a {kind}.", expression=where)


def _are_parts(rows: Any) -> bool:
    """Whether they are objects with names, and those inside them too: operations do not look again."""
    return isinstance(rows, list) and all(
        isinstance(row, dict) and isinstance(row.get("name"), str) and _are_parts(row.get("part", [])) for row in rows
    )


def _fits(member: str, value: Any, kind: str) -> bool:
    """Whether a member `value[x]` is of the kind that the definition says, in name and in JSON."""
    wanted = "value" + kind[0].upper() + kind[1:]
    alike = {"valueUri": ("valueUrl", "valueCanonical"), "valueCode": ("valueString",), "valueDate": ("valueDateTime",)}
    json_types = _JSON_TYPES.get(kind, (dict,) if kind[0].isupper() else (str,))
    return kind == "Element" or (type(value) in json_types and (member == wanted or member in alike.get(wanted, ())))


_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "positiveInt": (int,),
    "unsignedInt": (int,),
    "decimal": (Decimal, int),
}


def _from_resource(found: Registered, body: Any) -> dict[str, list[Any]]:
    """Take a bare resource for the one parameter of its type, or the one that takes any resource."""
    kind = body.get("resourceType") if isinstance(body, dict) else None
    types = {name: parameter.get("type") for name, parameter in _inputs(found).items()}
    fitting = [n for n, t in types.items() if t == kind] or [n for n, t in types.items() if t in ("Resource", "Any")]
    if kind is None or len(fitting) != 1:
        raise InvalidRequest(f"${found.code} takes a Parameters resource.", expression="Parameters")
    return {fitting[0]: [body]}


def _check_cardinality(found: Registered, values: dict[str, list[Any]]) -> None:
    issues = []
    for name, parameter in _inputs(found).items():
        count = len(values.get(name, ()))
        if count < parameter.get("min", 0):
            issues.append(Issue("required", f"${found.code} needs the parameter {name}.", "Parameters.parameter"))
        elif parameter.get("max", "*") != "*" and count > int(parameter["max"]):
            issues.append(Issue("invalid", f"{name} may be given {parameter['max']} times.", "Parameters.parameter"))
    if issues:
        raise Unprocessable(issues=issues)


def _unknown(found: Registered, name: str) -> str:
    return f"${found.code} has no parameter {name[:64]!r}; it has {', '.join(_inputs(found)) or 'none'}."
