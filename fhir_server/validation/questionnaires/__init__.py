"""Questionnaires, and whether responses to them agree. https://hl7.org/fhir/R4/questionnaireresponse.html"""

from __future__ import annotations

from fhir_server.validation.questionnaires.design import check_questionnaire
from fhir_server.validation.questionnaires.response import check_response

__all__ = ["check_questionnaire", "check_response"]
