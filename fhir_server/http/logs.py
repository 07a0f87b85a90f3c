"""Structured logs without health data: one line a request, JSON or text. docs/guide/run-it.md

What may be logged: methods, route templates, statuses, times, ids of requests, names of tenants, types of exceptions.
Never paths with ids, query strings, bodies, names, or the messages of exceptions, which may quote any of these.
"""

from __future__ import annotations

import logging
import re
import secrets
import sys
import time
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec
import structlog
from structlog.typing import Processor, WrappedLogger

from fhir_server.settings import Settings

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}
_SAFE_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_FOREIGN_MESSAGE = 200

_Event = MutableMapping[str, Any]
_encode = msgspec.json.Encoder(enc_hook=str).encode


class RequestLog(Protocol):
    """Writes the one line of a request. `route` is the template (`/{type}/{id}`), `seconds` what it took."""

    def __call__(
        self, *, method: str, route: str, status: int, seconds: float, request_id: str, tenant: str = ""
    ) -> None: ...


def configure_logging(settings: Settings) -> None:
    """Send everything this process logs, by structlog or by the standard library, to standard error in one form."""
    level = _LEVELS[settings.log_level]
    shared: list[Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper("iso", utc=True),
        _exceptions_without_messages,
        neutralised,
    ]
    structlog.configure(
        processors=[*shared, _renderer(settings)],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                _foreign_first_line,
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *shared[1:],
                _renderer(settings),
            ],
            foreign_pre_chain=[structlog.stdlib.add_log_level],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logging.getLogger(name).handlers.clear()
        logging.getLogger(name).propagate = True
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def request_log(settings: Settings) -> RequestLog:
    """Return what writes the line of a request: nothing at all when the level is above info.

    As JSON it does not go through structlog's processors, which would cost more than a read from the cache; the form
    is the same.
    """
    if _LEVELS[settings.log_level] > logging.INFO:
        return _silent
    return _json_line if settings.log_format == "json" else _event


def request_id(header: bytes | None) -> str:
    """Return the id of a request: the client's X-Request-Id if it is harmless, a new one if not or absent."""
    if header is not None and _SAFE_REQUEST_ID.fullmatch(header):
        return header.decode("ascii")
    return secrets.token_hex(8)


def neutralised(_logger: WrappedLogger, _method: str, event: _Event) -> _Event:
    """Escape control characters and line separators, so that no text can begin a line or move the cursor."""
    for key, value in event.items():
        if isinstance(value, str) and _CONTROL.search(value):
            event[key] = _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", value)
    return event


def _silent(*, method: str, route: str, status: int, seconds: float, request_id: str, tenant: str = "") -> None:
    return


def _json_line(*, method: str, route: str, status: int, seconds: float, request_id: str, tenant: str = "") -> None:
    line = {
        "event": "request",
        "level": "info",
        "timestamp": datetime.fromtimestamp(time.time(), UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "method": method,
        "route": route,
        "status": status,
        "ms": round(seconds * 1000, 2),
        "request_id": request_id,
        "tenant": tenant,
    }
    sys.stderr.write(_encode(neutralised(None, "", line)).decode() + "\n")


def _event(*, method: str, route: str, status: int, seconds: float, request_id: str, tenant: str = "") -> None:
    structlog.get_logger("fhir_server.http").info(
        "request",
        method=method,
        route=route,
        status=status,
        ms=round(seconds * 1000, 2),
        request_id=request_id,
        tenant=tenant,
    )


def _renderer(settings: Settings) -> Processor:
    if settings.log_format == "console":
        return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    return structlog.processors.JSONRenderer(serializer=lambda event, **_: _encode(event).decode())


def _exceptions_without_messages(_logger: WrappedLogger, _method: str, event: _Event) -> _Event:
    """Replace exc_info by the exception's type and the places it came through; its message may hold health data."""
    info = event.pop("exc_info", None)
    error = info if isinstance(info, BaseException) else sys.exc_info()[1] if info is True else info and info[1]
    if isinstance(error, BaseException):
        frames = traceback.extract_tb(error.__traceback__)
        event["error"] = f"{type(error).__module__}.{type(error).__qualname__}"
        event["at"] = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames[-12:]]
    return event


def _foreign_first_line(_logger: WrappedLogger, _method: str, event: _Event) -> _Event:
    """Keep the first line of what a library says: asyncio's next ones quote the exception."""
    event["logger"] = event["_record"].name
    event["event"] = str(event["event"]).strip().split("\n")[0][:_FOREIGN_MESSAGE]
    event.pop("stack_info", None)
    return event
