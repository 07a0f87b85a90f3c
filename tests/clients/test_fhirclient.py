"""fhirclient: typed Python models over REST. https://github.com/smart-on-fhir/client-py"""

from __future__ import annotations

from typing import Any

import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.humanname import HumanName
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException

from tests.running import RunningServer

pytestmark = [pytest.mark.clients, pytest.mark.engine]


@pytest.fixture
def server(running: RunningServer) -> Any:
    client = FHIRClient(settings={"app_id": "tests", "api_base": running.url})
    assert client.prepare()
    return client.server


@pytest.fixture
def patient(server: Any) -> Any:
    made = Patient({"gender": "female", "birthDate": "1971-02-03", "name": [{"family": "Modelled", "given": ["Ada"]}]})
    return Patient(made.create(server))


def test_it_reads_what_it_created(server: Any, patient: Any) -> None:
    found = Patient.read(patient.id, server)
    assert found.name[0].family == "Modelled"
    assert found.birthDate.as_json() == "1971-02-03"
    assert found.meta.versionId == "1"


def test_it_updates_and_searches(server: Any, patient: Any) -> None:
    patient.name.append(HumanName({"family": "Renamed", "given": [f"Only-{patient.id}"]}))
    assert patient.update(server)["meta"]["versionId"] == "2"
    found = list(Patient.where({"given:exact": f"Only-{patient.id}"}).perform_resources_iter(server))
    assert [(p.id, p.name[1].family) for p in found] == [(patient.id, "Renamed")]


def test_it_pages_through_a_search_and_gets_what_it_includes(server: Any, patient: Any) -> None:
    for _ in range(5):
        made = {"status": "final", "code": {"text": "x"}, "subject": {"reference": f"Patient/{patient.id}"}}
        Observation(made).create(server)
    search = Observation.where({"patient": patient.id, "_count": "2"}).include("subject")
    bundles = list(search.perform_iter(server))
    modes = [[entry.search.mode for entry in bundle.entry] for bundle in bundles]
    assert modes == [["match", "match", "include"], ["match", "match", "include"], ["match", "include"]]
    keys = {(e.resource.resource_type, e.resource.id) for b in bundles for e in b.entry}
    assert len(keys) == 6
    assert ("Patient", patient.id) in keys


def test_what_it_deleted_is_gone(server: Any, patient: Any) -> None:
    patient.delete(server)
    with pytest.raises(Exception, match="410"):
        Patient.read(patient.id, server)


def test_what_was_never_there_is_not_found(server: Any) -> None:
    with pytest.raises(FHIRNotFoundException):
        Patient.read("never-there", server)
