"""The value that a FHIRPath Patch carries in a parameter, as the JSON of the element it is meant for.

https://hl7.org/fhir/R4/fhirpatch.html. It is a data type (`valueHumanName`), a `resource`, or, for elements without a
type of their own such as Patient.contact, one `part` for each child, named as the child is.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from fhir_server.fhir.definitions import Element, r4
from fhir_server.fhir.json import MAX_DEPTH
from fhir_server.fhir.outcomes import Json
from fhir_server.fhir.patch.edits import Content, has, items_of, set_items, set_single
from fhir_server.fhir.patch.elements import element_named, is_primitive, is_resource, resource_type
from fhir_server.fhir.patch.errors import Refused
from fhir_server.fhir.patch.trees import copy_of, one_below

# The JSON values of primitive types; of the types that are not here it is a string.
_NUMBER = (int, Decimal, float)
_JSON_TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "positiveInt": (int,),
    "unsignedInt": (int,),
    "decimal": _NUMBER,
}


class Named(NamedTuple):
    """Content and the JSON member it goes into, which for a choice depends on the type: `valueQuantity`."""

    name: str
    content: Content


def value_for(element: Element, parameter: Json, levels: int = MAX_DEPTH) -> Named:
    """Return what the parameter holds as content of the element.

    The data type must be the element's, one derived from it, or one of the choices. Between primitive types it is
    enough that JSON writes them alike, a string for a code say: whether the outcome is valid is found out afterwards.
    Raises Refused.
    """
    form = _form(parameter)
    if form == "part":
        return Named(element.name, Content(_from_parts(element, parameter["part"], levels)))
    if form == "resource":
        return Named(element.name, Content(_resource_for(element, parameter["resource"], levels)))
    code = _type_code(form)
    name = _json_name(element, form, code)
    value, sibling = parameter.get(form), parameter.get(f"_{form}")
    if is_primitive(code):
        _check_primitive(code, value, sibling)
    elif not isinstance(value, dict) or not value or sibling is not None:
        raise Refused("value", f"{form} is an object that is not empty")
    return Named(name, Content(copy_of(value, levels), copy_of(sibling, levels)))


def add_child(parent: Json, type_name: str, asked: str, parameter: Json, levels: int = MAX_DEPTH) -> None:
    """Add what the parameter holds to an object of that type, as the child that it asks for by name.

    Appends to an element that repeats. `levels` are those left inside the object. Raises Refused when the child does
    not repeat and exists already.
    """
    child = element_named(type_name, asked)
    name, content = value_for(child, parameter, levels - child.repeats)
    if asked not in (child.name, name):
        raise Refused("value", f"{asked} cannot hold this type of value: call it {child.name}")
    if child.repeats:
        set_items(parent, name, [*items_of(parent, name), content])
    elif any(has(parent, other) for other in child.json_names()):
        raise Refused("duplicate", f"{child.name} exists already and does not repeat: replace it")
    else:
        set_single(parent, name, name, content)


def _form(parameter: Json) -> str:
    """Return the name of the one member that holds the value: `part`, `resource`, or `valueQuantity` and the like."""
    forms = {name.removeprefix("_") for name in parameter if name.startswith(("value", "_value"))}
    forms |= {name for name in ("part", "resource") if name in parameter}
    if len(forms) != 1:
        raise Refused("value", "a value is exactly one of a value of some data type, a resource, or parts")
    return forms.pop()


def _type_code(form: str) -> str:
    types = r4().types
    for code in (form[5:6].lower() + form[6:], form[5:]):
        if code in types and types[code].kind in ("primitive", "complex"):
            return code
    raise Refused("value", "the value is of a data type that FHIR R4 does not have")


def _json_name(element: Element, form: str, code: str) -> str:
    if element.choice:
        name = element.name + form.removeprefix("value")
        if name not in element.json_names():
            raise Refused("value", f"{element.name} cannot be a {code}: use one of {_choices(element)}")
        return name
    wanted = element.types[0].code
    if not _fits(code, wanted):
        raise Refused("value", f"{element.name} is a {wanted}, not a {code}{_hint(wanted)}")
    return element.name


def _hint(wanted: str) -> str:
    if is_resource(wanted):
        return ": put the resource into the parameter's `resource`"
    return ": give its children as parts" if r4().types[wanted].kind == "backbone" else ""


def _fits(code: str, wanted: str) -> bool:
    if is_primitive(code) and is_primitive(wanted):
        given, taken = _JSON_TYPES.get(code, (str,)), _JSON_TYPES.get(wanted, (str,))
        return set(given) <= set(taken)
    return wanted in r4().ancestors(code)


def _check_primitive(code: str, value: Any, sibling: Any) -> None:
    allowed = _JSON_TYPES.get(code, (str,))
    if value is not None and (not isinstance(value, allowed) or (isinstance(value, bool) and code != "boolean")):
        raise Refused("value", f"the value is not what JSON has for a {code}")
    if not (sibling is None or (isinstance(sibling, dict) and sibling)):
        raise Refused("value", "the id and extensions of a value are an object that is not empty")
    if value is None and sibling is None:
        raise Refused("value", "the value is null")


def _resource_for(element: Element, resource: Any, levels: int) -> Json:
    if not is_resource(element.types[0].code):
        raise Refused("value", f"{element.name} is not a resource: use {_choices(element)}")
    if not isinstance(resource, dict):
        raise Refused("value", "resource is an object")
    resource_type(resource)
    copied: Json = copy_of(resource, levels)
    return copied


def _from_parts(element: Element, parts: Any, levels: int) -> Json:
    """Return the object whose children the parts are."""
    wanted = element.types[0].code
    if element.choice or is_primitive(wanted) or is_resource(wanted):
        raise Refused("value", f"{element.name} has no parts: use one of {_choices(element)}")
    if not isinstance(parts, list) or not parts:
        raise Refused("value", "part is a list that is not empty, with one part for each child")
    below = one_below(levels)
    value: Json = {}
    for part in parts:
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(name, str):
            raise Refused("value", "every part is an object with the name of the child it stands for")
        add_child(value, wanted, name, part, below)
    return value


def _choices(element: Element) -> str:
    """Return the members of a parameter that can hold the element's value."""
    wanted = r4().types[element.types[0].code].kind
    if wanted in ("resource", "backbone"):
        return "resource" if wanted == "resource" else "part"
    return ", ".join(f"value{ref.code[0].upper()}{ref.code[1:]}" for ref in element.types)
