"""CodeSystem/$lookup: what a code means. https://hl7.org/fhir/R4/codesystem-operation-lookup.html"""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files
from typing import Any

from fhir_server.api import (
    InvalidRequest,
    Json,
    NotFound,
    Operation,
    OperationContext,
    Parameters,
    encode,
)
from terminology.asking import answering, languages, sources
from terminology.codesystem import CodeSystem, Node
from terminology.failures import Contentless, canonical
from terminology.fetching import settled
from terminology.languages import choose, names
from terminology.shapes import shaped
from terminology.valueset import Entry
from terminology.versions import split

PREFERRED = {
    "system": "http://terminology.hl7.org/CodeSystem/hl7TermMaintInfra",
    "code": "preferredForLanguage",
    "display": "Preferred For Language",
}


@answering
async def lookup(context: OperationContext) -> Json:
    """Return the names, the definition and the properties of a code. Raises NotFound for one its system lacks."""
    said = context.parameters
    url, code, version = _asked(said)
    found = sources(context)
    supplements = await found.named_supplements()
    system = await found.code_system(url, version)
    if not system.has_content:
        raise Contentless(url, system.version)
    node = await settled(lambda: system.get(code))
    if node is None:
        raise NotFound(f"The code system {canonical(url, system.version)} has no code {code[:64]!r}.")
    entry = Entry(url, system.version, node.code, {}, node, system)
    shown = choose(names(entry), languages(context))
    rows: list[Json] = [
        {"name": "name", "valueString": system.head.get("name") or url},
        {"name": "display", "valueString": shown.value if shown is not None else node.code},
        {"name": "code", "valueCode": node.code},
        {"name": "system", "valueUri": url},
        {"name": "abstract", "valueBoolean": system.is_abstract(node)},
    ]
    if system.version:
        rows.append({"name": "version", "valueString": system.version})
    if node.definition:
        rows.append({"name": "definition", "valueString": node.definition})
    added = {encode(d): s for s in supplements for c in s.get("concept", ()) for d in c.get("designation", ())}
    rows += _designations(system, node, added)
    rows += await settled(lambda: list(_properties(system, node, set(said.all("property")))))
    rows += [{"name": "used-supplement", "valueCanonical": name} for name in system.supplements]
    return {"resourceType": "Parameters", "parameter": rows}


def _asked(said: Parameters) -> tuple[str, str, str]:
    """Return the system, code and version that a call asks about."""
    coding = shaped(said.one("coding") or {}, "Coding")
    url, code = said.one("system") or coding.get("system"), said.one("code") or coding.get("code")
    if not url or not code:
        raise InvalidRequest("Send a code and its system, or a coding.", location="http.code")
    name, version = split(str(url))
    return name, str(code), str(said.one("version") or coding.get("version") or version)


def _designations(system: CodeSystem, node: Node, added: dict[bytes, Json]) -> Iterator[Json]:
    if node.display and system.head.get("language"):
        own = {"language": system.head["language"], "use": PREFERRED, "value": node.display}
        yield {"name": "designation", "part": list(_parts(own))}
    for designation in node.designations:
        parts = list(_parts(designation))
        supplement = added.get(encode(designation))
        if supplement is not None:
            name = canonical(supplement.get("url", ""), supplement.get("version", ""))
            parts.append({"name": "source", "valueCanonical": name})
        yield {"name": "designation", "part": parts}


def _parts(designation: Json) -> Iterator[Json]:
    kinds = {"language": "valueCode", "use": "valueCoding", "value": "valueString"}
    for name, kind in kinds.items():
        if name in designation:
            yield {"name": name, kind: designation[name]}


def _properties(system: CodeSystem, node: Node, wanted: set[str]) -> Iterator[Json]:
    """Yield the properties a client wants; all of them where it names none, or `*`."""
    everything = not wanted or "*" in wanted
    said = {str(row.get("code")) for row in node.properties}
    if (everything or "inactive" in wanted) and "inactive" not in said:
        yield _property("inactive", "valueBoolean", system.is_inactive(node))
    if everything or "parent" in wanted:
        yield from (_property("parent", "valueCode", code, name) for code, name in system.parents_of(node))
    if everything or "child" in wanted:
        yield from (_property("child", "valueCode", code, name) for code, name in system.children_of(node))
    hierarchy = {*system.property_names("parent"), *system.property_names("child")}
    for row in node.properties:
        code = str(row.get("code", ""))
        kind = next((k for k in row if k.startswith("value")), None)
        if kind is not None and (everything or code in wanted) and code not in hierarchy:
            yield _property(code, kind, row[kind])


def _property(code: str, kind: str, value: Any, description: str = "") -> Json:
    parts: list[Json] = [{"name": "code", "valueCode": code}, {"name": "value", kind: value}]
    if description:
        parts.append({"name": "description", "valueString": description})
    return {"name": "property", "part": parts}


OPERATION = Operation(definition=files(__name__) / "definition.json", type=lookup)
