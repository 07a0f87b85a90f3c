"""Queries of every kind over generated resources. https://hl7.org/fhir/R4/search.html"""

from __future__ import annotations

import json
from functools import cache
from typing import Any
from urllib.parse import urlencode

from hypothesis import strategies as st

from tests.conformance.search.defined import parameters
from tests.conformance.search.echoing import ORDERED, asked_last, echoes, escaped
from tests.conformance.search.generating import ELSEWHERE, HERE, IDS, POOLS, Json, Made, one_of
from tests.conformance.search.oracle import Oracle

Pair = tuple[str, str]

ASKED: dict[str, list[str]] = POOLS["asked"]
# Where references lead: what chains, reverse chains and includes may go along.
LINKS: dict[str, dict[str, list[str]]] = POOLS["links"]
UCUM = "http://unitsofmeasure.org"
PREFIXES = ["", "eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]
UNITS = [
    "",
    *(f"|{UCUM}|{c}" for c in ("mg", "g", "Cel", "[degF]", "a")),
    "||mg",
    "||gram",
    "|http://acme.org/units|mg",
]
GENDERS = ["male", "FEMALE", "other", "http://hl7.org/fhir/administrative-gender|male"]
CONCEPTS = {"code", "category", "value-concept", "identifier", "combo-code", "component-code", "type", "characteristic"}
IN_PATIENTS = {"Observation", "Condition", "Encounter", "Provenance", "RiskAssessment", "MedicationRequest", "Group"}
ECHOED = {"", "exact", "contains", "not", "above", "below"}
SORTABLE = {"string", "token", "date", "number", "uri"}
MODIFIERS = {"string": ["contains", "exact"], "token": ["not"], "uri": ["above", "below"], "reference": ["identifier"]}


def pick(*ways: Made) -> Made:
    """Return one of several ways, each as likely as another: one_of would weigh them by the branches they have."""
    return st.integers(0, len(ways) - 1).flatmap(lambda place: ways[place])


def _token(coding: Json, form: str) -> str:
    own, system = escaped(coding["code"]), coding.get("system", "")
    return {"code": own, "both": f"{system}|{own}", "system": f"{system}|" if system else own}[form]


names = st.builds(
    lambda text, start, length: text[start : start + length].strip("\u0301 ") or text,
    one_of(POOLS["names"]),
    st.sampled_from([0, 0, 0, 1, 2]),
    st.integers(1, 12),
)
prefix = one_of(PREFIXES)
days = one_of([*POOLS["dates"], *POOLS["moments"]])
digits = one_of([*POOLS["numbers"], "1.0", "10e-1", "5", "15"])
amounts = one_of([*POOLS["numbers"], *POOLS["amounts"], "40", "35"])
tokens = st.builds(_token, one_of(POOLS["codings"]), st.sampled_from(["code", "both", "both", "system"]))
VALUES: dict[str, Made] = {
    "string": names.map(escaped),
    "date": st.builds(lambda p, day: p + day, prefix, days),
    "number": st.builds(lambda p, text: p + text, prefix, digits),
    "quantity": st.builds(lambda p, text, unit: p + text + unit, prefix, amounts, one_of(UNITS)),
    "token": tokens,
    "uri": one_of(POOLS["urls"]),
    "special": st.builds(
        lambda at, km: f"{at[0]}|{at[1]}|{km}|km", one_of(POOLS["places"]), one_of(["1", "30", "300", "30000"])
    ),
}


def keys(kinds: list[str]) -> Made:
    """Return ids, `Type/id` and URLs of resources, those of another server too."""
    return st.builds(
        lambda kind, at, form: form.format(kind=kind, own=IDS[kind][at % len(IDS[kind])]),
        one_of(kinds),
        st.integers(0, 5),
        one_of(["{own}", "{kind}/{own}", HERE + "/{kind}/{own}", ELSEWHERE + "/{kind}/{own}"]),
    )


@cache
def value(kind: str, code: str) -> Made:
    """Return one value of a parameter."""
    defined = parameters(kind)[code]
    if code == "gender":
        return one_of(GENDERS)
    if code in ("status", "version", "class", "active") or (kind, code) == ("Group", "type"):
        return one_of([*POOLS["statuses"], "true", "false"])
    if code == "questionnaire":
        return one_of(POOLS["canonicals"])
    if defined.type == "reference":
        return keys(LINKS[kind][code])
    if defined.type == "composite":
        by_url = {p.url: c for c, p in parameters(kind).items()}
        return st.tuples(*(value(kind, by_url[url]) for url, _ in defined.components)).map("$".join)
    return VALUES[defined.type]


@cache
def plain(kind: str) -> Made:
    """Return a parameter with or without a modifier."""
    return one_of(ASKED[kind]).flatmap(
        lambda code: pick(_values(kind, code), _values(kind, code), pick(*_modified(kind, code)))
    )


@cache
def _values(kind: str, code: str) -> Made:
    return st.lists(value(kind, code), min_size=1, max_size=2).map(lambda values: (code, ",".join(values)))


@cache
def _modified(kind: str, code: str) -> list[Made]:
    defined = parameters(kind)[code].type
    if defined == "composite":
        return [_values(kind, code)]
    found = [one_of(["true", "false"]).map(lambda text: (f"{code}:missing", text))]
    for modifier in MODIFIERS.get(defined, ()):
        if code != "questionnaire" and (modifier, code) != ("identifier", "patient"):
            values = tokens if modifier == "identifier" else value(kind, code).filter(lambda v: "urn:" not in v)
            found.append(values.map(lambda v, m=modifier: (f"{code}:{m}", v)))
    if code in CONCEPTS:
        found.append(one_of([*POOLS["texts"], "head", "HÉAD", "k"]).map(lambda v: (f"{code}:text", v)))
    if code == "identifier":
        two = st.tuples(one_of([c for c in POOLS["codings"] if "system" in c]), one_of(POOLS["codings"]))
        found.append(two.map(lambda t: ("identifier:of-type", f"{_token(t[0], 'both')}|{escaped(t[1]['code'])}")))
    for target in LINKS.get(kind, {}).get(code, ()):
        found.append(one_of(IDS[target]).map(lambda own, t=target: (f"{code}:{t}", own)))
    return found


@cache
def chained(kind: str, depth: int) -> Made:
    """Return a chain, forward or in reverse, that ends with a parameter of where it leads."""
    ways: list[Made] = [] if depth else [plain(kind)]
    if depth:
        for code, targets in LINKS.get(kind, {}).items():
            for target in targets:
                only = parameters(kind)[code].targets == (target,)
                heads = [f"{code}:{target}.", f"{code}."] if only else [f"{code}:{target}."]
                ways.append(_joined(one_of(heads), chained(target, depth - 1)))
        for source, links in LINKS.items():
            for code, targets in links.items():
                if kind in targets:
                    ways.append(_joined(st.just(f"_has:{source}:{code}:"), chained(source, depth - 1)))
    return pick(*ways) if ways else plain(kind)


def _joined(head: Made, rest: Made) -> Made:
    return st.builds(lambda text, pair: (text + pair[0], pair[1]), head, rest)


@cache
def special(kind: str) -> Made:
    """Return a parameter that every type has."""
    return pick(
        st.lists(one_of(IDS[kind]), min_size=1, max_size=2).map(lambda ids: ("_id", ",".join(ids))),
        one_of(["gt2020", "lt2020", "ge2020-01-01", "le2999", "sa2020", "eb2020-05"]).map(
            lambda v: ("_lastUpdated", v)
        ),
        one_of(IDS["List"]).map(lambda own: ("_list", own)),
        filters(kind).map(lambda text: ("_filter", text)),
    )


@cache
def filters(kind: str) -> Made:
    """Return expressions of `_filter`. https://hl7.org/fhir/R4/search_filter.html"""
    test = one_of(ASKED[kind]).flatmap(lambda code: _test(kind, code))
    for code, targets in LINKS.get(kind, {}).items():
        for target in targets:
            inner = one_of(ASKED[target]).flatmap(lambda c, t=target: _test(t, c))
            test = pick(test, test, inner.map(lambda text, c=code, t=target: f"{c}:{t}.{text}"))
    return pick(
        test,
        st.builds(lambda a, word, b: f"{a} {word} {b}", test, one_of(["and", "or"]), test),
        st.builds(lambda a, b, c: f"({a} or {b}) and {c}", test, test, test),
        test.map(lambda text: f"not ({text})"),
    )


@cache
def _test(kind: str, code: str) -> Made:
    defined = parameters(kind)[code].type
    present = one_of([f"{code} pr true", f"{code} pr false"])
    if defined == "string":
        made = st.builds(lambda op, v: f"{code} {op} {json.dumps(v)}", one_of(["eq", "ne", "co", "sw", "ew"]), names)
    elif defined in ("date", "number"):
        words = ["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", *(["po"] if defined == "date" else [])]
        made = st.builds(lambda op, v: f"{code} {op} {v}", one_of(words), days if defined == "date" else digits)
    elif defined == "token" and code in CONCEPTS:
        made = st.builds(lambda op, v: f"{code} {op} {json.dumps(v)}", one_of(["eq", "ne"]), tokens)
    elif defined == "reference" and code in LINKS.get(kind, {}):
        made = keys(LINKS[kind][code]).map(lambda v: f"{code} re {v}")
    else:
        return present
    return pick(made, made, made, present)


@cache
def sorts(kind: str) -> Made:
    """Return `_sort` of one or two parameters."""
    able = [c for c in ASKED[kind] if parameters(kind)[c].type in SORTABLE] + ["_id"]
    rules = st.lists(
        st.builds(lambda minus, code: minus + code, one_of(["", "-"]), one_of(able)), min_size=1, max_size=2
    )
    return rules.map(lambda found: ("_sort", ",".join(found)))


@cache
def includes(kind: str) -> Made:
    """Return `_include` and `_revinclude`, repeated from what they bring or not."""
    again = one_of(["", ":iterate"])
    found = []
    for source, links in LINKS.items():
        for code, targets in links.items():
            forms = [f"{source}:{code}", f"{source}:*", *(f"{source}:{code}:{t}" for t in targets)]
            if source == kind:
                found.append(st.builds(lambda a, v: (f"_include{a}", v), again, one_of(forms)))
            else:
                found.append(one_of(forms).map(lambda v: ("_include:iterate", v)))
            if kind in targets:
                found.append(st.builds(lambda a, v: (f"_revinclude{a}", v), again, one_of(forms)))
    return pick(*found)


@cache
def query(kind: str) -> Made:
    """Return a query of one type: parameters ANDed, an order, a page size, includes."""
    common = plain(kind)
    single = pick(*[common] * 8, special(kind), chained(kind, 1), chained(kind, 1), chained(kind, 2))
    one = st.tuples(single)
    wanted = pick(one, one, one, one, st.tuples(single, single), st.just(()))
    shaping = [sorts(kind), one_of(["1", "2", "3"]).map(lambda n: ("_count", n)), includes(kind)]
    extra = st.tuples(*(pick(*[st.none()] * 5, one) for one in shaping))
    paths = st.one_of(
        st.just(kind), st.just(kind), st.just(kind), one_of(IDS["Patient"]).map(lambda p: f"Patient/{p}/{kind}")
    )
    return st.builds(
        lambda path, pairs, more: (path, [*pairs, *(one for one in more if one)]),
        paths if kind in IN_PATIENTS else st.just(kind),
        wanted,
        extra,
    )


@cache
def across() -> Made:
    """Return a query of two types at once, by a parameter that both have."""
    two = st.lists(one_of(list(ASKED)), min_size=2, max_size=2, unique=True).filter(lambda t: bool(_common(t)))
    return two.flatmap(
        lambda t: (
            one_of(_common(t))
            .flatmap(lambda code: _values(t[0], code))
            .map(lambda p: ("", [("_type", ",".join(t)), p]))
        )
    )


def _common(kinds: list[str]) -> list[str]:
    first, second = kinds
    return [
        code
        for code in ASKED[first]
        if code in ASKED[second] and parameters(first)[code].type == parameters(second)[code].type != "composite"
    ]


@st.composite
def examples(draw: Any, resources: Made, most: int, least: int = 1) -> tuple[list[Json], list[tuple[str, list[Pair]]]]:
    """Return resources and queries, mostly of the types that are there, and half of them for the values that are."""
    found = draw(resources)
    present = [r["resourceType"] for r in found]
    asked = pick(*(query(kind) for kind in [*present, *present, "Patient"]), across())
    queries = draw(st.lists(asked, min_size=least, max_size=most))
    oracle = Oracle(found)
    return found, [(path, [echoed(draw, oracle, path, pair) for pair in pairs]) for path, pairs in queries]


def echoed(draw: Any, oracle: Oracle, path: str, pair: Pair) -> Pair:
    """Return a parameter with a value that some resource has, or another one that has values; or as it is."""
    kind, code, modifier = asked_last(path.rpartition("/")[2], pair[0])
    if not kind or modifier not in ECHOED or draw(one_of([True, False, False, False])):
        return pair
    name = pair[0]
    if name in ASKED[kind] and not echoes(oracle, kind, code):
        name = code = draw(one_of([c for c in ASKED[kind] if echoes(oracle, kind, c)] or [code]))
    values = [v for v in echoes(oracle, kind, code) if modifier not in ("above", "below") or "urn:" not in v]
    if not values:
        return pair
    ordered = parameters(kind)[code].type in ORDERED
    return name, (draw(prefix) if ordered else "") + draw(one_of(values))


def url(path: str, pairs: list[Pair]) -> str:
    """Return the URL of a query, in percents."""
    return f"{path}?{urlencode([tuple(pair) for pair in pairs])}"
