"""Which SearchParameter resources come into force for a tenant, and why one does not.

https://hl7.org/fhir/R4/searchparameter.html. Only active ones count: a draft is somebody's work in progress. One that
derives from a parameter of the specification, or has its url or says the same, is served by that one already.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from fhir_server.fhir.definitions import Definitions
from fhir_server.fhir.fhirpath import FhirPathError, compile
from fhir_server.fhir.outcomes import Issue
from fhir_server.search.custom import FITTING, Custom
from fhir_server.search.expressions import is_path, objection
from fhir_server.search.parameters import Parameter, Parameters, branches

Json = dict[str, Any]

TYPE = "SearchParameter"
MAX_CUSTOMS = 500
MAX_EXPRESSION = 2_000
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_CHOICE = re.compile(r"(?<=\.)value([A-Z]\w*)\b(?!\s*\()")


_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Acceptance:
    """Judges SearchParameters against the specification's; one for the server."""

    definitions: Definitions
    core: Parameters

    @cached_property
    def _core_urls(self) -> frozenset[str]:
        return frozenset(row.url for row in self.definitions.search_parameters)

    @cached_property
    def _suffixes(self) -> dict[str, str]:
        value = self.definitions.types["Extension"].element("value")
        assert value is not None, "an extension has a value"
        return {name.removeprefix("value"): ref.code for name, ref in value.json_names().items()}

    def findings(self, resource: Json, others: Sequence[Custom], key: str | None = None) -> list[Issue]:
        """Return why a valid SearchParameter cannot come into force beside others; nothing for one that need not.

        `key` is what it is stored as, empty for a new one; where it is not known yet, it may be any that has its url.
        """
        if not self.counts(resource):
            return []
        made = self.read(resource, key or "")
        rest = [o for o in others if (o.url != made.url if key is None else o.key != key)]
        issues = [*self._naming(made), *self._reading(resource, made, rest), *self._clashes(made, rest)]
        if len(rest) >= MAX_CUSTOMS:
            text = f"There are {MAX_CUSTOMS} search parameters in force already; retire one first."
            issues.append(Issue("too-costly", text, "SearchParameter.status"))
        return issues

    def findings_together(
        self, resources: Sequence[tuple[str | None, Json]], others: Sequence[Custom]
    ) -> list[list[Issue]]:
        """Return what `findings` does for each of several that are written together: they may name each other."""
        made = [self.read(r, key or f"#{i}") if self.counts(r) else None for i, (key, r) in enumerate(resources)]
        found: list[list[Issue]] = []
        for place, (key, resource) in enumerate(resources):
            if made[place] is None:
                found.append([])
                continue
            company = [m for i, m in enumerate(made) if m is not None and i != place]
            settled = {k for i, (k, _) in enumerate(resources) if i != place} | {m.url for m in company}
            rest = [o for o in others if o.key not in settled and o.url not in settled]
            found.append(self.findings(resource, [*rest, *company], key))
        return found

    def in_force(self, found: Iterable[tuple[str, Json]], before: Sequence[Custom], generation: int) -> list[Custom]:
        """Return the parameters in force, of all SearchParameters by key, that follow on those `before`.

        One that was in force keeps its place against a newcomer; what is new or reads something else than before is
        of the new generation and not ready. Those that cannot come into force are left out.
        """
        old = {c.key: c for c in before}
        rows = [(self.read(resource, key), resource) for key, resource in found if self.counts(resource)]
        rows.sort(key=lambda row: (row[0].type == "composite", row[0].key not in old, row[0].key))
        taken: list[Custom] = []
        for made, resource in rows:
            if issues := self.findings(resource, taken, made.key):
                _log.warning("search_parameter_not_in_force key=%s reason=%s", made.key, issues[0].diagnostics)
                continue
            same = old.get(made.key)
            if same is not None and same.digest == made.digest:
                taken.append(same)
            else:
                taken.append(msgspec.structs.replace(made, since=generation))
        return sorted(taken, key=lambda c: c.key)

    def read(self, resource: Json, key: str) -> Custom:
        """Return the parameter that a valid SearchParameter describes."""
        parts = ((_plain(c["definition"]), self._choices(c["expression"])) for c in resource.get("component", ()))
        anything = sorted(self.definitions.resource_types) if resource["type"] == "reference" else ()
        targets = resource.get("target", anything)
        return Custom(
            key=key,
            url=resource["url"],
            code=resource["code"],
            type=resource["type"],
            bases=tuple(resource["base"]),
            expression=self._choices(resource.get("expression", "")),
            targets=tuple(targets),
            components=tuple(parts),
        )

    def types_of(self, bases: Iterable[str]) -> list[str]:
        """Return the concrete types that parameters of these bases are for."""
        wanted = frozenset(bases)
        types = self.definitions.resource_types
        return sorted(t for t in types if wanted.intersection(self.definitions.ancestors(t)))

    def _choices(self, expression: str) -> str:
        """Write `extension.valueCode`, as many guides have it, the way FHIRPath does."""
        return _CHOICE.sub(
            lambda one: f"value.as({self._suffixes[one[1]]})" if one[1] in self._suffixes else one[0], expression
        )

    def counts(self, resource: Json) -> bool:
        """Whether a valid SearchParameter is to come into force, and is not served by one of the specification's."""
        if resource.get("status") != "active":
            return False
        if resource["url"] in self._core_urls or _plain(resource.get("derivedFrom", "")) in self._core_urls:
            return False
        made = self.read(resource, "")
        return not all(_says_the_same(made, self.core.of(t)) for t in self.types_of(made.bases))

    def _naming(self, made: Custom) -> Iterator[Issue]:
        if not _CODE.fullmatch(made.code):
            text = "A code has letters, digits, - and _, and begins with none of these two: it stands in URLs."
            yield Issue("value", text, "SearchParameter.code")
        if made.type not in FITTING and made.type != "composite":
            text = f"Parameters of the type {made.type} are not supported; {', '.join([*FITTING, 'composite'])} are."
            yield Issue("not-supported", text, "SearchParameter.type")
        if not made.expression:
            text = "An active parameter needs a FHIRPath expression; XPath is not evaluated. Or make it a draft."
            yield Issue("required", text, "SearchParameter.expression")

    def _clashes(self, made: Custom, others: Sequence[Custom]) -> Iterator[Issue]:
        for resource_type in self.types_of(made.bases):
            own = self.core.of(resource_type).get(made.code)
            if own is not None:
                yield Issue(
                    "business-rule",
                    f"{resource_type} has a parameter {made.code} of the specification ({own.url}). Take another code, "
                    "or say derivedFrom that one if it means the same.",
                    "SearchParameter.code",
                )
                break
        types = frozenset(self.types_of(made.bases))
        for other in others:
            if other.url == made.url:
                text = f"{other.key} has this url already. Update that one, or retire it first."
                yield Issue("duplicate", text, "SearchParameter.url")
            elif other.code == made.code and types.intersection(self.types_of(other.bases)):
                text = f"{other.key} ({other.url}) has this code already. Take another one, or retire that first."
                yield Issue("duplicate", text, "SearchParameter.code")

    def _reading(self, resource: Json, made: Custom, others: Sequence[Custom]) -> Iterator[Issue]:
        if made.expression and (wrong := self._expression(made)):
            yield Issue("invalid", wrong, "SearchParameter.expression")
        if made.type != "composite":
            return
        if len(made.components) < 2:
            yield Issue("required", "A composite has two components or more.", "SearchParameter.component")
        for index, (url, expression) in enumerate(made.components):
            where = f"SearchParameter.component[{index}]"
            if not self._knows(url, made, others):
                text = f"{url[:200]} is no parameter in force of {', '.join(made.bases)}. Create that one first."
                yield Issue("not-found", text, f"{where}.definition")
            if wrong := _part(expression):
                yield Issue("invalid", wrong, f"{where}.expression")

    def _expression(self, made: Custom) -> str:
        """Return what is wrong with the expression, or ''."""
        if len(made.expression) > MAX_EXPRESSION:
            return f"The expression has more than {MAX_EXPRESSION} characters."
        try:
            refused = objection(made.expression)
        except FhirPathError as error:
            refused = f"{error}."
        if refused:
            return refused
        for resource_type in self.types_of(made.bases):
            text = branches(made.expression, resource_type)
            if not text:
                return f"No part of the expression is about {resource_type}, which is a base."
            try:
                types = compile(text, resource_type, strict=True).types
            except FhirPathError as error:
                return f"{error} (for {resource_type})."
            fitting = FITTING.get(made.type)
            if types is not None and fitting is not None and not types & fitting:
                found = ", ".join(sorted(types)) or "nothing"
                way_out = " Add .value to it." if "Extension" in types else ""
                return f"The expression selects {found}; {made.type} parameters cannot index that.{way_out}"
        return ""

    def _knows(self, url: str, made: Custom, others: Sequence[Custom]) -> bool:
        """Whether every base of a composite has the parameter of a component."""
        own = frozenset(t for o in others if o.url == url and o.type != "composite" for t in self.types_of(o.bases))
        return all(
            t in own or any(p.url == url and p.type in FITTING for p in self.core.of(t).values())
            for t in self.types_of(made.bases)
        )


def _says_the_same(made: Custom, core: Mapping[str, Parameter]) -> bool:
    own = core.get(made.code)
    return own is not None and own.type == made.type and own.expression == branches(made.expression, own.resource_type)


def _part(expression: str) -> str:
    """Return what is wrong with the expression of a component, or ''."""
    try:
        compile(expression)
        fine = len(expression) <= MAX_EXPRESSION and is_path(expression)
    except FhirPathError as error:
        return f"{error}."
    return "" if fine else "The expression of a component is a path such as code or value.as(Quantity)."


def _plain(canonical: str) -> str:
    return canonical.partition("|")[0]
