"""What a request to a terminology operation gives: where to look, which versions, which languages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

from fhir_server.api import InvalidRequest, Json, NotFound, OperationContext, Parameters, decode_stored
from terminology import TERMINOLOGY
from terminology.composing import Composer
from terminology.failures import Broken, TerminologyError
from terminology.issues import refusal
from terminology.languages import Languages
from terminology.shapes import shaped
from terminology.sources import Sources, VersionRules
from terminology.statuses import supplements_of
from terminology.valueset import ValueSet
from terminology.verdicts import Rules

PARAMETER = "http://hl7.org/fhir/StructureDefinition/valueset-expansion-parameter"

Answering = Callable[[OperationContext], Awaitable[Json]]


def answering(handler: Answering) -> Answering:
    """Let what goes wrong about codes leave the handler as a failure of the request."""

    @wraps(handler)
    async def answer(context: OperationContext) -> Json:
        try:
            return await handler(context)
        except TerminologyError as error:
            raise refusal(error) from error

    return answer


def sources(context: OperationContext, supplements: Sequence[str] = (), given: Sequence[Json] = ()) -> Sources:
    """Return where a call finds code systems and value sets: what it sends, what it names, what is stored."""
    said = context.parameters
    rules = VersionRules(
        default=tuple(said.all("system-version")),
        check=tuple(said.all("check-system-version")),
        force=tuple(said.all("force-system-version")),
        value_sets=tuple(said.all("default-valueset-version")),
    )
    named = tuple(dict.fromkeys([*said.all("useSupplement"), *supplements]))
    sent = (*(shaped(r, str(r.get("resourceType"))) for r in said.all("tx-resource")), *given)
    return Sources(context.server.library, TERMINOLOGY.memory, sent, rules, named)


@dataclass(frozen=True)
class Asked:
    """A value set as a request asks for it, with everything it needs."""

    value_set: ValueSet
    sources: Sources
    languages: Languages
    defaults: Json

    async def with_version(self, code_system: str) -> ValueSet:
        """Return the value set with this version of a code system (`url|version`) where it names none itself."""
        rules = replace(self.sources.rules, default=(*self.sources.rules.default, code_system))
        resource = self.value_set.resource
        others = Sources(self.sources.library, self.sources.memory, self.sources.given, rules, self.sources.supplements)
        return await Composer(others, self.value_set.versions_match).build(resource, _path(resource))


async def stored(context: OperationContext) -> Json:
    """Return the resource of the instance that the operation is called on."""
    found = await context.records.read(context.key)
    if found is None or found.deleted:
        raise NotFound(f"There is no {context.key}.")
    resource: Json = decode_stored(found.raw)
    return resource


async def ask(context: OperationContext) -> Asked:
    """Return the value set that a call is about: the instance, the one sent, or the one named by its URL.

    Raises Unknown, Broken, and InvalidRequest where the call names none.
    """
    resource = await _resource(context)
    found = sources(context, supplements_of(resource), [resource] if resource.get("url") else [])
    await found.named_supplements()
    defaults = _defaults(resource)
    match = {"true": True, "false": False}.get(str(defaults.get("versionsMatch")).lower())
    value_set = await Composer(found, match).build(resource, _path(resource))
    liked = languages(context, defaults.get("displayLanguage") or "", resource.get("language", ""))
    return Asked(value_set, found, liked, defaults)


def languages(context: OperationContext, *others: str) -> Languages:
    """Return the languages a call wants names in, else those its client likes, else the first of the others known.

    Raises Broken for a wish that cannot be read; what a client merely likes is passed over then.
    """
    wish = context.parameters.one("displayLanguage")
    if wish:
        return Languages.parse(str(wish))
    for text in (context.languages, *others):
        if text:
            with suppress(Broken):
                return Languages.parse(text)
    return Languages()


def rules(said: Parameters, liked: Languages) -> Rules:
    """Return what a check of a code is asked to mind."""
    return Rules(
        languages=liked,
        active_only=bool(said.one("activeOnly")),
        abstract_allowed=said.one("abstract") is not False,
        lenient_display=bool(said.one("lenient-display-validation")),
        membership_only=bool(said.one("valueset-membership-only")),
    )


async def _resource(context: OperationContext) -> Json:
    if context.resource_id:
        return await stored(context)
    said = context.parameters
    sent = said.one("valueSet")
    if sent is not None:
        return shaped(dict(sent), "ValueSet")
    url = said.one("url")
    if not url:
        raise InvalidRequest(
            f"Name the value set with url, send it as valueSet, or call {context.resource_type}/[id]/$...",
            location="http.url",
        )
    name, _, version = str(url).partition("|")
    return await sources(context).value_set(name, said.one("valueSetVersion") or version)


def _path(resource: Json) -> tuple[str, ...]:
    url, version = resource.get("url", ""), resource.get("version", "")
    return (f"{url}|{version}" if version else url,) if url else ()


def _defaults(resource: Json) -> dict[str, Any]:
    """Return the parameters that a value set gives itself."""
    found = {}
    for row in resource.get("compose", {}).get("extension", ()):
        if row.get("url") == PARAMETER:
            parts = {
                p.get("url"): next((v for k, v in p.items() if k.startswith("value")), None)
                for p in row.get("extension", ())
            }
            found[str(parts.get("name"))] = parts.get("value")
    return found
