"""The files of a package judged: which are definitions that can be found by their URL, and what is wrong with others.

https://hl7.org/fhir/R4/resource.html#canonical
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from fhir_server.api.errors import Failure, NotSupported, Unprocessable
from fhir_server.api.packages import PackageResource
from fhir_server.fhir.json import JsonError, decode
from fhir_server.fhir.outcomes import Issue
from fhir_server.packaging.archive import File
from fhir_server.packaging.manifest import PATH, Manifest

Json = dict[str, Any]

# The same in every version of FHIR, as far as this server looks at them.
VERSION_FREE = frozenset({"CodeSystem", "ValueSet"})
MAX_ISSUES = 50
MAX_URL = 2000
MAX_FILES = 1000
_MARK = b"\xef\xbb\xbf"


@dataclass(slots=True)
class Judge:
    """Looks at one file after the other of a package, and keeps the account."""

    manifest: Manifest
    types: frozenset[str]
    counts: dict[str, int] = field(default_factory=dict)
    skipped: int = 0
    issues: list[Issue] = field(default_factory=list)
    foreign: str = ""

    def wants(self, path: str) -> bool:
        """Whether a file can be content: JSON directly in a folder for it, the indexes and the manifest excepted."""
        folder, _, name = path.rpartition("/")
        return folder in self.manifest.folders and name.endswith(".json") and name[0] != "." and path != PATH

    def take(self, found: Iterator[File], size: int) -> list[PackageResource] | None:
        """Return the resources of the next files of about `size` bytes together, or None when there are no more.

        Raises what reading the archive raises, with the package named in the place.
        """
        taken: list[PackageResource] = []
        count = total = 0
        try:
            for file in islice(found, MAX_FILES):
                resource = self._judged(file)
                taken += [resource] if resource is not None else []
                count, total = count + 1, total + len(file.raw)
                if total >= size:
                    break
        except Failure as failure:
            raise type(failure)(issues=[replace(i, location=self.place(i.location)) for i in failure.issues]) from None
        return taken if count else None

    def finish(self) -> None:
        """Raise Unprocessable or NotSupported with all that is wrong with the package."""
        if self.issues:
            raise Unprocessable(issues=self.issues)
        if self.foreign:
            versions = " and ".join(self.manifest.fhir_versions) or "of another version"
            text = (
                f"{self.manifest.label} is for FHIR {versions}, and this server for 4.0. Look for its edition for R4."
            )
            raise NotSupported(text, location=self.place(self.foreign))

    def place(self, path: str) -> str:
        """Return how a file is named to people, or the package itself."""
        return f"{self.manifest.label}/{path}".removesuffix("/")

    def _judged(self, file: File) -> PackageResource | None:
        """Return the resource of a file, or None where it is none that can be found by its URL."""
        try:
            found = decode(file.raw.removeprefix(_MARK))
        except JsonError as error:
            self._refuse(file, "structure", f"This is no JSON that can be read: {error}.")
            return None
        kind, url = (found.get("resourceType"), found.get("url", "|")) if isinstance(found, dict) else ("", "|")
        # By a URL with a version nobody finds it.
        if not isinstance(kind, str) or kind not in self.types or (isinstance(url, str) and "|" in url):
            self.skipped += 1
            return None
        version, name = found.get("version", ""), found.get("id", "")
        if not isinstance(url, str) or not 0 < len(url) <= MAX_URL or not url.isprintable():
            self._refuse(file, "value", f"{kind}.url must be a URL.", f"{kind}.url")
            return None
        if not isinstance(version, str) or not isinstance(name, str):
            self._refuse(file, "value", f"{kind}.id and {kind}.version must be strings.", kind)
            return None
        if kind not in VERSION_FREE and not self.foreign and not self._is_r4(found):
            self.foreign = file.path
        self.counts[kind] = self.counts.get(kind, 0) + 1
        return PackageResource(kind, url, version[:200], name[:200], file.path, file.raw.removeprefix(_MARK))

    def _is_r4(self, found: Json) -> bool:
        """Whether a definition is for this version of FHIR: as the package says, or else as it says itself."""
        if self.manifest.is_r4 is not None:
            return self.manifest.is_r4
        said = found.get("fhirVersion") or "4.0"
        return any(str(one).startswith("4.0") for one in (said if isinstance(said, list) else [said]))

    def _refuse(self, file: File, code: str, text: str, expression: str = "") -> None:
        if len(self.issues) < MAX_ISSUES:
            self.issues.append(Issue(code, text, expression, location=self.place(file.path)))
