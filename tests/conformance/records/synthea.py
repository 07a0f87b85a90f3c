"""The Synthea transaction Bundles: read in the order they must be sent, and what a server makes of them.

https://hl7.org/fhir/R4/http.html#trules
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx

from fhir_server.testing.client import FhirClient
from tests.conformance.records.plain_json import Json, plain, without_stamp

FOLDER = Path(__file__).parents[4] / "shared" / "data" / "synthea"
FHIR = "application/fhir+json"
# The R4 definition of the Patient compartment leaves Device out, also one that names its patient.
# https://hl7.org/fhir/R4/compartmentdefinition-patient.html
OUTSIDE = ("Device/",)


def files() -> list[Path]:
    """Return the files: hospitals, practitioners, then patients by name; none where there are none."""
    found = sorted(FOLDER.glob("*.json"), key=lambda path: path.name)
    return [*(p for p in found if not is_patient(p)), *(p for p in found if is_patient(p))]


def is_patient(path: Path) -> bool:
    """Whether a file is one patient's record."""
    return not path.name.startswith(("hospitalInformation", "practitionerInformation"))


@dataclass(frozen=True)
class Loaded:
    """A file that was sent: its Bundle, and under which key the server keeps each entry."""

    name: str
    bundle: Json
    keys: dict[str, str]

    @property
    def patient(self) -> str:
        """The key of the patient whose record this is."""
        return next(key for key in self.keys.values() if key.startswith("Patient/"))

    def expected(self) -> dict[str, Json]:
        """Return what the server must hold, by key: new ids, links rewritten, nothing else changed."""
        return {
            self.keys[e["fullUrl"]]: without_stamp(
                {**self._linked(e["resource"]), "id": self.keys[e["fullUrl"]].partition("/")[2]}
            )
            for e in self.bundle["entry"]
        }

    def in_compartment(self) -> set[str]:
        """Return the keys of the patient and of every resource in the compartment, all of which name the patient."""
        return {
            key
            for key, resource in self.expected().items()
            if (key == self.patient or self.patient in set(references_in(resource))) and not key.startswith(OUTSIDE)
        }

    def _linked(self, resource: Json) -> Json:
        linked = _replaced(resource, self.keys)
        assert isinstance(linked, dict)
        return linked


async def load(client: FhirClient, name: str, raw: bytes) -> Loaded:
    """Send a file as it is and return where its entries are now."""
    return loaded(name, raw, await client.send("POST", "", raw, content_type=FHIR))


def loaded(name: str, raw: bytes, answer: httpx.Response) -> Loaded:
    """Read the response of a transaction."""
    assert answer.status_code == 200, f"{name}: {answer.text[:2000]}"
    bundle = plain(raw)
    locations = [e["response"]["location"] for e in answer.json()["entry"]]
    keys = ["/".join(location.split("/_history/")[0].split("/")[-2:]) for location in locations]
    return Loaded(name, bundle, dict(zip((e["fullUrl"] for e in bundle["entry"]), keys, strict=True)))


def conditional(raw: bytes) -> bytes:
    """Return the Bundle with every create made conditional on the resource's first identifier."""
    bundle = json.loads(raw)
    for entry in bundle["entry"]:
        identifier = entry["resource"]["identifier"][0]
        entry["request"]["ifNoneExist"] = f"identifier={identifier['system']}|{identifier['value']}"
    return json.dumps(bundle).encode()


def as_updates(raw: bytes) -> bytes:
    """Return the Bundle with every create made an update under the id the resource has in the file."""
    text = raw.decode()
    bundle = json.loads(text)
    for entry in bundle["entry"]:
        key = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        text = text.replace(f'"{entry["fullUrl"]}"', f'"{key}"')
    bundle = json.loads(text)
    for entry in bundle["entry"]:
        entry["fullUrl"] = f"http://records.example/{entry['fullUrl']}"
        entry["request"] = {"method": "PUT", "url": entry["fullUrl"].removeprefix("http://records.example/")}
    return json.dumps(bundle).encode()


def references_in(node: object) -> Iterator[str]:
    """Yield the text of every reference."""
    if isinstance(node, dict):
        if isinstance(node.get("reference"), str):
            yield node["reference"]
        for value in node.values():
            yield from references_in(value)
    elif isinstance(node, list):
        for value in node:
            yield from references_in(value)


def _replaced(node: object, texts: dict[str, str]) -> object:
    if isinstance(node, dict):
        return {name: _replaced(value, texts) for name, value in node.items()}
    if isinstance(node, list):
        return [_replaced(value, texts) for value in node]
    return texts.get(node, node) if isinstance(node, str) else node
