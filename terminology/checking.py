"""Is this code right? One coding checked against its code system and a value set.

https://hl7.org/fhir/R4/valueset-operation-validate-code.html. Everything that is wrong is found, not only the first
thing; what cannot be known (a code system that is not here) is told apart from what is wrong.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from terminology import forms, issues
from terminology.codesystem import CodeSystem, Node
from terminology.displays import check_display
from terminology.failures import Contentless, Unknown, canonical
from terminology.languages import choose, names
from terminology.sources import Sources
from terminology.statuses import (
    DEPRECATED_HERE,
    STANDARDS_STATUS,
    code_systems,
    extension_value,
    imported,
    selections,
    status_of,
)
from terminology.stored import StoredCodeSystem
from terminology.valueset import Entry, ValueSet
from terminology.verdicts import Place, Rules, Verdict
from terminology.versions import order

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Checker:
    """Checks codings against one value set, or against their code systems alone where there is none.

    `rebuild` makes the value set anew with the version of a code system (`url|version`) where it names none itself.
    """

    sources: Sources
    value_set: ValueSet | None
    rules: Rules
    rebuild: Callable[[str], Awaitable[ValueSet]] | None = None

    async def check(self, coding: Json, place: Place, *, infer: bool = False) -> Verdict:
        """Return everything about one coding."""
        verdict = Verdict(str(coding.get("system", "")), str(coding.get("code", "")), str(coding.get("version", "")))
        if self.value_set is not None:
            await self.value_set.prepare(verdict.system, verdict.code)
        if not verdict.system and infer and not self._infer(verdict, place):
            return verdict
        source = await self._source(verdict, place)
        value_set = await self._fitting(verdict, coding, source)
        if value_set is not self.value_set and value_set is not None:
            await value_set.prepare(verdict.system, verdict.code)
        if isinstance(source, StoredCodeSystem):
            await source.fetch([verdict.code])
        entry = self._membership(verdict, coding, source, place, value_set)
        if entry is not None and source is None:
            # The value set lists the code: that its system is not here leaves only its name unchecked.
            verdict.findings = [
                replace(f, severity="warning") if f.kind == "not-found" else f for f in verdict.findings
            ]
        if entry is None and source is not None:
            node = source.get(verdict.code)
            if node is not None:
                entry = Entry(verdict.system, source.version, node.code, {}, node, source)
            elif not self.rules.membership_only:
                self._unknown_code(verdict, source, place)
        if entry is not None:
            self._describe(verdict, entry, coding, place)
        if verdict.is_member and verdict.is_right:
            self._statuses(verdict, source)
        return verdict

    def _infer(self, verdict: Verdict, place: Place) -> bool:
        """Take the system from the value set; False, with findings, where there is none or more than one."""
        assert self.value_set is not None
        found = list(dict.fromkeys(e.system for e in self._matches(self.value_set, verdict, place)))
        if len(found) == 1:
            verdict.system = found[0]
            return True
        self._miss(verdict, {"code": verdict.code}, place)
        value_set = canonical(self.value_set.url, self.value_set.version)
        text = f"The System URI could not be determined for the code '{verdict.code}' in the ValueSet '{value_set}'"
        if found:
            verdict.is_ambiguous = True
            name = "Unable_to_resolve_system__value_set_has_multiple_matches"
            text += f": value set expansion has multiple matches: [{', '.join(sorted(found))}]"
        else:
            name = "UNABLE_TO_INFER_CODESYSTEM"
            text += f": none of its systems has it: [{', '.join(sorted(s.url for s in code_systems(self.value_set)))}]"
        verdict.add("error", "not-found", "cannot-infer", text, place.of("code"), name)
        return False

    async def _source(self, verdict: Verdict, place: Place) -> CodeSystem | None:
        """Return the code system of the coding, or None with what is wrong about it."""
        system = verdict.system
        if not system:
            verdict.is_undecided = True
            verdict.add(
                "warning", "invalid", "invalid-data", _NO_SYSTEM, place.whole, "Coding_has_no_system__cannot_validate"
            )
            return None
        if ":" not in system:
            text = "Coding.system must be an absolute reference, not a local reference"
            verdict.add("error", "invalid", "invalid-data", text, place.of("system"), "Terminology_TX_System_Relative")
        try:
            source = await self.sources.code_system(system, verdict.version)
        except Unknown as unknown:
            if unknown.versions or not self._has_told_form(verdict, place):
                await self._unknown(verdict, unknown, place)
            return None
        if not source.has_content:
            if self._has_told_form(verdict, place):
                return None
            text = str(Contentless(system, source.version))
            verdict.add("error", "not-supported", "not-found", text, place.of("system"), "")
            return None
        verdict.version = source.version
        return source

    def _has_told_form(self, verdict: Verdict, place: Place) -> bool:
        """Whether the form of the code says all there is to say of it; that it is wrong is noted."""
        wrong = forms.complaint(verdict.system, verdict.code)
        if wrong:
            text = f"{issues.unknown_code(verdict.code, verdict.system, '')}: {wrong}"
            verdict.add("error", "code-invalid", "invalid-code", text, place.of("code"), "Unknown_Code_in_Version")
        return wrong is not None

    def _unknown_code(self, verdict: Verdict, source: CodeSystem, place: Place) -> None:
        partial = source.is_partial
        if partial and self.value_set is None:
            verdict.is_undecided = True
        text = issues.unknown_code(verdict.code, verdict.system, source.version, is_fragment=partial)
        severity, name = ("warning", "UNKNOWN_CODE_IN_FRAGMENT") if partial else ("error", "Unknown_Code_in_Version")
        verdict.add(severity, "code-invalid", "invalid-code", text, place.of("code"), name, is_said=not partial)

    async def _unknown(self, verdict: Verdict, unknown: Unknown, place: Place) -> None:
        system = verdict.system
        supplement = await self.sources.is_supplement(system)
        if supplement is not None:
            name = canonical(system, supplement)
            text = f"CodeSystem {name} is a supplement, so can't be used as a value in Coding.system"
            verdict.add("error", "invalid", "invalid-data", text, place.of("system"), "CODESYSTEM_CS_NO_SUPPLEMENT")
            verdict.is_member = False
            return
        if unknown.versions:
            verdict.unknown_system = canonical(system, verdict.version)
            text = issues.missing_version(system, verdict.version, unknown.versions)
            verdict.add("error", "not-found", "not-found", text, place.of("system"), "UNKNOWN_CODESYSTEM_VERSION")
            return
        if await self._is_value_set(system):
            text = f"The Coding references a value set, not a code system ('{system}')"
            verdict.add("error", "invalid", "invalid-data", text, place.of("system"), "Terminology_TX_System_ValueSet2")
            return
        includes = self.value_set.includes if self.value_set is not None else ()
        is_needed = any(s.system == system and s.listed is None for s in includes)
        text = issues.missing_system(system, quoted=is_needed or ":" not in system)
        verdict.add("error", "not-found", "not-found", text, place.of("system"), "UNKNOWN_CODESYSTEM")
        if is_needed:
            verdict.causing_system = system
        else:
            verdict.unknown_system = system

    async def _is_value_set(self, url: str) -> bool:
        try:
            await self.sources.value_set(url)
        except Unknown:
            return False
        return True

    async def _fitting(self, verdict: Verdict, coding: Json, source: CodeSystem | None) -> ValueSet | None:
        """Return the value set, in the version of the code system that the coding names where it leaves that open."""
        version = coding.get("version")
        if self.value_set is None or self.rebuild is None or not version or source is None:
            return self.value_set
        is_open = any(
            s.system == verdict.system and not s.pinned and s.version != version for s in selections(self.value_set)
        )
        return await self.rebuild(canonical(verdict.system, str(version))) if is_open else self.value_set

    def _matches(self, value_set: ValueSet, verdict: Verdict, place: Place) -> list[Entry]:
        """Return the entries of a code; that the value set needs a code system which is not here is noted."""
        try:
            return list(value_set.matches(verdict.system, verdict.code))
        except Unknown as unknown:
            by_form = _by_form(value_set, verdict)
            if by_form is not None:
                return by_form
            verdict.is_undecided = True
            verdict.causing_system = canonical(unknown.url, unknown.version)
            text = issues.missing_version(unknown.url, unknown.version, unknown.versions)
            name = "UNKNOWN_CODESYSTEM_VERSION" if unknown.version else "UNKNOWN_CODESYSTEM"
            verdict.add("error", "not-found", "not-found", text, place.of("system"), name)
        except Contentless as error:
            by_form = _by_form(value_set, verdict)
            if by_form is not None:
                return by_form
            verdict.is_undecided = True
            if not any(f.text == str(error) for f in verdict.findings):
                verdict.add("error", "not-supported", "not-found", str(error), place.of("system"), "")
            verdict.is_member = False
        return []

    def _membership(
        self, verdict: Verdict, coding: Json, source: CodeSystem | None, place: Place, value_set: ValueSet | None
    ) -> Entry | None:
        """Return the entry of the value set for the coding, or None; a miss is noted."""
        if value_set is None:
            return None
        known: list[Entry] = []
        if verdict.system and not verdict.causing_system:
            known = self._matches(value_set, verdict, place)
        found = [e for e in known if _is_version(e, coding)]
        drawn_on = {s.version for s in selections(value_set) if s.system == verdict.system}
        if known and not found and coding.get("version") not in drawn_on:
            text = issues.other_version(verdict.system, known[0].version, str(coding.get("version")))
            verdict.add("error", "invalid", "vs-invalid", text, place.of("version"), "VALUESET_VALUE_MISMATCH")
        entry = _best(found, coding.get("display"))
        if entry is not None and self._is_allowed(verdict, entry, place):
            if entry.version:
                verdict.version = entry.version
            return entry
        is_unfinished = source is not None and source.is_partial and source.get(verdict.code) is None
        if (is_unfinished or verdict.unknown_system) and (known or _draws_on(value_set, verdict.system)):
            verdict.is_undecided = True
        is_untold = verdict.causing_system or (is_unfinished and self._may_hold(verdict)) or not verdict.is_member
        if not is_untold:
            self._miss(verdict, coding, place)
        elif verdict.causing_system:
            verdict.is_member = False
        return entry

    def _may_hold(self, verdict: Verdict) -> bool:
        """Whether the value set takes the whole of the code's system, so that an unknown code may be in it."""
        assert self.value_set is not None
        whole = (i for i in self.value_set.includes if i.listed is None and not i.tests and not i.imports)
        return any(i.system == verdict.system for i in whole)

    def _is_allowed(self, verdict: Verdict, entry: Entry, place: Place) -> bool:
        if entry.is_abstract and not self.rules.abstract_allowed:
            text = f"Code '{verdict.system}#{verdict.code}' is abstract, and not allowed in this context"
            verdict.add("error", "business-rule", "code-rule", text, place.of("code"), "ABSTRACT_CODE_NOT_ALLOWED")
            return False
        if entry.is_inactive and self.rules.active_only:
            text = f"The concept '{verdict.code}' is valid but is not active"
            verdict.add("error", "business-rule", "code-rule", text, place.of("code"), "STATUS_CODE_WARNING_CODE")
            return False
        return True

    def _miss(self, verdict: Verdict, coding: Json, place: Place) -> None:
        """Note that the value set lacks the code: for one coding of several that is no error by itself."""
        assert self.value_set is not None
        verdict.is_member = False
        version = f"|{coding['version']}" if coding.get("version") else ""
        said = f"{verdict.system}{version}#{verdict.code}"
        if coding.get("display"):
            said += f" ('{coding['display']}')"
        name = canonical(self.value_set.url, self.value_set.version) or "(unidentified)"
        text = issues.not_in_value_set(said, name)
        if place.kind == "concept":
            where = place.of("code")
            verdict.add("information", "code-invalid", "this-code-not-in-vs", text, where, _NOT_IN, is_said=False)
        else:
            verdict.add("error", "code-invalid", "not-in-vs", text, place.of("code"), _NOT_IN)

    def _describe(self, verdict: Verdict, entry: Entry, coding: Json, place: Place) -> None:
        """Note what is known of the concept: its name, whether it is still in use."""
        shown = choose(names(entry), replace(self.rules.languages, is_strict=False))
        verdict.display = shown.value if shown is not None else ""
        if self.rules.membership_only:
            return
        self._activity(verdict, entry, place)
        if entry.code != verdict.code and entry.source is not None:
            verdict.normal_code = entry.code
            name = canonical(verdict.system, entry.source.version)
            text = issues.other_case(verdict.code, entry.code, name)
            verdict.add("information", "business-rule", "code-rule", text, place.of("code"), "CODE_CASE_DIFFERENCE")
        given = coding.get("display")
        if given:
            verdict.findings += check_display(
                entry, str(given), self.rules.languages, place.of("display"), self.rules.lenient_display
            )

    def _activity(self, verdict: Verdict, entry: Entry, place: Place) -> None:
        node, source = entry.node, entry.source
        if node is None or source is None:
            return
        status = str(next(node.values(source.property_names("status")), ""))
        if entry.is_inactive:
            verdict.is_inactive = True
            verdict.status = status if status not in ("", "inactive") else ""
            said = f"{status} and inactive" if verdict.status else "inactive"
            text = f"The concept '{verdict.code}' has a status of {said} and its use should be reviewed"
            verdict.add(
                "warning", "business-rule", "code-comment", text, place.whole or "code", "INACTIVE_CONCEPT_FOUND"
            )
        elif _is_deprecated(node):
            verdict.status = "deprecated"
            text = f"The concept '{verdict.code}' is deprecated and its use should be reviewed"
            verdict.add("warning", "business-rule", "code-comment", text, place.of("code"), "DEPRECATED_CONCEPT_FOUND")
        if self.value_set is not None and verdict.is_member and _is_deprecated_here(entry):
            value_set = canonical(self.value_set.url, self.value_set.version)
            text = (
                f"The presence of the concept '{verdict.code}' in the system '{verdict.system}' in the value set "
                f"{value_set} is marked with a status of deprecated and its use should be reviewed"
            )
            name = "CONCEPT_DEPRECATED_IN_VALUESET"
            verdict.add("warning", "business-rule", "code-comment", text, place.of("code"), name, is_said=False)

    def _statuses(self, verdict: Verdict, source: CodeSystem | None) -> None:
        """Note which of the resources that were used are drafts, experiments or on their way out."""
        for status, what in dict.fromkeys(self._references(source)):
            text, name = f"Reference to {status} {what}", f"MSG_{status.upper()}"
            verdict.add("information", "business-rule", "status-check", text, "", name, is_said=False)

    def _references(self, source: CodeSystem | None) -> Iterator[tuple[str, str]]:
        if source is not None and (status := status_of(source.head)):
            yield status, f"CodeSystem {canonical(source.url, source.version)}"
        for one in () if self.value_set is None else (self.value_set, *imported(self.value_set)):
            status = status_of(one.resource)
            if status and one.url:
                yield status, f"ValueSet {canonical(one.url, one.version)}"


_NOT_IN = "None_of_the_provided_codes_are_in_the_value_set_one"
_NO_SYSTEM = (
    "Coding has no system. A code with no system has no defined meaning, and it cannot be validated. A system should "
    "be provided"
)


def _by_form(value_set: ValueSet, verdict: Verdict) -> list[Entry] | None:
    """Return the entries of a code in systems that are a grammar and belong as a whole; None where they do not tell."""
    whole = value_set.open_systems & ({verdict.system} if verdict.system else value_set.open_systems)
    told = {system: forms.complaint(system, verdict.code) for system in whole}
    found = [Entry(system, "", verdict.code, {}) for system, wrong in told.items() if wrong == ""]
    return found if found or (told and None not in told.values()) else None


def _draws_on(value_set: ValueSet, system: str) -> bool:
    """Whether more of a system may be in the value set than it lists."""
    return any(s.system == system and s.listed is None for s in selections(value_set))


def _is_version(entry: Entry, coding: Json) -> bool:
    return not coding.get("version") or not entry.version or entry.version == coding["version"]


def _best(found: list[Entry], display: Any) -> Entry | None:
    """Return the entry whose name was given, else that of the latest version of the code system."""
    if not found:
        return None
    fitting = [e for e in found if display and any(n.value == display for n in names(e))]
    return max(fitting or found, key=lambda e: order(e.version))


def _is_deprecated(node: Node) -> bool:
    return bool(extension_value(node.extensions, STANDARDS_STATUS) == "deprecated")


def _is_deprecated_here(entry: Entry) -> bool:
    rows = entry.listed.get("extension", ())
    said = (extension_value(rows, DEPRECATED_HERE), extension_value(rows, STANDARDS_STATUS))
    return said[0] in (True, "true") or bool(said[1] == "deprecated")
