"""package.json: what a package is called, for which FHIR, and what it depends on. https://hl7.org/fhir/packages.html"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from fhir_server.api.errors import InvalidRequest, Unprocessable
from fhir_server.fhir.json import JsonError, decode
from fhir_server.fhir.outcomes import Issue
from fhir_server.fhir.versions import fits
from fhir_server.packaging.archive import BOUNDS, Bounds, files

PATH = "package/package.json"
FHIR_VERSION = "4.0.1"
# What FHIR itself is published as, all of which this server has.
BUILT_IN = frozenset(
    {f"hl7.fhir.r4.{part}" for part in ("core", "corexml", "examples", "expansions", "elements", "search")}
    | {"hl7.fhir.core"}
)
MAX_DEPENDENCIES = 500

_is_name = re.compile(r"[A-Za-z][A-Za-z0-9\-_]*(?:\.[A-Za-z0-9][A-Za-z0-9\-_]*)*", re.ASCII).fullmatch
_is_version = re.compile(r"[A-Za-z0-9*][A-Za-z0-9.+\-_*$]*", re.ASCII).fullmatch
_BUILDS = ("current", "dev")


class Manifest(msgspec.Struct, frozen=True):
    """What a package says of itself; `folders` are those whose files are its content."""

    name: str
    version: str
    title: str = ""
    canonical: str = ""
    fhir_versions: tuple[str, ...] = ()
    dependencies: tuple[tuple[str, str], ...] = ()
    folders: tuple[str, ...] = ("package",)

    @property
    def label(self) -> str:
        """`name#version`."""
        return f"{self.name}#{self.version}"

    @property
    def is_r4(self) -> bool | None:
        """Whether it is for this version of FHIR, among others; None where it does not say."""
        return any(one.startswith("4.0") for one in self.fhir_versions) if self.fhir_versions else None


def read_manifest(path: Path, bounds: Bounds = BOUNDS) -> Manifest:
    """Return the manifest of an archive. Raises what `files` raises, Unprocessable without a package.json. Blocking."""
    for file in files(path, PATH.__eq__, bounds):
        return parse(file.raw)
    raise Unprocessable(f"The archive has no {PATH}, so it is no FHIR package.", location=PATH)


def parse(raw: bytes) -> Manifest:
    """Return what a package.json says. Raises Unprocessable with everything that is wrong with it."""
    try:
        found = decode(raw.removeprefix(b"\xef\xbb\xbf"))
    except JsonError as error:
        raise Unprocessable(issues=[Issue("structure", f"{PATH} is no JSON: {error}.", location=PATH)]) from None
    wrong = list(_findings(found))
    if wrong:
        raise Unprocessable(issues=[Issue(code, text, location=PATH) for code, text in wrong])
    dependencies = tuple((name, version) for name, version in found.get("dependencies", {}).items())
    return Manifest(
        found["name"],
        found["version"],
        _text(found.get("title")),
        _text(found.get("canonical")),
        _fhir_versions(found, dependencies),
        dependencies,
        _folders(found),
    )


def check_name(name: str, version: str = "") -> None:
    """Raise InvalidRequest where a package cannot be asked for by that name and version."""
    if len(name) > 200 or not _is_name(name):
        raise InvalidRequest(f"{name[:100]!r} is no name of a package; one looks like hl7.fhir.us.core.")
    if is_build(version):
        raise InvalidRequest(f"{version[:40]!r} names a build that changes, and no version. Name a version.")
    if len(version) > 100 or (version and not _is_version(version)):
        raise InvalidRequest(f"{version[:100]!r} is no version of a package; one looks like 6.1.0 or 6.1.x.")


def is_build(version: str) -> bool:
    """Whether a version names whatever was built last."""
    return version.partition("$")[0] in _BUILDS


def is_built_in(name: str, version: str) -> bool:
    """Whether a dependency is FHIR R4 itself."""
    return name in BUILT_IN and (version.startswith("4.0") or fits(FHIR_VERSION, version))


def _findings(found: Any) -> Iterator[tuple[str, str]]:
    if not isinstance(found, dict):
        yield "structure", f"{PATH} must be an object."
        return
    name, version, dependencies = found.get("name"), found.get("version"), found.get("dependencies", {})
    if not isinstance(name, str) or len(name) > 200 or not _is_name(name):
        yield ("value" if name else "required"), "The package needs a name such as hl7.fhir.us.core, without a scope."
    if not isinstance(version, str) or len(version) > 100 or not _is_version(version) or set("*$") & set(version):
        yield ("value" if version else "required"), "The package needs a version such as 6.1.0."
    if not isinstance(dependencies, dict) or len(dependencies) > MAX_DEPENDENCIES:
        yield "value", f"dependencies must be an object of at most {MAX_DEPENDENCIES} names with versions."
        return
    for other, wanted in dependencies.items():
        if len(other) > 200 or not _is_name(other) or not isinstance(wanted, str) or len(wanted) > 100:
            yield "value", f"The dependency {other[:100]!r} must be the name of a package with a version."


def _fhir_versions(found: dict[str, Any], dependencies: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Return the versions of FHIR it is for: as it says (in two ways, over the years), or as what it stands on."""
    for member in ("fhirVersions", "fhir-version-list"):
        if isinstance(said := found.get(member), list) and said:
            return tuple(_text(one) for one in said[:20])
    return tuple(v for name, v in dependencies if name == "hl7.fhir.core" or re.match(r"hl7\.fhir\.r\w+\.core$", name))


def _folders(found: dict[str, Any]) -> tuple[str, ...]:
    """Return where the content lies: `package`, and the folder in it that is declared for it."""
    directories = found.get("directories")
    lib = directories.get("lib") if isinstance(directories, dict) else None
    if not isinstance(lib, str) or lib in ("", ".", "package"):
        return ("package",)
    return ("package", "package/" + lib.strip("./").removeprefix("package/"))


def _text(value: Any) -> str:
    return value[:500] if isinstance(value, str) else ""
