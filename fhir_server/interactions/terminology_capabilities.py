"""TerminologyCapabilities: the code systems here, what can be asked. https://hl7.org/fhir/R4/terminologycapabilities.html"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from fhir_server import __version__
from fhir_server.api.criteria import Order, Term
from fhir_server.fhir.definitions.terminology import core_urls
from fhir_server.interactions.services import Call

Json = dict[str, Any]

MAX_CODE_SYSTEMS = 5_000
# What expands a value set, and the parameters of it that only say which value set.
_EXPAND = ("expand", "type", "ValueSet")
_SUBJECTS = frozenset({"url", "valueSet", "valueSetVersion", "tx-resource"})


class _Head(msgspec.Struct):
    url: str = ""
    version: str = ""
    content: str = ""


async def terminology_statement(call: Call, released: str) -> Json:
    """Return what the terminology service offers a tenant: its own code systems, loaded ones too, and those of FHIR."""
    expand = call.services.registry.find(*_EXPAND)
    found = expand.definition.get("parameter", ()) if expand is not None else ()
    parameters = [p["name"] for p in found if p["use"] == "in" and p["name"] not in _SUBJECTS]
    statement: Json = {
        "resourceType": "TerminologyCapabilities",
        "url": f"{call.base_url}/metadata?mode=terminology",
        "version": __version__,
        "name": "FhirServerTerminology",
        "status": "active",
        "date": released,
        "kind": "instance",
        "software": {"name": "fhir-server", "version": __version__},
        "implementation": {"description": "A FHIR R4 server with plugin packs", "url": call.base_url},
        "lockedDate": False,
        "codeSystem": list(_rows(await _versions(call))),
        "codeSearch": "explicit",
        "validateCode": {"translations": True},
        "translation": {"needsMap": True},
        "closure": {"translation": False},
    }
    if parameters:
        rows = [{"name": name} for name in parameters]
        statement["expansion"] = {"hierarchical": True, "paging": True, "incomplete": False, "parameter": rows}
    return statement


async def _versions(call: Call) -> dict[str, list[str]]:
    """Return the versions there are of each code system, by its URL."""
    found: dict[str, list[str]] = {url: [] for url in core_urls("CodeSystem")}
    where = Term((call.term("CodeSystem"),))
    page = await call.records.search(where, Order("key"), MAX_CODE_SYSTEMS)
    for record in page.records:
        head = msgspec.json.decode(record.raw, type=_Head)
        if head.url and head.content != "supplement":
            found.setdefault(head.url, []).append(head.version)
    for system in await call.services.concepts.of(call.tenant).all():
        if system.state == "ready":
            found.setdefault(system.url, []).append(system.version)
    return found


def _rows(versions: dict[str, list[str]]) -> Iterator[Json]:
    for url, known in sorted(versions.items()):
        named = sorted({version for version in known if version})
        yield {"uri": url, "version": [{"code": version} for version in named]} if named else {"uri": url}
