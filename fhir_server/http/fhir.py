"""The FHIR API as a plain ASGI application: no framework stands on the data path. https://asgi.readthedocs.io/"""

from __future__ import annotations

import logging
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from fhir_server.api.errors import Failure, Malformed, NotFound, TooLarge
from fhir_server.api.ports import Answer
from fhir_server.api.tenant import Scope as TenantScope
from fhir_server.fhir.json import encode
from fhir_server.fhir.outcomes import Issue, operation_outcome
from fhir_server.http.errors import headers_of, outcome_of, status_code
from fhir_server.http.formats import CONTENT_TYPE, HeaderList, asks_for_xml, in_xml
from fhir_server.http.logs import RequestLog, request_id
from fhir_server.http.metrics import Metrics
from fhir_server.http.reading import FORM, Headers, Receive, Scope, base_url, read_body, to_request
from fhir_server.http.writing import CACHE, VARY, compressed, write
from fhir_server.interactions.dispatch import Dispatcher
from fhir_server.interactions.request import Query, Request
from fhir_server.interactions.route import Route, route
from fhir_server.interactions.services import Call, Services

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

DEFAULT_TENANT = "default"
_METHODS = b"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"
_ASKABLE = (
    b"Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Exist, If-None-Match, Prefer, "
    b"X-Request-Id"
)
_READABLE = b"Content-Location, ETag, Last-Modified, Location, X-Progress, X-Request-Id"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Edge:
    """What the edge is told by the settings."""

    base_url: str = ""
    max_body_bytes: int = 64 * 1024 * 1024
    cors_origins: tuple[str, ...] = ()
    gzip_level: int = 1


@dataclass(slots=True)
class _Exchange:
    """One request and what became of it, for the log and the counters."""

    headers: Headers
    tenant: str = ""
    route: Route | None = None
    form: Query = ()


class FhirApp:
    """Serves `/fhir` for the default tenant and `/t/{tenant}/fhir` for each."""

    def __init__(
        self, services: Services, dispatcher: Dispatcher, edge: Edge, metrics: Metrics, log: RequestLog
    ) -> None:
        self._services = services
        self._dispatcher = dispatcher
        self._edge = edge
        self._metrics = metrics
        self._log = log
        self._origins = {o.encode() for o in edge.cors_origins}
        self._vary = (VARY[0], VARY[1] + b", origin") if self._origins else VARY

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request; whatever happens, the client gets an answer and the log a line."""
        began = time.perf_counter()
        exchange = _Exchange(dict(scope["headers"]))
        if scope["method"] == "OPTIONS":
            status, rows, body = 204, [(b"allow", _METHODS)], b""
        else:
            status, rows, body = await self._answer(scope, receive, exchange)
        if asks_for_xml(exchange.headers, scope["query_string"], exchange.form):
            rows, body = in_xml(rows, body)
        name = request_id(exchange.headers.get(b"x-request-id"))
        body, zipped = compressed(body, exchange.headers, self._edge.gzip_level)
        if zipped:
            rows.append((b"content-encoding", b"gzip"))
        if body or status not in (204, 304):
            rows.append((b"content-length", str(len(body)).encode()))
        rows += [self._vary, CACHE, (b"x-request-id", name.encode())]
        self._cors(exchange.headers, rows)
        await send({"type": "http.response.start", "status": status, "headers": rows})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
        seconds = time.perf_counter() - began
        interaction = _interaction(exchange.route)
        self._metrics.observe(interaction, status, seconds)
        self._log(
            method=scope["method"],
            route=interaction,
            status=status,
            seconds=seconds,
            request_id=name,
            tenant=exchange.tenant,
        )

    async def _answer(self, scope: Scope, receive: Receive, exchange: _Exchange) -> tuple[int, HeaderList, bytes]:
        try:
            return await self._serve(scope, receive, exchange)
        except Failure as failure:
            rows = headers_of(failure)
            if isinstance(failure, TooLarge | Malformed):
                rows.append((b"connection", b"close"))  # part of the body may still be on its way
            return status_code(failure), [CONTENT_TYPE, *rows], outcome_of(failure)
        except RecursionError:
            issue = Issue("too-long", "The content is nested too deeply.")
            return 400, [CONTENT_TYPE], encode(operation_outcome([issue]))
        except Exception:  # noqa: BLE001  the edge: nobody is above to tell
            _log.exception("request_failed")
            issue = Issue("exception", "The server failed to answer. The log has the reason under X-Request-Id.")
            return 500, [CONTENT_TYPE], encode(operation_outcome([issue]))

    async def _serve(self, scope: Scope, receive: Receive, exchange: _Exchange) -> tuple[int, HeaderList, bytes]:
        tenant_name, prefix, path = _split(scope["path"])
        headers = exchange.headers
        tenant = await self._services.store.tenant(tenant_name)
        if tenant is None:
            raise NotFound("Nothing is at this path.")
        exchange.tenant = tenant_name
        if self._services.following.is_late(tenant):
            await self._services.following.catch_up(tenant)
        base = base_url(scope, headers, self._edge.base_url, prefix)
        self._services.editions.serve(tenant, base)
        raw = b""
        if scope["method"] in ("POST", "PUT", "PATCH"):
            raw = await read_body(receive, headers, self._edge.max_body_bytes)
        request = to_request(scope, headers, path, raw)
        if request.content == FORM:
            exchange.form = request.query
        answer = await self._perform(request, TenantScope(tenant), base, exchange)
        return write(self._services.definitions, request, answer, headers, base)

    async def _perform(self, request: Request, scope: TenantScope, base: str, exchange: _Exchange) -> Answer:
        services = self._services
        exchange.route = found = route(request.method, request.path, services.definitions.resource_types)
        call = Call(services, scope, base, request, services.store.records(scope))
        return await self._dispatcher.perform(call, found)

    def _cors(self, headers: Headers, rows: HeaderList) -> None:
        """Let pages of the listed origins call. https://fetch.spec.whatwg.org/#http-cors-protocol"""
        origin = headers.get(b"origin")
        if origin is None or not (origin in self._origins or b"*" in self._origins):
            return
        rows += [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _ASKABLE),
            (b"access-control-expose-headers", _READABLE),
            (b"access-control-max-age", b"600"),
        ]


def _split(path: str) -> tuple[str, str, str]:
    """Return the tenant, the base path and what follows it."""
    if path.startswith("/t/"):
        name, slash, rest = path[3:].partition("/fhir")
        if slash and "/" not in name and (not rest or rest[0] == "/"):
            return name, f"/t/{name}/fhir", rest
        raise NotFound("Nothing is at this path.")
    return DEFAULT_TENANT, "/fhir", path[5:]


def _interaction(found: Route | None) -> str:
    if found is None:
        return "refused"
    return f"${found.operation[:40]}" if found.interaction == "operation" else found.interaction
