"""transaction: a Bundle that is wholly there or wholly not. https://hl7.org/fhir/R4/http.html#trules

Order: DELETE, POST, PUT and PATCH, GET. Everything that needs no database is done before the transaction opens:
checking, ids, links between entries. What conditions match is looked up inside it, so that it holds at the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any

from fhir_server.api.errors import Conflict, Duplicate, Failure, InvalidRequest, PreconditionFailed, Unprocessable
from fhir_server.api.ports import Answer, TransactionConflict, Writing
from fhir_server.api.records import Draft, Stored
from fhir_server.fhir.bundles import bundle
from fhir_server.fhir.outcomes import Issue
from fhir_server.fhir.references import references, rewrite
from fhir_server.interactions.conditional import (
    Query,
    criterion,
    id_taken,
    matches,
    parse_criteria,
    reservation,
    single_match,
)
from fhir_server.interactions.drafting import RECREATED, body_id, draft, is_unchanged
from fhir_server.interactions.entries import Entry, StatusOf, answered, at_entry, entry_of
from fhir_server.interactions.route import Route
from fhir_server.interactions.services import Call
from fhir_server.interactions.update import check_preconditions

Json = dict[str, Any]
Perform = Callable[[Call, Route], Awaitable[Answer]]

MAX_TRIES = 10
ORDER = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
READS = ("read", "vread", "search-type", "search-system", "search-compartment", "history-instance", "history-type",
         "history-system", "capabilities")  # fmt: skip
_YIELD_EVERY = 64


@dataclass(slots=True)
class Work:
    """What the transaction is to do; made anew for every try, so that nothing of a failed one is left."""

    keys: dict[str, str] = field(default_factory=dict)
    answers: dict[int, Answer] = field(default_factory=dict)
    creates: list[tuple[Entry, Draft]] = field(default_factory=list)
    changes: list[tuple[Entry, Draft, Stored]] = field(default_factory=list)
    touched: dict[str, int] = field(default_factory=dict)
    claimed: dict[str, int] = field(default_factory=dict)


async def transaction(call: Call, rows: list[Any], perform: Perform, status_of: StatusOf) -> Answer:
    """Run the entries all or nothing and return the response Bundle; a failure names the entry it came from."""
    entries = [_read(call, index, row) for index, row in enumerate(rows)]
    await _check(call, entries)
    _refuse_same_full_url(entries)
    ids = {
        e.index: call.services.ids.new_id() for e in entries if e.route.interaction in ("create", "conditional-update")
    }
    for attempt in range(MAX_TRIES):
        work = Work()
        try:
            async with (
                call.services.gate.admitted(len(entries)),
                call.services.store.transaction(call.scope) as records,
            ):
                await _run(replace(call, records=records), records, entries, ids, work, perform)
        except (TransactionConflict, Duplicate):
            await asyncio.sleep(0.01 * (attempt + 1))
            continue
        responses = [answered(work.answers[e.index], status_of, call.base_url) for e in entries]
        return Answer("ok", bundle("transaction-response", responses))
    raise Conflict("Others keep changing the same resources. Try again; nothing was written.")


def _read(call: Call, index: int, row: Any) -> Entry:
    try:
        return entry_of(call, index, row)
    except Failure as failure:
        raise at_entry(failure, f"Bundle.entry[{index}]") from None


async def _check(call: Call, entries: list[Entry]) -> None:
    """Validate every resource that is to be written; all issues of all entries are reported together."""
    issues: list[Issue] = []
    validate = call.services.validator.validate
    for place, entry in enumerate(entries):
        if place % _YIELD_EVERY == _YIELD_EVERY - 1:
            await asyncio.sleep(0)  # a large Bundle must not keep others waiting
        if entry.route.interaction not in ("create", "update", "conditional-update"):
            continue
        body = entry.request.body
        if not isinstance(body, dict) or body.get("resourceType") != entry.route.type:
            text = f"request.url says {entry.route.type}, but the resource is something else."
            issues.append(Issue("invalid", text, f"{entry.expression}.resource"))
            continue
        found = [i for i in validate(body, allow_conditional_references=True) if i.severity in ("error", "fatal")]
        issues += at_entry(Unprocessable(issues=found), entry.expression).issues if found else ()
    if issues:
        raise Unprocessable(issues=issues)


def _refuse_same_full_url(entries: list[Entry]) -> None:
    seen: dict[str, int] = {}
    for entry in entries:
        if entry.full_url and entry.route.interaction in ("create", "update", "conditional-update"):
            other = seen.setdefault(entry.full_url, entry.index)
            if other != entry.index:
                raise InvalidRequest(
                    f"Entries {other} and {entry.index} have the same fullUrl.",
                    expression=f"{entry.expression}.fullUrl",
                )


async def _run(
    call: Call, records: Writing, entries: list[Entry], ids: dict[int, str], work: Work, perform: Perform
) -> None:
    """Do everything inside the open transaction."""
    previous = await _current_of(records, entries)
    links = _Links(call, work, previous)
    deletes = [e for e in entries if e.request.method == "DELETE"]
    others = [e for e in entries if e.request.method != "DELETE"]
    if deletes:  # what they remove matches no criteria of the others
        await _name(call, records, deletes, ids, work, previous)
        await _perform(call, deletes, work, previous, links, perform)
        await _replace(records, work)
    await _name(call, records, others, ids, work, previous)
    await links.resolve_conditional(entries)
    in_order = sorted(others, key=lambda e: ORDER.index(e.request.method))
    await _perform(call, in_order, work, previous, links, perform)
    await records.create([made for _, made in work.creates])
    await _replace(records, work)
    for entry in entries:
        if entry.route.interaction in READS:
            work.answers[entry.index] = await _located(
                entry, perform(replace(call, request=entry.request), entry.route)
            )


async def _perform(
    call: Call, entries: list[Entry], work: Work, previous: dict[str, Stored], links: _Links, perform: Perform
) -> None:
    for entry in entries:
        try:
            await _one(call, entry, work, previous, links, perform)
        except Failure as failure:
            raise at_entry(failure, entry.expression) from None


async def _replace(records: Writing, work: Work) -> None:
    """Write what is there of changes; one whose version is no longer current ends this try."""
    if not await records.replace([(made, old) for _, made, old in work.changes]):
        raise TransactionConflict
    work.changes.clear()


async def _located(entry: Entry, answer: Awaitable[Answer]) -> Answer:
    try:
        return await answer
    except Failure as failure:
        raise at_entry(failure, entry.expression) from None


async def _current_of(records: Writing, entries: list[Entry]) -> dict[str, Stored]:
    keys = [e.route.key for e in entries if e.route.interaction in ("update", "patch", "delete")]
    return await records.current(keys) if keys else {}


async def _name(
    call: Call, records: Writing, entries: list[Entry], ids: dict[int, str], work: Work, previous: dict[str, Stored]
) -> None:
    """Find out under which key each entry's resource will be, before any link to it is written."""
    for entry in entries:
        kind = entry.route.interaction
        try:
            if kind == "create":
                key = await _create_key(call, records, entry, ids[entry.index], work)
            elif kind == "conditional-update":
                key = await _update_key(call, records, entry, ids[entry.index], work, previous)
            elif kind in ("conditional-patch", "conditional-delete"):
                key = await single_match(call, entry.route.type, entry.request.query) or ""
                previous.update(await records.current([key]) if key else {})
            elif kind in ("update", "patch", "delete"):
                key = entry.route.key
            else:
                continue
        except Failure as failure:
            raise at_entry(failure, entry.expression) from None
        other = work.touched.setdefault(key, entry.index) if key else entry.index
        if other != entry.index and not (entry.index in work.answers and other in work.answers):
            first, second = sorted((other, entry.index))
            raise InvalidRequest(
                f"Entries {first} and {second} are about the same resource.", expression=f"Bundle.entry[{second}]"
            )
        if entry.full_url and key:
            work.keys[entry.full_url] = key
            if entry.full_url.startswith("http"):  # a relative link means the same entry
                work.keys["/".join(entry.full_url.rsplit("/", 2)[1:])] = key


async def _create_key(call: Call, records: Writing, entry: Entry, fresh: str, work: Work) -> str:
    key = f"{entry.route.type}/{fresh}"
    criteria = entry.request.conditions.if_none_exist
    if not criteria:
        return key
    query = parse_criteria(criteria)
    found = await matches(records, await criterion(call, entry.route.type, query))
    if len(found) > 1:
        raise PreconditionFailed(f"ifNoneExist matches more than one {entry.route.type}.")
    if found:
        one = found[0]
        work.answers[entry.index] = Answer(
            "ok", one.raw, one.key, one.version, one.updated, f"{one.key}/_history/{one.version}"
        )
        return one.key
    await _claim(call, records, entry, query, key, work)
    return key


async def _update_key(
    call: Call, records: Writing, entry: Entry, fresh: str, work: Work, previous: dict[str, Stored]
) -> str:
    match = await single_match(call, entry.route.type, entry.request.query)
    if match is not None and "id" in entry.request.body:
        body_id(entry.request.body, match.partition("/")[2])
    key = match or f"{entry.route.type}/{entry.request.body.get('id', fresh)}"
    found = await records.current([key])
    previous.update(found)
    if match is None:
        if key in found and not found[key].deleted:
            raise id_taken(key)
        await _claim(call, records, entry, entry.request.query, key, work)
    return key


async def _claim(call: Call, records: Writing, entry: Entry, query: Query, key: str, work: Work) -> None:
    """Claim criteria that match nothing yet, for one entry of this transaction and for no other transaction."""
    name = reservation(entry.route.type, query)
    other = work.claimed.setdefault(name, entry.index)
    if other != entry.index:
        raise InvalidRequest(
            f"Entries {other} and {entry.index} would each create what the same criteria match.",
            expression=entry.expression,
        )
    await records.reserve(name, key, call.services.clock.now())


async def _one(
    call: Call, entry: Entry, work: Work, previous: dict[str, Stored], links: _Links, perform: Perform
) -> None:
    kind = entry.route.interaction
    if entry.index in work.answers or kind in READS:
        return
    inside = replace(call, request=entry.request)
    key = work.keys.get(entry.full_url) if entry.full_url else None
    key = key or next((k for k, i in work.touched.items() if i == entry.index), "")
    if kind == "create":
        resource = links.rewritten(entry)
        made = draft(call, resource, key.partition("/")[2], 1, "POST")
        work.creates.append((entry, made))
        work.answers[entry.index] = _written("created", made)
    elif kind in ("update", "conditional-update"):
        if kind == "update":
            body_id(entry.request.body, entry.route.id)
        _update(inside, entry, key, previous.get(key), links.rewritten(entry), work)
    elif kind in ("delete", "conditional-delete"):
        _delete(inside, entry, key, previous.get(key), work)
    else:
        # Patches and operations read and write by themselves, on the transaction's records.
        work.answers[entry.index] = await perform(inside, entry.route)


def _update(call: Call, entry: Entry, key: str, current: Stored | None, resource: Json, work: Work) -> None:
    check_preconditions(call, current)
    resource_id = key.partition("/")[2]
    if current is None:
        made = draft(call, resource, resource_id, 1, "PUT")
        work.creates.append((entry, made))
        work.answers[entry.index] = _written("created", made)
    elif is_unchanged(resource, current):
        work.answers[entry.index] = Answer("ok", current.raw, key, current.version, current.updated)
    else:
        made = draft(call, resource, resource_id, current.version + 1, RECREATED if current.deleted else "PUT")
        work.changes.append((entry, made, current))
        work.answers[entry.index] = _written("created" if current.deleted else "ok", made)


def _delete(call: Call, entry: Entry, key: str, current: Stored | None, work: Work) -> None:
    check_preconditions(call, current)
    if current is None or current.deleted:
        work.answers[entry.index] = Answer("deleted")
        return
    now = call.services.clock.now()
    tombstone = Draft(key, current.version + 1, now, b"", "DELETE", deleted=True)
    work.changes.append((entry, tombstone, current))
    work.answers[entry.index] = Answer("deleted", key=key, version=tombstone.version, updated=now)


def _written(kind: str, made: Draft) -> Answer:
    return Answer(kind, made.raw, made.key, made.version, made.updated, f"{made.key}/_history/{made.version}")


class _Links:
    """Links between entries, and conditional references to what is stored already."""

    def __init__(self, call: Call, work: Work, previous: dict[str, Stored]) -> None:
        self._call = call
        self._work = work
        self._previous = previous
        self._conditional: dict[str, str] = {}

    async def resolve_conditional(self, entries: list[Entry]) -> None:
        """Look up every `Type?criteria` reference once. https://hl7.org/fhir/R4/http.html#trules"""
        for entry in entries:
            if entry.route.interaction not in ("create", "update", "conditional-update"):
                continue
            for literal in _conditional_references(entry.request.body):
                if literal not in self._conditional:
                    self._conditional[literal] = await self._look_up(entry, literal)

    async def _look_up(self, entry: Entry, literal: str) -> str:
        kind, _, criteria = literal.partition("?")
        where = f"{entry.expression}.resource"
        if kind not in self._call.services.definitions.resource_types:
            raise InvalidRequest(f"A conditional reference names no resource type: {kind[:64]!r}.", expression=where)
        try:
            found = await single_match(self._call, kind, parse_criteria(criteria))
        except Failure as failure:
            raise at_entry(failure, entry.expression) from None
        if found is None:
            raise PreconditionFailed(f"A conditional reference to {kind} matches nothing.", expression=where)
        return found

    def rewritten(self, entry: Entry) -> Json:
        """Return the entry's resource with every link to another entry, and every condition, made a reference."""
        changed: Json = rewrite(entry.request.body, self._change)
        return changed

    def _change(self, text: str) -> str | None:
        key = self._work.keys.get(text)
        if key is not None:
            return key
        if "?" in text:
            return self._conditional.get(text)
        link, history, _ = text.partition("/_history/")
        key = self._work.keys.get(link) if history else None
        return None if key is None else f"{key}/_history/{self._version_of(key)}"

    def _version_of(self, key: str) -> int:
        """Return the version that a resource has when this is over, which a link to a version then means."""
        found = self._work.answers.get(self._work.touched[key])
        if found is not None:
            return found.version
        current = self._previous.get(key)
        return current.version + 1 if current is not None else 1


def _conditional_references(node: Any) -> list[str]:
    return [literal for _, literal in references(node) if "?" in literal and "://" not in literal]
