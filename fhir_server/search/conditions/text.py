"""Strings, URIs and words in the index. https://hl7.org/fhir/R4/search.html#string"""

from __future__ import annotations

from fhir_server.api.criteria import Containing, Everything, Or, Range, all_of
from fhir_server.search.conditions.condition import Condition, Index, either, present
from fhir_server.search.matching.asking import asked, unsupported
from fhir_server.search.matching.string import asked_string
from fhir_server.search.matching.uri import asked_canonical, asked_hierarchy, asked_uri
from fhir_server.search.query import Filter, unescape
from fhir_server.search.terms import CUT, EXACT, LAST, MAX_STRING, SEPARATOR, range_prefix


def string(one: Filter, index: Index) -> Condition:
    """Return the condition of a string filter; raises InvalidRequest."""
    if one.parameter.code in ("_text", "_content"):
        return Condition(Everything(), exact=False)  # words are not indexed
    name = index.name(one.parameter)
    if one.modifier == "exact":
        return Condition(index.texts(f"{name}{SEPARATOR}{EXACT}{unescape(value)}" for value in one.values))
    if one.modifier not in ("", "contains"):
        raise unsupported(one)
    prefix = range_prefix(name)
    texts = [asked(one, asked_string, value) for value in one.values]
    if one.modifier == "":
        return either(Condition(_from(prefix + t[:MAX_STRING]), len(t) <= MAX_STRING) for t in texts)
    within = [Containing(prefix, text) for text in texts]
    return Condition(all_of(_from(prefix), Or((*within, Containing(prefix, CUT)))), exact=False)


def _from(beginning: str) -> Range:
    return Range(beginning, beginning + LAST)


def uri(one: Filter, index: Index) -> Condition:
    """Return the condition of a uri filter; raises InvalidRequest."""
    name = index.name(one.parameter)
    if one.modifier == "above":
        tops = [top for value in one.values for top in _tops(asked(one, asked_hierarchy, value))]
        return Condition(index.texts(name + SEPARATOR + top for top in tops), exact=False)
    if one.modifier == "below":
        tops = [asked(one, asked_hierarchy, value) for value in one.values]
        if one.parameter.code.startswith("_"):
            return Condition(present(one.parameter, index).where, exact=False)
        prefix = range_prefix(name)
        return either(Condition(_from(prefix + top[:MAX_STRING]), exact=False) for top in tops)
    if one.modifier:
        raise unsupported(one)
    uris = [asked(one, asked_uri, value) for value in one.values]
    heads = [asked_canonical(u)[0] for u in uris if "|" in u and one.parameter.code == "url"]
    found = index.texts((name + SEPARATOR + u for u in (*uris, *heads)), broad=one.parameter.code.startswith("_"))
    return Condition(found, exact=not heads)


def _tops(url: str) -> list[str]:
    """Return the URL and those above it, each with and without a slash at its end."""
    ends = [len(url), *(i for i, c in enumerate(url) if c in "/?#|")]
    return [text for end in ends for text in (url[:end], url[:end] + "/")]
