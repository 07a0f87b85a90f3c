"""The text of a query read: the operation that is to be run, the fragments and the values of the variables.

https://spec.graphql.org/October2021/#sec-Document
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from graphql.error import GraphQLSyntaxError
from graphql.language import (
    DocumentNode,
    FragmentDefinitionNode,
    OperationDefinitionNode,
    OperationType,
    parse,
)

from fhir_server.api import InvalidRequest, NotSupported, TooCostly
from operations.graphql.asked import Asked
from operations.graphql.limits import KEPT, MAX_KEPT_CHARS, MAX_PLANNED, MAX_QUERY_CHARS, MAX_TOKENS
from operations.graphql.refusals import Refused, refused, refusing
from operations.graphql.values import variable_values

# How the parser ends what it says of queries that are too long or nested too deeply to read.
_ABORTED = "Parsing aborted."


@dataclass(slots=True)
class Document:
    """A query ready to be planned."""

    operation: OperationDefinitionNode
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: Mapping[str, Any]
    work: int = 0

    def spend(self, selections: int) -> None:
        """Count selections looked at. Raises Refused when there were too many."""
        self.work += selections
        if self.work > MAX_PLANNED:
            raise refusing(TooCostly("The query has too many fields for all the types they may be on."), self.operation)


def read_document(asked: Asked) -> Document:
    """Return the document of a query. Raises Refused for one that cannot be read, or is no query."""
    if len(asked.query) > MAX_QUERY_CHARS:
        raise refusing(TooCostly(f"The query has more than {MAX_QUERY_CHARS} characters. Ask for less at once."))
    operations: list[OperationDefinitionNode] = []
    fragments: dict[str, FragmentDefinitionNode] = {}
    for node in _tree(asked.query).definitions:
        if isinstance(node, OperationDefinitionNode):
            operations.append(node)
        elif isinstance(node, FragmentDefinitionNode):
            if node.name.value in fragments:
                raise refused(f"There are two fragments {node.name.value}.", node)
            fragments[node.name.value] = node
        else:
            raise refused("A query has operations and fragments, no definitions of types.", node)
    operation = _chosen(operations, asked.operation)
    if operation.operation is not OperationType.QUERY:
        kind = operation.operation.value
        raise refusing(NotSupported(f"A {kind} is not supported, only queries; write with REST."), operation)
    return Document(operation, fragments, variable_values(operation, asked.variables))


def _tree(text: str) -> DocumentNode:
    """Return the syntax tree, which nobody changes."""
    return _kept(text) if len(text) <= MAX_KEPT_CHARS else _parsed(text)


def _parsed(text: str) -> DocumentNode:
    try:
        return parse(text, max_lexical_tokens=MAX_TOKENS)
    except GraphQLSyntaxError as error:
        places = [(place.line, place.column) for place in error.locations or ()]
        message = error.message.replace("Syntax Error:", "Syntax error:")
        is_costly = message.endswith(_ABORTED)
        raise Refused(TooCostly(message) if is_costly else InvalidRequest(message), places) from None


_kept = lru_cache(maxsize=KEPT)(_parsed)


def _chosen(operations: list[OperationDefinitionNode], name: str) -> OperationDefinitionNode:
    """Return the one operation, or the one of that name."""
    if not operations:
        raise refused("There is no operation in the query, only fragments.")
    if name:
        found = [o for o in operations if o.name is not None and o.name.value == name]
        if len(found) != 1:
            raise refused(f"The query has {'two operations' if found else 'no operation'} {name[:64]!r}.")
        return found[0]
    if len(operations) > 1:
        raise refused("The query has several operations; operationName must say which one to run.")
    return operations[0]
