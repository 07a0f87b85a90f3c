"""HTTP/1.1 as uvicorn speaks it with httptools, with an end to how long the head of a request may be.

https://www.rfc-editor.org/rfc/rfc6585#section-5
"""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

MAX_HEAD_BYTES = 65_536
_REFUSAL = b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"


class BoundedProtocol(HttpToolsProtocol):
    """Refuses a request line and headers that do not end: the parser would keep all of it, however much comes.

    What arrives in one piece with the beginning of a request is not counted, since it may be the end of another one;
    the event loop reads at most 256 KB at once, so there is an end to that too.
    """

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._is_in_head = False
        self._head_bytes = 0
        self._began_now = False

    def data_received(self, data: bytes) -> None:
        """Take what has arrived; called by the event loop."""
        self._began_now = False
        super().data_received(data)
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
        super().on_headers_complete()
