"""The server on the other side: loading resources as they are, and asking for every page of a search.

https://hl7.org/fhir/R4/http.html#paging
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from urllib.parse import quote

from fhir_server.fhir.json import decode_stored, encode
from fhir_server.testing.client import FhirClient
from tests.conformance.search.elements import Json, key_of

FHIR = "application/fhir+json"
BATCH = 500
MOST_PAGES = 200
# What may stand in a URL as it is; everything else, accents too, is written in percents.
_AS_IT_IS = "?&=:/|,$\\%.-_~+*#()'\"<> "


@dataclass
class Answered:
    """What the server answered over all pages: keys of matches in order, and of includes page by page."""

    matches: list[str] = field(default_factory=list)
    pages: list[tuple[list[str], list[str]]] = field(default_factory=list)
    outcomes: list[Json] = field(default_factory=list)
    total: int | None = None


async def load(server: FhirClient, resources: Iterable[Json]) -> list[Json]:
    """Put resources under their ids and return them as the server keeps them, with version and time."""
    return await read(server, await put(server, resources))


async def put(server: FhirClient, resources: Iterable[Json]) -> list[str]:
    """Put resources under their ids; return their keys."""
    rows = list(resources)
    for start in range(0, len(rows), BATCH):
        some = rows[start : start + BATCH]
        await _batch(server, [{"request": {"method": "PUT", "url": key_of(r)}, "resource": r} for r in some])
    return [key_of(r) for r in rows]


async def read(server: FhirClient, keys: Iterable[str]) -> list[Json]:
    """Read resources one by one, so that no search is trusted."""
    rows = list(keys)
    found: list[Json] = []
    for start in range(0, len(rows), BATCH):
        entries = [{"request": {"method": "GET", "url": key}} for key in rows[start : start + BATCH]]
        found += [e["resource"] for e in await _batch(server, entries)]
    return found


async def _batch(server: FhirClient, entries: list[Json]) -> list[Json]:
    bundle = encode({"resourceType": "Bundle", "type": "batch", "entry": entries})
    answer = await server.send("POST", "", bundle, content_type=FHIR)
    assert answer.status_code == 200, answer.text[:2000]
    done: list[Json] = decode_stored(answer.content)["entry"]
    for sent, entry in zip(entries, done, strict=True):
        assert entry["response"]["status"].startswith("20"), (sent, entry)
    return done


def readable(url: str) -> str:
    """Return the URL with what may not stand there in percents."""
    return quote(url, safe=_AS_IT_IS).replace(" ", "%20").replace("#", "%23").replace('"', "%22")


async def ask(server: FhirClient, url: str, *, strict: bool = True) -> Answered:
    """Follow a search through all its pages. A search that is not answered whole fails the test."""
    answered = Answered()
    at = f"/fhir{readable(url)}" if url.startswith("?") else f"/fhir/{readable(url)}"
    headers = {"prefer": "handling=strict"} if strict else {}
    for _ in range(MOST_PAGES):
        answer = await server.get(at, **headers)
        assert answer.status_code == 200, f"{url}: {answer.status_code} {answer.text[:1000]}"
        following = take(answered, answer.json())
        if not following:
            return answered
        at = following.removeprefix("http://testserver")
    raise AssertionError(f"{url}: more than {MOST_PAGES} pages")


def take(answered: Answered, bundle: Json) -> str:
    """Add a page to what was answered; return the link to the next, or ''."""
    rows: dict[str, list[str]] = {"match": [], "include": []}
    for entry in bundle.get("entry", ()):
        if entry["search"]["mode"] == "outcome":
            answered.outcomes.append(entry["resource"])
        else:
            rows[entry["search"]["mode"]].append(key_of(entry["resource"]))
    answered.matches += rows["match"]
    answered.pages.append((rows["match"], rows["include"]))
    answered.total = bundle.get("total", answered.total)
    return next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
