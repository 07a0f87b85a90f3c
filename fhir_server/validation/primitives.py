"""The primitive types: their JSON kind, their form and their range. https://hl7.org/fhir/R4/datatypes.html#primitive

Every checker first tries the cheapest test that proves a value right; only a value that fails it is looked at again
to say what is wrong. Messages never repeat the value: it may be a patient's.
"""

from __future__ import annotations

import binascii
import re
from calendar import isleap
from collections.abc import Callable
from decimal import Decimal

from fhir_server.validation.findings import Checker, Finding, Findings, Held, Json, JsonValue, refuse, wrong_kind

MAX_STRING = 1024 * 1024
MAX_INTEGER = 2**31 - 1
MAX_EXPONENT = 400

_YEAR = "(?!0000)[0-9]{4}"
_DAY = "(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|[12][0-9]))"
_MONTH = "(?:0[1-9]|1[0-2])"
_CLOCK = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = "(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"

_DATES = {
    "date": f"{_YEAR}(?:-(?:{_DAY}|{_MONTH}))?",
    "dateTime": f"{_YEAR}(?:-(?:{_DAY}(?:T{_CLOCK}{_ZONE})?|{_MONTH}))?",
    "instant": f"{_YEAR}-{_DAY}T{_CLOCK}{_ZONE}",
}
_DATE_FORMS = {
    "date": "YYYY, YYYY-MM or YYYY-MM-DD",
    "dateTime": "YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a zone (Z or +hh:mm)",
    "instant": "YYYY-MM-DDThh:mm:ss with a zone (Z or +hh:mm)",
}
_PATTERNS = {
    "time": (_CLOCK, "A time is written hh:mm:ss, without a zone."),
    "id": (r"[A-Za-z0-9\-.]{1,64}", "An id has 1 to 64 letters, digits, hyphens and dots."),
    "oid": (r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+", "An oid is written urn:oid: and numbers separated by dots."),
    "uuid": ("urn:uuid:[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", "A uuid is written urn:uuid: and lowercase hex."),
    "code": (r"[^\s\x00-\x1f\ud800-\udfff]+(?: [^\s\x00-\x1f\ud800-\udfff]+)*",
             "A code has no space at its ends and no other whitespace than single spaces inside."),
}  # fmt: skip
_INTEGERS = {"integer": -(2**31), "unsignedInt": 0, "positiveInt": 1}

_not_text = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff]").search
_is_uri = re.compile(r"[^\s\x00-\x1f\x7f\ud800-\udfff]+").fullmatch
_is_uuid = re.compile(_PATTERNS["uuid"][0]).fullmatch
_is_oid = re.compile(_PATTERNS["oid"][0]).fullmatch
is_code = re.compile(_PATTERNS["code"][0]).fullmatch
_looks_like_date = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:T.*)?", re.DOTALL).fullmatch


def checkers(*, advice: bool = False) -> dict[str, Checker]:
    """Return a checker for every primitive type except xhtml, by name; with advice they also warn."""
    found: dict[str, Checker] = {
        "boolean": boolean,
        "decimal": decimal,
        "base64Binary": base64,
        "string": advised_string if advice else string,
        "markdown": advised_string if advice else string,
        "uri": uri,
        "url": uri,
        "canonical": uri,
    }
    found |= {name: _integer(lowest) for name, lowest in _INTEGERS.items()}
    found |= {name: pattern(regex, text) for name, (regex, text) in _PATTERNS.items()}
    found |= {name: _date(name, regex) for name, regex in _DATES.items()}
    return found


def pattern(regex: str, text: str) -> Checker:
    """Return a checker for strings that match the whole regex; `text` tells the way out."""
    matches = re.compile(regex).fullmatch

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        if type(item) is str:
            return None if matches(item) else refuse("value", text)
        return wrong_kind("a string", item)

    return check


def boolean(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
    """Accept true and false."""
    return None if type(item) is bool else wrong_kind("true or false", item)


def decimal(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
    """Accept a JSON number; one too long or too large to compute with is refused, because somebody would compute."""
    if isinstance(item, Decimal):
        if item.is_finite() and -MAX_EXPONENT < item.adjusted() < MAX_EXPONENT:
            return None
    elif type(item) is int:
        if item.bit_length() < 3 * MAX_EXPONENT:
            return None
    else:
        return wrong_kind("a number", item)
    return refuse("value", "The number is outside of what can be stored.")


def string(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
    """Accept text up to a million characters."""
    if type(item) is str and item.isprintable() and 0 < len(item) <= MAX_STRING:
        return None
    if type(item) is not str:
        return wrong_kind("a string", item)
    if not item:
        return refuse("value", "The string is empty; leave the member out.")
    if len(item) > MAX_STRING:
        return refuse("too-long", f"The string has {len(item)} characters; at most {MAX_STRING} are allowed.")
    if _not_text(item):
        return refuse("value", "The string has control characters other than tab, newline and carriage return.")
    return None


def advised_string(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
    """Do what `string` does, and warn of text that says nothing, which FHIR allows and advises against."""
    if type(item) is str and item.isspace():
        return [Finding("value", "The string has nothing but whitespace; leave the member out.", severity="warning")]
    return string(item, parent, depth, held)


def uri(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
    """Accept anything without whitespace: what a URI means is its scheme's business, but a UUID or OID has one form."""
    if type(item) is not str:
        return wrong_kind("a string", item)
    if not _is_uri(item):
        return refuse("value", "A URI is not empty and has no whitespace.")
    return None if item[0] not in "uo" else _urn(item)


def _urn(item: str) -> Findings | None:
    if item.startswith("urn:uuid:"):
        return None if _is_uuid(item) else refuse("value", _PATTERNS["uuid"][1])
    if item.startswith("urn:oid:"):
        return None if _is_oid(item) else refuse("value", _PATTERNS["oid"][1])
    if item.startswith(("oid:", "uuid:")):
        return refuse("value", _PATTERNS[item.partition(":")[0]][1])
    return None


def element_id(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
    """Accept an element's id: any string without whitespace."""
    if type(item) is str:
        return None if _is_uri(item) else refuse("value", "The id of an element is not empty and has no whitespace.")
    return wrong_kind("a string", item)


def base64(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
    """Accept base64 with its padding; whitespace may break the lines."""
    if type(item) is not str:
        return wrong_kind("a string", item)
    compact = "".join(item.split())
    try:
        if compact and binascii.a2b_base64(compact, strict_mode=True):
            return None
    except ValueError:
        pass
    return refuse("value", "The string is not base64, or its padding is wrong.")


def _integer(lowest: int) -> Checker:
    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        if type(item) is int:
            if lowest <= item <= MAX_INTEGER:
                return None
            return refuse("value", f"The number is not between {lowest} and {MAX_INTEGER}.")
        if isinstance(item, Decimal):
            return refuse("value", "The number must be written without fraction and exponent.")
        return wrong_kind("a whole number", item)

    return check


def _date(name: str, regex: str) -> Checker:
    matches: Callable[[str], object] = re.compile(regex).fullmatch

    def check(item: JsonValue, parent: Json, depth: int, held: Held) -> Findings | None:
        if type(item) is not str:
            return wrong_kind("a string", item)
        if matches(item) and (item[5:10] != "02-29" or isleap(int(item[:4]))):
            return None
        if _looks_like_date(item) and not _exists(item[:10]):
            return refuse("value", "There is no such day in the calendar.")
        return refuse("value", f"A value of type {name} is written {_DATE_FORMS[name]}.")

    return check


_day_exists = re.compile(f"{_YEAR}-{_DAY}").fullmatch


def _exists(day: str) -> bool:
    return bool(_day_exists(day)) and (day[5:] != "02-29" or isleap(int(day[:4])))
