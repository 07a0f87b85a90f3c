"""What a filter asks of the index: a criterion, and whether it says all of it. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from fhir_server.api.criteria import Criterion, Everything, Not, Nothing, Or, Present, Term, all_of
from fhir_server.search.indexing import CONTAINED
from fhir_server.search.matching.asking import Setting
from fhir_server.search.parameters import BUILT_IN, Parameter, Parameters
from fhir_server.search.terms import TermHash


@dataclass(frozen=True, slots=True)
class Condition:
    """Holds for every resource that matches, and, if it is `exact`, for no other."""

    where: Criterion
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Index:
    """The index a search is asked of: whose terms, by which parameters, of the resources or of those contained."""

    term: TermHash
    parameters: Parameters
    setting: Setting
    contained: bool = False

    def name(self, parameter: Parameter) -> str:
        """Return the name under which the parameter's values are indexed."""
        return CONTAINED + parameter.index_name if self.contained else parameter.index_name

    def texts(self, texts: Iterable[str], *, broad: bool = False) -> Criterion:
        """Return the criterion of carrying the term of any of these texts."""
        terms = tuple(dict.fromkeys(map(self.term, texts)))
        return Term(terms, broad) if terms else Nothing()


def present(one: Parameter, index: Index) -> Condition:
    """Return the condition of having any value for a parameter, as far as the index knows."""
    if index.contained or one.type == "composite":
        return Condition(Everything(), exact=False)
    if one.code in BUILT_IN:
        return Condition(Everything())  # no resource is without
    if not one.expression:
        return Condition(Nothing())
    return Condition(Present(one.presence), exact=not one.target_type)


def either(conditions: Iterable[Condition]) -> Condition:
    """Return the condition that one of these holds; terms become one term."""
    rows = list(conditions)
    exact = all(c.exact for c in rows)
    wheres = [w for c in rows for w in (c.where.conditions if isinstance(c.where, Or) else (c.where,))]
    if any(isinstance(w, Everything) for w in wheres):
        return Condition(Everything(), exact)
    terms = [w for w in wheres if isinstance(w, Term)]
    others: list[Criterion] = [w for w in dict.fromkeys(wheres) if not isinstance(w, (Term, Nothing))]
    if terms:
        joined = tuple(dict.fromkeys(t for term in terms for t in term.any_of))
        others.insert(0, Term(joined, any(term.broad for term in terms)))
    if not others:
        return Condition(Nothing(), exact)
    return Condition(others[0] if len(others) == 1 else Or(tuple(others)), exact)


def both(conditions: Iterable[Condition]) -> Condition:
    """Return the condition that all of these hold."""
    rows = list(conditions)
    return Condition(all_of(*(c.where for c in rows)), all(c.exact for c in rows))


def negated(one: Condition) -> Condition:
    """Return the condition that this one does not hold; of one that is not exact the index knows nothing then."""
    if not one.exact:
        return Condition(Everything(), exact=False)
    if isinstance(one.where, Nothing):
        return Condition(Everything())
    return Condition(Nothing() if isinstance(one.where, Everything) else Not(one.where))
