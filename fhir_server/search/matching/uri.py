"""URIs: the same text, or above and below by path segments. https://hl7.org/fhir/R4/search.html#uri

A canonical URL with a version, as in `meta.profile`, is found with it and without.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fhir_server.fhir.fhirpath import Node
from fhir_server.search.matching.asking import Json, NodesTest, Setting, asked, unsupported
from fhir_server.search.query import Filter, unescape

WANTED = "a URI"
HIERARCHY_WANTED = "a URL with segments: urn:oid and urn:uuid have no hierarchy"


def asked_uri(text: str) -> str:
    """Return the URI of a search value, still escaped. Raises ValueError with what was wanted."""
    uri = unescape(text)
    if not uri or any(c.isspace() for c in uri):
        raise ValueError(WANTED)
    return uri


def asked_hierarchy(text: str) -> str:
    """Return the URL of an `:above` or `:below` value without a slash at its end. Raises ValueError."""
    uri = asked_uri(text).rstrip("/")
    if not uri or uri.startswith("urn:"):
        raise ValueError(HIERARCHY_WANTED)
    return uri


def is_below(uri: str, top: str) -> bool:
    """Whether a URI is the other one, a version of it, or lies under it by whole segments."""
    return uri == top or uri.startswith((top.rstrip("/") + "/", top + "|"))


def uri_test(one: Filter, setting: Setting) -> NodesTest:
    """Return the test of a uri filter. Raises InvalidRequest."""
    if one.modifier == "":
        return _equal(one)
    if one.modifier not in ("above", "below"):
        raise unsupported(one)
    for value in one.values:
        asked(one, asked_hierarchy, value)
    wanted = [unescape(value) for value in one.values]
    if one.modifier == "below":
        return _any(lambda uri: any(is_below(uri, top) for top in wanted))
    return _any(lambda uri: any(is_below(low, uri.partition("|")[0]) for low in wanted))


def _any(hold: Callable[[str], bool]) -> NodesTest:
    def test(nodes: Sequence[Node], resource: Json) -> bool:
        return any(type(node.value) is str and hold(node.value) for node in nodes)

    return test


def _equal(one: Filter) -> NodesTest:
    wanted = {asked(one, asked_uri, value) for value in one.values}
    versions = {asked_canonical(uri) for uri in wanted} if one.parameter.code == "url" else set()

    def test(nodes: Sequence[Node], resource: Json) -> bool:
        version = resource.get("version")
        return any(
            value in wanted or value.partition("|")[0] in wanted or (value, version) in versions
            for value in (node.value for node in nodes if type(node.value) is str)
        )

    return test


def asked_canonical(uri: str) -> tuple[str, str]:
    """Return (url, version) of `url|version`; the version is '' where there is none.

    On the `url` of a definition the second part means its version: https://hl7.org/fhir/R4/search.html#versions
    """
    url, _, version = uri.partition("|")
    return url, version
