"""What a client asks, free of HTTP: the parts of a request that interactions look at. https://hl7.org/fhir/R4/http.html"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fhir_server.api.errors import InvalidRequest
from fhir_server.fhir.dates import parse_http_date

Json = dict[str, Any]
Query = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditional headers, as they came; empty where not given. https://hl7.org/fhir/R4/http.html#concurrency"""

    if_match: str = ""
    if_none_match: str = ""
    if_modified_since: str = ""
    if_none_exist: str = ""

    def expected_versions(self) -> tuple[int, ...] | None:
        """Return the versions If-Match names, none of them for `*` (any will do), or None without the header.

        Raises InvalidRequest when it is neither `*` nor a list of `W/"n"`.
        """
        if not self.if_match:
            return None
        if self.if_match.strip() == "*":
            return ()
        return tuple(version_of_etag(etag, "If-Match") for etag in self.if_match.split(","))

    def allows(self, version: int, updated: int) -> bool:
        """Whether a read shall answer with the resource: it is neither the version nor the time the client has."""
        if self.if_none_match:
            etags = [e.strip() for e in self.if_none_match.split(",")]
            return "*" not in etags and f'W/"{version}"' not in etags and f'"{version}"' not in etags
        if self.if_modified_since:
            try:
                return updated // 1000 > parse_http_date(self.if_modified_since)
            except ValueError:
                return True  # https://www.rfc-editor.org/rfc/rfc9110#section-13.1.3: ignore one that cannot be read
        return True


def version_of_etag(etag: str, header: str) -> int:
    """Return the version of a weak ETag, `W/"3"`; plain `"3"` and `3` are understood too."""
    text = etag.strip().removeprefix("W/").strip('"')
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise InvalidRequest(f'{header} must be a version such as W/"1".', location=f"http.{header}")
    return int(text)


@dataclass(frozen=True, slots=True)
class Request:
    """One interaction asked for, over HTTP or in an entry of a batch.

    `path` has the segments after the base URL; `body` is the decoded resource, `content` the media type it came in,
    `returning` what a write shall give back (`minimal`, `OperationOutcome`; anything else is the resource).
    `languages` is the header Accept-Language as it came.
    """

    method: str
    path: tuple[str, ...]
    query: Query = ()
    body: Any = None
    content: str = "application/fhir+json"
    conditions: Conditions = Conditions()
    strict: bool = False
    respond_async: bool = False
    languages: str = ""
    returning: str = ""
