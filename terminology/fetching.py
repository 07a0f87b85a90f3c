"""Questions over concepts that lie in the database, asked by code that does not wait.

What a question needs and has not got yet is named by NotFetched; it is fetched and the question is asked again. So the
rules of value sets are written once, for code systems in memory and in the database. Code that asks changes nothing
before it has its answers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from terminology.failures import TooHard

_T = TypeVar("_T")
_P = ParamSpec("_P")

MAX_ROUNDS = 200


# What the handler under way has fetched, so that it is still there when it is run anew.
_fetched: ContextVar[dict[str, Any] | None] = ContextVar("fetched", default=None)


def kept(key: str, make: Callable[[], _T]) -> _T:
    """Return what was made under a key while this handler runs, or make it."""
    known = _fetched.get()
    if known is None:
        return make()
    if key not in known:
        known[key] = make()
    found: _T = known[key]
    return found


class NotFetched(Exception):
    """Concepts are needed that were not fetched yet; `fetch` fetches them."""

    def __init__(self, fetch: Callable[[], Awaitable[None]]) -> None:
        self.fetch = fetch
        super().__init__("not fetched yet")


async def settled(question: Callable[[], _T]) -> _T:
    """Return the answer to a question, with all that it needs fetched. Raises TooHard where it never has enough."""
    for _ in range(MAX_ROUNDS):
        try:
            return question()
        except NotFetched as missing:
            await missing.fetch()
    raise TooHard("")


def fetching(handler: Callable[_P, Awaitable[_T]]) -> Callable[_P, Coroutine[Any, Any, _T]]:
    """Let a handler be run anew when it has met concepts that were not fetched yet."""

    @wraps(handler)
    async def handle(*given: _P.args, **named: _P.kwargs) -> _T:
        token = _fetched.set({})
        try:
            for _ in range(MAX_ROUNDS):
                try:
                    return await handler(*given, **named)
                except NotFetched as missing:
                    await missing.fetch()
            raise TooHard("")
        finally:
            _fetched.reset(token)

    return handle
