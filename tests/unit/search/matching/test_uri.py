"""URIs. https://hl7.org/fhir/R4/search.html#uri"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.api.errors import InvalidRequest


def value_set(url: str, **more: Any) -> dict[str, Any]:
    return {"resourceType": "ValueSet", "url": url, **more}


@pytest.mark.parametrize(
    ("resource", "name", "value", "expected"),
    [
        (value_set("http://acme.org/fhir/vs/1"), "url", "http://acme.org/fhir/vs/1", True),
        (value_set("http://acme.org/fhir/vs/1"), "url", "http://acme.org/fhir/vs/", False),
        (value_set("http://acme.org/fhir/vs/1"), "url", "HTTP://acme.org/fhir/vs/1", False),
        (value_set("urn:oid:1.2.3"), "url", "urn:oid:1.2.3", True),
        (value_set("http://a/1", version="2.0"), "url", "http://a/1|2.0", True),
        (value_set("http://a/1", version="2.1"), "url", "http://a/1|2.0", False),
        (value_set("http://a/1"), "url", "http://a/1|2.0", False),
        (value_set("http://a/1"), "url", "http://a/1", True),
        (value_set("http://a/1,2"), "url", r"http://a/1\,2", True),
        (value_set("http://acme.org/fhir/vs/1"), "url:below", "http://acme.org/fhir", True),
        (value_set("http://acme.org/fhir/vs/1"), "url:below", "http://acme.org/fhir/", True),
        (value_set("http://acme.org/fhir"), "url:below", "http://acme.org/fhir/", False),
        (value_set("http://acme.org/fhir/"), "url:below", "http://acme.org/fhir/", True),
        (value_set("http://acme.org/fhir/"), "url:below", "http://acme.org/fhir", True),
        (value_set("http://acme.org/fhir/"), "url:above", "http://acme.org/fhir/", True),
        (value_set("http://acme.org/fhir/vs/1"), "url:below", "http://acme.org/fhir/vs/1", True),
        (value_set("http://acme.org/fhir/vs/10"), "url:below", "http://acme.org/fhir/vs/1", False),
        (value_set("http://acme.org/fhir"), "url:below", "http://acme.org/fhir/vs", False),
        (value_set("http://acme.org/fhir/vs"), "url:above", "http://acme.org/fhir/vs/1/2", True),
        (value_set("http://acme.org/fhir/vs/"), "url:above", "http://acme.org/fhir/vs/1/2", True),
        (value_set("http://acme.org/fhir/vs/1"), "url:above", "http://acme.org/fhir/vs/1", True),
        (value_set("http://acme.org/fhir/vs/1"), "url:above", "http://acme.org/fhir/vs/10", False),
        (value_set("http://acme.org/fhir/vs/1/2"), "url:above", "http://acme.org/fhir/vs/1", False),
        ({"resourceType": "ValueSet"}, "url", "http://a", False),
        (
            {"resourceType": "Patient", "meta": {"profile": ["http://p/a|1", "http://p/b"]}},
            "_profile",
            "http://p/a",
            True,
        ),
        ({"resourceType": "Patient", "meta": {"profile": ["http://p/a|1"]}}, "_profile", "http://p/a|1", True),
        ({"resourceType": "Patient", "meta": {"profile": ["http://p/a|1"]}}, "_profile", "http://p/a|2", False),
        ({"resourceType": "Patient", "meta": {"profile": ["http://p/a|1"]}}, "_profile:below", "http://p/a", True),
        ({"resourceType": "Patient", "meta": {"profile": ["http://p/a|1"]}}, "_profile:above", "http://p/a/b", True),
    ],
)
def test_uris(matches: Callable[..., bool], resource: dict[str, Any], name: str, value: str, *, expected: bool) -> None:
    assert matches(resource, name, value) is expected


def test_one_of_several_values_is_enough(matches: Callable[..., bool]) -> None:
    assert matches(value_set("http://a/1"), "url", "http://b", "http://a/1")
    assert matches(value_set("http://a/1"), "url:below", "http://b", "http://a")
    assert matches(value_set("http://a"), "url:above", "http://b/1", "http://a/1")


@pytest.mark.parametrize(
    ("name", "value"),
    [("url", ""), ("url", "http://a b"), ("url:below", "urn:oid:1.2"), ("url:above", "urn:uuid:1"), ("url:below", "/")],
)
def test_malformed_values_are_refused(matches: Callable[..., bool], name: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match="url must be a UR") as refused:
        matches(value_set("http://a"), name, value)
    assert refused.value.issues[0].location == "http.url"


@pytest.mark.parametrize("modifier", ["not", "text", "in", "contains", "Patient"])
def test_modifiers_of_other_types_are_refused(matches: Callable[..., bool], modifier: str) -> None:
    with pytest.raises(InvalidRequest, match=f"url:{modifier} is not supported"):
        matches(value_set("http://a"), f"url:{modifier}", "http://a")
