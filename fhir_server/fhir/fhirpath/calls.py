"""Compiling functions: arguments evaluated before or per item, types as arguments, and short cuts for common calls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fhir_server.fhir.fhirpath import location, paths
from fhir_server.fhir.fhirpath.ast import Call, Expression, Identifier, Invocation, Literal, Polarity
from fhir_server.fhir.fhirpath.code import (
    NEVER,
    Code,
    Mode,
    Scope,
    Types,
    all_types,
    straight,
    straight_values,
    type_set,
)
from fhir_server.fhir.fhirpath.elements import rows
from fhir_server.fhir.fhirpath.errors import FhirPathSemanticError
from fhir_server.fhir.fhirpath.frame import Frame, Run
from fhir_server.fhir.fhirpath.functions import FUNCTIONS, SAME, SORT, TYPE_FUNCTIONS, UNORDERED, Function
from fhir_server.fhir.fhirpath.nodes import BOOLEAN, EMPTY, STRING, Collection, Node, boolean
from fhir_server.fhir.fhirpath.singletons import single
from fhir_server.fhir.fhirpath.types import TypeSpecifier, specifier

Compile = Callable[[Expression, Scope], Code]

# Arguments of lazy functions that are evaluated once, outside of the iteration.
_OUTER = frozenset({("aggregate", 1), ("trace", 0)})
# Functions that can run for as long as a pattern's author likes; not for paths that strangers send.
_PATTERNS = frozenset({"matches", "matchesFull", "replaceMatches"})


def apply(mode: Mode, compile: Compile, target: Code, call: Call, scope: Scope) -> Code:
    """Return the code of `target.call(...)`. Raises FhirPathSemanticError for what is no call of any function."""
    if call.name in TYPE_FUNCTIONS:
        if len(call.arguments) != 1:
            raise FhirPathSemanticError(f"{call.name}() takes a type")
        return with_type(mode, target, call.name, specifier(_type_name(call.arguments[0])))
    if call.name == "sort":
        return _sort(compile, target, call)
    function = _function(mode, target, call)
    if target.never and (function.returns in (SAME, "Extension") or call.name in ("select", "resolve", "repeat")):
        return NEVER
    if function.lazy:
        code = _lazy(mode, compile, target, function, call, scope)
        return _straight_where(mode, target, call, scope, code)
    arguments = [compile(argument, scope) for argument in call.arguments]
    code = _eager(mode, target, function, call, arguments)
    return _straight_extension(mode, target, call, code)


def _function(mode: Mode, target: Code, call: Call) -> Function:
    function = FUNCTIONS.get(call.name)
    if function is None:
        raise FhirPathSemanticError(f"there is no function {call.name}()")
    if not function.least <= len(call.arguments) <= function.most:
        raise FhirPathSemanticError(f"{call.name}() does not take {len(call.arguments)} arguments")
    if mode.strict and function.ordered and not target.is_ordered:
        raise FhirPathSemanticError(f"{call.name}() needs an order, and its input has none")
    if mode.is_tracked and call.name in _PATTERNS:
        raise FhirPathSemanticError(f"{call.name}() is not allowed in a path to be located")
    return function


def _straight_where(mode: Mode, target: Code, call: Call, scope: Scope, general: Code) -> Code:
    """Take the short way for `where(...)` with a simple condition on a straight path."""
    own = mode.only_complex(target.types)
    if call.name != "where" or target.values is None or not own:
        return general
    condition = paths.condition(call.arguments[0], own)
    resolves = target.resolves or own == "Reference"
    if condition is None or (resolves and not scope.is_root):
        return general
    return straight_values(paths.filtered(target.values, condition), own, general, resolves=resolves)


def _straight_extension(mode: Mode, target: Code, call: Call, general: Code) -> Code:
    """Take the short way for `extension('url')` on a straight path."""
    own = mode.only_complex(target.types)
    if call.name != "extension" or target.values is None or not own or "extension" not in rows(own):
        return general
    (url,) = call.arguments
    if not isinstance(url, Literal) or url.node is None or url.node.type != STRING:
        return general
    values = paths.extensions(target.values, url.node.value)
    return straight_values(values, "Extension", general, resolves=target.resolves)


def _lazy(mode: Mode, compile: Compile, target: Code, function: Function, call: Call, scope: Scope) -> Code:
    inner = Scope(target.types or None)
    arguments = [
        compile(argument, scope if (call.name, position) in _OUTER else inner)
        for position, argument in enumerate(call.arguments)
    ]
    if call.name == "iif":
        _check_criterion(mode, arguments[0])
    above, run, runs = target.run, function.run, [argument.run for argument in arguments]
    types, is_ordered = _result(target, function, call, arguments)
    if len(runs) == 1:
        first = runs[0]
        return Code(lambda frame: run(frame, above(frame), first), types, is_ordered)
    return Code(lambda frame: run(frame, above(frame), *runs), types, is_ordered)


def _check_criterion(mode: Mode, criterion: Code) -> None:
    known = criterion.types
    if mode.strict and known and not known & {BOOLEAN, "boolean"}:
        raise FhirPathSemanticError("the criterion of iif() is not a boolean")


def _eager(mode: Mode, target: Code, function: Function, call: Call, arguments: list[Code]) -> Code:
    above, run = target.run, function.run
    if mode.is_tracked:
        run = location.FUNCTIONS.get(call.name, run)
    types, is_ordered = _result(target, function, call, arguments)
    if not arguments:
        return Code(lambda frame: run(frame, above(frame)), types, is_ordered)
    if len(arguments) == 1:
        first = arguments[0].run
        return Code(lambda frame: run(frame, above(frame), first(frame)), types, is_ordered)
    runs = [argument.run for argument in arguments]
    return Code(lambda frame: run(frame, above(frame), *[own(frame) for own in runs]), types, is_ordered)


def _result(target: Code, function: Function, call: Call, arguments: list[Code]) -> tuple[Types | None, bool]:
    """Return the types of a function's result, and whether it has an order."""
    if function.returns == SAME:
        return target.types, target.is_ordered
    if function.returns == UNORDERED:
        return None, False
    if function.returns:
        return frozenset({function.returns}), target.is_ordered
    if call.name == "select":
        return arguments[0].types, target.is_ordered and arguments[0].is_ordered
    if call.name in ("union", "combine"):
        return all_types([target, *arguments]), target.is_ordered
    if call.name == "iif":
        return all_types(arguments[1:]), True
    return None, True


def _sort(compile: Compile, target: Code, call: Call) -> Code:
    """Compile `sort(key, -key)`: a minus means descending, for text as well."""
    keys: list[tuple[Run, int]] = []
    for argument in call.arguments:
        if isinstance(argument, Polarity) and argument.sign == "-":
            keys.append((compile(argument.operand, Scope(target.types)).run, -1))
        else:
            keys.append((compile(argument, Scope(target.types)).run, 1))
    above = target.run
    return Code(lambda frame: SORT(frame, above(frame), *keys), target.types)


def with_type(mode: Mode, target: Code, operator: str, wanted: TypeSpecifier) -> Code:
    """Return the code of `is`, `as` and `ofType`. Only strict mode minds `as` on many items."""
    above = target.run
    if operator == "is":
        return Code(lambda frame: _is(single(above(frame)), wanted), frozenset({BOOLEAN}))
    if target.never:
        return NEVER
    checks_one = operator == "as" and mode.strict
    known = type_set(wanted.name) if target.types is None else target.types & wanted.exact

    def run(frame: Frame) -> Collection:
        focus = above(frame)
        frame.spend_many(len(focus))
        if checks_one:
            single(focus)
        return [node for node in focus if wanted.is_exactly(node.type)]

    general = Code(run, known, target.is_ordered)
    if checks_one:
        return general
    if target.types is not None and known == target.types:
        return target
    return _narrowed(mode, target, wanted, general) if target.parent is not None else general


def _narrowed(mode: Mode, target: Code, wanted: TypeSpecifier, general: Code) -> Code:
    """Compile a choice element of a wanted type to the one JSON member that holds it."""
    pairs = tuple((key, own) for key, own in target.pairs if wanted.is_exactly(own))
    if not pairs:
        return NEVER
    nodes = paths.step_nodes(target.parent, pairs) if target.parent is not None else None
    if nodes is None or target.parent is None:
        return general
    own = mode.only_complex(frozenset(own for _, own in pairs))
    code = straight(nodes, general, resolves=target.resolves)
    return replace(code, values=paths.step_values(target.parent, pairs[0][0])) if own else code


def _is(node: Node | None, wanted: TypeSpecifier) -> Collection:
    return EMPTY if node is None else boolean(wanted.accepts(node.type))


def _type_name(tree: Expression) -> str:
    """Return the type an argument names: `Patient`, `FHIR.Patient`."""
    if isinstance(tree, Identifier):
        return tree.name
    if isinstance(tree, Invocation) and isinstance(tree.member, Identifier):
        return f"{_type_name(tree.target)}.{tree.member.name}"
    raise FhirPathSemanticError("a type name is needed")
