"""What a validation costs in this process: CPU time of the best of several rounds, scaled by the ruler."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fhir_server.api.tenant import Tenant
from fhir_server.cli.validating.offline import Unchanging
from fhir_server.cli.validating.shelf import Shelf, shelf_of
from fhir_server.fhir.definitions import r4
from fhir_server.fhir.json import decode, encode
from fhir_server.kernel.ports import terminology
from fhir_server.validation import Validator
from fhir_server.validation.conformance import Conformance, Wish
from fhir_server.validation.knowledge import KnowledgeOfTenants
from tests.benchmarks.processes import ruler
from tests.benchmarks.validation import records

Json = dict[str, Any]
ROUNDS = 7
SECONDS = 0.15
TENANT = Tenant("benchmark", "", b"")


@dataclass(frozen=True, slots=True)
class Cost:
    """A resource validated: its bytes as JSON, and microseconds by FHIR alone, by its profile besides, by $validate."""

    name: str
    size: int
    base: float
    profile: float
    advised: float

    @property
    def ratio(self) -> float:
        """How many times the base check a write takes that claims the profile."""
        return (self.base + self.profile) / self.base


async def costs(package: Path) -> list[Cost]:
    """Return what each resource costs against the package's profile. Raises ValueError where one is found wrong."""
    shelf = shelf_of([package], r4().resource_types)
    conformance = Conformance(r4(), KnowledgeOfTenants(Unchanging()), terminology("local"))
    rows = (
        ("Patient, us-core-patient", records.patient(), records.PATIENT_PROFILE),
        ("blood pressure, us-core-blood-pressure", records.pressure(), records.PRESSURE_PROFILE),
        ("body weight, us-core-body-weight", records.weight(), records.WEIGHT_PROFILE),
    )
    return [await _cost(name, resource, profile, conformance, shelf) for name, resource, profile in rows]


async def _cost(name: str, resource: Json, profile: str, conformance: Conformance, shelf: Shelf) -> Cost:
    validator = Validator(r4())
    claiming = decode(encode({**resource, "meta": {"profile": [profile]}}))

    def claimed(wish: Wish) -> Coroutine[Any, Any, Any]:
        return conformance.issues(TENANT, lambda: shelf, claiming, wish)

    for wish in (Wish(), Wish(advice=True)):
        wrong = [i for i in [*validator.validate(claiming), *await claimed(wish)] if i.severity == "error"]
        if wrong:
            raise ValueError(f"{name}: {wrong[0].expression} {wrong[0].diagnostics}")
    base = _microseconds(lambda: validator.validate(claiming))
    by_profile = _microseconds(lambda: _run(claimed(Wish())))
    advised = _microseconds(lambda: validator.validate(claiming, advice=True))
    advised += _microseconds(lambda: _run(claimed(Wish(advice=True))))
    return Cost(name, len(encode(claiming)), base, by_profile, advised)


def _run(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Run a validation that knows everything it asks for, and so waits for nobody."""
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise ValueError("the validation waits for an answer that it should have by now")


def _microseconds(work: Callable[[], object]) -> float:
    return min(_round(work) for _ in range(ROUNDS)) * 1e6


def _round(work: Callable[[], object]) -> float:
    slowness, times = ruler(), 0
    began = time.process_time()
    while (took := time.process_time() - began) < SECONDS:
        work()
        times += 1
    return took / times / ((slowness + ruler()) / 2)
