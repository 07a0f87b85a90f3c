"""capabilities: the CapabilityStatement, computed from the registry. https://hl7.org/fhir/R4/capabilitystatement.html"""

from __future__ import annotations

from typing import Any

from fhir_server import __version__
from fhir_server.api.errors import InvalidRequest
from fhir_server.api.ports import Answer
from fhir_server.fhir.definitions import FHIR_VERSION
from fhir_server.fhir.json import encode
from fhir_server.interactions.patch import ADVERTISED
from fhir_server.interactions.services import Call
from fhir_server.interactions.terminology_capabilities import terminology_statement

Json = dict[str, Any]

RELEASED = "2026-11-23"
INTERACTIONS = (
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)
SYSTEM_INTERACTIONS = ("transaction", "batch", "search-system", "history-system")
MODES = ("full", "normative", "terminology")
# Parameters that read no element and are answered all the same.
_WITHOUT_EXPRESSION = frozenset({"_text", "_content", "_filter"})


# What a statement depends on while the server runs: the tenant, its base URL and generation of search parameters.
Known = dict[tuple[str, str, int], bytes]


async def capabilities(call: Call, known: Known) -> Answer:
    """Return what this server can do for the tenant; `known` keeps the bytes."""
    mode = dict(call.request.query).get("mode", "full")
    if mode not in MODES:
        raise InvalidRequest(f"mode must be one of {', '.join(MODES)}.", location="http.mode")
    if mode == "terminology":
        return Answer("ok", encode(await terminology_statement(call, RELEASED)))
    key = (call.tenant.name, call.base_url, call.edition.generation)
    raw = known.get(key)
    if raw is None:
        if len(known) > 100:
            known.clear()  # base URLs come from clients when none is configured
        raw = known[key] = encode(statement(call))
    return Answer("ok", raw)


def statement(call: Call) -> Json:
    """Return the CapabilityStatement of the server under the call's base URL."""
    services = call.services
    types = sorted(services.definitions.resource_types)
    everywhere = [
        o for o in services.registry.operations if "Resource" in o.types and (o.operation.type or o.operation.instance)
    ]
    return {
        "resourceType": "CapabilityStatement",
        "url": f"{call.base_url}/metadata",
        "version": __version__,
        "name": "FhirServer",
        "status": "active",
        "date": RELEASED,
        "kind": "instance",
        "software": {"name": "fhir-server", "version": __version__},
        "implementation": {"description": "A FHIR R4 server with plugin packs", "url": call.base_url},
        "fhirVersion": FHIR_VERSION,
        "format": ["application/fhir+json", "application/fhir+xml", "json", "xml"],
        "patchFormat": list(ADVERTISED),
        "rest": [
            {
                "mode": "server",
                "resource": [_resource(call, t, everywhere) for t in types],
                "interaction": [{"code": code} for code in SYSTEM_INTERACTIONS],
                "searchParam": _parameters(call, "Resource"),
                "operation": [
                    {"name": o.code, "definition": o.url} for o in services.registry.operations if o.operation.system
                ],
                "compartment": [
                    f"http://hl7.org/fhir/CompartmentDefinition/{c[0].lower()}{c[1:]}"
                    for c in services.definitions.compartments
                ],
            }
        ],
    }


def _resource(call: Call, resource_type: str, everywhere: list[Any]) -> Json:
    services = call.services
    references = [p.code for p in call.parameters.of(resource_type).values() if p.type == "reference"]
    row: Json = {
        "type": resource_type,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{resource_type}",
        "interaction": [{"code": code} for code in INTERACTIONS],
        "versioning": "versioned-update",
        "readHistory": True,
        "updateCreate": True,
        "conditionalCreate": True,
        "conditionalRead": "full-support",
        "conditionalUpdate": True,
        "conditionalDelete": "single",
        "referencePolicy": ["literal", "logical", "local"],
        "searchInclude": [f"{resource_type}:{code}" for code in sorted(references)],
        "searchParam": _parameters(call, resource_type),
    }
    own = [o for o in services.registry.of_type(resource_type) if o.operation.type or o.operation.instance]
    operations = [*own, *everywhere]
    if operations:
        row["operation"] = [{"name": o.code, "definition": o.url} for o in operations]
    return row


def _parameters(call: Call, resource_type: str) -> list[Json]:
    found = call.parameters.of(resource_type).values()
    return [
        {"name": p.code, "definition": p.url, "type": p.type}
        for p in sorted(found, key=lambda p: p.code)
        if p.expression or p.code in _WITHOUT_EXPRESSION
    ]
