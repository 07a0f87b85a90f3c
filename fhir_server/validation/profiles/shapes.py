"""The form of an ElementDefinition, as far as it is read. https://hl7.org/fhir/R4/elementdefinition.html

A StructureDefinition may come from anywhere; who compiles it need not ask again what is a list and what is text.
"""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_TEXTS = [str]
_FORMS: Json = {
    "id": str,
    "path": str,
    "sliceName": str,
    "contentReference": str,
    "slicing": {"discriminator": [{"type": str, "path": str}], "rules": str},
    "type": [
        {"code": str, "profile": _TEXTS, "targetProfile": _TEXTS, "aggregation": _TEXTS, "versioning": str},
    ],
    "constraint": [{"key": str, "severity": str, "expression": str, "human": str}],
    "binding": {"strength": str, "valueSet": str, "extension": [{"url": str}]},
}


def malformed(element: Json) -> str:
    """Return the name of a part that has another form than it should, or nothing."""
    return next((name for name, form in _FORMS.items() if name in element and not _has(element[name], form)), "")


def _has(value: Any, form: Any) -> bool:
    if type(form) is dict:
        return type(value) is dict and all(_has(value[name], one) for name, one in form.items() if name in value)
    if type(form) is list:
        return type(value) is list and all(_has(one, form[0]) for one in value)
    return type(value) is form
