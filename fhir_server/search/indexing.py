"""What a resource is found by: every indexed parameter's values as terms and range strings.

The forms (see terms.py; `P` is `Type.parameter`):

    token       P␟system␟code   P␟any␟code   P␟system␟   P:of-type␟system␟code␟value     equality
    reference   P␟Type/id       P␟http://...  P␟own key#, to what is contained   P:identifier as token
    uri         P␟uri           and the range string P + uri
    string      P␟exact␟text    and the range string P + folded text
    date        range strings P␟low + start and P␟high + end
    number      range string P + ordered number, of both ends of a Range
    quantity    the same, and P␟unit + ordered number, in base units where the unit is UCUM's
    near        range string P + ordered latitude

Two parameters that are asked together all the time get terms of their own: the patient with the code, and with the
category. What a contained resource is found by has `#` before its name. https://hl7.org/fhir/R4/search.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from fhir_server.api.records import UNDATED, Index
from fhir_server.api.tenant import Tenant
from fhir_server.fhir.definitions import Definitions
from fhir_server.fhir.fhirpath import Node
from fhir_server.search.matching.missing import has_value
from fhir_server.search.moments import principal_date
from fhir_server.search.parameters import Parameter, Parameters
from fhir_server.search.terms import (
    ANY_SYSTEM,
    EXACT,
    SEPARATOR,
    TermHash,
    fold,
    indexed_text,
    ordered_number,
    ordered_time,
    range_prefix,
)
from fhir_server.search.units import in_index
from fhir_server.search.values import (
    identifier_types,
    numbers,
    quantities,
    reference_key,
    systems,
    texts,
    times,
    tokens,
)

Json = dict[str, Any]

COMPARTMENT = "~"
CONTAINED = "#"
# A resource with more terms than this has its longest lists last (a large CodeSystem its codes): SecantusDB keeps the
# first 10,000 keys of a document in a compound index.
MANY = 5_000
PAIRED = ("code", "category")
_NO_VALUE = ("id", "extension")
_CANONICAL_VERSION = "|"


class Found:
    """What has been found in one resource so far."""

    __slots__ = ("base_url", "key", "moment", "present", "ranges", "references", "terms", "tokens")

    def __init__(self, base_url: str = "", key: str = "") -> None:
        self.base_url = base_url
        self.key = key
        self.terms: set[str] = set()
        self.ranges: set[str] = set()
        self.references: dict[str, list[str]] = {}
        self.tokens: dict[str, list[tuple[str, str]]] = {}
        self.present: list[str] = []
        self.moment = UNDATED


Collect = Callable[[Iterable[Node], Found], None]


class Indexer:
    """Makes the index of resources; one for the server, for the hashing key comes with the tenant."""

    def __init__(self, definitions: Definitions, parameters: Parameters, base_url: str = "") -> None:
        self._definitions = definitions
        self._parameters = parameters
        self._base_url = base_url
        self._plans: dict[str, TypePlan] = {}
        self._hashes: dict[bytes, TermHash] = {}

    def hash_of(self, tenant: Tenant) -> TermHash:
        """Return the tenant's term hash."""
        known = self._hashes.get(tenant.index_key)
        if known is None:
            known = self._hashes[tenant.index_key] = TermHash(tenant.index_key)
        return known

    def index(self, tenant: Tenant, resource: Json, base_url: str = "") -> Index:
        """Return the terms, range strings, present parameters and principal date of a valid resource.

        References below `base_url` (or the server's own, where it is set) are to resources here.
        """
        found = Found(self._base_url or base_url, f"{resource['resourceType']}/{resource.get('id', '')}")
        self._plan_of(resource["resourceType"], "").collect(resource, found)
        for contained in resource.get("contained", ()):
            self._plan_of(contained["resourceType"], CONTAINED).collect(contained, found)
        term = self.hash_of(tenant)
        texts = found.terms if len(found.terms) < MANY else _fewest_first(found.terms)
        return Index(tuple(map(term, texts)), tuple(found.ranges), found.moment, tuple(found.present))

    def principal_date(self, resource_type: str) -> str:
        """Return the code of the type's principal date parameter, or ''."""
        return principal_date(resource_type, self._parameters.core(resource_type))

    def pair(self, resource_type: str) -> tuple[str, tuple[str, ...]]:
        """Return the type's patient parameter and the parameters that are indexed together with it."""
        return _pair(resource_type, self._parameters.core(resource_type))

    def _plan_of(self, resource_type: str, mark: str) -> TypePlan:
        plan = self._plans.get(mark + resource_type)
        if plan is None:
            plan = self._plans[mark + resource_type] = self._plan(resource_type, mark)
        return plan

    def _plan(self, resource_type: str, mark: str) -> TypePlan:
        parameters = self._parameters.core(resource_type)
        moment = self.principal_date(resource_type)
        steps: list[tuple[Parameter, Collect]] = []
        for parameter in self._parameters.indexed(resource_type):
            name = mark + parameter.index_name
            collect = partial(_COLLECTORS[parameter.type], name)
            if parameter.type == "reference":
                collect = partial(_references, name)
            elif parameter.type == "uri" and parameter.code.startswith("_"):
                collect = partial(_plain_uris, name)
            elif parameter.code == moment and not mark:
                collect = partial(_principal_times, name)
            steps.append((parameter, collect))
        if mark:
            return TypePlan(mark + resource_type, tuple(steps))
        members = self._definitions.compartments["Patient"].get(resource_type, ())
        compartment = tuple(
            {parameters[c].index_name for c in members if c in parameters and parameters[c].type == "reference"}
        )
        return TypePlan(resource_type, tuple(steps), compartment, self.pair(resource_type))


class TypePlan:
    """The steps that index one resource type; a name with the mark of contained resources is one of these."""

    def __init__(
        self,
        name: str,
        steps: tuple[tuple[Parameter, Collect], ...],
        compartment: tuple[str, ...] = (),
        pair: tuple[str, tuple[str, ...]] = ("", ()),
    ) -> None:
        self._name = name
        self._is_contained = name.startswith(CONTAINED)
        self._steps = tuple((p.presence, p.path.evaluate, collect) for p, collect in steps)
        self._compartment = compartment
        self._pair = pair

    def collect(self, resource: Json, found: Found) -> None:
        """Add what the resource is found by."""
        found.terms.add(self._name)
        present: list[str] = []
        for presence, evaluate, collect in self._steps:
            nodes = evaluate(resource)
            if nodes:
                if _is_plainly_there(nodes[0].value) or has_value(nodes):
                    present.append(presence)
                collect(nodes, found)
        if self._is_contained:
            return
        found.present = present
        self._add_compartments(resource, found)
        self._add_pairs(found)

    def _add_compartments(self, resource: Json, found: Found) -> None:
        if self._name == "Patient" and "id" in resource:
            found.terms.add(f"{COMPARTMENT}Patient/{resource['id']}")
        for name in self._compartment:
            for key in found.references.get(name, ()):
                if key.startswith("Patient/"):
                    found.terms.add(COMPARTMENT + key)

    def _add_pairs(self, found: Found) -> None:
        subject, others = self._pair
        for key in found.references.get(subject, ()):
            if key.startswith("Patient/"):
                for name in others:
                    for system, code in found.tokens.get(name, ()):
                        pair = f"{subject}+{name}{SEPARATOR}{key}{SEPARATOR}"
                        found.terms.add(f"{pair}{system}{SEPARATOR}{code}")
                        found.terms.add(f"{pair}{ANY_SYSTEM}{SEPARATOR}{code}")


def _is_plainly_there(value: Any) -> bool:
    """Whether a value is one at first sight, as nearly all are; the others are looked at more closely."""
    return type(value) is str or (type(value) is dict and next(iter(value), "id") not in _NO_VALUE)


def _pair(resource_type: str, parameters: Mapping[str, Parameter]) -> tuple[str, tuple[str, ...]]:
    patient = parameters.get("patient")
    if patient is None or patient.type != "reference":
        return "", ()
    others = tuple(parameters[c].index_name for c in PAIRED if c in parameters and parameters[c].type == "token")
    return (patient.index_name, others) if others else ("", ())


def _fewest_first(texts: Iterable[str]) -> list[str]:
    """Return the terms of parameters with few of them before those of parameters with many."""
    by_name: dict[str, list[str]] = {}
    for text in texts:
        by_name.setdefault(text.partition(SEPARATOR)[0], []).append(text)
    return [text for row in sorted(by_name.values(), key=len) for text in row]


def _tokens(name: str, nodes: Iterable[Node], found: Found) -> None:
    seen = found.tokens.setdefault(name, [])
    add = found.terms.add
    for node in nodes:
        named = ""
        for system, text in tokens(node.value, node.type):
            code = text.casefold()
            seen.append((system, code))
            add(f"{name}{SEPARATOR}{system}{SEPARATOR}{code}")
            add(f"{name}{SEPARATOR}{ANY_SYSTEM}{SEPARATOR}{code}")
            if system != named:
                named = system
                add(f"{name}{SEPARATOR}{system}{SEPARATOR}")
        if not named and type(node.value) is dict:
            for system in systems(node.value, node.type):
                add(f"{name}{SEPARATOR}{system}{SEPARATOR}")
        if node.type == "Identifier":
            for system, kind, text in identifier_types(node.value):
                found.terms.add(of_type_text(name, system, kind, text))


def of_type_text(name: str, system: str, code: str, value: str) -> str:
    """Return the text of the term of an identifier by its type. https://hl7.org/fhir/R4/search.html#modifiers"""
    return f"{name}:of-type{SEPARATOR}{system}{SEPARATOR}{code.casefold()}{SEPARATOR}{value.casefold()}"


def _references(name: str, nodes: Iterable[Node], found: Found) -> None:
    seen = found.references.setdefault(name, [])
    for node in nodes:
        value = node.value
        if type(value) is str:
            _uri(name, value, found)
            if _CANONICAL_VERSION in value:
                found.terms.add(name + SEPARATOR + value.partition(_CANONICAL_VERSION)[0])
        elif type(value) is dict:
            literal = value.get("reference")
            if type(literal) is str and literal[:1] == "#":
                found.terms.add(name + SEPARATOR + within(found.key))
            elif type(literal) is str:
                key = reference_key(literal, found.base_url)
                seen.append(key)
                found.terms.add(name + SEPARATOR + key)
            for system, text in tokens(value.get("identifier"), "Identifier"):
                code = text.casefold()
                found.terms.add(f"{name}:identifier{SEPARATOR}{system}{SEPARATOR}{code}")
                found.terms.add(f"{name}:identifier{SEPARATOR}{ANY_SYSTEM}{SEPARATOR}{code}")
                if system:
                    found.terms.add(f"{name}:identifier{SEPARATOR}{system}{SEPARATOR}")


def within(key: str) -> str:
    """Return what a reference to a resource contained in that of the key is indexed as."""
    return key + CONTAINED


def _uri(name: str, value: str, found: Found) -> None:
    found.terms.add(name + SEPARATOR + value)


def _plain_uris(name: str, nodes: Iterable[Node], found: Found) -> None:
    """Index what is asked for as it is, with or without a version: `_profile` is on every resource."""
    for node in nodes:
        if type(node.value) is str:
            _uri(name, node.value, found)
            head, version, _ = node.value.partition(_CANONICAL_VERSION)
            if version:
                _uri(name, head, found)


def _uris(name: str, nodes: Iterable[Node], found: Found) -> None:
    nodes = list(nodes)
    _plain_uris(name, nodes, found)
    found.ranges.update(range_prefix(name) + indexed_text(n.value) for n in nodes if type(n.value) is str)


def _strings(name: str, nodes: Iterable[Node], found: Found) -> None:
    prefix = range_prefix(name)
    for node in nodes:
        for text in texts(node.value, node.type):
            found.ranges.add(prefix + indexed_text(fold(text)))
            found.terms.add(f"{name}{SEPARATOR}{EXACT}{text}")


def _times(name: str, nodes: Iterable[Node], found: Found) -> None:
    low_prefix, high_prefix = range_prefix(name + SEPARATOR + "low"), range_prefix(name + SEPARATOR + "high")
    for node in nodes:
        for low, high in times(node.value, node.type):
            found.ranges.add(low_prefix + ordered_time(low))
            found.ranges.add(high_prefix + ordered_time(high))


def _principal_times(name: str, nodes: Iterable[Node], found: Found) -> None:
    nodes = list(nodes)
    _times(name, nodes, found)
    highs = [high for node in nodes for _, high in times(node.value, node.type)]
    if highs:
        found.moment = max(highs)


def _numbers(name: str, nodes: Iterable[Node], found: Found) -> None:
    for node in nodes:
        for number in numbers(node.value):
            found.ranges.add(range_prefix(name) + ordered_number(number))


def _quantities(name: str, nodes: Iterable[Node], found: Found) -> None:
    for node in nodes:
        for number, system, code in quantities(node.value, node.type):
            found.ranges.add(range_prefix(name) + ordered_number(number))
            if code:
                unit, inside = in_index(number, system, code)
                found.ranges.add(range_prefix(name + SEPARATOR + unit) + ordered_number(inside))


def _positions(name: str, nodes: Iterable[Node], found: Found) -> None:
    for node in nodes:
        if type(node.value) is dict:
            for latitude in numbers(node.value.get("latitude")):
                found.ranges.add(range_prefix(name) + ordered_number(latitude))


_COLLECTORS: dict[str, Callable[[str, Iterable[Node], Found], None]] = {
    "token": _tokens,
    "string": _strings,
    "date": _times,
    "uri": _uris,
    "number": _numbers,
    "quantity": _quantities,
    "reference": _uris,
    "special": _positions,
}
