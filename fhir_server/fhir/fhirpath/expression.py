"""Compiling and evaluating expressions: the way in. https://hl7.org/fhirpath/N1/"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath.code import Code, Mode, Scope, type_set
from fhir_server.fhir.fhirpath.compiler import Compiler
from fhir_server.fhir.fhirpath.elements import resource_node
from fhir_server.fhir.fhirpath.errors import (
    FhirPathBudgetExceeded,
    FhirPathEvaluationError,
    FhirPathSemanticError,
    FhirPathSyntaxError,
)
from fhir_server.fhir.fhirpath.frame import NO_ENVIRONMENT, Environment, Frame
from fhir_server.fhir.fhirpath.nodes import Collection, Located, Location, Node
from fhir_server.fhir.fhirpath.parser import parse
from fhir_server.fhir.fhirpath.singletons import truth

Json = dict[str, Any]

_CACHED = 8192
_PATIENCE = Environment(max_steps=100_000)  # for paths to be located, which come from clients


class Expression:
    """A compiled expression: immutable, free of any state of evaluations, and so shared between threads.

    `types` are the types its items can have, or None where that depends on the data.
    """

    __slots__ = ("_is_self_contained", "_nodes", "_root_type", "_run", "root_type", "text", "types")

    def __init__(self, text: str, root_type: str | None, code: Code) -> None:
        self.text = text
        self.root_type = root_type
        self.types = code.types
        self._root_type = root_type if type_set(root_type) else None
        self._run = code.run
        self._nodes = code.nodes if self._root_type else None
        self._is_self_contained = not code.resolves

    def evaluate(
        self,
        node: Json | Node,
        *,
        resource: Json | Node | None = None,
        root: Json | Node | None = None,
        variables: Mapping[str, Any] | None = None,
        environment: Environment | None = None,
    ) -> Collection:
        """Return the items the expression selects from a resource, or from an element given with its type.

        A plain dict is of the `root_type` the expression was compiled for, or a resource of the type it says.
        `resource` is `%resource`, the resource the element is in; `root` is `%rootResource`, its container. Both are
        the node itself unless given. `variables` may be nodes, lists of nodes, resources or scalars.

        Raises FhirPathEvaluationError, FhirPathBudgetExceeded or FhirPathNotSupported.
        """
        if self._nodes is not None and (self._is_self_contained or (root is None and not _resolves(environment))):
            value = node if type(node) is dict else node.value  # type: ignore[union-attr] # a dict or a Node
            if type(value) is dict:
                return self._nodes(value)
        focus = self._node(node)
        within = self._context(resource, focus)
        frame = Frame([focus], within, self._context(root, within), variables, environment or NO_ENVIRONMENT)
        try:
            return list(self._run(frame))
        except RecursionError:
            raise FhirPathBudgetExceeded("the expression is nested too deep to evaluate") from None

    def boolean(
        self,
        node: Json | Node,
        *,
        resource: Json | Node | None = None,
        root: Json | Node | None = None,
        variables: Mapping[str, Any] | None = None,
        environment: Environment | None = None,
    ) -> bool | None:
        """Return the expression as a condition: None where it is empty, true for any single item that is not a boolean.

        An invariant holds if the answer is True; what None means is for the caller to say. Raises what `evaluate`
        does, and FhirPathEvaluationError for more than one item.
        """
        return truth(self.evaluate(node, resource=resource, root=root, variables=variables, environment=environment))

    def _node(self, node: Json | Node) -> Node:
        if isinstance(node, Node):
            return node
        return Node(node, self._root_type) if self._root_type else resource_node(node)

    @staticmethod
    def _context(given: Json | Node | None, default: Node | None) -> Node | None:
        if given is None:
            return default
        return given if isinstance(given, Node) else resource_node(given)

    def __repr__(self) -> str:
        return f"Expression({self.text!r}, root_type={self.root_type!r})"


def _resolves(environment: Environment | None) -> bool:
    return environment is not None and environment.resolve is not None


@lru_cache(maxsize=_CACHED)
def compile(expression: str, root_type: str | None = None, *, strict: bool = False) -> Expression:
    """Return the compiled expression; the same object for the same text and type while it is in the cache.

    `root_type` is the resource, data or backbone type it will be evaluated on: it makes evaluation much faster,
    drops union branches that start with another type, and must be true. `strict` also refuses elements that cannot
    exist and order where there is none, and makes `as` insist on a single item, as the language says; FHIR's own
    search parameters and invariants need the lenient default.

    Raises FhirPathSyntaxError with the position, or FhirPathSemanticError for an unknown type or function.
    """
    if root_type is not None and root_type not in r4().types:
        raise FhirPathSemanticError(f"there is no type {root_type}")
    return Expression(expression, root_type, _code(expression, root_type, strict=strict))


def _code(expression: str, root_type: str | None, *, strict: bool = False, is_tracked: bool = False) -> Code:
    try:
        tree = parse(expression)
        scope = Scope(type_set(root_type), is_root=True)
        return Compiler(Mode(strict, is_tracked)).compile(tree, scope)
    except RecursionError:
        raise FhirPathSyntaxError("nested too deeply", 0) from None


def locate(expression: str, resource: Json) -> list[Location]:
    """Return where in the resource's JSON the selected elements are, as paths of member names and array positions.

    The resource itself is the empty path; an item that has extensions only is where its value would be. Raises
    FhirPathEvaluationError if the expression computes something that is not in the resource.
    """
    run = _tracked(expression)
    focus = resource_node(resource)
    start = Located(focus.value, focus.type)
    frame = Frame([start], start, start, None, _PATIENCE)
    try:
        found = run.run(frame)
    except RecursionError:
        raise FhirPathBudgetExceeded("the expression is nested too deep to evaluate") from None
    locations = []
    for node in found:
        if not isinstance(node, Located):
            raise FhirPathEvaluationError("the expression does not select elements of the resource")
        locations.append(node.location)
    return locations


@lru_cache(maxsize=512)
def _tracked(expression: str) -> Code:
    return _code(expression, None, is_tracked=True)
