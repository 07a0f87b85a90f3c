"""What the operations answer: packages as Parameters. https://hl7.org/fhir/R4/parameters.html"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from fhir_server.api import Json
from fhir_server.api.packages import Done, Need, Package, PackageResource


def of_done(done: Done) -> Json:
    """Return what an installation or a removal changed."""
    kinds = {"installed": done.installed, "unchanged": done.unchanged, "removed": done.removed}
    rows = [{"name": kind, "part": _brief(package)} for kind, packages in kinds.items() for package in packages]
    for name, version, dependent in done.missing:
        parts = [_string("name", name), _string("version", version), _string("dependent", dependent)]
        rows.append({"name": "missing", "part": parts})
    return parameters(rows)


def parameters(rows: Sequence[Json]) -> Json:
    """Return Parameters, without an empty list where there is nothing to say."""
    return {"resourceType": "Parameters", **({"parameter": list(rows)} if rows else {})}


def of_package(package: Package, needs: Sequence[Need], contents: Sequence[PackageResource]) -> Json:
    """Return all that is known of an installed package, with its resources where they are given."""
    parts = _brief(package)
    parts += [_string(name, text) for name, text in (("title", package.title), ("by", package.by)) if text]
    if package.canonical:
        parts.append({"name": "canonical", "valueUri": package.canonical})
    parts += [_string("fhirVersion", version) for version in package.fhir_versions]
    parts.append({"name": "installed", "valueInstant": _instant(package.installed)})
    parts.append({"name": "skipped", "valueInteger": package.skipped})
    for kind, count in sorted(package.counts.items()):
        row = [{"name": "type", "valueCode": kind}, {"name": "count", "valueInteger": count}]
        parts.append({"name": "content", "part": row})
    for need in needs:
        row = [_string("name", need.name), _string("version", need.version), {"name": "state", "valueCode": need.state}]
        parts.append({"name": "dependency", "part": row})
    parts += [_resource(one) for one in contents]
    return {"name": "package", "part": parts}


def _brief(package: Package) -> list[Json]:
    return [
        _string("name", package.name),
        _string("version", package.version),
        {"name": "resources", "valueInteger": package.resources},
        _string("sha256", package.sha256),
    ]


def _resource(one: PackageResource) -> Json:
    canonical = f"{one.url}|{one.version}" if one.version else one.url
    row = [{"name": "type", "valueCode": one.type}, {"name": "canonical", "valueCanonical": canonical}]
    return {"name": "resource", "part": [*row, _string("file", one.file)]}


def _string(name: str, text: str) -> Json:
    return {"name": name, "valueString": text}


def _instant(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
