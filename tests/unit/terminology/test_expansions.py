"""Large expansions are computed once, and never an old one is given."""

from __future__ import annotations

import pytest

from terminology import expansions
from terminology.composing import Composer
from terminology.expanding import expand
from terminology.languages import Languages
from terminology.rows import Wish
from terminology.sources import Memory, Sources
from terminology.valueset import ValueSet
from tests.unit.terminology.shelf import SET, Json, Shelf, animals, concept, filtered, of, value_set


@pytest.fixture(autouse=True)
def large(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take anything for large."""
    monkeypatch.setattr(expansions, "LARGE", 1)


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The value sets that were gone through."""
    names: list[str] = []
    through = ValueSet.entries

    def entries(self: ValueSet, *given: frozenset[str]) -> object:
        names.append(self.url.removeprefix(SET))
        return through(self, *given)

    monkeypatch.setattr(ValueSet, "entries", entries)
    return names


async def page(memory: Memory, wish: Wish, *shelf: Json, supplements: tuple[str, ...] = ()) -> str:
    """Return the codes of a page of the value set x."""
    sources = Sources(Shelf(*shelf), memory, supplements=supplements)
    found = await expand(await Composer(sources).named(SET + "x"), wish, Languages(), [], memory.expansions)
    return " ".join(row["code"] for row in found.get("contains", ()))


async def test_pages_are_of_one_computation(made: list[str]) -> None:
    memory, shelf = Memory(), (animals(), value_set("x", of()))
    assert await page(memory, Wish(offset=0, count=2), *shelf) == "animal bird"
    assert await page(memory, Wish(offset=2, count=2), *shelf) == "duck owl"
    assert made == ["x"]


async def test_what_is_left_out_makes_it_another() -> None:
    memory, shelf = Memory(), (animals(), value_set("x", of()))
    for wish, expected in (
        (Wish(offset=0, count=9, is_flat=True), "animal bird duck owl fish eel stone"),
        (Wish(offset=0, count=9, is_flat=True, active_only=True), "animal bird duck owl fish eel"),
        (Wish(offset=0, count=9, is_flat=True, for_ui=True), "bird duck owl fish eel stone"),
        (Wish(offset=0, count=9, is_flat=True, filter="is"), "fish"),
        (Wish(offset=0, count=9, is_flat=True, without_systems=(animals()["url"],)), ""),
        (Wish(offset=0, count=9, is_flat=True), "animal bird duck owl fish eel stone"),
    ):
        assert await page(memory, wish, *shelf) == expected


async def test_a_change_of_anything_it_was_made_from_makes_it_another() -> None:
    memory, wish = Memory(), Wish(offset=0, count=9, is_flat=True)
    imports = value_set("x", {"valueSet": [SET + "y"]})
    assert await page(memory, wish, animals(), imports, value_set("y", of())) == "animal bird duck owl fish eel stone"
    assert await page(memory, wish, animals(), imports, value_set("y", filtered("food", "=", "mice"))) == "owl"
    changed = animals(concept=[concept("cat", food="mice")])
    assert await page(memory, wish, changed, imports, value_set("y", filtered("food", "=", "mice"))) == "cat"
    assert await page(memory, wish, animals(), imports, value_set("y", of())) == "animal bird duck owl fish eel stone"


async def test_only_so_much_is_kept(made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expansions, "MAX_KEPT", 10)
    memory = Memory()
    whole, birds = value_set("x", of()), value_set("x", filtered("concept", "is-a", "bird"))
    for one in (whole, birds, whole):
        await page(memory, Wish(offset=0, count=2), animals(), one)
    assert len(made) == 3
    await page(memory, Wish(offset=2, count=2), animals(), whole)
    assert len(made) == 3
