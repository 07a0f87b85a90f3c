"""What is wrong with a query, and where in its text. https://spec.graphql.org/October2021/#sec-Errors"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from graphql.language import Node, get_location

from fhir_server.api import Failure, InvalidRequest

Place = tuple[int, int]


class Refused(Exception):
    """A query that is not answered; `places` are lines and columns of its text, from 1."""

    def __init__(self, failure: Failure, places: Sequence[Place] = ()) -> None:
        super().__init__(str(failure))
        self.failure = failure
        self.places = tuple(places)


def refused(text: str, node: Node | None = None) -> Refused:
    """Return the refusal of a query that asks for what there is not; the node is the part at fault."""
    return refusing(InvalidRequest(text), node)


def refusing(failure: Failure, node: Node | None = None) -> Refused:
    """Return the refusal for any reason."""
    if node is None or node.loc is None:
        return Refused(failure)
    found = get_location(node.loc.source, node.loc.start)
    return Refused(failure, [(found.line, found.column)])


@contextmanager
def at(node: Node) -> Iterator[None]:
    """Give the failures of what is done for a part of a query the place of that part."""
    try:
        yield
    except Failure as failure:
        raise refusing(failure, node) from None
