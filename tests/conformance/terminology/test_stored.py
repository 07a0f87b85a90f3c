"""The terminology tests of HL7 with the code systems of their setups as stored ones: the answers are the same."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from itertools import groupby
from pathlib import Path
from uuid import uuid4

import pytest

from fhir_server.api import encode
from fhir_server.api.concepts import Concepts
from fhir_server.store.concepts import MongoConceptStore
from fhir_server.store.mongo import MongoStore, connect
from tests.conformance.terminology.comparing import as_r5, differences
from tests.conformance.terminology.moving import can_be_moved, move, rest
from tests.conformance.terminology.official_suite import FOLDER, Setup, ask, cases

DEVIATIONS: dict[str, str] = json.loads((Path(__file__).parent / "deviations.json").read_text(encoding="utf-8"))
SUITES = {
    name: list(rows) for name, rows in groupby((c for c in cases() if c.mode == "general"), key=lambda case: case.suite)
}

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not SUITES, reason=f"the terminology tests of HL7 are not here ({FOLDER})"),
]


@pytest.fixture
async def concepts(engine_url: str) -> AsyncIterator[Concepts]:
    driver = await connect(engine_url)
    store = MongoStore(driver, f"t{uuid4().hex[:12]}")
    yield MongoConceptStore(driver).of(await store.create_tenant("one", os.urandom(32)))
    await store.drop_everything()
    await store.close()


@pytest.mark.parametrize("suite", SUITES)
async def test_suite(suite: str, concepts: Concepts) -> None:
    setup = SUITES[suite][0].setup
    for resource in filter(can_be_moved, setup):
        await move(concepts, resource)
    here = Setup(rest(setup), concepts=concepts)
    failed = {}
    for case in SUITES[suite]:
        status, answer = await ask(case, here)
        given = as_r5(json.loads(encode(answer)))
        wrong = [list(differences(expected, given)) for expected in case.answers]
        if str(status)[0] != case.status[0] or all(wrong):
            failed[case.id] = (status, wrong[0])
    expected = {name for name in DEVIATIONS if name.startswith(f"{suite}/")}
    assert failed.keys() == expected, failed
