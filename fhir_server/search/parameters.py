"""The search parameters of each type: what they are called, what they read, and which are the same under two names.

https://hl7.org/fhir/R4/searchparameter.html
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from fhir_server.fhir.definitions import Definitions
from fhir_server.fhir.definitions import SearchParameter as Definition
from fhir_server.fhir.fhirpath import compile
from fhir_server.search.custom import Bounded, Custom, Selector

# Answered by the store's own fields or by the result's shape, so never by an index of their own.
BUILT_IN = frozenset({"_id", "_lastUpdated"})
NOT_INDEXED = frozenset({"_text", "_content", "_query", "_filter", "_list", "_has"})
INDEXED_TYPES = frozenset({"token", "reference", "string", "date", "uri", "number", "quantity", "special"})
_ONLY_TYPE = re.compile(r"\.where\(resolve\(\) is (\w+)\)$")


@dataclass(frozen=True)
class Parameter:
    """One search parameter of one resource type.

    An alias is indexed under another parameter of the type that reads the same element: `patient` is `subject` where
    the target is a Patient. `index_name` is what terms are hashed under; `target_type` what an alias is narrowed to.
    `parts` are the (definition url, expression) pairs of a composite. One that is not `ready` is still being indexed:
    it is written with every resource, and no search may rely on it yet. `digest` tells one of a tenant's own from any
    other that ever had its code, and is empty for the specification's.
    """

    resource_type: str
    code: str
    type: str
    expression: str
    targets: tuple[str, ...]
    url: str
    alias_of: str = ""
    target_type: str = ""
    parts: tuple[tuple[str, str], ...] = ()
    ready: bool = True
    digest: str = ""

    @property
    def index_name(self) -> str:
        """The name under which values of this parameter are indexed."""
        name = f"{self.resource_type}.{self.alias_of or self.code}"
        return f"{name}@{self.digest}" if self.digest else name

    @property
    def presence(self) -> str:
        """The name that says, within the type, that a resource has a value for this parameter."""
        return f"{self.code}@{self.digest}" if self.digest else self.alias_of or self.code

    @cached_property
    def path(self) -> Selector:
        """The compiled expression, resolved for the resource type."""
        compiled = compile(self.expression, self.resource_type)
        return Bounded(compiled, self.url, self.type) if self.digest else compiled


@dataclass(frozen=True)
class Component:
    """One part of a composite: the parameter whose rules its value follows, and where it is under the element."""

    parameter: Parameter
    expression: str


class Parameters:
    """Every search parameter, by resource type and code: the specification's, and a tenant's own with them.

    Those with parameters of a tenant are made from the `core` ones and share with them what is the same.
    """

    def __init__(
        self, definitions: Definitions, core: Parameters | None = None, customs: Iterable[Custom] = ()
    ) -> None:
        self._definitions = definitions
        self._core = core
        self._customs: dict[str, list[Custom]] = {}
        for custom in customs:
            for base in custom.bases:
                self._customs.setdefault(base, []).append(custom)
        self._by_base: dict[str, list[Definition]] = {}
        for row in definitions.search_parameters if core is None else ():
            for base in row.bases:
                self._by_base.setdefault(base, []).append(row)
        self._by_type: dict[str, Mapping[str, Parameter]] = {}
        self._unready: dict[str, Mapping[str, Parameter]] = {}

    @property
    def types(self) -> list[str]:
        """The concrete resource types."""
        return sorted(self._definitions.resource_types)

    def of(self, resource_type: str) -> Mapping[str, Parameter]:
        """Return the parameters by code that resources of the type can be searched by, inherited ones included."""
        known = self._by_type.get(resource_type)
        if known is None:
            known = self._by_type[resource_type] = self._found(resource_type)
        return known

    def unready(self, resource_type: str) -> Mapping[str, Parameter]:
        """Return those of the tenant's parameters that resources of the type are still being indexed by."""
        known = self._unready.get(resource_type)
        if known is None:
            known = self._unready[resource_type] = self._own(resource_type, is_ready=False)
        return known

    def core(self, resource_type: str) -> Mapping[str, Parameter]:
        """Return the specification's parameters of the type: what is the same for all tenants may go by these only."""
        return (self._core or self).of(resource_type)

    def _found(self, resource_type: str) -> Mapping[str, Parameter]:
        if self._core is None:
            bases = self._definitions.ancestors(resource_type)
            rows = [row for base in bases for row in self._by_base.get(base, ())]
            return {p.code: p for p in _without_doubles(resource_type, rows)}
        core = self._core.of(resource_type)
        own = self._own(resource_type, is_ready=True)
        return {**own, **core} if own else core

    def _own(self, resource_type: str, *, is_ready: bool) -> dict[str, Parameter]:
        bases = self._definitions.ancestors(resource_type) if self._customs else ()
        rows = (custom for base in bases for custom in self._customs.get(base, ()))
        return {c.code: _custom(resource_type, c) for c in rows if c.ready is is_ready}

    def components(self, composite: Parameter) -> tuple[Component, ...]:
        """Return the parts of a composite parameter in their order; empty where one of them is not known."""
        by_url = {p.url: p for p in self.of(composite.resource_type).values()}
        if not all(url in by_url for url, _ in composite.parts):
            return ()
        return tuple(Component(by_url[url], expression) for url, expression in composite.parts)

    def indexed(self, resource_type: str) -> Iterable[Parameter]:
        """Yield the parameters whose values go into the index, those that are not ready among them."""
        for parameter in (*self.of(resource_type).values(), *self.unready(resource_type).values()):
            if parameter.alias_of or parameter.code in BUILT_IN or parameter.code in NOT_INDEXED:
                continue
            if parameter.expression and parameter.type in INDEXED_TYPES:
                yield parameter


def _without_doubles(resource_type: str, rows: list[Definition]) -> Iterable[Parameter]:
    expressions = {r.code: branches(r.expression, resource_type) for r in rows}
    owners: dict[tuple[str, str], str] = {}
    for row in rows:
        owners.setdefault((row.type, expressions[row.code]), row.code)
    for row in rows:
        text = expressions[row.code]
        narrowed = _ONLY_TYPE.search(text)
        alias, target = "", ""
        if text and row.type == "reference" and narrowed and (row.type, text[: narrowed.start()]) in owners:
            alias, target = owners[(row.type, text[: narrowed.start()])], narrowed[1]
        elif text and owners[(row.type, text)] != row.code:
            alias = owners[(row.type, text)]
        yield Parameter(resource_type, row.code, row.type, text, row.targets, row.url, alias, target, row.components)


def _custom(resource_type: str, row: Custom) -> Parameter:
    """Return a tenant's parameter for one type; it shares no index with another that reads the same."""
    text = branches(row.expression, resource_type)
    return Parameter(
        resource_type, row.code, row.type, text, row.targets, row.url,
        parts=row.components, ready=row.ready, digest=row.digest,
    )  # fmt: skip


def branches(expression: str, resource_type: str) -> str:
    """Return the branches of a union that can hold for the type: `Observation.code | Procedure.code` -> its own."""
    branches = [b.strip() for b in expression.split(" | ")]
    if any(b.count("(") != b.count(")") for b in branches):
        return expression  # the bar stands inside parentheses
    return " | ".join(b for b in branches if not _of_other_type(b, resource_type))


def _of_other_type(branch: str, resource_type: str) -> bool:
    head = branch.lstrip("(").partition(".")[0]
    return head[:1].isupper() and head not in (resource_type, "Resource", "DomainResource")
