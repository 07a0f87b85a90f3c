"""What an import leaves behind: its Provenance, what was set aside, the transaction of it all, and the answer."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from urllib.parse import quote

from fhir_server.api import Issue, Json, encode, operation_outcome
from operations.import_record.matching import search_value
from operations.import_record.planning import Change, made_id
from operations.import_record.source import Item

ASSEMBLER = {"system": "http://terminology.hl7.org/CodeSystem/provenance-participant-type", "code": "assembler"}
CREATE = {"system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation", "code": "CREATE"}


def provenance_id(bundle: tuple[str, str]) -> str:
    """Return the id of the Provenance of a Bundle's import."""
    return made_id(*bundle, "Provenance")


def provenance(bundle: tuple[str, str], patient: str, changes: Sequence[Change], now: int) -> Json:
    """Return the record of where it all comes from. https://hl7.org/fhir/R4/provenance.html"""
    system, value = bundle
    identifier = {"system": system, "value": value} if system else {"value": value}
    others = [change.key for change in changes if change.key != patient]
    return {
        "resourceType": "Provenance",
        "id": provenance_id(bundle),
        "target": [{"reference": key} for key in (patient, *others)],
        "recorded": datetime.fromtimestamp(now / 1000, UTC).isoformat(timespec="milliseconds"),
        "activity": {"coding": [CREATE]},
        "agent": [{"type": {"coding": [ASSEMBLER]}, "who": {"display": "Patient/$import"}}],
        "entity": [{"role": "source", "what": {"identifier": identifier, "display": "The imported Bundle"}}],
    }


def set_aside(bundle: tuple[str, str], patient: str, items: Sequence[Item]) -> list[Json]:
    """Return what cannot be imported as Binaries, so that nothing of the record is lost."""
    return [
        {
            "resourceType": "Binary",
            "id": made_id(*bundle, "quarantine", item.url),
            "contentType": "application/fhir+json",
            "securityContext": {"reference": patient},
            "data": b64encode(encode(item.resource)).decode(),
        }
        for item in items
    ]


def transaction(changes: Sequence[Change], more: Sequence[Json]) -> Json:
    """Return the transaction that writes everything or nothing.

    A change names the version it was made from. A new patient is put where its identifiers match nobody, so that two
    imports at the same moment do not make two patients.
    """
    entries = []
    for change in changes:
        request: Json = {"method": "PUT", "url": change.key}
        if change.previous is not None and not change.previous.deleted:
            request["ifMatch"] = f'W/"{change.previous.version}"'
        elif change.previous is None and change.item.type == "Patient" and (value := search_value(change.item)):
            request["url"] = "Patient?identifier=" + quote(value, safe="")
        entries.append({"resource": change.resource, "request": request})
    entries += [{"resource": r, "request": {"method": "PUT", "url": f"{r['resourceType']}/{r['id']}"}} for r in more]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def answer(
    patient: str,
    counts: dict[str, int],
    names: Sequence[tuple[str, str]],
    issues: Sequence[Issue],
    written: str,
) -> Json:
    """Return the output Parameters; `names` are original URL and key here, `written` is the Provenance or ''."""
    rows: list[Json] = [{"name": name, "valueInteger": count} for name, count in counts.items()]
    rows.append({"name": "patient", "valueReference": {"reference": patient}})
    if written:
        rows.append({"name": "provenance", "valueReference": {"reference": written}})
    else:
        rows.append({"name": "dryRun", "valueBoolean": True})
    for original, key in names:
        parts = [{"name": "original", "valueUri": original}, {"name": "resource", "valueReference": {"reference": key}}]
        rows.append({"name": "idMap", "part": parts})
    rows.append({"name": "outcome", "resource": operation_outcome(issues)})
    return {"resourceType": "Parameters", "parameter": rows}
