"""Code systems that are a grammar and no list: whether a text can be a code of one is seen from its form.

https://hl7.org/fhir/R4/terminologies-systems.html#external. Languages are what RFC 5646 calls well-formed, mime types
what RFC 6838 allows with the parameters of RFC 9110, units whatever UCUM's grammar makes of its atoms. Countries and
currencies are lists with a form: what has not that form is wrong, and of the rest only what the core package lists is
known to be right.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from fhir_server.api import core_terminology, decode_stored, ucum

LANGUAGES = "urn:ietf:bcp:47"
MIME_TYPES = "urn:ietf:bcp:13"
COUNTRIES = "urn:iso:std:iso:3166"
COUNTRY_LIST = "http://hl7.org/fhir/ValueSet/iso3166-1-2"
LONGEST = 256

_TAG = re.compile(
    r"(?:[a-z]{2,3}(?:-[a-z]{3}){0,3}(?:-[a-z]{4})?(?:-(?:[a-z]{2}|[0-9]{3}))?"
    r"(?:-(?:[a-z0-9]{5,8}|[0-9][a-z0-9]{3}))*(?:-[0-9a-wy-z](?:-[a-z0-9]{2,8})+)*(?:-x(?:-[a-z0-9]{1,8})+)?"
    r"|x(?:-[a-z0-9]{1,8})+|i-[a-z]{2,8}|en-gb-oed|sgn-(?:be-fr|be-nl|ch-de)"
    r"|art-lojban|cel-gaulish|no-bok|no-nyn|zh-(?:guoyu|hakka|min|min-nan|xiang))",
    re.IGNORECASE,
)
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+\-]{0,126}"
_VALUE = r'(?:[A-Za-z0-9!#$%&\'*+.^_`|~\-]+|"[^"\\]*")'
_MIME_TYPE = re.compile(rf"{_NAME}/{_NAME}(?:[ ]?;[ ]?{_NAME}={_VALUE})*|xml|json|ttl|html")
_COUNTRY = re.compile(r"[A-Z]{2,3}|[0-9]{3}")
_OWN_COUNTRY = re.compile(r"AA|Q[M-Z]|X[A-Z]|ZZ")  # given away for private use, as XK is for Kosovo
_REGION = re.compile(r"[A-Z]{2}-[A-Z0-9]{1,3}")
_CURRENCY = re.compile(r"[A-Z]{3}")

Form = Callable[[str], str | None]


def _shape(pattern: re.Pattern[str], is_enough: bool, text: str) -> Form:
    """Return a form: what matches is right where the shape is enough, else nobody can tell."""

    def wrong(code: str) -> str | None:
        if len(code) > LONGEST or not pattern.fullmatch(code):
            return text
        return "" if is_enough else None

    return wrong


def _country(code: str) -> str | None:
    if not _COUNTRY.fullmatch(code):
        return "a country is written as two or three capital letters or three digits (ISO 3166-1)"
    if len(code) > 2 or _OWN_COUNTRY.fullmatch(code):
        return None
    return "" if code in _countries() else "ISO 3166-1 has no country of these two letters"


@lru_cache(maxsize=1)
def _countries() -> frozenset[str]:
    raw = core_terminology("ValueSet", COUNTRY_LIST)
    includes = decode_stored(raw)["compose"]["include"] if raw is not None else ()
    return frozenset(row["code"] for include in includes for row in include.get("concept", ()))


def _unit(code: str) -> str | None:
    return ucum.complaint(code) or ""


_FORMS: dict[str, Form] = {
    LANGUAGES: _shape(_TAG, True, "a language is written as in de or pt-BR (BCP 47)"),
    MIME_TYPES: _shape(_MIME_TYPE, True, "a mime type is written type/subtype; parameters follow a semicolon"),
    ucum.SYSTEM: _unit,
    COUNTRIES: _country,
    f"{COUNTRIES}:-2": _shape(_REGION, False, "a region is written as in US-CA (ISO 3166-2)"),
    f"{COUNTRIES}:2": _shape(_REGION, False, "a region is written as in US-CA (ISO 3166-2)"),
    "urn:iso:std:iso:4217": _shape(_CURRENCY, False, "a currency is three capital letters (ISO 4217)"),
}
SYSTEMS = frozenset(_FORMS)


def complaint(system: str, code: str) -> str | None:
    """Return what is wrong with the form of a code; empty where it is right, None where that cannot be told."""
    form = _FORMS.get(system)
    return None if form is None else form(code)
