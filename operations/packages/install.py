"""$package-install: a package comes into force for the tenant, in every worker, without a restart.

https://confluence.hl7.org/display/FHIR/NPM+Package+Specification. An archive that is sent is installed at once. What
the server has to find and fetch itself may take long, and so is a job.
"""

from __future__ import annotations

import asyncio
import binascii
from base64 import b64decode
from collections.abc import AsyncIterator
from importlib.resources import files

from fhir_server.api import InvalidRequest, Job, JobProgress, Json, Operation, OperationContext, Parameters
from fhir_server.api.packages import Terms, Wish
from operations.packages.answer import of_done

KIND = "package-install"
CHUNK = 1024 * 1024
BEAT_SECONDS = 0.5


async def install(context: OperationContext) -> Json | Job:
    """Install an archive that was sent, or hand over to a job what names one."""
    said = context.parameters
    wish = _wish(said)
    context.server.packages.check(wish)
    options = {name: said.one(name) for name in ("upgrade", "force", "dependencies") if said.one(name) is not None}
    if said.one("missingDependencies") is not None:
        options["accept_missing"] = _accepts(said.one("missingDependencies"))
    if wish.archive is not None:
        return of_done(await context.server.packages.install(wish, Terms(**options), _silent))
    return Job(KIND, {"name": wish.name, "version": wish.version, "url": wish.url, "terms": options})


async def run(context: OperationContext, given: Json, progress: JobProgress) -> Json:
    """Install what a job was handed. One that is taken up again begins anew: nothing of it was in force.

    The job is kept alive beside the installation, which may wait long for a registry.
    """
    doing = "begun"

    async def report(text: str) -> None:
        nonlocal doing
        doing = text

    wish = Wish(name=given["name"], version=given["version"], url=given["url"])
    installing = asyncio.create_task(context.server.packages.install(wish, Terms(**given["terms"]), report))
    try:
        while not (await asyncio.wait({installing}, timeout=BEAT_SECONDS))[0]:
            await progress.save({}, doing)
        return of_done(await installing)
    finally:
        installing.cancel()
        await asyncio.gather(installing, return_exceptions=True)


def _wish(said: Parameters) -> Wish:
    content, url, name, version = (said.one(one) for one in ("content", "url", "name", "version"))
    if sum(one is not None for one in (content, url, name)) != 1:
        raise InvalidRequest("Name the package, or its url, or send its archive as content: one of the three.")
    if version is not None and name is None:
        raise InvalidRequest("A version goes with a name; an archive says itself which it is.", location="http.version")
    if content is None:
        return Wish(name=name or "", version=version or "", url=url or "")
    raw = _decoded(content)
    return Wish(archive=lambda: _pieces(raw))


def _decoded(binary: Json) -> bytes:
    data = binary.get("data")
    try:
        return b64decode(data if isinstance(data, str) else "", validate=True)
    except (binascii.Error, ValueError):
        raise InvalidRequest("The data of the Binary is not base64.", expression="Binary.data") from None


async def _pieces(raw: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(raw), CHUNK):
        yield raw[start : start + CHUNK]


def _accepts(word: str) -> bool:
    if word not in ("refuse", "accept"):
        raise InvalidRequest("missingDependencies must be refuse or accept.", location="http.missingDependencies")
    return word == "accept"


async def _silent(_: str) -> None:
    """Nobody watches a request."""


OPERATION = Operation(definition=files(__package__) / "install.json", system=install, jobs={KIND: run})
