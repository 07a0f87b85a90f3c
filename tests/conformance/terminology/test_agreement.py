"""What validation hears of a coding is what $validate-code says: the terminology tests of HL7, asked both ways."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_server.api import Coding
from terminology import TERMINOLOGY
from tests.conformance.terminology.official_suite import FOLDER, Case, Setup, ask, cases

# Parameters that the port cannot be given, because validation asks about no such thing.
OTHERS = {
    "abstract", "activeOnly", "check-system-version", "codeableConcept", "default-valueset-version",
    "displayLanguage", "force-system-version", "inferSystem", "mode", "profile-url", "system-version", "tx-resource",
    "useSupplement", "valueSet", "valueset-membership-only",
}  # fmt: skip


def _values(case: Case) -> dict[str, Any]:
    rows = case.request["parameter"]
    return {row["name"]: next((v for k, v in row.items() if k not in ("name", "extension")), None) for row in rows}


def _is_plain(case: Case) -> bool:
    given = _values(case)
    if case.operation not in ("validate-code", "cs-validate-code") or case.mode != "general" or OTHERS & given.keys():
        return False
    if "language" in case.name:  # a name is right to the port in any language
        return False
    # A Coding without a system is an error to $validate-code; the port takes the system from the value set.
    return bool(given.get("url")) and ("code" in given or "system" in given.get("coding", {}))


def _coding(given: dict[str, Any], system: str) -> Coding:
    row = given.get("coding", {})
    version = given.get("systemVersion") or (given.get("version") if system else None) or row.get("version")
    return Coding(
        row.get("system") or given.get("system") or system,
        row.get("code") or given.get("code", ""),
        version or "",
        row.get("display") or given.get("display") or "",
    )


CASES = [case for case in cases() if _is_plain(case)]

pytestmark = pytest.mark.skipif(not CASES, reason=f"the terminology tests of HL7 are not here ({FOLDER})")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
async def test_case(case: Case) -> None:
    given = _values(case)
    is_of_system = case.operation == "cs-validate-code"
    name = str(given["url"])
    if given.get("valueSetVersion"):
        name += f"|{given['valueSetVersion']}"
    coding = _coding(given, name if is_of_system else "")
    said = await TERMINOLOGY.check(Setup(case.setup), coding, "" if is_of_system else name)
    status, answer = await ask(case)
    if status != 200:
        assert said.holds is None
        return
    told = {row["name"]: row for row in answer["parameter"]}
    issues = told.get("issues", {}).get("resource", {}).get("issue", ())
    wrong = {i["details"]["coding"][0]["code"] for i in issues if i["severity"] == "error"}
    if said.holds is None:
        kinds = {i["details"]["coding"][0]["code"] for i in issues}
        assert kinds & {"not-found", "invalid-code"} or "FRAGMENT" in str(issues), (said, answer)
        assert said.text
    elif said.holds:
        assert wrong <= {"invalid-display"}, (said, answer)
        assert not said.display or "invalid-display" in {i["details"]["coding"][0]["code"] for i in issues}
        assert said.display or not wrong
    else:
        assert not told["result"]["valueBoolean"], (said, answer)
        assert said.text


def test_enough_cases_are_asked() -> None:
    assert len(CASES) >= 100
