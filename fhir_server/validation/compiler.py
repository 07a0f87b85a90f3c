"""Turns the definitions of types into checkers, each type when it is first met.

https://hl7.org/fhir/R4/structuredefinition.html
"""

from __future__ import annotations

from threading import RLock
from typing import Any

from fhir_server.fhir.definitions import Definitions, Element, TypeRef
from fhir_server.validation import primitives
from fhir_server.validation.bindings import code_in, code_of_system, coding_in, concept_in, is_checked
from fhir_server.validation.elements import (
    Shape,
    array_of,
    array_of_primitives,
    choice_of,
    extensions_of,
    extensions_of_array,
    object_of,
)
from fhir_server.validation.extensions import extension_of, nested_url, url
from fhir_server.validation.findings import Checker, Findings, Held, Json, JsonValue
from fhir_server.validation.invariants import Invariants, constrained
from fhir_server.validation.narrative import narrative
from fhir_server.validation.references import ReferenceRules, canonical
from fhir_server.validation.resources import contained_of, container_of, resource_of

_NESTED_EXTENSION = "Extension.extension"
_HAS_SYSTEMS = {"Coding", "Quantity"}


class Compiler:
    """Makes and keeps the checkers of one set of definitions.

    A type is published only when everything it can reach is finished, so readers need no lock.
    """

    def __init__(self, definitions: Definitions, *, conditional_references: bool, advice: bool = False) -> None:
        self._definitions = definitions
        self._invariants = Invariants(definitions, advice=advice)
        self._references = ReferenceRules(definitions.resource_types, conditional=conditional_references)
        self._primitives = primitives.checkers(advice=advice) | {"xhtml": narrative, "canonical": canonical}
        self._objects: dict[Any, Checker] = {}
        self._inner: dict[str, Checker] = {}
        self._published: dict[str, Checker] = {}
        self._lock = RLock()
        self.any_resource = resource_of(self.resource, definitions.resource_types)
        self._any_contained = resource_of(self._inner_resource, definitions.resource_types)

    def resource(self, name: str) -> Checker | None:
        """Return the checker of a resource type that stands on its own, or None when there is no such type."""
        checker = self._published.get(name)
        if checker is None:
            inner = self._inner_resource(name)
            if inner is None:
                return None
            checker = self._published[name] = container_of(inner, self._invariants.of_resource())
        return checker

    def _inner_resource(self, name: str) -> Checker | None:
        """Return the checker of a resource type that is contained: `#id` means what it means for its holder."""
        checker = self._inner.get(name)
        if checker is None and name in self._definitions.resource_types:
            with self._lock:
                checker = self._inner[name] = self._object(name)
        return checker

    def _object(self, name: str) -> Checker:
        if name in self._objects:
            return self._objects[name]
        nested = name == _NESTED_EXTENSION
        type_name = "Extension" if nested else name
        shape = Shape(type_name)
        checker = self._objects[name] = extension_of(shape) if type_name == "Extension" else object_of(shape)
        definition = self._definitions.types[type_name]
        shape.is_element = definition.kind != "resource" and name != "Element"
        shape.rules += self._invariants.of_type(type_name)
        self._fill(shape, definition.elements, is_resource=definition.kind == "resource")
        if type_name == "Extension":
            shape.members["extension"] = array_of(self._object(_NESTED_EXTENSION))
            shape.members["url"] = nested_url if nested else url
        return checker

    def _reference(self, targets: tuple[str, ...]) -> Checker:
        """Return the checker of a Reference to these types; one for each set of types."""
        allowed = self._references.targets(targets)
        if allowed not in self._objects:
            shape = Shape("Reference")
            shape.is_element = True
            self._objects[allowed] = object_of(shape)
            self._fill(shape, self._definitions.types["Reference"].elements, is_resource=False)
            shape.members["reference"] = self._references.literal(allowed)
            shape.members["type"] = self._references.type_name(allowed)
        return self._objects[allowed]

    def _fill(self, shape: Shape, elements: tuple[Element, ...], *, is_resource: bool) -> None:
        if is_resource:
            shape.members["resourceType"] = _accept
        for element in elements:
            names = element.json_names()
            group = frozenset(names) | {"_" + name for name in names}
            for name, ref in names.items():
                self._member(shape, element, name, ref, is_resource=is_resource)
                if element.choice:
                    shape.steps |= {name: element.name}
                    shape.members[name] = choice_of(name, group, shape.members[name])
            if element.choice:
                shape.choices[element.name] = group
            if element.min:
                (shape.required_choices if element.choice else shape.required).append(element.name)

    def _member(self, shape: Shape, element: Element, name: str, ref: TypeRef, *, is_resource: bool) -> None:
        if ref.code == "Resource":
            shape.members[name] = contained_of(self._any_contained) if name == "contained" else self.any_resource
            return
        one = self._value(shape, element, ref, is_resource=is_resource)
        rules = self._invariants.of_element(shape.title, element, ref.code)
        if rules:
            one = constrained(one, rules)
        is_primitive = ref.code in self._primitives
        if not element.repeats:
            shape.members[name] = one
        else:
            shape.members[name] = array_of_primitives(name, one) if is_primitive else array_of(one)
        if is_primitive and not _is_attribute(shape, element, ref, is_resource=is_resource):
            extensions = self._object("Element")
            shape.members["_" + name] = (extensions_of_array if element.repeats else extensions_of)(name, extensions)
            shape.steps["_" + name] = element.name

    def _value(self, shape: Shape, element: Element, ref: TypeRef, *, is_resource: bool) -> Checker:
        """Return the checker of one value of the element."""
        if element.name == "id" and not is_resource:
            return primitives.element_id
        if ref.code == "Reference":
            return self._reference(ref.targets)
        one = self._primitives.get(ref.code) or self._object(ref.code)
        if element.name == "code" and not _HAS_SYSTEMS.isdisjoint(self._definitions.ancestors(shape.title)):
            return code_of_system(shape.title, one)
        if element.binding and is_checked(element.binding[0], element.binding[1], ref.code):
            return self._bound(ref.code, element.binding[1], one)
        return one

    def _bound(self, code: str, value_set: str, one: Checker) -> Checker:
        lists = self._definitions.code_lists
        if code == "code":
            return code_in(value_set, lists) or one
        if code == "CodeableConcept":
            return concept_in(value_set, lists, one)
        return coding_in(value_set, lists, one) if code in ("Coding", "Quantity") else one


def _is_attribute(shape: Shape, element: Element, ref: TypeRef, *, is_resource: bool) -> bool:
    """Whether the element is an attribute in XML, which has no place for an extension."""
    if element.name == "id":
        return not is_resource
    return ref.code == "xhtml" or (shape.title, element.name) == ("Extension", "url")


def _accept(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
    """Accept `resourceType`: its value has chosen the checker that came here."""
    return None
