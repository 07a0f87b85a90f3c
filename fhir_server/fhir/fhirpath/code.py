"""What a piece of an expression compiles to: a closure, and what is known of its result."""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.fhir.definitions import r4
from fhir_server.fhir.fhirpath.elements import Rows, is_primitive
from fhir_server.fhir.fhirpath.frame import FEW, Frame, Run
from fhir_server.fhir.fhirpath.nodes import EMPTY, Collection
from fhir_server.fhir.fhirpath.paths import Nodes, Values, wrapped

Types = frozenset[str]


@dataclass(frozen=True, slots=True)
class Code:
    """A compiled expression.

    `types` are those its items can have, None if that depends on the data. `values` and `nodes` are the same expression
    as a straight path from the dict of `$this`, where it is one. `pairs` are the members of a choice element and
    `parent` the path it is on, for `as` and `ofType` to choose among. `never` marks what is empty whatever the data.
    `resolves` marks a straight path that looks at what references point to: that is only right while nobody resolves
    them and the input is its own container.
    """

    run: Run
    types: Types | None = None
    is_ordered: bool = True
    values: Values | None = None
    nodes: Nodes | None = None
    parent: Values | None = None
    pairs: Rows = ()
    never: bool = False
    resolves: bool = False


@dataclass(frozen=True, slots=True)
class Scope:
    """What is known about `$this`: its types, and whether it is what the whole expression is evaluated on."""

    types: Types | None
    is_root: bool = False


@dataclass(frozen=True, slots=True)
class Mode:
    """`strict` refuses what cannot be right; `is_tracked` makes nodes know their location."""

    strict: bool = False
    is_tracked: bool = False

    def only_complex(self, types: Types | None) -> str:
        """Return the type if there is exactly one and straight paths can start there, else an empty string."""
        if self.is_tracked or types is None or len(types) != 1:
            return ""
        (own,) = types
        return own if own in r4().types and not is_primitive(own) else ""


NEVER = Code(lambda frame: EMPTY, frozenset(), never=True)


def type_set(name: str | None) -> Types | None:
    """Return the set of one concrete type; None for an abstract or unknown one, of which nothing is known."""
    known = r4().types.get(name or "")
    return None if known is None or known.abstract else frozenset({name or ""})


def all_types(codes: list[Code]) -> Types | None:
    """Return the types that the results of several pieces can have."""
    types: Types = frozenset()
    for code in codes:
        if code.types is None:
            return None
        types |= code.types
    return types


def straight(nodes: Nodes, general: Code, *, resolves: bool = False) -> Code:
    """Return the code of a straight path; `general` is the same the long way, for when that is needed."""
    if resolves:
        return Code(general.run, general.types, general.is_ordered, nodes=nodes, resolves=True)

    def run(frame: Frame) -> Collection:
        this = frame.this
        if len(this) == 1 and type(this[0].value) is dict:
            found = nodes(this[0].value)
        else:
            found = [one for node in this if type(node.value) is dict for one in nodes(node.value)]
        if len(found) > FEW:
            frame.spend(len(found))
        return found

    return Code(run, general.types, general.is_ordered, nodes=nodes)


def straight_values(values: Values, own: str, general: Code, *, resolves: bool = False) -> Code:
    """Return the code of a straight path to values of a complex type, from which more steps can go on."""
    code = straight(wrapped(values, own), general, resolves=resolves)
    return Code(code.run, frozenset({own}), code.is_ordered, values, code.nodes, resolves=resolves)
