"""Compartments as criteria. https://hl7.org/fhir/R4/compartmentdefinition.html"""

from __future__ import annotations

from fhir_server.api.criteria import Criterion, Key, Term, all_of, any_of
from fhir_server.api.errors import InvalidRequest
from fhir_server.api.tenant import Tenant
from fhir_server.fhir.definitions import Definitions
from fhir_server.search.indexing import COMPARTMENT, Indexer
from fhir_server.search.parameters import Parameters
from fhir_server.search.terms import SEPARATOR


def in_compartment(
    parameters: Parameters,
    indexer: Indexer,
    definitions: Definitions,
    tenant: Tenant,
    compartment: str,
    resource_id: str,
    resource_type: str,
) -> Criterion:
    """Return the criterion of being in `compartment`/`resource_id`, for one type or (empty) all that can be.

    The Patient compartment has a term of its own; in the others it is the references that count.
    """
    rows = definitions.compartments.get(compartment)
    if rows is None:
        raise InvalidRequest(f"{compartment} has no compartment; {', '.join(definitions.compartments)} have.")
    key = f"{compartment}/{resource_id}"
    term = indexer.hash_of(tenant)
    kinds = (resource_type,) if resource_type else tuple(rows)
    if resource_type and resource_type not in rows and resource_type != compartment:
        raise InvalidRequest(f"{resource_type} is never in the {compartment} compartment.")
    if compartment == "Patient":
        member = Term((term(COMPARTMENT + key),))
        return all_of(member, Term(tuple(map(term, kinds)))) if resource_type else member
    names = [parameters.of(t)[c].index_name for t in kinds for c in rows.get(t, ()) if c in parameters.of(t)]
    linked = Term(tuple(term(name + SEPARATOR + key) for name in dict.fromkeys(names)))
    return any_of(linked, Key((key,))) if not resource_type or resource_type == compartment else linked
