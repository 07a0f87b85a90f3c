"""Every search that US Core asks a server for, on real records: the same resources in the same order as the oracle.

https://hl7.org/fhir/us/core/STU6.1/CapabilityStatement-us-core-server.html. The rows are those of US Core 6.1.0 and
3.1.1; the records are Synthea's and the examples of US Core.
"""

from __future__ import annotations

import asyncio
import csv
import json
import os
import re
import tarfile
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from fhir_server.fhir.fhirpath import Node
from fhir_server.testing.client import FhirClient, fhir_client
from tests.conformance.records.synthea import files
from tests.conformance.records.synthea import load as load_record
from tests.conformance.search.defined import added, parameters
from tests.conformance.search.driving import ask, put, read
from tests.conformance.search.elements import Place, codes, texts
from tests.conformance.search.oracle import BASE_URL, Oracle
from tests.conformance.search.ordering import included

Json = dict[str, Any]
SHARED = Path(__file__).parents[4] / "shared"
ROWS = [SHARED / "requirements" / f"us_core_{version}_searches.csv" for version in ("610", "311")]
GUIDE = SHARED / "data" / "ig" / "us_core_610.tgz"
EXAMPLE = re.compile(r"package/example/.*\.json")
COMPARATORS = ("gt", "ge", "lt", "le")
MOST_SAMPLES = 2
PAGE = 250
# The embedded engine in Python takes many times as long.
MOST_QUERIES = 1 if os.environ.get("FHIR_ENGINE") == "secantusd-py" else 100
# Parameters of the guide that R4 does not have.
OWN = ("careteam-role", "condition-asserted-date", "encounter-discharge-disposition", "goal-description")
OWN_QUERIES = (
    "CareTeam?role=x",
    "Condition?asserted-date=2020",
    "Encounter?discharge-disposition=x",
    "Goal?description=x",
)
SECONDS_TO_INDEX = 60
# Asked for where no record has a value: the answer is empty, but it is an answer.
UNHEARD_OF = {"token": "unheard-of", "reference": "unheard-of", "string": "unheard of", "date": "1800-01-01"}

pytestmark = pytest.mark.skipif(
    not (all(path.exists() for path in ROWS) and GUIDE.exists() and files()),
    reason="the rows of US Core, its package or the Synthea records are not in ../shared",
)


@dataclass(frozen=True)
class Wanted:
    """A combination of parameters that US Core lists for a type, with what it says of their values."""

    type: str
    codes: tuple[str, ...]
    comparable: frozenset[str]
    several: frozenset[str]
    values: tuple[tuple[str, tuple[str, ...]], ...]


@cache
def wanted() -> list[Wanted]:
    """Return the distinct rows, and each of their parameters alone."""
    found: dict[tuple[str, tuple[str, ...]], Wanted] = {}
    for path in ROWS:
        for row in csv.DictReader(path.read_text().splitlines()) if path.exists() else ():
            named = tuple(row["search_params"].split("+"))
            given = [v.strip().partition("=") for v in row["values"].split(";") if v.strip()]
            values = tuple((name, tuple(text.split("|"))) for name, _, text in given)
            comparable = frozenset(c.partition(":")[0] for c in row["comparators_SHALL"].split() if c)
            several = frozenset(row["multiple_or_SHALL"].split())
            for asked in (named, *((code,) for code in named)):
                key = (row["resource"], asked)
                known = found.get(key)
                found[key] = Wanted(
                    row["resource"],
                    asked,
                    (known.comparable if known else frozenset()) | comparable & frozenset(asked),
                    (known.several if known else frozenset()) | several & frozenset(asked),
                    tuple(
                        dict.fromkeys([*(known.values if known else ()), *((n, v) for n, v in values if n in asked)])
                    ),
                )
    return list(found.values())


@dataclass(frozen=True)
class Hospital:
    """A server with the records, and the oracle over the same."""

    server: FhirClient
    oracle: Oracle


@pytest.fixture(scope="module")
async def hospital() -> AsyncIterator[Hospital]:
    """The records of Synthea's patients and the examples of US Core, on a server that tests only read from."""
    own = in_package({f"package/SearchParameter-us-core-{name}.json" for name in OWN}.__contains__)
    async with fhir_client(base_url=BASE_URL, reindex_grace_seconds="1") as server:
        await put(server, own)
        loaded = [await load_record(server, path.name, path.read_bytes()) for path in files()]
        keys = [key for one in loaded for key in one.keys.values()]
        examples = [r for r in in_package(EXAMPLE.fullmatch) if r.get("resourceType") not in (None, "Bundle")]
        for asked in OWN_QUERIES:
            await ready(server, asked)
        with added(own):
            yield Hospital(server, Oracle(await read(server, [*keys, *await put(server, examples)])))


async def ready(server: FhirClient, asked: str) -> None:
    """Wait until a parameter of the guide is indexed."""
    end = time.monotonic() + SECONDS_TO_INDEX
    while (answer := await server.get(asked, prefer="handling=strict")).status_code != 200:
        assert time.monotonic() < end, answer.text
        await asyncio.sleep(0.1)


def in_package(wanted: Callable[[str], object]) -> list[Json]:
    """Return the resources of US Core's package in files of wanted names."""
    with tarfile.open(GUIDE) as archive:
        streams = [archive.extractfile(member) for member in archive if wanted(member.name)]
        return [json.load(stream) for stream in streams if stream is not None]


@pytest.mark.parametrize("row", wanted(), ids=lambda row: f"{row.type}: {'+'.join(row.codes)}")
async def test_a_search_of_us_core_finds_what_the_oracle_finds(hospital: Hospital, row: Wanted) -> None:
    found = 0
    for asked in list(dict.fromkeys(queries(hospital.oracle, row)))[:MOST_QUERIES]:
        answered = await ask(hospital.server, f"{asked}&_count={PAGE}")
        assert answered.matches == hospital.oracle.search(asked), asked
        for matches, extra in answered.pages:
            assert sorted(extra) == sorted(included(hospital.oracle, matches, asked)), asked
        found += len(answered.matches)
    if MOST_QUERIES > 1:  # a day alone does not find a period that contains it
        assert (found > 0) is bool(sampled(hospital.oracle, row))


def queries(oracle: Oracle, row: Wanted) -> Iterator[str]:
    """Yield queries of a row: with values of some resources, before and after them, several at once, and as listed."""
    drawn = sampled(oracle, row) or [tuple(UNHEARD_OF[parameters(row.type)[code].type] for code in row.codes)]
    samples = [dict(zip(row.codes, values, strict=True)) for values in drawn]
    for sample in samples:
        yield query(row, sample)
        for code in row.comparable:
            day = sample[code][:10]
            yield from (query(row, sample | {code: comparator + day}) for comparator in COMPARATORS)
            yield query(row, sample | {code: f"ge{day}"}) + f"&{code}=lt{int(day[:4]) + 2}"
        if row.codes == ("patient",):
            yield query(row, sample) + "&_revinclude=Provenance:target"
            yield query(row, sample) + f"&_include={row.type}:*"
    for code in row.several:
        listed = [text for name, values in row.values if name == code for text in values]
        yield query(row, samples[0] | {code: ",".join(dict.fromkeys([*(s[code] for s in samples), *listed]))})
    for name, values in row.values:
        yield from (query(row, samples[0] | {name: text}) for text in values)


def query(row: Wanted, values: Json) -> str:
    """Return the query with the parameters that have a value."""
    return f"{row.type}?" + "&".join(f"{code}={values[code]}" for code in row.codes if code in values)


def sampled(oracle: Oracle, row: Wanted) -> list[tuple[str, ...]]:
    """Return values for all parameters of a row from a few resources that have them all, different ones."""
    found: dict[tuple[str, ...], None] = {}
    for resource in oracle.resources.values():
        if resource["resourceType"] == row.type:
            each = [_value(oracle, resource, code) for code in row.codes]
            if all(each) and not any(each[0] == known[0] for known in found):
                found[tuple(each)] = None
        if len(found) == MOST_SAMPLES:
            break
    return list(found)


def _value(oracle: Oracle, resource: Json, code: str) -> str:
    """Return a value that would find the resource by a parameter, as a client writes it; '' where it has none."""
    nodes: Iterable[Node] = oracle.nodes(Place(resource, resource), code)
    kind = parameters(resource["resourceType"])[code].type
    for node in nodes:
        if kind == "token":
            for own in codes(node):
                return f"{own.system}|{own.code}" if own.system else own.code
        elif kind == "reference":
            return str(node.value.get("reference", "")) if isinstance(node.value, dict) else str(node.value)
        elif kind == "date":
            value = node.value if isinstance(node.value, str) else node.value.get("start", node.value.get("end", ""))
            return str(value)[:10]
        elif kind == "string":
            for text in texts(node):
                return text[:4].replace(",", "\\,").strip()
    return ""
