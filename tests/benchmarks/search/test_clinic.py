"""The clinic: the same every time, valid, as uneven as it says, and counted as it is loaded."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import pytest

from fhir_server.api.records import Draft, Index
from fhir_server.fhir.definitions import r4
from fhir_server.validation import Validator
from tests.benchmarks.search import loading
from tests.benchmarks.search.clinic import MEASURED, RARE, category_of, patient_id, records, size_of
from tests.benchmarks.search.loading import Tally, refuse_what_does_not_fit
from tests.benchmarks.search.queries import TARGETS, queries


def test_a_patient_is_the_same_every_time_and_no_other() -> None:
    assert list(records(3)) == list(records(3))
    assert next(records(3)) != next(records(4))


@pytest.mark.parametrize(("number", "size"), [(0, 100), (3_999, 100), (4_000, 20), (16_000, 8)])
def test_a_patient_has_as_many_resources_as_it_says(number: int, size: int) -> None:
    assert size_of(number) == size
    assert len(list(records(number))) == size
    assert len(list(records(number, 5))) == 5


def test_all_resources_are_valid_and_about_the_patient() -> None:
    validator = Validator(r4())
    made = [record.resource for record in records(11)]
    assert [i for one in made for i in validator.validate(one) if i.severity in ("error", "fatal")] == []
    assert {one["subject"]["reference"] for one in made[1:]} == {f"Patient/{patient_id(11)}"}
    assert {one["encounter"]["reference"] for one in made if "encounter" in one} == {
        f"Encounter/{one['id']}" for one in made if one["resourceType"] == "Encounter"
    }
    assert len({one["id"] for one in made}) == 100


def test_visits_go_through_ten_years_in_order() -> None:
    begins = [r.resource["period"]["start"] for r in records(5) if r.resource["resourceType"] == "Encounter"]
    assert len(begins) == 10
    assert all(one[:10] < next_one[:10] for one, next_one in pairwise(begins))
    assert begins[0][:4] in ("2014", "2015")
    assert begins[-1][:4] in ("2022", "2023")
    until = datetime(2024, 1, 1, tzinfo=UTC).timestamp() * 1000
    assert all(record.written < until for record in records(5))


def test_twenty_of_the_first_two_hundred_bear_the_rare_name_and_nobody_after() -> None:
    families = [next(records(n)).resource["name"][0]["family"] for n in range(600)]
    assert [n for n, family in enumerate(families) if family.startswith(RARE)] == list(range(7, 200, 10))


def test_codes_are_as_uneven_as_in_life() -> None:
    seen: Counter[str] = Counter()
    for number in range(100):
        seen.update(r.resource["code"]["coding"][0]["code"] for r in records(number) if "issued" in r.resource)
    assert seen.total() == 7_900
    assert 0.06 < seen[MEASURED.codes[0]] / seen.total() < 0.08
    assert len(seen) > 290
    assert {category_of(code) for code in seen} == {"laboratory", "vital-signs", "survey", "exam"}


def test_the_tally_counts_what_was_loaded() -> None:
    tally = Tally()
    for record in records(7):
        one = record.resource
        index = Index((1, 2, 3), ("a",), 5)
        tally.take(one, Draft(f"{one['resourceType']}/{one['id']}", 1, 5, b"{}", "PUT", index))
    assert (tally.resources, tally.data, tally.codes.total()) == (100, 200, 79)
    assert (tally.named("quist"), tally.named("quit")) == (1, 0)
    assert tally.keys == 100 * (1 + 3 + 1 + 2)  # _id, terms, ranges, and the two indexes by time


def test_queries_are_the_same_for_the_known_patients_at_every_size() -> None:
    small, large = (queries(Tally(patients=patients)) for patients in (200, 5_000))
    assert [query.name for query in small] == [query.name for query in large]
    assert len({query.name for query in small}) == len(small)
    per_patient = {q.name: q.targets for q in small if "patient=" in q.targets[0]}
    assert len(per_patient) == 3
    assert all(len(set(targets)) >= TARGETS - 2 for targets in per_patient.values())
    assert per_patient == {q.name: q.targets for q in large if q.name in per_patient}


def test_a_clinic_too_large_for_the_disk_or_the_memory_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "BYTES_EACH", 10**15)
    with pytest.raises(ValueError, match="200 patients take about"):
        refuse_what_does_not_fit(tmp_path, 200, 100, 64)
    monkeypatch.setattr(loading, "BYTES_EACH", 0)
    with pytest.raises(ValueError, match="of memory are needed"):
        refuse_what_does_not_fit(tmp_path, 200, 100, 10**9)
