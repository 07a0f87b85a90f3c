"""What a stored Binary is served as. https://hl7.org/fhir/R4/binary.html#rest"""

from __future__ import annotations

import pytest

from fhir_server.fhir.json import encode
from fhir_server.http.binaries import UNKNOWN, content


@pytest.mark.parametrize("given", ["text/html\nx-evil: 1", "text/html\r\nx: y", "none", "", "text/häßlich", "a/b;"])
def test_a_content_type_that_is_none_is_not_handed_on(given: str) -> None:
    raw = encode({"resourceType": "Binary", "contentType": given, "data": "aGk="})
    assert content(raw, [UNKNOWN]) == (UNKNOWN.encode(), b"hi")


@pytest.mark.parametrize("given", ["text/plain", "text/plain;charset=utf-8", "application/vnd.x+json ; a=b; c=d"])
def test_parameters_of_a_media_type_are_kept(given: str) -> None:
    raw = encode({"resourceType": "Binary", "contentType": given, "data": "aGk="})
    assert content(raw, ["*/*"]) == (given.encode(), b"hi")
