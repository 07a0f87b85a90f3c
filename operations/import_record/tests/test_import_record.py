"""Patient/$import with a server in memory."""

from __future__ import annotations

from base64 import b64decode
from copy import deepcopy
from typing import Any
from urllib.parse import unquote

import pytest

from fhir_server.api import Conflict, Duplicate, InvalidRequest, Issue, Unprocessable, decode_stored
from operations.conftest import BASE, Calling, Records, Server
from operations.import_record import import_record

Json = dict[str, Any]

OLD = "http://old.example/fhir"
MRN = {"system": "urn:mrn", "value": "77"}


def entry(resource: Json, url: str = "") -> Json:
    return {"fullUrl": url or f"{OLD}/{resource['resourceType']}/{resource['id']}", "resource": resource}


def patient(**more: Any) -> Json:
    return {"resourceType": "Patient", "id": "p", "identifier": [MRN], **more}


def observation(name: str, subject: str = "Patient/p", **more: Any) -> Json:
    return {"resourceType": "Observation", "id": name, "subject": {"reference": subject}, **more}


def bundle(*entries: Json, **more: Any) -> Json:
    return {"resourceType": "Bundle", "type": "collection", "entry": list(entries), **more}


def small() -> Json:
    """A patient, and an observation made by a practitioner; twelve lines of somebody's life."""
    practitioner = {"resourceType": "Practitioner", "id": "doc"}
    seen = observation("o", performer=[{"reference": "Practitioner/doc"}])
    return bundle(entry(patient()), entry(seen), entry(practitioner), identifier={"system": "urn:b", "value": "1"})


class Answer:
    """The output Parameters, by name."""

    def __init__(self, parameters: Json) -> None:
        self.rows: list[Json] = parameters["parameter"]

    def one(self, name: str) -> Any:
        (row,) = [row for row in self.rows if row["name"] == name]
        return next(value for member, value in row.items() if member != "name")

    @property
    def counts(self) -> tuple[int, int, int, int]:
        return self.one("created"), self.one("updated"), self.one("skipped"), self.one("quarantined")

    @property
    def ids(self) -> dict[str, str]:
        parts = [row["part"] for row in self.rows if row["name"] == "idMap"]
        return {original["valueUri"]: made["valueReference"]["reference"] for original, made in parts}

    @property
    def patient(self) -> str:
        return str(self.one("patient")["reference"])


async def run(calling: Calling, given: Json, **parameters: Any) -> Answer:
    before = deepcopy(given)
    answer = Answer(await import_record(calling("Patient", bundle=given, **parameters)))
    assert given == before
    return answer


async def refused(calling: Calling, given: Json, failure: type[Unprocessable | Conflict], **more: Any) -> list[Issue]:
    """Return the issues of a refusal; nothing was written."""
    context = calling("Patient", bundle=given, **more)
    assert isinstance(context.records, Records)
    before = dict(context.records.by_key)
    with pytest.raises(failure) as raised:
        await import_record(context)
    assert context.records.by_key == before
    return list(raised.value.issues)


class TestANewPatient:
    async def test_everything_is_written_under_new_ids_in_one_transaction(
        self, calling: Calling, records: Records, server: Server
    ) -> None:
        answer = await run(calling, small())
        assert answer.counts == (3, 0, 0, 0)
        assert list(answer.ids) == [f"{OLD}/Patient/p", f"{OLD}/Observation/o", f"{OLD}/Practitioner/doc"]
        assert answer.one("outcome")["issue"][0]["diagnostics"] == "All OK"
        assert len(server.executed) == 1
        assert sorted(records.by_key) == sorted([*answer.ids.values(), answer.one("provenance")["reference"]])

    async def test_references_lead_to_the_new_ids(self, calling: Calling, records: Records) -> None:
        answer = await run(calling, small())
        stored = records.json(answer.ids[f"{OLD}/Observation/o"])
        assert stored["subject"] == {"reference": answer.patient}
        assert stored["performer"] == [{"reference": answer.ids[f"{OLD}/Practitioner/doc"]}]

    async def test_the_origin_is_kept(self, calling: Calling, records: Records) -> None:
        answer = await run(calling, small())
        stored = records.json(answer.patient)
        assert stored["meta"]["source"] == f"{OLD}/Patient/p"
        assert stored["identifier"] == [MRN, {"system": "urn:ietf:rfc:3986", "value": f"{OLD}/Patient/p"}]

    async def test_a_type_without_identifiers_gets_none(self, calling: Calling, records: Records) -> None:
        binary = {"resourceType": "Binary", "id": "x", "contentType": "text/plain"}
        answer = await run(calling, bundle(entry(patient()), entry(binary)))
        stored = records.json(answer.ids[f"{OLD}/Binary/x"])
        assert "identifier" not in stored
        assert stored["meta"]["source"] == f"{OLD}/Binary/x"

    async def test_labels_tags_and_profiles_are_kept_and_versions_are_not(
        self, calling: Calling, records: Records, server: Server
    ) -> None:
        labels = {"security": [{"system": "urn:s", "code": "V"}], "tag": [{"code": "t"}], "profile": ["http://p"]}
        meta = {"versionId": "9", "lastUpdated": "2001-01-01T00:00:00Z", **labels}
        await run(calling, bundle(entry(patient(meta=meta))))
        (written,) = [e["resource"] for e in server.executed[0]["entry"] if e["resource"]["resourceType"] == "Patient"]
        assert written["meta"] == {**labels, "source": f"{OLD}/Patient/p"}

    async def test_the_provenance_names_what_was_written_and_the_bundle(
        self, calling: Calling, records: Records
    ) -> None:
        answer = await run(calling, small())
        stored = records.json(answer.one("provenance")["reference"])
        assert [t["reference"] for t in stored["target"]] == list(answer.ids.values())
        assert stored["recorded"] == "2023-11-14T22:13:20.000+00:00"
        assert stored["entity"][0]["what"]["identifier"] == {"system": "urn:b", "value": "1"}

    async def test_a_new_patient_is_put_where_the_identifiers_match_nobody(
        self, calling: Calling, server: Server
    ) -> None:
        two = [MRN, {"system": "urn:odd", "value": "a,b|c"}, {"value": "without a system"}]
        await run(calling, bundle(entry(patient(identifier=two))))
        url = server.executed[0]["entry"][0]["request"]["url"]
        assert unquote(url) == "Patient?identifier=urn:mrn|77,urn:odd|a\\,b\\|c"

    async def test_without_identifiers_the_original_url_is_one(self, calling: Calling, server: Server) -> None:
        await run(calling, bundle(entry({"resourceType": "Patient", "id": "p"})))
        url = server.executed[0]["entry"][0]["request"]["url"]
        assert unquote(url) == f"Patient?identifier=urn:ietf:rfc:3986|{OLD}/Patient/p"
        await run(calling, bundle(entry({"resourceType": "Patient"}, "urn:uuid:1")))
        assert server.executed[1]["entry"][0]["request"]["url"].startswith("Patient/")

    async def test_a_dry_run_writes_nothing_and_says_the_same(self, calling: Calling, records: Records) -> None:
        dry = await run(calling, small(), dryRun=True)
        assert records.by_key == {}
        assert dry.one("dryRun") is True
        wet = await run(calling, small())
        assert (dry.counts, dry.ids, dry.patient) == (wet.counts, wet.ids, wet.patient)


class TestReferences:
    @pytest.mark.parametrize(
        ("subject", "url"),
        [
            ("urn:uuid:1", "urn:uuid:1"),
            ("Patient/p", "urn:uuid:1"),
            ("Patient/p", f"{OLD}/Patient/p"),
            ("Patient/p/_history/3", f"{OLD}/Patient/p"),
            (f"{OLD}/Patient/p", f"{OLD}/Patient/p"),
            (f"{OLD}/Patient/p/_history/2", f"{OLD}/Patient/p"),
        ],
    )
    async def test_ways_to_refer_inside_the_bundle(
        self, calling: Calling, records: Records, subject: str, url: str
    ) -> None:
        given = bundle(entry(patient(), url), entry(observation("o", subject)))
        answer = await run(calling, given)
        assert records.json(answer.ids[f"{OLD}/Observation/o"])["subject"]["reference"] == answer.patient

    async def test_entries_without_a_full_url(self, calling: Calling, records: Records) -> None:
        answer = await run(calling, bundle({"resource": patient()}, {"resource": observation("o")}))
        stored = records.json(answer.ids["Observation/o"])
        assert stored["subject"]["reference"] == answer.patient
        assert stored["meta"]["source"] == "Observation/o"
        assert "identifier" not in stored

    async def test_dangling_ones_are_all_listed(self, calling: Calling) -> None:
        first = observation("a", encounter={"reference": "Encounter/none"})
        second = observation("b", performer=[{"reference": "urn:uuid:none"}, {"reference": f"{BASE}/Practitioner/0"}])
        issues = await refused(calling, bundle(entry(patient()), entry(first), entry(second)), Unprocessable)
        assert [(i.code, i.diagnostics.split()[0], i.expression) for i in issues] == [
            ("not-found", "Encounter/none", "Bundle.entry[1].resource"),
            ("not-found", "urn:uuid:none", "Bundle.entry[2].resource"),
            ("not-found", f"{BASE}/Practitioner/0", "Bundle.entry[2].resource"),
        ]

    async def test_a_resource_of_this_server_may_be_referred_to(self, calling: Calling, records: Records) -> None:
        records.add({"resourceType": "Practitioner", "id": "ours"})
        refers = [{"reference": "Practitioner/ours"}, {"reference": f"{BASE}/Practitioner/ours"}]
        given = observation("o", "urn:uuid:1", performer=refers)
        answer = await run(calling, bundle(entry(patient(), "urn:uuid:1"), entry(given, "urn:uuid:2")))
        performer = records.json(answer.ids["urn:uuid:2"])["performer"]
        assert performer == [{"reference": "Practitioner/ours"}] * 2

    async def test_a_relative_reference_of_another_server_is_not_taken_for_ours(
        self, calling: Calling, records: Records
    ) -> None:
        records.add({"resourceType": "Practitioner", "id": "doc"})
        given = observation("o", performer=[{"reference": "Practitioner/doc"}])
        (issue,) = await refused(calling, bundle(entry(patient()), entry(given)), Unprocessable)
        assert issue.diagnostics == "Practitioner/doc is neither in the Bundle nor on this server."

    async def test_a_relative_reference_does_not_lead_to_a_third_server(self, calling: Calling) -> None:
        given = observation("o", performer=[{"reference": "Practitioner/doc"}])
        doctor = entry({"resourceType": "Practitioner", "id": "doc"}, "http://third.example/fhir/Practitioner/doc")
        (issue,) = await refused(calling, bundle(entry(patient()), entry(given), doctor), Unprocessable)
        assert issue.diagnostics.startswith("Practitioner/doc is neither in the Bundle")

    async def test_absolute_conditional_and_contained_ones_stay(self, calling: Calling, records: Records) -> None:
        refers = [
            {"reference": "http://third.example/fhir/Practitioner/5"},
            {"reference": "Practitioner?identifier=urn:x|1"},
            {"reference": "#c"},
        ]
        answer = await run(calling, bundle(entry(patient()), entry(observation("o", performer=refers))))
        assert records.json(answer.ids[f"{OLD}/Observation/o"])["performer"] == refers

    @pytest.mark.parametrize("literal", ["Patient/other", f"{BASE}/Patient/other", "Patient?identifier=urn:x|1"])
    async def test_another_patient_is_refused(self, calling: Calling, records: Records, literal: str) -> None:
        records.add({"resourceType": "Patient", "id": "other"})
        given = bundle(entry(patient(), "urn:uuid:1"), entry(observation("o", literal), "urn:uuid:2"))
        (issue,) = await refused(calling, given, Unprocessable)
        assert issue.expression == "Bundle.entry[1].resource"
        assert issue.diagnostics.startswith(literal)

    async def test_the_target_may_be_named(self, calling: Calling, records: Records) -> None:
        records.add({"resourceType": "Patient", "id": "here"})
        given = bundle(entry(patient(), "urn:uuid:1"), entry(observation("o", "Patient/here"), "urn:uuid:2"))
        answer = await run(calling, given, target={"reference": "Patient/here"})
        assert records.json(answer.ids["urn:uuid:2"])["subject"]["reference"] == "Patient/here"

    async def test_an_attachment_leads_to_its_binary(self, calling: Calling, records: Records) -> None:
        binary = {"resourceType": "Binary", "id": "x", "contentType": "text/plain"}
        given = observation("o", note={"url": "Binary/x"}, extension=[{"url": f"{OLD}/Patient/p", "valueCode": "a"}])
        answer = await run(calling, bundle(entry(patient()), entry(binary), entry(given)))
        stored = records.json(answer.ids[f"{OLD}/Observation/o"])
        assert stored["note"] == {"url": answer.ids[f"{OLD}/Binary/x"]}
        assert stored["extension"][0]["url"] == f"{OLD}/Patient/p"


class TestTheBundle:
    @pytest.mark.parametrize("kind", ["transaction", "batch", "history", None])
    async def test_other_types_are_refused(self, calling: Calling, kind: str | None) -> None:
        given = {**small(), "type": kind}
        (issue,) = await refused(calling, given, Unprocessable)
        assert issue.expression == "Bundle.type"

    async def test_no_patient(self, calling: Calling) -> None:
        (issue,) = await refused(calling, bundle(entry(observation("o"))), Unprocessable)
        assert issue.diagnostics == "The Bundle has no Patient; a record is imported with its patient."

    async def test_two_patients_are_both_named(self, calling: Calling) -> None:
        given = bundle(entry(patient()), entry({"resourceType": "Patient", "id": "q"}))
        issues = await refused(calling, given, Unprocessable)
        assert [(i.expression, i.diagnostics.rsplit(" ", 1)[1]) for i in issues] == [
            ("Bundle.entry[0].resource", f"{OLD}/Patient/p."),
            ("Bundle.entry[1].resource", f"{OLD}/Patient/q."),
        ]

    async def test_a_resource_twice(self, calling: Calling) -> None:
        answer = await run(calling, bundle(entry(patient()), entry(patient())))
        assert answer.counts == (1, 0, 0, 0)
        given = bundle(entry(patient()), entry(patient(gender="male")))
        (issue,) = await refused(calling, given, Unprocessable)
        assert (issue.code, issue.expression) == ("duplicate", "Bundle.entry[1].fullUrl")

    async def test_an_outcome_of_the_search_is_passed_over(self, calling: Calling) -> None:
        outcome = {"resource": {"resourceType": "OperationOutcome"}, "search": {"mode": "outcome"}}
        answer = await run(calling, {**bundle(entry(patient()), outcome), "type": "searchset"})
        assert answer.counts == (1, 0, 0, 0)

    @pytest.mark.parametrize("row", [{}, 7, {"resource": []}, {"resource": {}}, {"resource": {"resourceType": 1}}])
    async def test_entries_that_are_none(self, calling: Calling, row: Any) -> None:
        (issue,) = await refused(calling, bundle(entry(patient()), row), Unprocessable)
        assert issue.expression in ("Bundle.entry[1]", "Bundle.entry[1].resource")

    @pytest.mark.parametrize("name", ["mode", "onDuplicate", "dryRun"])
    async def test_unknown_choices(self, calling: Calling, name: str) -> None:
        with pytest.raises(InvalidRequest, match=f"{name} must be"):
            await run(calling, small(), **{name: "maybe"})


class TestInvalidResources:
    @pytest.fixture(autouse=True)
    def wrong(self, server: Server) -> None:
        server.refused["o"] = [
            Issue("value", "no such code", "Observation.status"),
            Issue("informational", "fine", "Observation", severity="information"),
        ]
        server.refused["doc"] = [Issue("informational", "a hint", "Practitioner", severity="warning")]

    async def test_strict_refuses_all_and_lists_what_dangles_too(self, calling: Calling) -> None:
        given = small()
        given["entry"].append(entry(observation("x", encounter={"reference": "Encounter/none"})))
        issues = await refused(calling, given, Unprocessable)
        assert [(i.code, i.expression) for i in issues] == [
            ("value", "Bundle.entry[1].resource.status"),
            ("not-found", "Bundle.entry[3].resource"),
        ]

    async def test_quarantine_keeps_what_is_wrong_apart(self, calling: Calling, records: Records) -> None:
        given = small()
        given["entry"].append(entry(observation("member-of-o", hasMember=[{"reference": "Observation/o"}])))
        answer = await run(calling, given, mode="quarantine")
        assert answer.counts == (2, 0, 0, 2)
        assert [i["code"] for i in answer.one("outcome")["issue"]] == ["value", "not-found"]
        assert records.of_type("Observation") == []
        binary = records.json(answer.ids[f"{OLD}/Observation/o"])
        assert decode_stored(b64decode(binary["data"])) == given["entry"][1]["resource"]
        assert (binary["contentType"], binary["securityContext"]) == (
            "application/fhir+json",
            {"reference": answer.patient},
        )
        assert (await run(calling, given, mode="quarantine")).ids == answer.ids

    async def test_without_its_patient_a_record_is_none(self, calling: Calling, server: Server) -> None:
        server.refused["p"] = [Issue("value", "no such gender", "Patient.gender")]
        issues = await refused(calling, small(), Unprocessable, mode="quarantine")
        assert ("value", "Bundle.entry[0].resource.gender") in [(i.code, i.expression) for i in issues]

    async def test_another_patients_resource_is_set_aside(
        self, calling: Calling, records: Records, server: Server
    ) -> None:
        server.refused.clear()
        records.add({"resourceType": "Patient", "id": "other"})
        given = bundle(entry(patient(), "urn:uuid:1"), entry(observation("o", "Patient/other"), "urn:uuid:2"))
        assert (await run(calling, given, mode="quarantine")).counts == (1, 0, 0, 1)


class TestAKnownPatient:
    @pytest.fixture(autouse=True)
    def known(self, records: Records) -> None:
        labels = {"security": [{"system": "urn:s", "code": "R"}]}
        local = {"system": "urn:local", "value": "1"}
        records.add({"resourceType": "Patient", "id": "here", "identifier": [local, MRN], "meta": labels})

    async def test_is_found_by_identifier_and_left_as_it_is(self, calling: Calling, records: Records) -> None:
        before = records.by_key["Patient/here"]
        answer = await run(calling, small())
        assert (answer.patient, answer.counts) == ("Patient/here", (2, 0, 1, 0))
        assert records.json(answer.ids[f"{OLD}/Observation/o"])["subject"]["reference"] == "Patient/here"
        assert records.by_key["Patient/here"] == before

    async def test_a_new_version_keeps_labels_and_identifiers(
        self, calling: Calling, records: Records, server: Server
    ) -> None:
        answer = await run(calling, small(), onDuplicate="version")
        assert answer.counts == (2, 1, 0, 0)
        stored = records.json("Patient/here")
        assert stored["meta"]["security"] == [{"system": "urn:s", "code": "R"}]
        assert [i["system"] for i in stored["identifier"]] == ["urn:local", "urn:mrn", "urn:ietf:rfc:3986"]
        assert server.executed[0]["entry"][0]["request"] == {
            "method": "PUT",
            "url": "Patient/here",
            "ifMatch": 'W/"1"',
        }

    async def test_ambiguous_identifiers_name_the_candidates(self, calling: Calling, records: Records) -> None:
        records.add({"resourceType": "Patient", "id": "twin", "identifier": [MRN]})
        issues = await refused(calling, small(), Conflict)
        assert [(i.code, i.diagnostics.split()[0]) for i in issues] == [
            ("multiple-matches", "Patient/here"),
            ("multiple-matches", "Patient/twin"),
        ]

    async def test_the_identifiers_of_another_than_the_target(self, calling: Calling, records: Records) -> None:
        records.add({"resourceType": "Patient", "id": "target"})
        (issue,) = await refused(calling, small(), Conflict, target={"reference": "Patient/target"})
        assert issue.diagnostics.startswith("Patient/here has an identifier")
        assert issue.diagnostics.endswith("The target is Patient/target.")

    @pytest.mark.parametrize("reference", ["Patient/here", f"{BASE}/Patient/here"])
    async def test_a_target_needs_no_match(self, calling: Calling, reference: str) -> None:
        given = bundle(entry({"resourceType": "Patient", "id": "p"}), entry(observation("o")))
        answer = await run(calling, given, target={"reference": reference})
        assert (answer.patient, answer.counts) == ("Patient/here", (1, 0, 1, 0))

    @pytest.mark.parametrize("target", [{"reference": "Patient/none"}, {"reference": "Practitioner/here"}, {}, "here"])
    async def test_a_target_that_is_none(self, calling: Calling, target: Any) -> None:
        await refused(calling, small(), Unprocessable, target=target)

    async def test_fail_refuses_what_is_here(self, calling: Calling) -> None:
        (issue,) = await refused(calling, small(), Duplicate, onDuplicate="fail")
        assert (issue.diagnostics, issue.expression) == ("It is here as Patient/here.", "Bundle.entry[0].resource")

    async def test_fail_lets_the_target_stand(self, calling: Calling) -> None:
        answer = await run(calling, small(), onDuplicate="fail", target={"reference": "Patient/here"})
        assert answer.counts == (2, 0, 1, 0)


class TestAgain:
    @pytest.mark.parametrize("identifier", [{"system": "urn:b", "value": "1"}, {"value": "1"}, None])
    @pytest.mark.parametrize("on_duplicate", ["skip", "version"])
    async def test_the_same_bundle_changes_nothing(
        self, calling: Calling, records: Records, server: Server, identifier: Json | None, on_duplicate: str
    ) -> None:
        given = {name: value for name, value in small().items() if name != "identifier"}
        if identifier:
            given["identifier"] = identifier
        first = await run(calling, given)
        before = dict(records.by_key)
        second = await run(calling, given, onDuplicate=on_duplicate)
        assert records.by_key == before
        assert len(server.executed) == 1
        assert second.counts == (0, 0, 3, 0)
        assert (second.ids, second.one("provenance")) == (first.ids, first.one("provenance"))

    async def test_a_bundle_of_urns_again_finds_its_patient(self, calling: Calling, records: Records) -> None:
        anonymous = {"resourceType": "Patient"}
        given = bundle(entry(anonymous, "urn:uuid:1"), entry(observation("o", "urn:uuid:1"), "urn:uuid:2"))
        first = await run(calling, given, target=None)
        second = await run(calling, given)
        assert (second.patient, second.counts) == (first.patient, (0, 0, 2, 0))

    async def test_into_a_target_again_without_naming_it(self, calling: Calling, records: Records) -> None:
        records.add({"resourceType": "Patient", "id": "here"})
        given = bundle(entry({"resourceType": "Patient", "id": "p"}, "Patient/p"), entry(observation("o", "Patient/p")))
        await run(calling, given, target={"reference": "Patient/here"})
        again = await run(calling, given)
        assert (again.patient, again.counts) == ("Patient/here", (0, 0, 2, 0))

    async def test_other_bundles_of_the_same_server_bring_what_is_new(self, calling: Calling, records: Records) -> None:
        await run(calling, small())
        later = small()
        later["identifier"] = {"system": "urn:b", "value": "2"}
        later["entry"][1]["resource"]["valueString"] = "corrected"
        later["entry"].append(entry(observation("later")))
        answer = await run(calling, later, onDuplicate="version")
        assert answer.counts == (1, 1, 2, 0)
        assert [o.get("valueString") for o in records.of_type("Observation")] == ["corrected", None]

    async def test_the_same_urn_in_another_bundle_is_another_resource(self, calling: Calling) -> None:
        def one(value: str) -> Json:
            seen = entry(observation("o", "urn:uuid:1", valueString=value), "urn:uuid:2")
            return bundle(entry(patient(), "urn:uuid:1"), seen)

        first, second = await run(calling, one("a")), await run(calling, one("b"))
        assert first.patient == second.patient
        assert first.ids["urn:uuid:2"] != second.ids["urn:uuid:2"]
        assert second.counts == (1, 0, 1, 0)

    async def test_what_was_deleted_here_stays_deleted(self, calling: Calling, records: Records) -> None:
        first = await run(calling, small())
        key = first.ids[f"{OLD}/Observation/o"]
        records.delete(key)
        assert (await run(calling, small())).counts == (0, 0, 3, 0)
        assert records.by_key[key].deleted
        assert (await run(calling, small(), onDuplicate="version")).counts == (0, 1, 2, 0)
        assert not records.by_key[key].deleted
