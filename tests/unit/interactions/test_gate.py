"""The gate before transactions."""

from __future__ import annotations

import asyncio

from fhir_server.interactions.gate import Gate


async def test_what_does_not_fit_waits_its_turn_and_what_comes_later_waits_behind_it() -> None:
    gate = Gate(10)
    order: list[str] = []
    release = asyncio.Event()

    async def one(name: str, entries: int, *, hold: bool = False) -> None:
        async with gate.admitted(entries):
            order.append(name)
            if hold:
                await release.wait()

    tasks = [asyncio.create_task(one("first", 6, hold=True))]
    await asyncio.sleep(0)
    tasks += [asyncio.create_task(one("large", 5)), asyncio.create_task(one("small", 1))]
    await asyncio.sleep(0.01)
    assert order == ["first"]
    release.set()
    await asyncio.gather(*tasks)
    assert order == ["first", "large", "small"]


async def test_one_larger_than_the_gate_goes_alone() -> None:
    gate = Gate(10)
    async with gate.admitted(1000):
        waiting = asyncio.create_task(gate.admitted(1).__aenter__())
        await asyncio.sleep(0.01)
        assert not waiting.done()
    await waiting


async def test_who_gives_up_waiting_leaves_no_room_taken() -> None:
    gate = Gate(10)
    async with gate.admitted(10):
        waiting = asyncio.create_task(gate.admitted(4).__aenter__())
        await asyncio.sleep(0.01)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    async with asyncio.timeout(1), gate.admitted(10):
        pass
