"""Which edition of the search parameters a tenant is on."""

from __future__ import annotations

from fhir_server.api.tenant import Tenant
from fhir_server.fhir.definitions import r4
from fhir_server.search.custom import Custom
from fhir_server.search.editions import Editions

ONE, OTHER = Tenant("one", "db_one", b"k" * 32), Tenant("other", "db_other", b"k" * 32)
EYE = Custom("SearchParameter/e", "http://x/e", "eye", "token", ("Patient",), "Patient.language", ready=True)
PATIENT = {"resourceType": "Patient", "id": "p", "language": "de", "birthDate": "2000"}


def test_tenants_without_parameters_of_their_own_share_an_edition() -> None:
    editions = Editions(r4())
    assert editions.of(ONE) is editions.of(OTHER)
    assert (editions.of(ONE).generation, editions.of(ONE).customs) == (0, ())


def test_a_set_is_for_its_tenant_alone_and_never_makes_way_for_an_older_one() -> None:
    editions = Editions(r4())
    editions.adopt(ONE, 2, [EYE])
    edition = editions.of(ONE)
    assert (edition.generation, edition.customs) == (2, (EYE,))
    assert "eye" in edition.parameters.of("Patient")
    assert "eye" not in editions.of(OTHER).parameters.of("Patient")
    for generation in (1, 2):
        editions.adopt(ONE, generation, [])
        assert editions.of(ONE) is edition
    editions.adopt(ONE, 3, [])
    assert (editions.of(ONE).generation, editions.of(ONE).customs) == (3, ())


def test_a_parameter_of_ones_own_adds_to_the_index_and_changes_nothing_else_in_it() -> None:
    editions = Editions(r4())
    before = editions.of(ONE).indexer.index(ONE, PATIENT)
    editions.adopt(ONE, 1, [EYE])
    after = editions.of(ONE).indexer.index(ONE, PATIENT)
    assert set(before.terms) < set(after.terms)
    assert (set(after.ranges), after.moment) == (set(before.ranges), before.moment)
    assert set(after.present) - set(before.present) == {f"eye@{EYE.digest}"}


def test_the_url_of_a_tenant_is_the_one_that_is_set_or_else_the_last_one_it_was_served_under() -> None:
    editions = Editions(r4())
    assert editions.base_url(ONE) == ""
    for url in ("http://a/fhir", "http://b/fhir"):
        editions.serve(ONE, url)
    assert (editions.base_url(ONE), editions.base_url(OTHER)) == ("http://b/fhir", "")
    fixed = Editions(r4(), "http://set/fhir")
    fixed.serve(ONE, "http://a/fhir")
    assert fixed.base_url(ONE) == "http://set/fhir"
