"""history of an instance, a type and the system. https://hl7.org/fhir/R4/http.html#history"""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlencode

from fhir_server.api.criteria import HistoryOf, Position
from fhir_server.api.errors import InvalidRequest, NotFound
from fhir_server.api.ports import Answer
from fhir_server.api.records import Stored
from fhir_server.fhir.bundles import bundle, history_entry
from fhir_server.fhir.dates import format_instant, parse_range
from fhir_server.interactions.drafting import RECREATED
from fhir_server.interactions.route import Route
from fhir_server.interactions.services import Call
from fhir_server.search.paging import CURSOR

STATUS = {"POST": "201 Created", "DELETE": "204 No Content"}


async def history(call: Call, route: Route) -> Answer:
    """Return versions, newest first; `_since`, `_at` and `_count` narrow and page them."""
    path = "/".join(call.request.path)
    asked = dict(call.request.query)
    count = _count(call, asked.get("_count", ""))
    of = HistoryOf(route.key if route.id else "", "" if route.id else route.type, *_times(asked))
    bound = (call.tenant.name, path, asked.get("_since", ""), asked.get("_at", ""))
    after = call.services.cursors.position(asked[CURSOR], bound) if asked.get(CURSOR) else None
    page = await call.records.history(of, max(count, 1), after)
    if route.id and after is None and not page.records and await call.records.read(route.key) is None:
        raise NotFound(f"There is no {route.key}, and never was.")
    entries = [_entry(call, r) for r in page.records] if count else []
    links = [("self", _link(call, path, asked, asked.get(CURSOR)))]
    if page.more and count:
        last = page.records[-1]
        cursor = call.services.cursors.sign(Position(last.updated, last.key, last.version), bound)
        links.append(("next", _link(call, path, asked, cursor)))
    total = len(entries) if after is None and not page.more and count else None
    return Answer("ok", bundle("history", entries, links=links, total=total))


def _entry(call: Call, record: Stored) -> bytes:
    method = record.method.partition(" ")[0]
    created = record.method == RECREATED or (record.version == 1 and method == "PUT")
    return history_entry(
        call.full_url(record.key).encode(),
        record.raw,
        method,
        record.type if method == "POST" else record.key,
        "201 Created" if created else STATUS.get(method, "200 OK"),
        f'W/"{record.version}"',
        format_instant(record.updated),
    )


def _times(asked: dict[str, str]) -> tuple[int | None, tuple[int, int] | None]:
    since = _interval("_since", asked)
    return (since[0] if since else None), _interval("_at", asked)


def _interval(name: str, asked: dict[str, str]) -> tuple[int, int] | None:
    if not asked.get(name):
        return None
    try:
        return parse_range(asked[name])
    except ValueError:
        raise InvalidRequest(f"{name} must be a date or an instant.", location=f"http.{name}") from None


def _count(call: Call, text: str) -> int:
    if not text:
        return call.services.limits.default_page
    if not text.isascii() or not text.isdigit():
        raise InvalidRequest("_count must be a whole number from 0.", location="http._count")
    return min(int(text[:9]), call.services.limits.max_page)


def _link(call: Call, path: str, asked: dict[str, str], cursor: str | None) -> str:
    pairs: Sequence[tuple[str, str]] = [(n, v) for n, v in asked.items() if n != CURSOR]
    pairs = [*pairs, (CURSOR, cursor)] if cursor else pairs
    return f"{call.base_url}/{path}" + (f"?{urlencode(pairs)}" if pairs else "")
