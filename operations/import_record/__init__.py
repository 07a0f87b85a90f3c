"""Patient/$import: one patient's record from another system, taken over whole in one transaction.

Our own operation, after the needs of record portability; the counterpart of Patient/$everything.
https://hl7.org/fhir/R4/patient-operation-everything.html
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from fhir_server.api import (
    Duplicate,
    InvalidRequest,
    Issue,
    Json,
    Operation,
    OperationContext,
    Unprocessable,
    decode_stored,
)
from operations.import_record.checking import Checked, check, check_owner
from operations.import_record.links import Links
from operations.import_record.matching import find_patient
from operations.import_record.planning import Change, Names, made_id, plan
from operations.import_record.report import answer, provenance, provenance_id, set_aside, transaction
from operations.import_record.source import Item, identity, only_patient, read_bundle

MODES = ("strict", "quarantine")
ON_DUPLICATE = ("skip", "version", "fail")


async def import_record(context: OperationContext) -> Json:
    """Write the record of exactly one patient and say what became of every resource.

    Everything is checked before anything is written, and written in one transaction: half a record would pass for a
    whole one. The same Bundle again changes nothing.
    """
    mode = _choice(context, "mode", MODES)
    on_duplicate = _choice(context, "onDuplicate", ON_DUPLICATE)
    if context.parameters.one("dryRun") not in (None, True, False):
        raise InvalidRequest("dryRun must be true or false.", location="http.dryRun")
    bundle = context.parameters.one("bundle")
    items = read_bundle(bundle)
    patient = only_patient(items)
    links = Links(items, context.server.base_url)
    checked = await check(context, items, links)
    _refuse(checked, patient, mode)
    source = identity(bundle, items)
    earlier = await _earlier(context, source)
    matched = await find_patient(context, patient, earlier)
    names = Names(source, matched or f"Patient/{made_id(*source, patient.url)}")
    check_owner(checked, links, names.patient)
    _refuse(checked, patient, mode)
    here = await context.records.read_many([names.key(item) for item in checked.good])
    changes = plan(checked.good, links, names, here)
    if on_duplicate == "fail":
        _refuse_duplicates(changes, matched if context.parameters.one("target") else "")
    return await _write(context, changes, _wanted(changes, on_duplicate), names, checked, _bad(items, checked), earlier)


def _choice(context: OperationContext, name: str, choices: tuple[str, ...]) -> str:
    value = context.parameters.one(name)
    if value is not None and value not in choices:
        raise InvalidRequest(f"{name} must be one of {', '.join(choices)}.", location=f"http.{name}")
    return value or choices[0]


def _refuse(checked: Checked, patient: Item, mode: str) -> None:
    """Raise what is wrong, unless it can be set aside; a record without its patient is none."""
    if checked.bad and (mode == "strict" or patient.url in checked.bad):
        raise Unprocessable(issues=checked.issues)


async def _earlier(context: OperationContext, source: tuple[str, str]) -> Json | None:
    """Return the Provenance of an earlier import of the same Bundle."""
    found = await context.records.read(f"Provenance/{provenance_id(source)}")
    return decode_stored(found.raw) if found is not None and not found.deleted else None


def _refuse_duplicates(changes: Sequence[Change], target: str) -> None:
    there = [change for change in changes if change.previous is not None and change.key != target]
    if there:
        raise Duplicate(issues=[Issue("duplicate", f"It is here as {c.key}.", c.item.expression) for c in there])


def _wanted(changes: Sequence[Change], on_duplicate: str) -> list[Change]:
    """Return the changes to be made: of what is here already only new versions, and only if asked for."""
    return [c for c in changes if c.previous is None or (on_duplicate == "version" and c.is_needed)]


def _bad(items: Sequence[Item], checked: Checked) -> list[Item]:
    return [item for item in items if item.url in checked.bad]


async def _write(
    context: OperationContext,
    changes: Sequence[Change],
    wanted: Sequence[Change],
    names: Names,
    checked: Checked,
    bad: Sequence[Item],
    earlier: Json | None,
) -> Json:
    aside = set_aside(names.bundle, names.patient, bad)
    written = ""
    if not context.parameters.one("dryRun"):
        if wanted or earlier is None:
            origin = provenance(names.bundle, names.patient, changes, context.server.now())
            await context.server.execute(transaction(wanted, [*aside, origin]))
        written = f"Provenance/{provenance_id(names.bundle)}"
    created = sum(change.previous is None for change in wanted)
    counts = {
        "created": created,
        "updated": len(wanted) - created,
        "skipped": len(changes) - len(wanted),
        "quarantined": len(bad),
    }
    pairs = [(change.item.url, change.key) for change in changes]
    pairs += [(item.url, f"Binary/{binary['id']}") for item, binary in zip(bad, aside, strict=True)]
    return answer(names.patient, counts, pairs, checked.issues, written)


OPERATION = Operation(definition=files(__name__) / "definition.json", type=import_record)
