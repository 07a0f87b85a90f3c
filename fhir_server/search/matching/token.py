"""Tokens: codes, identifiers and flags, with or without their system. https://hl7.org/fhir/R4/search.html#token"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Any

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath import Node
from fhir_server.search.matching.asking import Json, NodesTest, Setting, asked, codes_of, split, unsupported
from fhir_server.search.matching.string import begins
from fhir_server.search.parameters import Parameter
from fhir_server.search.query import Filter, unescape
from fhir_server.search.terms import fold
from fhir_server.search.values import tokens

WANTED = "a code, system|code, |code or system|"
OF_TYPE_WANTED = "system|code|value of the identifier's type and value"
BOOLEANS = "http://terminology.hl7.org/CodeSystem/special-values"
# Value sets too long to list, of one system each.
_OPEN_SETS = {
    "http://hl7.org/fhir/ValueSet/mimetypes": "urn:ietf:bcp:13",
    "http://hl7.org/fhir/ValueSet/languages": "urn:ietf:bcp:47",
}

TokenAsked = tuple[str | None, str | None]


def asked_token(text: str) -> TokenAsked:
    """Return (system, code) of a search value, still escaped, with the case of the code folded.

    A system of None is any, of '' none at all; a code of None is any. Raises ValueError with what was wanted.
    """
    parts = split(text, "|")
    system = unescape(parts[0]) if len(parts) > 1 else None
    code = unescape("|".join(parts[1:]) if len(parts) > 1 else parts[0]).casefold()
    if not code and not system:
        raise ValueError(WANTED)
    return system, code or None


def asked_of_type(text: str) -> tuple[str, str, str]:
    """Return (system, code, value) of an `:of-type` value; code and value without case. Raises ValueError."""
    parts = [unescape(part) for part in split(text, "|")]
    if len(parts) != 3 or not all(parts):
        raise ValueError(OF_TYPE_WANTED)
    return parts[0], parts[1].casefold(), parts[2].casefold()


@lru_cache(maxsize=4096)
def implied_system(resource_type: str, expression: str) -> str:
    """Return the code system of a parameter's `code` elements, or ''.

    Such elements have no system of their own; where they are bound to the codes of a single one, that is it.
    """
    systems = {_bound_system(branch) for branch in expression.split(" | ")}
    return systems.pop() if len(systems) == 1 else ""


def _bound_system(path: str) -> str:
    owner, *names = path.split(".")
    element = None
    for name in names:
        definition = r4().types.get(owner)
        element = definition.element(name) if definition else None
        if element is None or element.choice:
            return ""
        owner = element.types[0].code
    if element is None or owner != "code" or not element.binding:
        return ""
    value_set = element.binding[1].partition("|")[0]
    systems = list(r4().code_lists.get(value_set, ()))
    return systems[0] if len(systems) == 1 else _OPEN_SETS.get(value_set, "")


def held_tokens(node: Node, implied: str) -> Iterator[tuple[str, str]]:
    """Yield (system, code without case) of a node; a code with an implied system is there with it and without."""
    for system, code in tokens(node.value, node.type):
        folded = code.casefold()
        yield system, folded
        if type(node.value) is bool:
            yield BOOLEANS, folded
        elif implied and node.type == "code":
            yield implied, folded


def token_test(one: Filter, setting: Setting) -> NodesTest:
    """Return the test of a token filter. Raises InvalidRequest."""
    make = _MAKERS.get(one.modifier)
    if make is None:
        raise unsupported(one)
    test = make(one, setting)
    if one.modifier in NEGATIONS:
        return lambda nodes, resource: not test(nodes, resource)
    return test


def _implied(parameter: Parameter) -> str:
    return implied_system(parameter.resource_type, parameter.expression)


def _equal(one: Filter, setting: Setting) -> NodesTest:
    wanted = [asked(one, asked_token, value) for value in one.values]
    codes = {code for system, code in wanted if system is None}
    systems = {system for system, code in wanted if code is None}
    pairs = {(system, code) for system, code in wanted if system is not None and code is not None}
    implied = _implied(one.parameter)

    def test(nodes: Sequence[Node], resource: Json) -> bool:
        for node in nodes:
            for system, code in held_tokens(node, implied):
                if code in codes or (system, code) in pairs or (system and system in systems):
                    return True
            if systems and any(system in systems for system in _bare_systems(node)):
                return True
        return False

    return test


def _bare_systems(node: Node) -> Iterator[str]:
    """Yield the systems of a node that stand there without a code."""
    if node.type in ("CodeableConcept", "Coding", "Identifier"):
        for one in node.value.get("coding", ()) if node.type == "CodeableConcept" else (node.value,):
            if system := one.get("system"):
                yield system


def _in(one: Filter, setting: Setting) -> NodesTest:
    pairs = {(system, code.casefold()) for value in one.values for system, code in codes_of(one, value, setting)}
    codes = {code for _, code in pairs}
    whole = {system for system, code in pairs if not code}  # every code of these systems is in the set
    implied = _implied(one.parameter)

    def test(nodes: Sequence[Node], resource: Json) -> bool:
        for node in nodes:
            # A code of unknown system cannot be told from another system's; the code alone decides.
            if not implied and node.type == "code":
                if type(node.value) is str and node.value.casefold() in codes:
                    return True
            elif any(held in pairs or held[0] in whole for held in held_tokens(node, implied)):
                return True
        return False

    return test


def _of_type(one: Filter, setting: Setting) -> NodesTest:
    wanted = {asked(one, asked_of_type, value) for value in one.values}

    def test(nodes: Sequence[Node], resource: Json) -> bool:
        return any(held in wanted for node in nodes for held in held_types(node))

    return test


def held_types(node: Node) -> Iterator[tuple[str, str, str]]:
    """Yield (system, code, value) of an Identifier for each coding of its type, as `:of-type` asks for it."""
    if node.type == "Identifier" and type(node.value) is dict and (value := node.value.get("value")):
        for system, code in tokens(node.value.get("type"), "CodeableConcept"):
            yield system, code.casefold(), value.casefold()


def _text(one: Filter, setting: Setting) -> NodesTest:
    begin = begins(one)

    def test(nodes: Sequence[Node], resource: Json) -> bool:
        return any(begin(fold(text)) for node in nodes for text in display_texts(node.value, node.type))

    return test


def display_texts(value: Any, type_name: str) -> Iterator[str]:
    """Yield what `:text` looks at: the text and displays of a concept, a coding's display, an identifier's type.

    Where a code is all there is, it is that.
    """
    if type(value) is not dict:
        yield from _strings(value)
        return
    if type_name == "Identifier":
        yield from _strings(value.get("type", {}).get("text"))
    if type_name == "CodeableConcept":
        yield from _strings(value.get("text"))
        for coding in value.get("coding", ()):
            yield from _strings(coding.get("display"))
    elif type_name == "Coding":
        yield from _strings(value.get("display"))


def _strings(value: Any) -> Iterator[str]:
    if type(value) is str:
        yield value


# A resource without a value has none that matches, so these find it.
NEGATIONS = frozenset({"not", "not-in"})
_MAKERS: dict[str, Callable[[Filter, Setting], NodesTest]] = {
    "": _equal,
    "not": _equal,
    "in": _in,
    "not-in": _in,
    "above": _in,
    "below": _in,
    "of-type": _of_type,
    "text": _text,
}
