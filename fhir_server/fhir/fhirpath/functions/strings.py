"""String manipulation. https://hl7.org/fhirpath/N1/#string-manipulation"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import re2

from fhir_server.fhir.fhirpath.errors import FhirPathEvaluationError
from fhir_server.fhir.fhirpath.frame import Frame
from fhir_server.fhir.fhirpath.nodes import EMPTY, Collection, boolean, integer, string
from fhir_server.fhir.fhirpath.singletons import text, whole

# RE2 walks at worst through every instruction of the pattern for every character: some hundred million in a second.
_INSTRUCTIONS_PER_STEP = 512
_REPLACED_PER_STEP = 16
_PATTERN_MEMORY = 1 << 20
_GROUP = re.compile(r"\$([0-9]{1,4}|\{\w+\})")
_JSON_ESCAPE = re.compile(r'(?:\\u[0-9A-Fa-f]{4})+|\\["\\/bfnrt]')


def _strings(frame: Frame, *collections: Collection) -> list[str] | None:
    """Return one string of each collection, or None if one of them is empty."""
    values = [text(collection) for collection in collections]
    present = [value for value in values if value is not None]
    if len(present) < len(values):
        return None
    for value in present:
        frame.read(len(value))
    return present


def index_of(frame: Frame, focus: Collection, substring: Collection) -> Collection:
    values = _strings(frame, focus, substring)
    return EMPTY if values is None else integer(values[0].find(values[1]))


def last_index_of(frame: Frame, focus: Collection, substring: Collection) -> Collection:
    values = _strings(frame, focus, substring)
    return EMPTY if values is None else integer(values[0].rfind(values[1]))


def substring(frame: Frame, focus: Collection, start: Collection, length: Collection | None = None) -> Collection:
    value, begin = text(focus), whole(start)
    if value is None or begin is None or not 0 <= begin < len(value):
        return EMPTY
    frame.read(len(value))
    size = whole(length) if length is not None else None
    return string(value[begin:] if size is None else value[begin : begin + max(0, size)])


def starts_with(frame: Frame, focus: Collection, prefix: Collection) -> Collection:
    values = _strings(frame, focus, prefix)
    return EMPTY if values is None else boolean(values[0].startswith(values[1]))


def ends_with(frame: Frame, focus: Collection, suffix: Collection) -> Collection:
    values = _strings(frame, focus, suffix)
    return EMPTY if values is None else boolean(values[0].endswith(values[1]))


def contains(frame: Frame, focus: Collection, substring: Collection) -> Collection:
    values = _strings(frame, focus, substring)
    return EMPTY if values is None else boolean(values[1] in values[0])


def upper(frame: Frame, focus: Collection) -> Collection:
    return _mapped(frame, focus, str.upper)


def lower(frame: Frame, focus: Collection) -> Collection:
    return _mapped(frame, focus, str.lower)


def trim(frame: Frame, focus: Collection) -> Collection:
    return _mapped(frame, focus, str.strip)


def _mapped(frame: Frame, focus: Collection, change: Callable[[str], str]) -> Collection:
    values = _strings(frame, focus)
    return EMPTY if values is None else string(change(values[0]))


def replace(frame: Frame, focus: Collection, pattern: Collection, substitution: Collection) -> Collection:
    values = _strings(frame, focus, pattern, substitution)
    if values is None:
        return EMPTY
    frame.read(values[0].count(values[1]) * len(values[2]))
    return string(values[0].replace(values[1], values[2]))


def matches(frame: Frame, focus: Collection, regex: Collection) -> Collection:
    """Whether the pattern is found anywhere in the text; `.` takes line ends too."""
    values = _strings(frame, focus, regex)
    return EMPTY if values is None else boolean(_pattern(frame, *values).search(values[0]) is not None)


def matches_full(frame: Frame, focus: Collection, regex: Collection) -> Collection:
    values = _strings(frame, focus, regex)
    return EMPTY if values is None else boolean(_pattern(frame, *values).fullmatch(values[0]) is not None)


def replace_matches(frame: Frame, focus: Collection, regex: Collection, substitution: Collection) -> Collection:
    values = _strings(frame, focus, regex, substitution)
    if values is None:
        return EMPTY
    if not values[1]:
        return string(values[0])
    frame.read((len(values[0]) + 1) * len(values[2]))
    frame.spend(len(values[0]) // _REPLACED_PER_STEP)
    pattern = _pattern(frame, values[0], values[1])
    parts: list[Any] = _GROUP.split(values[2])  # every second one names a group
    parts[1::2] = [int(name) if name.isdigit() else name for name in (part.strip("{}") for part in parts[1::2])]
    if any(name > pattern.groups if type(name) is int else name not in pattern.groupindex for name in parts[1::2]):
        raise FhirPathEvaluationError("the substitution names a group that the pattern does not have")

    def replaced(match: Any) -> str:
        return "".join((match[part] or "") if place % 2 else part for place, part in enumerate(parts))

    return string(pattern.sub(replaced, values[0]))


def _pattern(frame: Frame, subject: str, regex: str) -> Any:
    """Return a pattern of the engine that the environment asks for: both have the methods used here."""
    if not frame.environment.safe_patterns:
        return _any_pattern(regex)
    try:
        subject.encode()
        pattern = _safe_pattern(regex)
    except UnicodeEncodeError:
        raise FhirPathEvaluationError("half of a surrogate pair is no character") from None
    frame.spend(len(subject) * pattern.programsize // _INSTRUCTIONS_PER_STEP)
    return pattern


@lru_cache(maxsize=128)
def _safe_pattern(regex: str) -> Any:
    """Return a pattern that takes time in proportion to the text, whatever it is: RE2 does not backtrack.

    https://github.com/google/re2/wiki/WhyRE2. Look-around and back-references it has not, and its \\w, \\d and \\s are
    ASCII's.
    """
    options = re2.Options()
    options.log_errors = False
    options.dot_nl = True
    options.max_mem = _PATTERN_MEMORY
    try:
        return re2.compile(regex, options=options)
    except re2.error as error:
        raise FhirPathEvaluationError("not a regular expression, or one with look-around or back-references") from error


@lru_cache(maxsize=512)
def _any_pattern(regex: str) -> re.Pattern[str]:
    """Return the compiled pattern. Raises FhirPathEvaluationError if it is none."""
    try:
        return re.compile(regex, re.DOTALL)
    except (re.error, RecursionError, OverflowError) as error:
        raise FhirPathEvaluationError(f"not a regular expression: {error}") from error


def length(frame: Frame, focus: Collection) -> Collection:
    value = text(focus)
    return EMPTY if value is None else integer(len(value))


def to_chars(frame: Frame, focus: Collection) -> Collection:
    value = text(focus) or ""
    frame.spend(len(value))
    return [node for character in value for node in string(character)]


def split(frame: Frame, focus: Collection, separator: Collection) -> Collection:
    values = _strings(frame, focus, separator)
    if values is None:
        return EMPTY
    parts = values[0].split(values[1]) if values[1] else list(values[0])
    frame.spend(len(parts))
    return [node for part in parts for node in string(part)]


def join(frame: Frame, focus: Collection, separator: Collection = EMPTY) -> Collection:
    if not focus:
        return EMPTY
    parts = _strings(frame, *([node] for node in focus if node.value is not None)) or []
    glue = text(separator) or ""
    frame.read(sum(map(len, parts)) + len(parts) * len(glue))
    return string(glue.join(parts))


def encode(frame: Frame, focus: Collection, form: Collection) -> Collection:
    return _recoded(frame, focus, form, _ENCODERS)


def decode(frame: Frame, focus: Collection, form: Collection) -> Collection:
    return _recoded(frame, focus, form, _DECODERS)


def escape(frame: Frame, focus: Collection, target: Collection) -> Collection:
    return _recoded(frame, focus, target, _ESCAPERS)


def unescape(frame: Frame, focus: Collection, target: Collection) -> Collection:
    return _recoded(frame, focus, target, _UNESCAPERS)


def _recoded(frame: Frame, focus: Collection, form: Collection, coders: dict[str, Callable[[str], str]]) -> Collection:
    values = _strings(frame, focus, form)
    if values is None or values[1] not in coders:
        return EMPTY
    try:
        return string(coders[values[1]](values[0]))
    except (binascii.Error, ValueError) as error:
        raise FhirPathEvaluationError(f"not {values[1]}") from error


_ENCODERS: dict[str, Callable[[str], str]] = {
    "base64": lambda value: base64.b64encode(value.encode()).decode(),
    "urlbase64": lambda value: base64.urlsafe_b64encode(value.encode()).decode(),
    "hex": lambda value: value.encode().hex(),
}
_DECODERS: dict[str, Callable[[str], str]] = {
    "base64": lambda value: base64.b64decode(value, validate=True).decode(),
    "urlbase64": lambda value: base64.urlsafe_b64decode(value).decode(),
    "hex": lambda value: bytes.fromhex(value).decode(),
}
_ESCAPERS: dict[str, Callable[[str], str]] = {
    "html": html.escape,
    "json": lambda value: json.dumps(value, ensure_ascii=False)[1:-1],
}
_UNESCAPERS: dict[str, Callable[[str], str]] = {
    "html": html.unescape,
    "json": lambda value: _JSON_ESCAPE.sub(lambda match: str(json.loads(f'"{match.group()}"')), value),
}
