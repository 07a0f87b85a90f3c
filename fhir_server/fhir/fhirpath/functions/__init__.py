"""Every function there is: its name, its implementation and the arguments it takes. https://hl7.org/fhirpath/N1/#functions"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fhir_server.fhir.fhirpath.functions import (
    boundaries,
    combining,
    conversion,
    existence,
    fhir,
    filtering,
    mathematics,
    navigation,
    strings,
    subsetting,
    utility,
)
from fhir_server.fhir.fhirpath.nodes import (
    BOOLEAN,
    DATE,
    DATETIME,
    DECIMAL,
    INTEGER,
    QUANTITY,
    STRING,
    TIME,
    Collection,
)

SAME = "same"  # returns items of its input
UNORDERED = "unordered"  # returns items in no defined order


@dataclass(frozen=True, slots=True)
class Function:
    """A function of the language.

    A lazy one gets its arguments as closures to evaluate per item, the others get collections. `returns` is a type,
    SAME, UNORDERED, or empty where it depends on the data. `ordered` ones mean nothing on an unordered input.
    """

    run: Callable[..., Collection]
    least: int
    most: int
    returns: str = ""
    lazy: bool = False
    ordered: bool = False


def _lazy(run: Callable[..., Collection], least: int, most: int, returns: str = "") -> Function:
    return Function(run, least, most, returns, lazy=True)


def _ordered(run: Callable[..., Collection], arity: int) -> Function:
    return Function(run, arity, arity, SAME, ordered=True)


FUNCTIONS: dict[str, Function] = {
    # existence
    "empty": Function(existence.empty, 0, 0, BOOLEAN),
    "exists": _lazy(existence.exists, 0, 1, BOOLEAN),
    "all": _lazy(existence.all_, 1, 1, BOOLEAN),
    "allTrue": Function(existence.all_true, 0, 0, BOOLEAN),
    "anyTrue": Function(existence.any_true, 0, 0, BOOLEAN),
    "allFalse": Function(existence.all_false, 0, 0, BOOLEAN),
    "anyFalse": Function(existence.any_false, 0, 0, BOOLEAN),
    "subsetOf": Function(existence.subset_of, 1, 1, BOOLEAN),
    "supersetOf": Function(existence.superset_of, 1, 1, BOOLEAN),
    "count": Function(existence.count, 0, 0, INTEGER),
    "distinct": Function(existence.distinct, 0, 0, SAME),
    "isDistinct": Function(existence.is_distinct, 0, 0, BOOLEAN),
    "not": Function(existence.not_, 0, 0, BOOLEAN),
    # filtering and projection; ofType, is and as are syntax to the compiler
    "where": _lazy(filtering.where, 1, 1, SAME),
    "select": _lazy(filtering.select, 1, 1),
    "repeat": _lazy(filtering.repeat, 1, 1),
    "aggregate": _lazy(filtering.aggregate, 1, 2),
    # subsetting
    "single": Function(subsetting.single, 0, 0, SAME),
    "first": _ordered(subsetting.first, 0),
    "last": _ordered(subsetting.last, 0),
    "tail": _ordered(subsetting.tail, 0),
    "skip": _ordered(subsetting.skip, 1),
    "take": _ordered(subsetting.take, 1),
    "intersect": Function(subsetting.intersect, 1, 1, SAME),
    "exclude": Function(subsetting.exclude, 1, 1, SAME),
    # combining
    "union": Function(combining.union, 1, 1),
    "combine": Function(combining.combine, 1, 1),
    # conversion
    "iif": _lazy(conversion.iif, 2, 3),
    "toBoolean": Function(conversion.to_boolean, 0, 0, BOOLEAN),
    "toInteger": Function(conversion.to_integer, 0, 0, INTEGER),
    "toDecimal": Function(conversion.to_decimal, 0, 0, DECIMAL),
    "toString": Function(conversion.to_string, 0, 0, STRING),
    "toDate": Function(conversion.to_date, 0, 0, DATE),
    "toDateTime": Function(conversion.to_date_time, 0, 0, DATETIME),
    "toTime": Function(conversion.to_time, 0, 0, TIME),
    "toQuantity": Function(conversion.to_quantity, 0, 1, QUANTITY),
    "convertsToBoolean": Function(conversion.converts_to_boolean, 0, 0, BOOLEAN),
    "convertsToInteger": Function(conversion.converts_to_integer, 0, 0, BOOLEAN),
    "convertsToDecimal": Function(conversion.converts_to_decimal, 0, 0, BOOLEAN),
    "convertsToString": Function(conversion.converts_to_string, 0, 0, BOOLEAN),
    "convertsToDate": Function(conversion.converts_to_date, 0, 0, BOOLEAN),
    "convertsToDateTime": Function(conversion.converts_to_date_time, 0, 0, BOOLEAN),
    "convertsToTime": Function(conversion.converts_to_time, 0, 0, BOOLEAN),
    "convertsToQuantity": Function(conversion.converts_to_quantity, 0, 1, BOOLEAN),
    # strings
    "indexOf": Function(strings.index_of, 1, 1, INTEGER),
    "lastIndexOf": Function(strings.last_index_of, 1, 1, INTEGER),
    "substring": Function(strings.substring, 1, 2, STRING),
    "startsWith": Function(strings.starts_with, 1, 1, BOOLEAN),
    "endsWith": Function(strings.ends_with, 1, 1, BOOLEAN),
    "contains": Function(strings.contains, 1, 1, BOOLEAN),
    "upper": Function(strings.upper, 0, 0, STRING),
    "lower": Function(strings.lower, 0, 0, STRING),
    "trim": Function(strings.trim, 0, 0, STRING),
    "replace": Function(strings.replace, 2, 2, STRING),
    "matches": Function(strings.matches, 1, 1, BOOLEAN),
    "matchesFull": Function(strings.matches_full, 1, 1, BOOLEAN),
    "replaceMatches": Function(strings.replace_matches, 2, 2, STRING),
    "length": Function(strings.length, 0, 0, INTEGER),
    "toChars": Function(strings.to_chars, 0, 0, STRING),
    "split": Function(strings.split, 1, 1, STRING),
    "join": Function(strings.join, 0, 1, STRING),
    "encode": Function(strings.encode, 1, 1, STRING),
    "decode": Function(strings.decode, 1, 1, STRING),
    "escape": Function(strings.escape, 1, 1, STRING),
    "unescape": Function(strings.unescape, 1, 1, STRING),
    # math
    "abs": Function(mathematics.absolute, 0, 0),
    "ceiling": Function(mathematics.ceiling, 0, 0, INTEGER),
    "exp": Function(mathematics.exponential, 0, 0, DECIMAL),
    "floor": Function(mathematics.floor, 0, 0, INTEGER),
    "ln": Function(mathematics.natural_logarithm, 0, 0, DECIMAL),
    "log": Function(mathematics.logarithm, 1, 1, DECIMAL),
    "power": Function(mathematics.power, 1, 1),
    "round": Function(mathematics.round_, 0, 1),
    "sqrt": Function(mathematics.square_root, 0, 0, DECIMAL),
    "truncate": Function(mathematics.truncate, 0, 0, INTEGER),
    # tree navigation
    "children": Function(navigation.children, 0, 0, UNORDERED),
    "descendants": Function(navigation.descendants, 0, 0, UNORDERED),
    # utility
    "trace": _lazy(utility.trace, 1, 2, SAME),
    "now": Function(utility.now, 0, 0, DATETIME),
    "today": Function(utility.today, 0, 0, DATE),
    "timeOfDay": Function(utility.time_of_day, 0, 0, TIME),
    "type": Function(utility.type_, 0, 0),
    # boundaries
    "lowBoundary": Function(boundaries.low_boundary, 0, 1),
    "highBoundary": Function(boundaries.high_boundary, 0, 1),
    "precision": Function(boundaries.precision, 0, 0, INTEGER),
    "comparable": Function(boundaries.comparable, 1, 1, BOOLEAN),
    # FHIR
    "extension": Function(fhir.extension, 1, 1, "Extension"),
    "hasExtension": Function(fhir.has_extension, 1, 1, BOOLEAN),
    "hasValue": Function(fhir.has_value, 0, 0, BOOLEAN),
    "getValue": Function(fhir.get_value, 0, 0),
    "resolve": Function(fhir.resolve, 0, 0),
    "memberOf": Function(fhir.member_of, 1, 1, BOOLEAN),
    "conformsTo": Function(fhir.conforms_to, 1, 1, BOOLEAN),
    "htmlChecks": Function(fhir.html_checks, 0, 0, BOOLEAN),
} | {
    name: Function(fhir.not_supported(name), least, most)
    for name, least, most in (
        ("elementDefinition", 0, 0),
        ("slice", 2, 2),
        ("checkModifiers", 0, 99),
        ("subsumes", 1, 1),
        ("subsumedBy", 1, 1),
    )
}

# Functions written out by the compiler, because an argument is a type or the order of sorting.
TYPE_FUNCTIONS = frozenset({"is", "as", "ofType"})
SORT: Any = subsetting.sort
