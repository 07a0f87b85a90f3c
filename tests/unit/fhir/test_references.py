"""Links of a resource: which of its texts are rewritten and which only look like links. R4 http.html#trules"""

from __future__ import annotations

import time
from typing import Any

import pytest

from fhir_server.fhir.references import rewrite

Json = dict[str, Any]

LINK = "urn:uuid:0b3c5f6e-4b6e-4f0a-9d39-5a4a1f6a5c11"
TARGET = "Patient/1"


def change(text: str) -> str | None:
    """Return where the one link leads."""
    return TARGET if text == LINK else None


def rewritten(kind: str, **members: Any) -> Json:
    """Return the members of a resource after its links are rewritten."""
    after: Json = rewrite({"resourceType": kind, **members}, change)
    return {name: value for name, value in after.items() if name != "resourceType"}


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        ("Observation", {"subject": {"reference": LINK}}, {"subject": {"reference": TARGET}}),
        ("Observation", {"performer": [{"reference": LINK}]}, {"performer": [{"reference": TARGET}]}),
        ("Patient", {"photo": [{"url": LINK}]}, {"photo": [{"url": TARGET}]}),
        ("Patient", {"meta": {"source": LINK}}, {"meta": {"source": TARGET}}),
        ("Task", {"instantiatesUri": LINK}, {"instantiatesUri": TARGET}),
        ("CarePlan", {"instantiatesUri": ["urn:x", LINK]}, {"instantiatesUri": ["urn:x", TARGET]}),
        (
            "Patient",
            {"extension": [{"url": "u", "valueUuid": LINK}]},
            {"extension": [{"url": "u", "valueUuid": TARGET}]},
        ),
        ("Patient", {"extension": [{"url": "u", "valueOid": LINK}]}, {"extension": [{"url": "u", "valueOid": TARGET}]}),
        ("Patient", {"identifier": [{"system": LINK}]}, {"identifier": [{"system": TARGET}]}),
        (
            "Patient",
            {"_birthDate": {"extension": [{"url": "u", "valueReference": {"reference": LINK}}]}},
            {"_birthDate": {"extension": [{"url": "u", "valueReference": {"reference": TARGET}}]}},
        ),
        (
            "Patient",
            {"name": [{"given": ["a"], "_given": [None, {"extension": [{"url": "u", "valueUri": LINK}]}]}]},
            {"name": [{"given": ["a"], "_given": [None, {"extension": [{"url": "u", "valueUri": TARGET}]}]}]},
        ),
        (
            "Observation",
            {"contained": [{"resourceType": "Specimen", "id": "s", "subject": {"reference": LINK}}]},
            {"contained": [{"resourceType": "Specimen", "id": "s", "subject": {"reference": TARGET}}]},
        ),
        (
            "Bundle",
            {"entry": [{"fullUrl": LINK, "resource": {"resourceType": "Task", "for": {"reference": LINK}}}]},
            {"entry": [{"fullUrl": TARGET, "resource": {"resourceType": "Task", "for": {"reference": TARGET}}}]},
        ),
        (
            "Questionnaire",
            {"item": [{"item": [{"item": [{"definition": LINK}]}]}]},
            {"item": [{"item": [{"item": [{"definition": TARGET}]}]}]},
        ),
    ],
)
def test_references_and_uris_are_links(kind: str, before: Json, after: Json) -> None:
    assert rewritten(kind, **before) == after


@pytest.mark.parametrize(
    ("kind", "members"),
    [
        ("Patient", {"identifier": [{"value": LINK}]}),
        ("Observation", {"subject": {"display": LINK, "identifier": {"value": LINK}}}),
        ("Observation", {"valueString": LINK}),
        ("Observation", {"note": [{"text": LINK}]}),
        ("Task", {"instantiatesCanonical": LINK}),
        ("Patient", {"meta": {"profile": [LINK]}}),
        ("Patient", {"extension": [{"url": "u", "valueCanonical": LINK}]}),
        ("Patient", {"id": LINK, "language": LINK}),
        ("Patient", {"reference": LINK}),
        ("Rock", {"subject": {"reference": LINK}}),
        ("Observation", {"contained": [{"subject": {"reference": LINK}}]}),
        ("Patient", {"text": {"div": f'<div xmlns="http://www.w3.org/1999/xhtml">{LINK}</div>'}}),
    ],
)
def test_other_texts_are_not_links_and_a_resource_without_any_stays_the_same_object(kind: str, members: Json) -> None:
    resource = {"resourceType": kind, **members}
    assert rewrite(resource, change) is resource


def test_what_is_not_changed_is_shared_and_the_original_keeps_its_links() -> None:
    resource = {"resourceType": "Observation", "code": {"text": "x"}, "subject": {"reference": LINK}}
    after = rewrite(resource, change)
    assert resource["subject"] == {"reference": LINK}
    assert after["code"] is resource["code"]
    assert list(after) == list(resource)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (f'<a href="{LINK}">p</a>', f'<a href="{TARGET}">p</a>'),
        (f"<p>x</p><a title='t' href = '{LINK}' >p</a>", f"<p>x</p><a title='t' href = '{TARGET}' >p</a>"),
        (f'<img alt="a &gt; b" src="{LINK}"/>', f'<img alt="a &gt; b" src="{TARGET}"/>'),
        (f'<img alt="a > b" src="{LINK}"/>', f'<img alt="a > b" src="{TARGET}"/>'),
        (f'<a\n href="{LINK}">p</a><a href="{LINK}">q</a>', f'<a\n href="{TARGET}">p</a><a href="{TARGET}">q</a>'),
        (f'<a href="#x" name="{LINK}">p</a>', f'<a href="#x" name="{LINK}">p</a>'),
        (f'<a title=" href=\'{LINK}\'" href="#x">p</a>', f'<a title=" href=\'{LINK}\'" href="#x">p</a>'),
        (f'<abbr href="{LINK}">p</abbr>', f'<abbr href="{LINK}">p</abbr>'),
        (f'<img src="x" longdesc="{LINK}"/>href="{LINK}"', f'<img src="x" longdesc="{LINK}"/>href="{LINK}"'),
    ],
)
def test_a_narrative_links_by_href_of_a_and_src_of_img(before: str, after: str) -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'
    text = {"status": "additional", "div": div.format(before)}
    assert rewritten("Patient", text=text) == {"text": {**text, "div": div.format(after)}}
    section = {"section": [{"section": [{"text": text}]}]}
    assert rewritten("Composition", **section)["section"][0]["section"][0]["text"]["div"] == div.format(after)


def test_an_entity_in_a_narrative_link_is_read_as_what_it_stands_for() -> None:
    div = '<div xmlns="http://www.w3.org/1999/xhtml"><a href="http://x/?a=1&amp;b=2">p</a></div>'
    after = rewrite({"resourceType": "Patient", "text": {"div": div}}, {"http://x/?a=1&b=2": "Patient/a&b"}.get)
    assert after["text"]["div"] == div.replace("http://x/?a=1&amp;b=2", "Patient/a&amp;b")


def test_a_narrative_of_broken_tags_costs_time_in_proportion_to_its_length() -> None:
    div = "<div><!-- href " + "<a b='" * 200_000 + " --></div>"
    resource = {"resourceType": "Patient", "text": {"div": div}}
    began = time.process_time()
    assert rewrite(resource, change) is resource
    assert time.process_time() - began < 1
