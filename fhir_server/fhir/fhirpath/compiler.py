"""A syntax tree becomes closures. https://hl7.org/fhirpath/N1/#expressions

What is known about types is used at once: a path is resolved to JSON members, a branch that cannot apply is dropped,
and in strict mode a name that cannot exist is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from fhir_server.fhir.fhirpath import calls, location, paths
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
from fhir_server.fhir.fhirpath.code import NEVER, Code, Mode, Scope, Types, all_types, straight, type_set
from fhir_server.fhir.fhirpath.elements import Rows, is_primitive, rows
from fhir_server.fhir.fhirpath.errors import FhirPathSemanticError
from fhir_server.fhir.fhirpath.frame import FEW, Frame, Run
from fhir_server.fhir.fhirpath.functions.existence import distinct
from fhir_server.fhir.fhirpath.functions.subsetting import item
from fhir_server.fhir.fhirpath.nodes import BOOLEAN, EMPTY, INTEGER, STRING, Collection, boolean, integer
from fhir_server.fhir.fhirpath.operators import LOGIC, OPERATORS, affirm, negate
from fhir_server.fhir.fhirpath.singletons import truth
from fhir_server.fhir.fhirpath.types import is_type_name, specifier, system_types
from fhir_server.fhir.fhirpath.variables import variable

# A union of more straight paths than any definition has is from somebody who wants it to take long: it is budgeted.
_MOST_WAYS = 64
_COMPARISONS = frozenset({"=", "!=", "~", "!~", "<", ">", "<=", ">=", "in", "contains"})


class Compiler:
    """Compiles one expression."""

    def __init__(self, mode: Mode) -> None:
        self._mode = mode

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
        own = self._mode.only_complex(scope.types)
        values = paths.itself if own else None
        nodes = paths.wrapped(values, own) if values is not None else None
        return Code(lambda frame: frame.this, scope.types, values=values, nodes=nodes)

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
                if self._mode.strict:
                    raise FhirPathSemanticError(f"the context is not a {name}")
                return NEVER

        def run(frame: Frame) -> Collection:
            return [node for node in frame.this if wanted.accepts(node.type)]

        return Code(run, type_set(name))

    def _call(self, tree: Call, scope: Scope) -> Code:
        return calls.apply(self._mode, self.compile, self._this(scope), tree, scope)

    def _invocation(self, tree: Invocation, scope: Scope) -> Code:
        target = self.compile(tree.target, scope)
        if isinstance(tree.member, Identifier):
            return self._step(target, tree.member.name)
        return calls.apply(self._mode, self.compile, target, tree.member, scope)

    def _step(self, target: Code, name: str) -> Code:
        types, pairs = _element(target.types, name)
        if target.never or (types is not None and not types):
            if self._mode.strict and not target.never:
                raise FhirPathSemanticError(f"there is no element {name} in {', '.join(sorted(target.types or ()))}")
            return NEVER
        step = location.step(name) if self._mode.is_tracked else paths.general_step(name)
        above = target.run

        def walk(frame: Frame) -> Collection:
            focus = above(frame)
            found = step(focus)
            if len(found) > FEW or len(focus) > FEW:  # in place: most steps of an everyday path are of a few items
                frame.spend(len(focus) + len(found))
            return found

        general = Code(walk, types, target.is_ordered)
        if target.values is None or not pairs:
            return general
        nodes = paths.step_nodes(target.values, pairs)
        if nodes is None:
            return general
        code = straight(nodes, general, resolves=target.resolves)
        if len(pairs) > 1:
            return replace(code, parent=target.values, pairs=pairs)
        if self._mode.only_complex(types):
            return replace(code, values=paths.step_values(target.values, pairs[0][0]))
        return code

    def _type_operation(self, tree: TypeOperation, scope: Scope) -> Code:
        return calls.with_type(self._mode, self.compile(tree.operand, scope), tree.operator, specifier(tree.type_name))

    def _index(self, tree: Index, scope: Scope) -> Code:
        target, index = self.compile(tree.target, scope), self.compile(tree.index, scope)
        if self._mode.strict and not target.is_ordered:
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
            return Code(_logic(tree.operator, left, right), frozenset({BOOLEAN}))
        operate = OPERATORS[tree.operator]
        own = BOOLEAN if tree.operator in _COMPARISONS else STRING if tree.operator == "&" else ""
        return Code(lambda frame: operate(frame, left(frame), right(frame)), frozenset({own}) if own else None)

    def _union(self, tree: Union, scope: Scope) -> Code:
        compiled = [self.compile(branch, scope) for branch in tree.branches if _may_apply(branch, scope.types)]
        branches = [branch for branch in compiled if not branch.never]
        if not branches:
            return NEVER
        runs, types = [branch.run for branch in branches], all_types(branches)

        def run(frame: Frame) -> Collection:
            found: Collection = []
            for branch in runs:
                more = branch(frame)
                frame.spend_many(len(more))
                found += more
            return distinct(frame, found)

        general = Code(run, types)
        ways = [branch.nodes for branch in branches if branch.nodes is not None]
        if len(ways) < len(branches) or len(ways) > _MOST_WAYS or self._mode.is_tracked:
            return general
        is_plain = types is not None and all(system_types().get(own, STRING) == STRING for own in types)
        return straight(paths.merged(ways, is_plain), general, resolves=any(branch.resolves for branch in branches))

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


def _element(types: Types | None, name: str) -> tuple[Types | None, Rows]:
    """Return the types an element can have, and its JSON members if its parent is of one type only."""
    if types is None:
        return None, ()
    found = {own for parent in types for _, own in rows(parent).get(name, ())}
    if name == "value":
        found |= {system_types()[own] for own in types if is_primitive(own)}
    if any(own not in system_types() and type_set(own) is None for own in found):
        return None, ()
    pairs = rows(next(iter(types))).get(name, ()) if len(types) == 1 else ()
    return frozenset(found), pairs


def _may_apply(tree: Expression, types: Types | None) -> bool:
    """Whether a branch of a union can apply: it cannot if it starts with the name of another type."""
    while isinstance(tree, Invocation | Index | TypeOperation):
        tree = tree.operand if isinstance(tree, TypeOperation) else tree.target
    if not types or not isinstance(tree, Identifier) or not is_type_name(tree.name):
        return True
    return any(specifier(tree.name).accepts(own) for own in types)


def _logic(operator: str, left: Run, right: Run) -> Run:
    decide, settling = LOGIC[operator]

    def run(frame: Frame) -> Collection:
        first = truth(left(frame))
        if first is not None and first is settling:
            return boolean(decide(first, None))
        return boolean(decide(first, truth(right(frame))))

    return run
