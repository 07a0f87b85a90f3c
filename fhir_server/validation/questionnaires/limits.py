"""What an item asks of a value besides its type: length, form, range, decimals, attachments, references, units.

The extensions of the core specification (minLength, regex, minValue, maxValue, maxDecimalPlaces, mimeType, maxSize,
questionnaire-referenceResource, -unitOption, -unitValueSet) and two of SDC (minQuantity, maxQuantity) are looked at.
https://hl7.org/fhir/R4/questionnaire-profiles.html. Regular expressions run on RE2, which takes time in proportion to
the text; one that it cannot run is not looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from fhir_server.api.terminology import Coding
from fhir_server.fhir.fhirpath.references import target_type
from fhir_server.validation.answers import Answers
from fhir_server.validation.findings import Json
from fhir_server.validation.patterns import pattern_of, steps_of
from fhir_server.validation.questionnaires.definition import Item
from fhir_server.validation.questionnaires.values import Value, compare, extensions, rows, value_of

_CORE = "http://hl7.org/fhir/StructureDefinition/"
_SDC = "http://hl7.org/fhir/uv/sdc/StructureDefinition/"

# Says what is wrong with a value, or nothing. A text never repeats the value.
Rule = Callable[[Value], str | None]


def limits_of(item: Item, response: Json, answers: Answers[Any], spend: Callable[[int], None]) -> list[Rule]:
    """Return what the item asks of each of its values; `response` holds what `#id` may refer to.

    `spend` is told the steps of regular expressions, whose work grows with the text and with themselves.
    """
    row = item.row
    rules: list[Rule] = []
    longest = row.get("maxLength")
    if type(longest) is int:
        rules.append(_length(longest, lambda size, limit: size > limit, "at most"))
    for shortest in extensions(row, _CORE + "minLength"):
        if type(shortest) is int:
            rules.append(_length(shortest, lambda size, limit: size < limit, "at least"))
    regexes = [regex for regex in extensions(row, _CORE + "regex") if type(regex) is str and pattern_of(regex)]
    rules += [_form(regex, spend) for regex in regexes]
    rules += [_decimals(most) for most in extensions(row, _CORE + "maxDecimalPlaces") if type(most) is int]
    rules += [_bound(limit, 1, "at most") for limit in _limits(row, "maxValue", "maxQuantity")]
    rules += [_bound(limit, -1, "at least") for limit in _limits(row, "minValue", "minQuantity")]
    rules += _attachments(row) + _references(row, response) + _units(row, answers)
    return rules


def _length(limit: int, is_wrong: Callable[[int, int], bool], word: str) -> Rule:
    def check(value: Value) -> str | None:
        text = value[1]
        if type(text) is not str or not is_wrong(len(text), limit):
            return None
        return f"The answer has {len(text)} characters; {word} {limit} are allowed."

    return check


def _form(regex: str, spend: Callable[[int], None]) -> Rule:
    def check(value: Value) -> str | None:
        text, pattern = value[1], pattern_of(regex)
        if type(text) is not str or not text.isprintable():
            return None
        spend(steps_of(pattern, text))
        if pattern.fullmatch(text):
            return None
        return f"The answer does not match the regular expression {regex[:200]}."

    return check


def _decimals(most: int) -> Rule:
    def check(value: Value) -> str | None:
        number = value[1].get("value") if type(value[1]) is dict else value[1]
        exponent = number.as_tuple().exponent if isinstance(number, Decimal) else 0
        if type(exponent) is not int or -exponent <= most:
            return None
        return f"The answer has {-exponent} decimal places; at most {most} are allowed."

    return check


def _limits(row: Json, core: str, sdc: str) -> list[Value]:
    wanted = (_CORE + core, _SDC + "sdc-questionnaire-" + sdc)
    found = [value_of(one) for one in rows(row, "extension") if one.get("url") in wanted]
    return [value for value in found if value is not None]


def _bound(limit: Value, wrong: int, word: str) -> Rule:
    if type(limit[1]) is dict:
        shown = " ".join(str(limit[1][name]) for name in ("value", "unit") if name in limit[1])
    else:
        shown = str(limit[1])

    def check(value: Value) -> str | None:
        return f"The answer is to be {word} {shown[:64]}." if compare(value, limit) == wrong else None

    return check


def _attachments(row: Json) -> list[Rule]:
    rules: list[Rule] = []
    kinds = [kind for kind in extensions(row, _CORE + "mimeType") if type(kind) is str]
    if kinds:
        rules.append(lambda value: _mime(value[1], kinds) if value[0] == "Attachment" else None)
    for most in extensions(row, _CORE + "maxSize"):
        if type(most) is int or isinstance(most, Decimal):
            rules.append(_size(most))
    return rules


def _mime(attachment: Any, kinds: list[str]) -> str | None:
    given = attachment.get("contentType") if type(attachment) is dict else None
    plain = given.partition(";")[0].strip().lower() if type(given) is str else ""
    for kind in kinds:
        wanted = kind.partition(";")[0].strip().lower()
        if plain == wanted or (wanted.endswith("/*") and plain.startswith(wanted[:-1])):
            return None
    return f"The contentType of the attachment is to be one of {', '.join(kinds[:12])}."


def _size(most: int | Decimal) -> Rule:
    """The size that is stated, and that of the data that is there, are at most so many bytes."""

    def check(value: Value) -> str | None:
        row = value[1] if value[0] == "Attachment" and type(value[1]) is dict else {}
        stated, data = row.get("size"), row.get("data")
        held = len(data.rstrip("=")) * 3 // 4 if type(data) is str else 0
        size = max(stated if type(stated) is int else 0, held)
        return f"The attachment has {size} bytes; at most {most} are allowed." if size > most else None

    return check


def _references(row: Json, response: Json) -> list[Rule]:
    kinds = [kind for kind in extensions(row, _CORE + "questionnaire-referenceResource") if type(kind) is str]
    if not kinds:
        return []

    def check(value: Value) -> str | None:
        target = target_type(value[1], response) if value[0] == "Reference" else None
        if target is None or target in kinds:
            return None
        return f"The answer refers to a {target}; allowed: {', '.join(kinds[:12])}."

    return [check]


def _units(row: Json, answers: Answers[Any]) -> list[Rule]:
    options = [unit for unit in extensions(row, _CORE + "questionnaire-unitOption") if type(unit) is dict]
    codes = {(str(unit.get("system") or ""), str(unit.get("code"))) for unit in options}
    value_sets = [url for url in extensions(row, _CORE + "questionnaire-unitValueSet") if type(url) is str]

    def listed(value: Value) -> str | None:
        unit = _unit(value)
        if unit is None or (unit.system, unit.code) in codes:
            return None
        return f"The unit is to be one of {', '.join(str(one.get('code'))[:40] for one in options[:12])}."

    def member(value: Value) -> str | None:
        unit = _unit(value)
        if unit is None or any(answers.member(url, unit).holds is not False for url in value_sets):
            return None
        return f"The unit is not in the value set {value_sets[0]}."

    rules: list[Rule] = [listed] if options else []
    return [*rules, member] if value_sets else rules


def _unit(value: Value) -> Coding | None:
    row = value[1] if value[0] == "Quantity" and type(value[1]) is dict else {}
    code, system = row.get("code"), row.get("system")
    return Coding(system if type(system) is str else "", code) if type(code) is str else None
