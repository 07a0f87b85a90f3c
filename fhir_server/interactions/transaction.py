"""transaction: a Bundle that is wholly there or wholly not. https://hl7.org/fhir/R4/http.html#trules

Order: DELETE, POST, PUT and PATCH, GET. Everything that needs no database is done before the transaction opens:
checking, ids, links between entries. What conditions match is looked up inside it, so that it holds at the commit.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from fhir_server.api.errors import Conflict, Duplicate, Failure, InvalidRequest, Unprocessable
from fhir_server.api.ports import Answer, TransactionConflict, Writing
from fhir_server.api.records import Draft, Stored
from fhir_server.fhir.bundles import bundle
from fhir_server.fhir.outcomes import Issue
from fhir_server.interactions.drafting import (
    RECREATED,
    body_id,
    conformance_issues,
    draft,
    is_unchanged,
    key_of,
)
from fhir_server.interactions.entries import Entry, StatusOf, answered, at_entry, entry_of
from fhir_server.interactions.integrity import missing_references
from fhir_server.interactions.linking import Links
from fhir_server.interactions.naming import DRAFTED, Work, name
from fhir_server.interactions.route import Route
from fhir_server.interactions.services import Call
from fhir_server.interactions.update import check_preconditions
from fhir_server.search.accepting import TYPE

Json = dict[str, Any]
Perform = Callable[[Call, Route], Awaitable[Answer]]

MAX_TRIES = 10
ORDER = ("DELETE", "POST", "PUT", "PATCH", "GET", "HEAD")
READS = ("read", "vread", "search-type", "search-system", "search-compartment", "history-instance", "history-type",
         "history-system", "capabilities")  # fmt: skip
_YIELD_EVERY = 64


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
                await _run(replace(call, records=records, in_transaction=True), entries, ids, work, perform)
        except (TransactionConflict, Duplicate):
            await asyncio.sleep(0.01 * (attempt + 1))
            continue
        responses = [answered(work.answers[e.index], e, status_of, call) for e in entries]
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
        if entry.route.interaction not in DRAFTED:
            continue
        body = entry.request.body
        if not isinstance(body, dict) or body.get("resourceType") != entry.route.type:
            text = f"request.url says {entry.route.type}, but the resource is something else."
            issues.append(Issue("invalid", text, f"{entry.expression}.resource"))
            continue
        found = [i for i in validate(body, allow_conditional_references=True) if i.severity in ("error", "fatal")]
        found = found or await conformance_issues(call, body)
        issues += _at(entry, found) if found else ()
    if issues := issues or _parameter_issues(call, entries):
        raise Unprocessable(issues=issues)


def _parameter_issues(call: Call, entries: list[Entry]) -> list[Issue]:
    """Return why SearchParameters among valid entries cannot come into force together."""
    written = [e for e in entries if e.route.type == TYPE and e.route.interaction in DRAFTED]
    if not written:
        return []
    named = [(_parameter_key(e), e.request.body) for e in written]
    found = call.services.editions.acceptance.findings_together(named, call.edition.customs)
    pairs = [(e, several) for e, several in zip(written, found, strict=True) if several]
    return [i for e, several in pairs for i in at_entry(Unprocessable(issues=several), e.expression).issues]


def _parameter_key(entry: Entry) -> str | None:
    if entry.route.interaction == "create":
        return None if entry.request.conditions.if_none_exist else ""
    return key_of(entry.request.body)


def _refuse_same_full_url(entries: list[Entry]) -> None:
    seen: dict[str, int] = {}
    for entry in entries:
        if entry.full_url and entry.route.interaction in DRAFTED:
            other = seen.setdefault(entry.full_url, entry.index)
            if other != entry.index:
                raise InvalidRequest(
                    f"Entries {other} and {entry.index} have the same fullUrl.",
                    expression=f"{entry.expression}.fullUrl",
                )


async def _run(call: Call, entries: list[Entry], ids: dict[int, str], work: Work, perform: Perform) -> None:
    """Do everything inside the open transaction, whose records the call has."""
    records = call.records
    work.previous.update(await _current_of(records, entries))
    links = Links(call, work)
    deletes = [e for e in entries if e.request.method == "DELETE"]
    others = [e for e in entries if e.request.method != "DELETE"]
    if deletes:  # what they remove matches no criteria of the others
        await name(call, deletes, ids, work)
        await _perform(call, deletes, work, links, perform)
        await _replace(records, work)
    await name(call, others, ids, work)
    await links.resolve_conditional(entries)
    in_order = sorted(others, key=lambda e: ORDER.index(e.request.method))
    await _perform(call, [e for e in in_order if e.route.interaction in DRAFTED], work, links, perform)
    await _check_references(call, work)
    await records.create([made for _, made in work.creates])
    await _replace(records, work)
    # Patches, operations and reads go by themselves, on the transaction's records with what has been written.
    rest = [e for e in in_order if e.route.interaction not in DRAFTED]
    await _perform(call, [e for e in rest if e.route.interaction not in READS], work, links, perform)
    await _perform(call, [e for e in rest if e.route.interaction in READS], work, links, perform)


async def _perform(call: Call, entries: list[Entry], work: Work, links: Links, perform: Perform) -> None:
    for entry in entries:
        try:
            await _one(call, entry, work, links, perform)
        except Failure as failure:
            raise at_entry(failure, entry.expression) from None


async def _check_references(call: Call, work: Work) -> None:
    """Refuse links to what is neither there nor written by another entry; all issues are reported together."""
    written = {made.key: entry for entry, made in work.creates} | {made.key: entry for entry, made, _ in work.changes}
    drafts = [(made, None) for _, made in work.creates] + [(made, old) for _, made, old in work.changes]
    found = await missing_references(call, drafts, written)
    issues = [i for made, some in found for i in _at(written[made.key], some)]
    if issues:
        raise Unprocessable(issues=issues)


def _at(entry: Entry, issues: Sequence[Issue]) -> Sequence[Issue]:
    return at_entry(Unprocessable(issues=issues), entry.expression).issues


async def _replace(records: Writing, work: Work) -> None:
    """Write what is there of changes; one whose version is no longer current ends this try."""
    if not await records.replace([(made, old) for _, made, old in work.changes]):
        raise TransactionConflict
    work.changes.clear()


async def _current_of(records: Writing, entries: list[Entry]) -> dict[str, Stored]:
    keys = [e.route.key for e in entries if e.route.interaction in ("update", "patch", "delete")]
    return await records.current(keys) if keys else {}


async def _one(call: Call, entry: Entry, work: Work, links: Links, perform: Perform) -> None:
    kind = entry.route.interaction
    if entry.index in work.answers:
        return
    inside = replace(call, request=entry.request)
    key = work.named.get(entry.index, "")
    if kind == "create":
        resource = links.rewritten(entry)
        made = draft(call, resource, key.partition("/")[2], 1, "POST")
        work.creates.append((entry, made))
        work.answers[entry.index] = _written("created", made)
    elif kind in ("update", "conditional-update"):
        if kind == "update":
            body_id(entry.request.body, entry.route.id)
        _update(inside, entry, key, work.previous.get(key), links.rewritten(entry), work)
    elif kind in ("delete", "conditional-delete"):
        _delete(inside, entry, key, work.previous.get(key), work)
    else:
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
