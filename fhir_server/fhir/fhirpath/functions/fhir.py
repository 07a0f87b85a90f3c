"""The functions FHIR adds. https://hl7.org/fhir/R4/fhirpath.html#functions"""

from __future__ import annotations

import re
from typing import Any

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath.elements import children, is_primitive, resource_node
from fhir_server.fhir.fhirpath.errors import FhirPathEvaluationError, FhirPathNotSupported
from fhir_server.fhir.fhirpath.frame import Frame
from fhir_server.fhir.fhirpath.nodes import EMPTY, Collection, Node, boolean
from fhir_server.fhir.fhirpath.references import contained_resources, literal_target, stated_type
from fhir_server.fhir.fhirpath.singletons import single, text
from fhir_server.fhir.fhirpath.types import system_types

_DEFINITION = "http://hl7.org/fhir/StructureDefinition/"
_UNSAFE_HTML = re.compile(
    r"<\s*+/?\s*+(script|style|form|input|button|iframe|object|embed|base|link|meta|head|body|html|frame|frameset|audio|video)\b"
    r"|\son\w++\s*+=|javascript:",
    re.IGNORECASE,
)
_HTML_TEXT = re.compile(r"<[^<>]*+>|\s+")


def extension(frame: Frame, focus: Collection, url: Collection) -> Collection:
    """Return the extensions with the url; a primitive's are on its element."""
    wanted = text(url)
    frame.spend_many(len(focus))
    return [node for node in _extensions(focus) if node.value.get("url") == wanted]


def has_extension(frame: Frame, focus: Collection, url: Collection) -> Collection:
    return boolean(bool(extension(frame, focus, url)))


def _extensions(focus: Collection) -> Collection:
    out: Collection = []
    for node in focus:
        getter = children(node.type).get("extension")
        if getter is not None:
            getter(node, out)
    return out


def has_value(frame: Frame, focus: Collection) -> Collection:
    return boolean(bool(get_value(frame, focus)))


def get_value(frame: Frame, focus: Collection) -> Collection:
    """Return the value of a single primitive as its System type."""
    if len(focus) != 1 or focus[0].value is None:
        return EMPTY
    node = focus[0]
    if is_primitive(node.type):
        return [Node(node.value, system_types()[node.type])]
    return focus if node.type in system_types() and node.type.startswith("System.") else EMPTY


def resolve(frame: Frame, focus: Collection) -> Collection:
    """Return the resources that references, canonicals and uris point to.

    A reference whose target nobody can supply becomes a resource of which only type and id are known, if the reference
    tells them; that is enough for `resolve() is Patient`. Others are dropped.
    """
    frame.spend(len(focus))
    out = []
    for node in focus:
        found = _resolved(frame, node)
        if found is not None:
            out.append(found)
    return out


def _resolved(frame: Frame, node: Node) -> Node | None:
    reference = node.value.get("reference") if type(node.value) is dict else node.value
    if type(reference) is not str:
        return _stub(stated_type(node.value), "") if type(node.value) is dict else None
    if reference[:1] == "#":
        resource = _contained(frame).get(reference)
    else:
        resource = frame.environment.resolve(reference) if frame.environment.resolve is not None else None
    if resource is not None:
        return resource_node(resource)
    target = literal_target(reference)
    if target is not None:
        return _stub(*target)
    return _stub(stated_type(node.value), "") if type(node.value) is dict else None


def _contained(frame: Frame) -> dict[str, dict[str, Any]]:
    """Return what `#id` leads to; looked for once in an evaluation, however many references there are."""
    if frame.contained is None:
        container = frame.root or frame.resource
        frame.contained = contained_resources(container.value) if container is not None else {}
    return frame.contained


def _stub(type_name: str | None, identifier: str) -> Node | None:
    if type_name is None:
        return None
    value: dict[str, Any] = {"resourceType": type_name}
    if identifier:
        value["id"] = identifier
    return Node(value, type_name)


def member_of(frame: Frame, focus: Collection, value_set: Collection) -> Collection:
    node, url = single(focus), text(value_set)
    if node is None or url is None:
        return EMPTY
    if frame.environment.member_of is None:
        raise FhirPathNotSupported("memberOf() needs terminology in the environment")
    return boolean(frame.environment.member_of(node, url))


def conforms_to(frame: Frame, focus: Collection, profile: Collection) -> Collection:
    """Whether a node conforms to a profile. Without a validator only R4's own definitions are known, by type alone."""
    node, url = single(focus), text(profile)
    if node is None or url is None:
        return EMPTY
    if frame.environment.conforms_to is not None:
        return boolean(frame.environment.conforms_to(node, url))
    name = url.removeprefix(_DEFINITION)
    if name == url or name not in r4().types:
        raise FhirPathEvaluationError("conformsTo() does not know the profile")
    return boolean(name in r4().ancestors(node.type))


def html_checks(frame: Frame, focus: Collection) -> Collection:
    """Whether a narrative has some text or image and none of the forbidden markup."""
    node = single(focus)
    if node is None or type(node.value) is not str:
        return EMPTY
    frame.read(len(node.value))
    if frame.environment.html_checks is not None:
        return boolean(frame.environment.html_checks(node.value))
    has_content = bool(_HTML_TEXT.sub("", node.value)) or "<img" in node.value
    return boolean(has_content and _UNSAFE_HTML.search(node.value) is None)


def not_supported(name: str) -> Any:
    """Return a function that refuses, clearly, what FHIR describes and this engine does not do."""

    def refuse(frame: Frame, focus: Collection, *arguments: Collection) -> Collection:
        raise FhirPathNotSupported(f"{name}() is not supported")

    return refuse
