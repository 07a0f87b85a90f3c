"""The concepts of which some may have the properties that are asked for. See terminology.matching.

In memory these are all there are. In a stored system they are found by what is indexed: properties with a value, words
of names, and the hierarchy.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from fhir_server.api import NotSupported, TooCostly, property_key, property_text, words
from terminology.codesystem import CodeSystem, Node
from terminology.fetching import settled
from terminology.matching import Wanted
from terminology.stored import StoredCodeSystem, StoredNode

MAX_CANDIDATES = 5_000


async def candidates(source: CodeSystem, wanted: Iterable[Wanted]) -> Sequence[Node]:
    """Return the concepts to look at. Raises TooCostly for too many, NotSupported for what is not indexed."""
    if not isinstance(source, StoredCodeSystem):
        return list(source.nodes.values())
    found: dict[int, StoredNode] = {}
    for wish in (one for outer in wanted for one in (outer.inner or (outer,))):
        for node in await _of_wish(source, wish):
            found[node.ordinal] = node
        if len(found) > MAX_CANDIDATES:
            raise TooCostly(
                f"More than {MAX_CANDIDATES} codes of {source.url} have one of the properties; ask for less."
            )
    source.nodes.update((node.code, node) for node in found.values())
    return [found[ordinal] for ordinal in sorted(found)]


async def _of_wish(source: StoredCodeSystem, wish: Wanted) -> Sequence[StoredNode]:
    value = None if wish.value is None else property_text({"value": wish.value})
    if wish.code in ("code", "parent", "child", "ancestor") and value is not None:
        return await _of_hierarchy(source, wish.code, value)
    if wish.code in ("display", "designation") and value is not None and words(value):
        return await source.named(words(value), MAX_CANDIDATES)
    if wish.code in ("display", "designation", "definition", "code", "parent", "child", "ancestor", "inactive"):
        raise NotSupported(
            f"In {source.url}, which is in the database, codes are not found by {wish.code} alone: give a value, or "
            "another property beside it."
        )
    return await source.having([property_key(wish.code, value)], MAX_CANDIDATES)


async def _of_hierarchy(source: StoredCodeSystem, name: str, value: str) -> Sequence[StoredNode]:
    node = await settled(lambda: source.get(value))
    if node is None:
        return ()
    if name == "code":
        return (node,)
    if name == "ancestor":
        return await settled(lambda: source.selected(node.below))
    if name == "parent":
        return await source.read(await settled(lambda: source.children_spans(node)))
    await source.fetch(node.parents)
    return [found for code in node.parents if (found := source.get(code)) is not None]
