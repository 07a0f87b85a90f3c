"""Which interaction a method and a path mean. https://hl7.org/fhir/R4/http.html#summary"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

from fhir_server.api.errors import InvalidRequest, NotAllowed, NotFound
from fhir_server.fhir.references import is_id


@dataclass(frozen=True, slots=True)
class Route:
    """An interaction and what its path names."""

    interaction: str
    type: str = ""
    id: str = ""
    version: str = ""
    operation: str = ""
    compartment_type: str = ""

    @property
    def key(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"


# Methods by what the path names; HEAD is GET without a body.
SYSTEM = {"GET": "search-system", "POST": "batch"}
TYPE = {
    "GET": "search-type",
    "POST": "create",
    "PUT": "conditional-update",
    "PATCH": "conditional-patch",
    "DELETE": "conditional-delete",
}
INSTANCE = {"GET": "read", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def route(method: str, path: tuple[str, ...], types: Container[str]) -> Route:
    """Return the interaction of a request.

    Raises NotFound for a path that names nothing or an unknown type, NotAllowed for a method it does not have.
    """
    method = "GET" if method == "HEAD" else method
    if not path:
        return Route(_pick(SYSTEM, method))
    first = path[0]
    if first[:1] == "$":
        return _only(path, 1, Route("operation", operation=first[1:]))
    if first == "metadata":
        return _only(path, 1, Route(_pick({"GET": "capabilities"}, method)))
    if first == "_history":
        return _only(path, 1, Route(_pick({"GET": "history-system"}, method)))
    if first == "_search":
        return _only(path, 1, Route(_pick({"POST": "search-system"}, method)))
    if first == "_jobs" and len(path) == 2:
        return Route(_pick({"GET": "job-status", "DELETE": "job-cancel"}, method), id=path[1])
    if first not in types:
        raise NotFound(f"There is no resource type {first[:64]!r} in FHIR R4. Type names are case-sensitive.")
    if len(path) == 1:
        return Route(_pick(TYPE, method), first)
    return _below_type(method, path)


def _below_type(method: str, path: tuple[str, ...]) -> Route:
    kind, second = path[0], path[1]
    if second[:1] == "$":
        return _only(path, 2, Route("operation", kind, operation=second[1:]))
    if second == "_history":
        return _only(path, 2, Route(_pick({"GET": "history-type"}, method), kind))
    if second == "_search":
        return _only(path, 2, Route(_pick({"POST": "search-type"}, method), kind))
    if not is_id(second):
        raise InvalidRequest("An id has 1 to 64 of the characters A-Z a-z 0-9 - and .", location="http.path")
    if len(path) == 2:
        return Route(_pick(INSTANCE, method), kind, second)
    third = path[2]
    if third[:1] == "$":
        return _only(path, 3, Route("operation", kind, second, operation=third[1:]))
    if third == "_history":
        if len(path) == 4:
            return Route(_pick({"GET": "vread"}, method), kind, second, path[3])
        return _only(path, 3, Route(_pick({"GET": "history-instance"}, method), kind, second))
    return _compartment(method, path)


def _compartment(method: str, path: tuple[str, ...]) -> Route:
    if len(path) == 4 and path[3] == "_search":
        interaction = _pick({"POST": "search-compartment"}, method)
    else:
        interaction = _pick({"GET": "search-compartment"}, method)
        path = path if len(path) == 3 else ("", "", "", "", "")
    if len(path) > 4:
        raise NotFound("Nothing is at this path.")
    return Route(interaction, "" if path[2] == "*" else path[2], path[1], compartment_type=path[0])


def _pick(methods: dict[str, str], method: str) -> str:
    found = methods.get(method)
    if found is None:
        allowed = (*methods, "HEAD") if "GET" in methods else tuple(methods)
        raise NotAllowed(f"{method[:16]} is not possible here; {', '.join(allowed)} is.", allowed=allowed)
    return found


def _only(path: tuple[str, ...], length: int, found: Route) -> Route:
    if len(path) > length:
        raise NotFound("Nothing is at this path.")
    return found
