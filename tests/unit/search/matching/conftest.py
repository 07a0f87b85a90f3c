"""A way to ask whether a resource matches, written as in a query."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from fhir_server.fhir.dates import parse_range
from fhir_server.fhir.definitions import r4
from fhir_server.search.matching import Setting, matcher
from fhir_server.search.parameters import Parameters
from fhir_server.search.query import Filter

BASE_URL = "http://here.example/fhir"
NOW = parse_range("2026-11-23T12:00:00Z")[0]

Matches = Callable[..., bool]


@pytest.fixture(scope="session")
def parameters() -> Parameters:
    return Parameters(r4())


@pytest.fixture(scope="session")
def matches(parameters: Parameters) -> Matches:
    """`matches(resource, "code:not", "a", "b")`; `codes` are expanded value sets."""

    def match(resource: dict[str, Any], name: str, *values: str, codes: Mapping[str, Any] | None = None) -> bool:
        code, _, modifier = name.partition(":")
        parameter = parameters.of(resource["resourceType"])[code]
        one = Filter(parameter, modifier, values)
        return matcher(one, parameters, Setting(NOW, BASE_URL, codes or {}))(resource)

    return match
