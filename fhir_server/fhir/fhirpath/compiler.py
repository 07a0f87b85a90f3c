"""A syntax tree becomes closures. https://hl7.org/fhirpath/N1/#expressions

What is known about types is used at once: a path is resolved to JSON members, a branch that cannot apply is dropped, and
in strict mode a name that cannot exist is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath import location, paths
from fhir_server.fhir.fhirpath.ast import (
    Binary,
    Call,
    Expression,
    Identifier,
    Index,
    Invocation,
    Literal,
    Polarity,
    Special,
    TypeOperation,
    Union,
    Variable,
)
from fhir_server.fhir.fhirpath.elements import is_primitive, rows
from fhir_server.fhir.fhirpath.errors import FhirPathSemanticError
from fhir_server.fhir.fhirpath.frame import Frame, Run
from fhir_server.fhir.fhirpath.functions import FUNCTIONS, SAME, SORT, TYPE_FUNCTIONS, UNORDERED, Function
from fhir_server.fhir.fhirpath.functions.existence import distinct
from fhir_server.fhir.fhirpath.functions.subsetting import item
from fhir_server.fhir.fhirpath.nodes import (
    BOOLEAN,
    EMPTY,
    INTEGER,
    STRING,
    Collection,
    Node,
    boolean,
    integer,
)
from fhir_server.fhir.fhirpath.operators import LOGIC, OPERATORS, affirm, negate
from fhir_server.fhir.fhirpath.singletons import single, truth
from fhir_server.fhir.fhirpath.types import TypeSpecifier, is_type_name, specifier, system_types
from fhir_server.fhir.fhirpath.variables import variable

Types = frozenset[str]


@dataclass(frozen=True, slots=True)
class Code:
    """A compiled expression.

    `types` are those its items can have, None if that depends on the data. `values` and `nodes` are the same expression as
    a straight path from the dict of `$this`, where it is one. `pairs` are the members of a choice element and `parent` the
    path it is on, for `as` and `ofType` to choose among. `never` marks what is empty whatever the data.
    """

    run: Run
    types: Types | None = None
    is_ordered: bool = True
    values: paths.Values | None = None
    nodes: paths.Nodes | None = None
    parent: paths.Values | None = None
    pairs: tuple[tuple[str, str], ...] = ()
    never: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """What is known about `$this`: its types, and whether it is what the whole expression is evaluated on."""

    types: Types | None
    is_root: bool = False


NEVER = Code(lambda frame: EMPTY, frozenset(), never=True)


def type_set(name: str | None) -> Types | None:
    """Return the set of one concrete type; None for an abstract or unknown one, of which nothing is known."""
    known = r4().types.get(name or "")
    return None if known is None or known.abstract else frozenset({name or ""})


class Compiler:
    """Compiles one expression. `strict` refuses unknown elements; `is_tracked` makes nodes know their location."""

    def __init__(self, *, strict: bool = False, is_tracked: bool = False) -> None:
        self._strict = strict
        self._is_tracked = is_tracked

    def compile(self, tree: Expression, scope: Scope) -> Code:
        """Return the code of a tree, evaluated with a `$this` as the scope says."""
        return self._COMPILERS[type(tree)](self, tree, scope)

    def _literal(self, tree: Literal, scope: Scope) -> Code:
        if tree.node is None:
            return Code(lambda frame: EMPTY, frozenset())
        constant = [tree.node]
        return Code(lambda frame: constant, frozenset({tree.node.type}))

    def _variable(self, tree: Variable, scope: Scope) -> Code:
        run, own = variable(tree.name)
        return Code(run, frozenset({own}) if own else None)

    def _special(self, tree: Special, scope: Scope) -> Code:
        if tree.name == "$index":
            return Code(lambda frame: integer(frame.index), frozenset({INTEGER}))
        if tree.name == "$total":
            return Code(lambda frame: frame.total)
        return self._this(scope)

    def _this(self, scope: Scope) -> Code:
        own = self._only_complex(scope.types)
        values = paths.itself if own else None
        return Code(lambda frame: frame.this, scope.types, values=values, nodes=values and paths.wrapped(values, own))

    def _only_complex(self, types: Types | None) -> str:
        """Return the type if there is exactly one and it is a JSON object, else an empty string."""
        if self._is_tracked or types is None or len(types) != 1:
            return ""
        (own,) = types
        return own if own in r4().types and not is_primitive(own) else ""

    def _identifier(self, tree: Identifier, scope: Scope) -> Code:
        if is_type_name(tree.name):
            return self._of_root_type(tree.name, scope)
        return self._step(self._this(scope), tree.name)

    def _of_root_type(self, name: str, scope: Scope) -> Code:
        """Compile the type name a path starts with: `$this` if it is one of these, else nothing."""
        wanted = specifier(name)
        if scope.types:
            if all(wanted.accepts(own) for own in scope.types):
                return self._this(scope)
            if not any(wanted.accepts(own) for own in scope.types):
                if self._strict:
                    raise FhirPathSemanticError(f"the context is not a {name}")
                return NEVER

        def run(frame: Frame) -> Collection:
            return [node for node in frame.this if wanted.accepts(node.type)]

        return Code(run, type_set(name))

    def _invocation(self, tree: Invocation, scope: Scope) -> Code:
        target = self.compile(tree.target, scope)
        if isinstance(tree.member, Identifier):
            return self._step(target, tree.member.name)
        return self._apply(target, tree.member, scope)

    def _step(self, target: Code, name: str) -> Code:
        if target.never:
            return NEVER
        types, pairs = self._element(target.types, name)
        if types is not None and not types:
            if self._strict:
                raise FhirPathSemanticError(f"there is no element {name} in {', '.join(sorted(target.types or ()))}")
            return NEVER
        types = None if any(own not in system_types() and type_set(own) is None for own in types or ()) else types
        if target.values is not None and self._only_complex(target.types):
            nodes = paths.step_nodes(target.values, pairs)
            if nodes is not None:
                code = self._straight(nodes, types, target)
                if len(pairs) == 1 and self._only_complex(types):
                    return replace(code, values=paths.step_values(target.values, pairs[0][0]))
                return replace(code, parent=target.values, pairs=pairs) if len(pairs) > 1 else code
        step = location.step(name) if self._is_tracked else paths.general_step(name)
        above = target.run
        return Code(lambda frame: step(above(frame)), types, target.is_ordered)

    def _element(self, types: Types | None, name: str) -> tuple[Types | None, tuple[tuple[str, str], ...]]:
        if types is None:
            return None, ()
        found: dict[str, str] = {}
        for own in types:
            for key, child in rows(own).get(name, ()):
                found[key + "/" + child] = child
            if name == "value" and is_primitive(own):
                found[own] = system_types()[own]
        pairs = rows(next(iter(types))).get(name, ()) if len(types) == 1 else ()
        return frozenset(found.values()), pairs

    def _straight(self, nodes: paths.Nodes, types: Types | None, target: Code) -> Code:
        def run(frame: Frame) -> Collection:
            this = frame.this
            if len(this) == 1 and type(this[0].value) is dict:
                return nodes(this[0].value)
            return [found for node in this if type(node.value) is dict for found in nodes(node.value)]

        return Code(run, types, target.is_ordered, nodes=nodes)

    def _of_values(self, values: paths.Values, own: str, target: Code) -> Code:
        """Return the code of a straight path to complex values."""
        return replace(self._straight(paths.wrapped(values, own), frozenset({own}), target), values=values)

    def _call(self, tree: Call, scope: Scope) -> Code:
        return self._apply(self._this(scope), tree, scope)

    def _apply(self, target: Code, call: Call, scope: Scope) -> Code:
        if call.name in TYPE_FUNCTIONS:
            return self._type_function(target, call)
        if call.name == "sort":
            return self._sort(target, call)
        function = FUNCTIONS.get(call.name)
        if function is None:
            raise FhirPathSemanticError(f"there is no function {call.name}()")
        if not function.least <= len(call.arguments) <= function.most:
            raise FhirPathSemanticError(f"{call.name}() does not take {len(call.arguments)} arguments")
        if self._strict and function.ordered and not target.is_ordered:
            raise FhirPathSemanticError(f"{call.name}() needs an order, and its input has none")
        if target.never and (function.returns in (SAME, "Extension") or call.name in ("select", "resolve", "repeat")):
            return NEVER
        straight = self._straight_call(target, call, scope)
        if straight is not None:
            return straight
        if function.lazy:
            return self._lazy(target, function, call, scope)
        arguments = [self.compile(argument, scope) for argument in call.arguments]
        return self._eager(target, function, call, arguments)

    def _straight_call(self, target: Code, call: Call, scope: Scope) -> Code | None:
        """Compile `where(...)` with a simple condition and `extension('url')` on a straight path."""
        own = self._only_complex(target.types)
        if target.values is None or not own:
            return None
        if call.name == "where" and scope.is_root:
            condition = paths.condition(call.arguments[0], own)
            return self._of_values(paths.filtered(target.values, condition), own, target) if condition else None
        if call.name == "extension" and isinstance(call.arguments[0], Literal):
            url = call.arguments[0].node
            if url is not None and url.type == STRING and "extension" in rows(own):
                return self._of_values(paths.extensions(target.values, url.value), "Extension", target)
        return None

    def _lazy(self, target: Code, function: Function, call: Call, scope: Scope) -> Code:
        inner = Scope(target.types if target.types != frozenset() else None)
        outer = {("aggregate", 1), ("trace", 0)}
        arguments = [
            self.compile(argument, scope if (call.name, position) in outer else inner)
            for position, argument in enumerate(call.arguments)
        ]
        if call.name == "iif":
            self._check_criterion(arguments[0])
        above, run, runs = target.run, function.run, [argument.run for argument in arguments]
        types, is_ordered = self._result(target, function, call, arguments)
        if len(runs) == 1:
            first = runs[0]
            return Code(lambda frame: run(frame, above(frame), first), types, is_ordered)
        return Code(lambda frame: run(frame, above(frame), *runs), types, is_ordered)

    def _check_criterion(self, criterion: Code) -> None:
        known = criterion.types
        if self._strict and known and not known & {BOOLEAN, "boolean"}:
            raise FhirPathSemanticError("the criterion of iif() is not a boolean")

    def _eager(self, target: Code, function: Function, call: Call, arguments: list[Code]) -> Code:
        above, run = target.run, function.run
        if self._is_tracked and call.name in location.FUNCTIONS:
            run = location.FUNCTIONS[call.name]
        types, is_ordered = self._result(target, function, call, arguments)
        if not arguments:
            return Code(lambda frame: run(frame, above(frame)), types, is_ordered)
        if len(arguments) == 1:
            first = arguments[0].run
            return Code(lambda frame: run(frame, above(frame), first(frame)), types, is_ordered)
        runs = [argument.run for argument in arguments]
        return Code(lambda frame: run(frame, above(frame), *[own(frame) for own in runs]), types, is_ordered)

    def _result(self, target: Code, function: Function, call: Call, arguments: list[Code]) -> tuple[Types | None, bool]:
        if function.returns == SAME:
            return target.types, target.is_ordered
        if function.returns == UNORDERED:
            return None, False
        if function.returns:
            return frozenset({function.returns}), target.is_ordered
        if call.name == "select":
            return arguments[0].types, target.is_ordered and arguments[0].is_ordered
        if call.name in ("union", "combine"):
            return _all_types([target, *arguments]), call.name == "combine" and target.is_ordered
        if call.name == "iif":
            return _all_types(arguments[1:]), True
        return None, True

    def _sort(self, target: Code, call: Call) -> Code:
        keys = []
        for argument in call.arguments:
            descending = isinstance(argument, Polarity) and argument.sign == "-"
            key = argument.operand if isinstance(argument, Polarity) and descending else argument
            keys.append((self.compile(key, Scope(target.types)).run, -1 if descending else 1))
        above = target.run
        return Code(lambda frame: SORT(frame, above(frame), *keys), target.types)

    def _type_function(self, target: Code, call: Call) -> Code:
        if len(call.arguments) != 1:
            raise FhirPathSemanticError(f"{call.name}() takes a type")
        return self._with_type(target, call.name, specifier(_type_name(call.arguments[0])))

    def _type_operation(self, tree: TypeOperation, scope: Scope) -> Code:
        return self._with_type(self.compile(tree.operand, scope), tree.operator, specifier(tree.type_name))

    def _with_type(self, target: Code, operator: str, wanted: TypeSpecifier) -> Code:
        above = target.run
        if operator == "is":
            return Code(lambda frame: _is(single(above(frame)), wanted), frozenset({BOOLEAN}))
        if target.never:
            return NEVER
        checks_one = operator == "as" and self._strict
        if target.parent is not None and not checks_one:
            narrowed = self._narrowed(target, wanted)
            if narrowed is not None:
                return narrowed
        types = None if target.types is None else target.types & wanted.exact
        if target.types is not None and types == target.types and not checks_one:
            return target
        if types is None:
            types = type_set(wanted.name)

        def run(frame: Frame) -> Collection:
            focus = above(frame)
            if checks_one:
                single(focus)
            return [node for node in focus if wanted.is_exactly(node.type)]

        return Code(run, types, target.is_ordered)

    def _narrowed(self, target: Code, wanted: TypeSpecifier) -> Code | None:
        """Compile a choice element of a wanted type to the one JSON member that holds it."""
        pairs = tuple((key, own) for key, own in target.pairs if wanted.is_exactly(own))
        if target.parent is None or self._is_tracked:
            return None
        if not pairs:
            return NEVER
        nodes = paths.step_nodes(target.parent, pairs)
        if nodes is None:
            return None
        types = frozenset(own for _, own in pairs)
        code = self._straight(nodes, types, target)
        if len(pairs) == 1 and self._only_complex(types):
            return replace(code, values=paths.step_values(target.parent, pairs[0][0]))
        return code

    def _index(self, tree: Index, scope: Scope) -> Code:
        target, index = self.compile(tree.target, scope), self.compile(tree.index, scope)
        if self._strict and not target.is_ordered:
            raise FhirPathSemanticError("an index needs an order, and its input has none")
        above, position = target.run, index.run
        return Code(lambda frame: item(frame, above(frame), position(frame)), target.types)

    def _polarity(self, tree: Polarity, scope: Scope) -> Code:
        operand, sign = self.compile(tree.operand, scope), negate if tree.sign == "-" else affirm
        run = operand.run
        return Code(lambda frame: sign(frame, run(frame)), operand.types)

    def _binary(self, tree: Binary, scope: Scope) -> Code:
        left, right = self.compile(tree.left, scope).run, self.compile(tree.right, scope).run
        if tree.operator in LOGIC:
            return _logic(tree.operator, left, right)
        operate = OPERATORS[tree.operator]
        own = _RESULTS.get(tree.operator)
        return Code(lambda frame: operate(frame, left(frame), right(frame)), frozenset({own}) if own else None)

    def _union(self, tree: Union, scope: Scope) -> Code:
        branches = [self._branch(branch, scope) for branch in tree.branches]
        branches = [branch for branch in branches if not branch.never]
        if not branches:
            if self._strict:
                raise FhirPathSemanticError("no branch of the union can apply")
            return NEVER
        types = _all_types(branches)
        straight = [branch.nodes for branch in branches if branch.nodes is not None]
        if len(straight) == len(branches) and not self._is_tracked:
            plain = types is not None and all(system_types().get(own, STRING) == STRING for own in types)
            return self._straight(paths.merged(straight, plain), types, branches[0])
        runs = [branch.run for branch in branches]

        def run(frame: Frame) -> Collection:
            found: Collection = []
            for branch in runs:
                found = found + branch(frame)
            return distinct(frame, found)

        return Code(run, types)

    def _branch(self, tree: Expression, scope: Scope) -> Code:
        """Compile a branch of a union; one that starts with another type is dropped, in strict mode too."""
        if self._strict and scope.types and not _may_apply(tree, scope.types):
            return NEVER
        return self.compile(tree, scope)

    _COMPILERS: dict[type, Callable[..., Code]] = {  # noqa: RUF012 a constant
        Literal: _literal,
        Variable: _variable,
        Special: _special,
        Identifier: _identifier,
        Call: _call,
        Invocation: _invocation,
        Index: _index,
        Polarity: _polarity,
        Binary: _binary,
        Union: _union,
        TypeOperation: _type_operation,
    }


_RESULTS = dict.fromkeys(("=", "!=", "~", "!~", "<", ">", "<=", ">=", "in", "contains"), BOOLEAN) | {"&": STRING}


def _all_types(codes: list[Code]) -> Types | None:
    types: frozenset[str] = frozenset()
    for code in codes:
        if code.types is None:
            return None
        types |= code.types
    return types


def _may_apply(tree: Expression, types: Types) -> bool:
    while isinstance(tree, Invocation | Index | TypeOperation):
        tree = tree.operand if isinstance(tree, TypeOperation) else tree.target
    if not isinstance(tree, Identifier) or not is_type_name(tree.name):
        return True
    return any(specifier(tree.name).accepts(own) for own in types)


def _is(node: Node | None, wanted: TypeSpecifier) -> Collection:
    return EMPTY if node is None else boolean(wanted.accepts(node.type))


def _type_name(tree: Any) -> str:
    """Return the type an argument names: `Patient`, `FHIR.Patient`."""
    if isinstance(tree, Identifier):
        return tree.name
    if isinstance(tree, Invocation) and isinstance(tree.member, Identifier):
        return f"{_type_name(tree.target)}.{tree.member.name}"
    raise FhirPathSemanticError("a type name is needed")


def _logic(operator: str, left: Run, right: Run) -> Code:
    decide, settling = LOGIC[operator]

    def run(frame: Frame) -> Collection:
        first = truth(left(frame))
        if first is not None and first is settling:
            return boolean(decide(first, None))
        return boolean(decide(first, truth(right(frame))))

    return Code(run, frozenset({BOOLEAN}))
