"""Clients that write under fire and remember what they were told.

Every transaction Bundle creates a patient with observations, all tagged with the Bundle's name, and in the same
transaction writes the Bundle's name into the client's ledger, whose history is then the list of Bundles that
happened. https://hl7.org/fhir/R4/http.html#transaction
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

Json = dict[str, Any]

OBSERVATIONS = 12
TAGS = "http://survival.example/bundle"
FHIR_JSON = {"content-type": "application/fhir+json"}
_UNANSWERED = (httpx.HTTPError,)


@dataclass
class Client(threading.Thread):
    """Sends Bundle after Bundle until told to stop; `acknowledged` are those answered with 200.

    `refused` are Bundles and updates answered with 409 or 412: a write of this client that it was never told about
    may have come first, so that is no surprise, but then nothing of the refused one may be there.
    """

    url: str
    number: int
    stopping: threading.Event
    tried: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    updates: list[str] = field(default_factory=list)
    acknowledged_updates: list[tuple[int, str]] = field(default_factory=list)
    creates: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    surprises: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(daemon=True)

    __hash__ = threading.Thread.__hash__

    @property
    def ledger(self) -> str:
        """The key of the resource that lists this client's Bundles."""
        return f"Basic/ledger-{self.number}"

    @property
    def notebook(self) -> str:
        """The key of the resource this client updates on its own, outside of any transaction."""
        return f"Basic/notebook-{self.number}"

    def run(self) -> None:
        """Write until told to stop."""
        with httpx.Client(timeout=20, headers=FHIR_JSON) as http:
            while not self.stopping.is_set():
                self._send_bundle(http)
                self._update(http)
                self._create(http)

    def _send_bundle(self, http: httpx.Client) -> None:
        name = f"{self.number}-{len(self.tried)}"
        version = self._version(http, self.ledger)
        if version is None:
            return
        self.tried.append(name)
        answer = self._ask(http, "POST", "", transaction(name, self.ledger, version), name=f"bundle {name}")
        if answer is not None and answer.status_code == httpx.codes.OK:
            self.acknowledged.append(name)

    def _update(self, http: httpx.Client) -> None:
        version = self._version(http, self.notebook)
        if version is None:
            return
        text = f"{self.number}-{len(self.updates)}"
        self.updates.append(text)
        headers = {"if-match": f'W/"{version}"'} if version else {"if-none-match": "*"}
        answer = self._ask(http, "PUT", self.notebook, basic(self.notebook, text), headers, f"update {text}")
        if answer is not None and answer.is_success:
            self.acknowledged_updates.append((version + 1, text))

    def _create(self, http: httpx.Client) -> None:
        answer = self._ask(http, "POST", "Observation", observation(f"Patient/none-{self.number}", "single"))
        if answer is not None and answer.status_code == httpx.codes.CREATED:
            self.creates.append(str(answer.json()["id"]))

    def _ask(
        self,
        http: httpx.Client,
        method: str,
        path: str,
        body: Json,
        headers: dict[str, str] | None = None,
        name: str = "",
    ) -> httpx.Response | None:
        try:
            answer = http.request(method, f"{self.url}/{path}".rstrip("/"), json=body, headers=headers)
        except _UNANSWERED:
            return None
        if answer.status_code in (httpx.codes.CONFLICT, httpx.codes.PRECONDITION_FAILED):
            self.refused.append(name)
        elif not answer.is_success and answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
            self.surprises.append(f"{method} {path}: {answer.status_code} {answer.text[:300]}")
        return answer

    def _version(self, http: httpx.Client, key: str) -> int | None:
        """Return the current version, 0 before the first, None at the end; ask until there is an answer."""
        while not self.stopping.is_set():
            try:
                answer = http.get(f"{self.url}/{key}")
            except _UNANSWERED:
                answer = httpx.Response(503)
            if answer.status_code == httpx.codes.OK:
                return int(answer.json()["meta"]["versionId"])
            if answer.status_code == httpx.codes.NOT_FOUND:
                return 0
            time.sleep(0.05)
        return None


def transaction(name: str, ledger: str, version: int) -> Json:
    """Return the Bundle of a name, which follows a version of the ledger."""
    patient = "urn:uuid:7f0f6c1e-7d0a-4f41-8d33-5c9be2f0a001"
    entries = [
        {"fullUrl": patient, "resource": tagged({"resourceType": "Patient"}, name), "request": _post("Patient")},
        *(
            {"resource": tagged(observation(patient, str(i)), name), "request": _post("Observation")}
            for i in range(OBSERVATIONS)
        ),
    ]
    condition = {"ifMatch": f'W/"{version}"'} if version else {"ifNoneMatch": "*"}
    entries.append({"resource": basic(ledger, name), "request": {"method": "PUT", "url": ledger, **condition}})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def tagged(resource: Json, name: str) -> Json:
    """Return the resource with the tag of a Bundle."""
    return {**resource, "meta": {"tag": [{"system": TAGS, "code": name}]}}


def observation(patient: str, text: str) -> Json:
    """Return an Observation about a patient."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": text},
        "subject": {"reference": patient},
    }


def basic(key: str, text: str) -> Json:
    """Return a Basic resource that says a text."""
    return {"resourceType": "Basic", "id": key.partition("/")[2], "code": {"text": text}}


def _post(resource_type: str) -> Json:
    return {"method": "POST", "url": resource_type}
