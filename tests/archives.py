"""Archives of FHIR packages, made by hand: good ones, and what a stranger might send.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification
"""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

Json = dict[str, Any]

CANONICAL = "http://example.org/fhir"


def manifest(name: str = "org.example.one", version: str = "1.0.0", **more: Any) -> Json:
    """Return a package.json."""
    return {"name": name, "version": version, "fhirVersions": ["4.0.1"], "canonical": CANONICAL, **more}


def definition(kind: str = "StructureDefinition", name: str = "a", version: str = "1.0.0", **more: Any) -> Json:
    """Return a definition that is found by its URL."""
    return {"resourceType": kind, "id": name, "url": f"{CANONICAL}/{kind}/{name}", "version": version, **more}


def tgz(*files: tuple[str, Any] | tarfile.TarInfo) -> bytes:
    """Return an archive of files, each a path with bytes or JSON, and of bare entries."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", compresslevel=1) as tar:
        for file in files:
            if isinstance(file, tarfile.TarInfo):
                tar.addfile(file, io.BytesIO(b"\0" * file.size))
                continue
            path, content = file
            raw = content if isinstance(content, bytes) else json.dumps(content, indent=1).encode()
            entry = tarfile.TarInfo(path)
            entry.size = len(raw)
            tar.addfile(entry, io.BytesIO(raw))
    return target.getvalue()


def package(said: Json, *resources: Json) -> bytes:
    """Return the archive of a package with these resources."""
    named = [(f"package/{r['resourceType']}-{r['id']}.json", r) for r in resources]
    return tgz(("package/package.json", said), *named)
