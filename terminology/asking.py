"""What a request to a terminology operation gives: where to look, which versions, which languages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import wraps
from typing import Any

from fhir_server.api import Failure, InvalidRequest, Json, NotFound, OperationContext, Parameters, decode_stored
from terminology import TERMINOLOGY
from terminology.composing import Composer
from terminology.elsewhere import content, is_undecided, sent
from terminology.failures import Broken, TerminologyError, Unknown, is_missing
from terminology.fetching import fetching
from terminology.issues import refusal
from terminology.languages import Languages
from terminology.remote import Remote
from terminology.shapes import shaped
from terminology.sources import Sources, VersionRules
from terminology.statuses import supplements_of
from terminology.valueset import ValueSet
from terminology.verdicts import Rules

PARAMETER = "http://hl7.org/fhir/StructureDefinition/valueset-expansion-parameter"

Answering = Callable[[OperationContext], Awaitable[Json]]


# Which operations a terminology server elsewhere is asked in, by the module of their handler.
ELSEWHERE = {
    "expand": "ValueSet/$expand",
    "lookup": "CodeSystem/$lookup",
    "subsumes": "CodeSystem/$subsumes",
    "translate": "ConceptMap/$translate",
    "validate_code": "ValueSet/$validate-code",
    "validate_system_code": "CodeSystem/$validate-code",
}


def answering(handler: Answering) -> Answering:
    """Let what goes wrong about codes leave the handler as a failure of the request.

    What is not known here is asked of the terminology server of the settings, if they name one.
    """
    path = ELSEWHERE.get(handler.__module__.rpartition(".")[2], "")

    run = fetching(handler)

    @wraps(handler)
    async def answer(context: OperationContext) -> Json:
        try:
            found = await run(context)
        except TerminologyError as error:
            return await _told(context, path, error) or _refuse(error)
        except Failure as failure:
            cause = failure.__cause__
            told = await _told(context, path, cause) if isinstance(cause, TerminologyError) else None
            if told is None:
                raise
            return told
        if path.endswith("validate-code") and is_undecided(found):
            return await _told(context, path, None) or found
        return found

    return answer


def _refuse(error: TerminologyError) -> Json:
    raise refusal(error) from error


async def _told(context: OperationContext, path: str, error: TerminologyError | None) -> Json | None:
    """Return what the server elsewhere answers, or None where it is not asked or does not know either.

    Raises Unavailable where it gives no answer: then nobody can tell, and this server must not say no.
    """
    service: Any = context.server.terminology
    remote: Remote | None = getattr(service, "remote", None)
    if remote is None or not path or not (error is None or is_missing(error)):
        return None
    said = context.parameters
    about = str(getattr(error, "url", "") or said.one("system") or said.one("url") or "")
    if not remote.may_ask(about) or (said.all("tx-resource") and not remote.server.sends_value_sets):
        return None
    try:
        rows = await _content(context, path, remote)
        return None if rows is None else await remote.call(path, [*sent(said, rows), *rows])
    except TerminologyError as other:
        raise refusal(other) from other


async def _content(context: OperationContext, path: str, remote: Remote) -> list[Json] | None:
    """Return the resources to send with a call, or None where they may not be sent."""
    rows = [{"name": "tx-resource", "resource": r} for r in context.parameters.all("tx-resource")]
    if not path.startswith("ValueSet/"):
        return None if context.resource_id else rows
    try:
        resource = await _resource(context)
    except Unknown:
        return rows
    own = await content(sources(context), resource, remote)
    return None if own is None else [*own, *rows]


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
