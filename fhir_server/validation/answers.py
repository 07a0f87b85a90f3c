"""What a validation asks of others: profiles by canonical, and what terminology says of codes.

A validation walks a resource without waiting for anybody. What it has no answer to yet is noted and taken as unknown;
whoever runs it gets the answers and lets it walk again, so only the last walk, which had all answers, counts.
https://hl7.org/fhir/R4/validation.html
"""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

from fhir_server.api.terminology import Coding, Membership

_P = TypeVar("_P", covariant=True)

Json = dict[str, Any]

UNTOLD = Membership(None)


class Answers(Protocol[_P]):
    """The answers there are; a question that has none yet is noted, and answered with nothing."""

    def profile(self, canonical: str) -> _P | None:
        """Return the profile (`url` or `url|version`), made ready; None where nobody knows it."""
        ...

    def resource(self, kind: str, canonical: str) -> Json | None:
        """Return the definition with a canonical, as a QuestionnaireResponse names its Questionnaire."""
        ...

    def member(self, value_set: str, coding: Coding) -> Membership:
        """Say whether a value set holds a coding."""
        ...

    def concept(self, coding: Coding) -> Membership:
        """Say whether the code system of a coding holds it."""
        ...
