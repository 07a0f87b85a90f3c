"""HTTP/1.1 as uvicorn speaks it with httptools, with an end to how long the head of a request may be, and may take.

https://www.rfc-editor.org/rfc/rfc6585#section-5, https://www.rfc-editor.org/rfc/rfc9110#section-15.5.9
"""

from __future__ import annotations

from asyncio import BaseTransport, TimerHandle, Transport
from typing import Any, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 65_536
HEAD_SECONDS = 30.0
_LATE = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_REFUSAL = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a request line and headers that do not end: the parser would keep all of it, however much comes.

    What arrives in one piece with the beginning of a request is not counted, since it may be the end of another one;
    the event loop reads at most 256 KB at once, so there is an end to that too.

    A head that has begun, and the first one of a connection, must be whole within `head_seconds`. The clock runs only
    for what does not arrive in one piece, so that the usual request does not pay for it. Between requests uvicorn's
    keep-alive limit holds, until anything arrives.
    """

    head_seconds = HEAD_SECONDS

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._deadline: TimerHandle | None = None
        self._is_in_head = False
        self._head_bytes = 0
        self._began_now = False

    def connection_made(self, transport: BaseTransport) -> None:
        """Wait for the first head; called by the event loop."""
        super().connection_made(cast(Transport, transport))
        self._set_deadline()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock; called by the event loop."""
        self._drop_deadline()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; called by the event loop."""
        self._began_now = False
        super().data_received(data)
        if self._is_in_head or self.cycle is None or self.cycle.response_complete:
            self._set_deadline()
        if not self._is_in_head or self._began_now or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.transport.write(_REFUSAL)
            self.transport.close()

    def on_message_begin(self) -> None:
        """Begin to count; called by the parser."""
        super().on_message_begin()
        self._is_in_head, self._head_bytes, self._began_now = True, 0, True

    def on_headers_complete(self) -> None:
        """Stop counting: what follows is the body, which has a limit of its own; called by the parser."""
        self._is_in_head = False
        self._drop_deadline()
        super().on_headers_complete()

    def _set_deadline(self) -> None:
        is_ours = (
            not self.transport.is_closing() and self.transport.get_protocol() is self
        )  # else it is a WebSocket now
        if self._deadline is None and is_ours:
            self._deadline = self.loop.call_later(self.head_seconds, self._end)

    def _drop_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end(self) -> None:
        """Say that it took too long where something has begun, and close."""
        self._deadline = None
        if self.cycle is not None and not self.cycle.response_complete:  # the request before is not answered yet
            self._set_deadline()
            return
        if self._is_in_head:
            self.transport.write(_LATE)
        self.transport.close()
