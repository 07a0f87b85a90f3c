"""Turn the official R4 core package into the compact tables that the server ships.

    python tools/compile_definitions.py PATH/hl7.fhir.r4.core.tgz [--check]

Only facts are kept (paths, cardinalities, types, bindings, invariants, search parameters, compartments, operations,
code lists, code systems, value sets, concept maps, profiles), no descriptions. The output is reproducible: the same
package gives the same bytes; --check compares instead of writing and exits with 1 on a difference.
Source: https://hl7.org/fhir/R4/downloads.html (CC0).
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tarfile
from pathlib import Path
from typing import Any

Json = dict[str, Any]

OUTPUT = Path(__file__).parent.parent / "fhir_server" / "fhir" / "definitions"
PROFILE_BASE = "http://hl7.org/fhir/StructureDefinition/"
TYPE_EXTENSION = PROFILE_BASE + "structuredefinition-fhir-type"
# The package ships examples of what a search parameter looks like, with codes that real ones have.
EXAMPLES = "http://hl7.org/fhir/SearchParameter/example"
REGEX_EXTENSION = PROFILE_BASE + "regex"
COMPARTMENTS = ("Patient", "Encounter", "RelatedPerson", "Practitioner", "Device")
EVERY_ELEMENT = {"ele-1", "ext-1"}
TERMINOLOGY = {
    "CodeSystem": (
        "url", "version", "name", "title", "status", "experimental", "language", "caseSensitive", "valueSet",
        "hierarchyMeaning", "versionNeeded", "content", "supplements", "filter", "property", "concept",
    ),
    "ValueSet": ("url", "version", "name", "title", "status", "experimental", "language", "immutable", "compose"),
    "ConceptMap": (
        "url", "version", "name", "title", "status", "experimental", "sourceUri", "sourceCanonical", "targetUri",
        "targetCanonical", "group",
    ),
}  # fmt: skip
STRUCTURE = (
    "url", "version", "name", "status", "kind", "abstract", "context", "contextInvariant", "type", "baseDefinition",
    "derivation",
)  # fmt: skip
ELEMENT_PROSE = {
    "alias", "comment", "definition", "description", "example", "isModifierReason", "label", "mapping",
    "meaningWhenMissing", "orderMeaning", "representation", "requirements", "short", "xpath",
}  # fmt: skip
PROSE = {"definition", "description", "extension", "comment", "documentation"}
# The specification's own definitions have these extensions in places that the contexts they declare leave out.
FURTHER_CONTEXTS = {
    TYPE_EXTENSION: "ElementDefinition.type",
    REGEX_EXTENSION: "ElementDefinition.type",
    PROFILE_BASE + "structuredefinition-normative-version": "ElementDefinition",
}
# The extensions of an element, a type or a binding that say what a value must be.
RULING_EXTENSIONS = {TYPE_EXTENSION, PROFILE_BASE + "elementdefinition-maxValueSet"}
# Systems whose names of concepts are under a licence: the codes stay, as references, the names do not.
LICENSED = ("http://snomed.info/sct", "http://loinc.org", "http://www.ama-assn.org/go/cpt")


def read_package(path: Path) -> list[Json]:
    """Return every definition of the package, in the order of their file names."""
    found: dict[str, Json] = {}
    with tarfile.open(path) as package:
        for member in package:
            name = member.name.removeprefix("package/")
            if member.isfile() and name.endswith(".json") and "/" not in name:
                stream = package.extractfile(member)
                assert stream is not None
                found[name] = json.load(stream)
    return [found[name] for name in sorted(found) if "resourceType" in found[name]]


def compile_types(definitions: list[Json]) -> Json:
    """Return {type: [kind, base, abstract, regex, constraints, elements]}, backbone elements as types of their own."""
    types: Json = {}
    for definition in definitions:
        if definition["resourceType"] != "StructureDefinition" or not _is_base_type(definition):
            continue
        base = definition.get("baseDefinition", "").removeprefix(PROFILE_BASE)
        elements = definition["snapshot"]["element"]
        regex = ""
        if definition["kind"] == "primitive-type":
            regex = next((_regex(e) for e in elements if e["path"].endswith(".value")), "")
        kind = {"primitive-type": "primitive", "complex-type": "complex", "resource": "resource"}[definition["kind"]]
        types[definition["type"]] = [
            kind, base, definition["abstract"], regex, _constraints(elements[0], definition["url"]), []
        ]  # fmt: skip
        for element in elements[1:]:
            owner, name = element["path"].rsplit(".", 1)
            if owner not in types:
                raise SystemExit(f"{element['path']} comes before its parent")
            row = _element(element, name)
            if name == "id" and definition["kind"] == "resource" and owner == definition["type"]:
                row[3] = [["id", []]]  # the package says string here; the specification says id (resource.html)
            types[owner][5].append(row)
            if _is_backbone(element):
                nested_base = element["type"][0]["code"]
                types[element["path"]] = ["backbone", nested_base, False, "", [], []]
    return dict(sorted(types.items()))


def _is_base_type(definition: Json) -> bool:
    return definition["kind"] != "logical" and (
        definition.get("derivation") == "specialization" or definition["type"] in ("Element", "Resource")
    )


def _is_backbone(element: Json) -> bool:
    return [t["code"] for t in element.get("type", [])] in (["BackboneElement"], ["Element"])


def _element(element: Json, name: str) -> list[Any]:
    types: list[list[Any]] = []
    if "contentReference" in element:
        types = [[element["contentReference"].removeprefix("#"), []]]
    elif _is_backbone(element):
        types = [[element["path"], []]]
    else:
        types = [_type(t) for t in element.get("type", [])]
    binding = element.get("binding", {})
    return [
        name.removesuffix("[x]"),
        element["min"],
        0 if element["max"] == "*" else int(element["max"]),
        types,
        name.endswith("[x]"),
        element.get("isSummary", False),
        element.get("isModifier", False),
        [binding["strength"], binding["valueSet"].split("|")[0]] if binding.get("valueSet") else [],
        _constraints(element, None),
    ]


def _type(row: Json) -> list[Any]:
    code = row["code"]
    if code.startswith("http://hl7.org/fhirpath/"):
        code = next((x["valueUrl"] for x in row.get("extension", []) if x["url"] == TYPE_EXTENSION), "string")
    targets = [t.removeprefix(PROFILE_BASE) for t in row.get("targetProfile", [])]
    return [code, targets]


def _constraints(element: Json, source: str | None) -> list[list[str]]:
    """Keep the element's own invariants; those of Element and Extension hold everywhere and stand with their types."""
    rows = []
    for constraint in element.get("constraint", []):
        everywhere = constraint["key"] in EVERY_ELEMENT
        if everywhere and source is None:
            continue
        if source is not None and constraint.get("source", source) != source:
            continue
        if constraint.get("expression"):
            rows.append([constraint["key"], constraint["severity"], constraint["expression"]])
    return rows


def _regex(element: Json) -> str:
    for row in element.get("type", []):
        for extension in row.get("extension", []):
            if extension["url"] == REGEX_EXTENSION:
                return str(extension["valueString"])
    return ""


def compile_search_parameters(definitions: list[Json]) -> list[list[Any]]:
    """Return [url, code, type, bases, expression, targets, components, xpath usage] rows, sorted by url."""
    rows = []
    for definition in definitions:
        if definition["resourceType"] != "SearchParameter" or not definition.get("base"):
            continue
        if definition["url"].startswith(EXAMPLES):
            continue
        components = [[c["definition"], c["expression"]] for c in definition.get("component", [])]
        rows.append(
            [
                definition["url"],
                definition["code"],
                definition["type"],
                definition["base"],
                definition.get("expression", ""),
                definition.get("target", []),
                components,
                definition.get("xpathUsage", ""),
            ]
        )
    return sorted(rows)


def compile_compartments(definitions: list[Json]) -> Json:
    """Return {compartment: {type: [search parameter codes]}}."""
    compartments: Json = {}
    for definition in definitions:
        if definition["resourceType"] == "CompartmentDefinition" and definition["code"] in COMPARTMENTS:
            if "example" in definition["id"]:
                continue
            rows = {r["code"]: r["param"] for r in definition["resource"] if r.get("param")}
            compartments[definition["code"]] = dict(sorted(rows.items()))
    return dict(sorted(compartments.items()))


def compile_operations(definitions: list[Json]) -> list[Json]:
    """Return the OperationDefinitions of the core specification without their prose."""
    keep = ("url", "name", "code", "affectsState", "resource", "system", "type", "instance", "parameter")
    rows = []
    for definition in definitions:
        if definition["resourceType"] != "OperationDefinition" or "example" in definition["id"]:
            continue
        row = {k: definition[k] for k in keep if k in definition}
        row["parameter"] = [_operation_parameter(p) for p in definition.get("parameter", [])]
        rows.append(row)
    return sorted(rows, key=lambda r: str(r["url"]))


def _operation_parameter(parameter: Json) -> Json:
    kept = {k: v for k, v in parameter.items() if k in ("name", "use", "min", "max", "type", "searchType")}
    if "part" in parameter:
        kept["part"] = [_operation_parameter(p) for p in parameter["part"]]
    return kept


def compile_code_lists(definitions: list[Json], types: Json) -> Json:
    """Return {value set url: {system: [codes]}} for every required binding that enumerates its codes."""
    by_url = {d["url"]: d for d in definitions if d["resourceType"] in ("ValueSet", "CodeSystem") and "url" in d}
    wanted = {e[7][1] for t in types.values() for e in t[5] if e[7] and e[7][0] == "required"}
    lists: Json = {}
    for url in sorted(wanted):
        codes = _expand(url, by_url)
        if codes:
            lists[url] = codes
    return lists


def _expand(url: str, by_url: Json) -> Json | None:
    """Return the codes by system, or None where the value set cannot be enumerated from the package."""
    value_set = by_url.get(url)
    if value_set is None or value_set.get("compose", {}).get("exclude"):
        return None
    result: dict[str, list[str]] = {}
    for include in value_set["compose"]["include"]:
        if include.get("filter") or "system" not in include:
            return None
        if include.get("concept"):
            codes = [c["code"] for c in include["concept"]]
        else:
            system = by_url.get(include["system"])
            if system is None or system.get("content") != "complete":
                return None
            codes = list(_codes(system.get("concept", [])))
        result.setdefault(include["system"], []).extend(codes)
    return {system: sorted(set(codes)) for system, codes in sorted(result.items())}


def _codes(concepts: list[Json]) -> Any:
    for concept in concepts:
        yield concept["code"]
        yield from _codes(concept.get("concept", []))


def compile_terminology(definitions: list[Json]) -> Json:
    """Return {type|url: resource} of every code system, value set and concept map, without prose."""
    rows: Json = {}
    for definition in definitions:
        kind = definition["resourceType"]
        if kind in TERMINOLOGY and "url" in definition:
            kept = {name: _without_prose(definition[name]) for name in TERMINOLOGY[kind] if name in definition}
            if definition["url"] in LICENSED:
                kept.pop("concept", None)
            for include in _includes(kept):
                if include.get("system") in LICENSED and "concept" in include:
                    include["concept"] = [{"code": c["code"]} for c in include["concept"]]
            for group in kept.get("group", []):
                _unname_licensed(group)
            rows[f"{kind}|{definition['url']}"] = {"resourceType": kind, **kept}
    return dict(sorted(rows.items()))


def _includes(value_set: Json) -> list[Json]:
    compose = value_set.get("compose", {})
    return [*compose.get("include", []), *compose.get("exclude", [])]


def _unname_licensed(group: Json) -> None:
    """Take the names of licensed concepts out of a group of a concept map."""
    for element in group.get("element", []):
        if group.get("source") in LICENSED:
            element.pop("display", None)
        for target in element.get("target", []):
            if group.get("target") in LICENSED:
                target.pop("display", None)


def compile_profiles(definitions: list[Json]) -> Json:
    """Return {url: StructureDefinition} without prose: types with their snapshot, profiles with their differential."""
    rows: Json = {}
    for definition in definitions:
        if definition["resourceType"] != "StructureDefinition":
            continue
        view = "snapshot" if _is_base_type(definition) else "differential"
        if view == "snapshot" or definition.get("derivation") == "constraint":
            kept = {name: definition[name] for name in STRUCTURE if name in definition}
            elements = _explicit(definition) if view == "differential" else definition[view]["element"]
            kept[view] = {"element": [_facts(element) for element in elements]}
            if further := FURTHER_CONTEXTS.get(definition["url"]):
                kept["context"] = [*kept["context"], {"type": "element", "expression": further}]
            rows[definition["url"]] = {"resourceType": "StructureDefinition", **kept}
    return dict(sorted(rows.items()))


def _explicit(definition: Json) -> list[Json]:
    """Return the differential as its published snapshot understands it.

    The slicing by type that `valueQuantity` implies is written out: tools do not agree on whether the other types stay
    allowed, and the profiles of the core specification forbid them. Names of slices that slice nothing are dropped.
    """
    published = {element["id"]: element for element in definition.get("snapshot", {}).get("element", [])}
    elements = []
    for element in definition["differential"]["element"]:
        owner, _, name = element["id"].rpartition(".")
        choice = next((i for i in published if i.endswith("[x]") and f"{i}:{name}" in published), None)
        if choice is not None and choice.startswith(owner + ".") and element["id"] not in published:
            kept = {key: published[choice][key] for key in ("id", "path", "slicing", "type")}
            elements.append(kept)
        elements.append(element)
    return [_rightly_named(element, published) for element in elements]


def _rightly_named(element: Json, published: Json) -> Json:
    """Drop the slice names from an element whose published snapshot has nothing that they would be slices of."""
    identity = ""
    for part in element["id"].split("."):
        name = part.partition(":")[0]
        loose = published and f"{identity}{name}" not in published and name not in ("extension", "modifierExtension")
        identity += (name if loose else part) + "."
    if ":" not in identity.split(".")[-2]:
        element = {key: value for key, value in element.items() if key != "sliceName"}
    return element | {"id": identity[:-1]}


def _facts(value: Any) -> Any:
    """Take the prose out of an element definition, and every extension but those that rule what a value must be."""
    if isinstance(value, list):
        return [_facts(item) for item in value]
    if not isinstance(value, dict):
        return value
    kept = {
        name: content if name.startswith(("fixed", "pattern")) else _facts(content)
        for name, content in value.items()
        if name not in ELEMENT_PROSE | {"extension"} and not name.startswith("_")
    }
    extensions = [x for x in value.get("extension", []) if x["url"] in RULING_EXTENSIONS]
    return {**kept, "extension": extensions} if extensions else kept


def _without_prose(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _without_prose(v) for k, v in value.items() if k not in PROSE and not k.startswith("_")}
    return [_without_prose(item) for item in value] if isinstance(value, list) else value


def render(rows: Json | list[Any]) -> str:
    """Write one row a line, so that a change of the specification reads as a diff."""
    dump = lambda value: json.dumps(value, ensure_ascii=False, separators=(",", ":"))  # noqa: E731  one short spelling
    if isinstance(rows, dict):
        return "{\n" + ",\n".join(f"{dump(k)}:{dump(v)}" for k, v in rows.items()) + "\n}\n"
    return "[\n" + ",\n".join(dump(r) for r in rows) + "\n]\n"


def main() -> int:
    """Compile the package named on the command line; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("package", type=Path)
    parser.add_argument("--check", action="store_true", help="compare with what is there instead of writing")
    arguments = parser.parse_args()
    definitions = read_package(arguments.package)
    types = compile_types(definitions)
    tables = {
        "types.json": types,
        "search_parameters.json": compile_search_parameters(definitions),
        "compartments.json": compile_compartments(definitions),
        "operations.json": compile_operations(definitions),
        "code_lists.json": compile_code_lists(definitions, types),
        "terminology.json.gz": compile_terminology(definitions),
        "profiles.json.gz": compile_profiles(definitions),
    }
    stale = []
    for name, rows in tables.items():
        text = render(rows)
        path = OUTPUT / name
        if arguments.check:
            if not path.exists() or _read(path) != text:
                stale.append(name)
        else:
            _write(path, text)
            print(f"{name}: {len(rows)} rows, {path.stat().st_size // 1024} KB")
    if stale:
        print("not what the package gives: " + ", ".join(stale), file=sys.stderr)
    return 1 if stale else 0


def _read(path: Path) -> str:
    content = path.read_bytes()
    return (gzip.decompress(content) if path.suffix == ".gz" else content).decode()


def _write(path: Path, text: str) -> None:
    content = text.encode()
    path.write_bytes(gzip.compress(content, 9, mtime=0) if path.suffix == ".gz" else content)


if __name__ == "__main__":
    sys.exit(main())
