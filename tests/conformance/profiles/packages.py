"""Guides as they are published: their profiles, their examples, and what their value sets and FHIR's own answer."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from fhir_server.api import Coding, Membership, encode
from fhir_server.fhir.json import decode
from fhir_server.validation.profiles import Profile, Run, check_extensions, compile_profile
from terminology.service import LocalTerminology

Json = dict[str, Any]
GUIDES = ("us_core_610", "us_core_311", "ips_110")
CORE = "hl7.fhir.r4.core"


def contents(path: Path) -> Iterator[tuple[str, Json]]:
    """Yield every resource of a package with the name of its file, those of folders of its own included."""
    with tarfile.open(path) as archive:
        for member in archive:
            name = member.name.removeprefix("package/")
            if not name.endswith(".json") or name.startswith(("other/", "openapi/")) or "/." in name or name[0] == ".":
                continue
            file = archive.extractfile(member)
            found = decode(file.read()) if file is not None else None
            if isinstance(found, dict) and "resourceType" in found:
                yield name, found


@lru_cache(maxsize=2)
def core(folder: Path) -> list[Json]:
    """Return the resources of FHIR's own package, read once."""
    return [row for _, row in contents(folder / f"{CORE}.tgz")]


@lru_cache(maxsize=3)
def package_of(shared_data: Path, name: str) -> Package:
    """Return a guide, read once."""
    return Package(shared_data / "ig", name)


class Package:
    """A guide with the core package below it."""

    def __init__(self, folder: Path, name: str) -> None:
        self.examples: dict[str, Json] = {}
        self.claims: dict[str, list[str]] = {}
        self._resources: dict[tuple[str, str], Json] = {}
        for file, resource in (*(("", row) for row in core(folder)), *contents(folder / f"{name}.tgz")):
            if file.startswith("example/"):
                self.examples[file.removeprefix("example/")] = resource
            elif isinstance(resource.get("url"), str):
                self._resources[resource["resourceType"], resource["url"]] = resource
        self._claimed()
        self._profiles: dict[str, Profile | None] = {}
        self._members: dict[tuple[str, Coding], Membership] = {}
        self._asked: list[tuple[str, Coding]] = []
        self._terminology = LocalTerminology()

    def _claimed(self) -> None:
        """Note what each example is one of: by its own claim, or by what the guide says of it."""
        guides = [row for (kind, _), row in self._resources.items() if kind == "ImplementationGuide"]
        said = {
            row["reference"]["reference"]: row["exampleCanonical"]
            for guide in guides
            for row in guide.get("definition", {}).get("resource", ())
            if "exampleCanonical" in row
        }
        for file, example in self.examples.items():
            canonical = said.get(f"{example['resourceType']}/{example.get('id')}")
            self.claims[file] = list(dict.fromkeys([*claimed(example), *([canonical] if canonical else [])]))

    async def find(self, resource_type: str, url: str) -> Sequence[bytes]:
        found = self._resources.get((resource_type, url))
        return [] if found is None else [encode(found)]

    def structures(self) -> list[Json]:
        """Return the profiles and extensions of the guide and of FHIR itself that have a snapshot."""
        rows = [row for (kind, _), row in self._resources.items() if kind == "StructureDefinition"]
        return [row for row in rows if row.get("derivation") == "constraint" and "snapshot" in row]

    def profile(self, canonical: str) -> Profile | None:
        url = canonical.partition("|")[0]
        if url not in self._profiles:
            found = self._resources.get(("StructureDefinition", url))
            known = found is not None and "snapshot" in found
            self._profiles[url] = compile_profile(found, found["snapshot"]["element"]) if found and known else None
        return self._profiles[url]

    def resource(self, kind: str, canonical: str) -> Json | None:
        return self._resources.get((kind, canonical.partition("|")[0]))

    def member(self, value_set: str, coding: Coding) -> Membership:
        found = self._members.get((value_set, coding))
        if found is None:
            self._asked.append((value_set, coding))
            return Membership(None)
        return found

    def concept(self, coding: Coding) -> Membership:
        return Membership(None)

    async def findings(self, resource: Json, profiles: Sequence[str] | None = None) -> list[tuple[str, str, str, str]]:
        """Return severity, code, path and text of what is wrong with a resource and those in it, with all answers.

        Each is held against the profiles it claims, unless others are given for the resource itself.
        """
        while True:
            self._asked.clear()
            found = list(self._walk(resource, profiles))
            if not self._asked:
                return found
            for value_set, coding in dict.fromkeys(self._asked):
                self._members[value_set, coding] = await self._terminology.check(self, coding, value_set)

    def _walk(self, resource: Json, profiles: Sequence[str] | None) -> Iterator[tuple[str, str, str, str]]:
        run = Run(self, resource, advice=True)
        for row in check_extensions(resource, run) or ():
            yield row.severity, row.code, row.path, row.text
        for path, one, at in within(resource, run):
            for canonical in claimed(one) if path or profiles is None else profiles:
                profile = self.profile(canonical)
                for row in (profile.check(one, at) if profile is not None else None) or ():
                    yield row.severity, row.code, path + row.path, row.text


def within(resource: Json, run: Run) -> Iterator[tuple[str, Json, Run]]:
    """Yield a resource and, of a Bundle, the resources of its entries, each with its path and its run."""
    yield "", resource, run
    for index, entry in enumerate(resource.get("entry", ()) if resource["resourceType"] == "Bundle" else ()):
        if "resource" in entry:
            at = run.within(entry["resource"], bundle=resource, full_url=entry.get("fullUrl", ""))
            yield f".entry[{index}].resource", entry["resource"], at


def claimed(resource: Json) -> list[str]:
    """Return the profiles that a resource claims."""
    rows = resource.get("meta", {}).get("profile", [])
    return list(rows)
