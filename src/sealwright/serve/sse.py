"""Server-sent events (WHATWG HTML, section 9.2), read piece by piece and written.

A stream may be split anywhere: inside a line, between CR and LF, inside a character. Comments,
``id`` and ``retry`` are dropped. What a line or an event may hold is bounded.
"""

from __future__ import annotations

from typing import NamedTuple

from sealwright.core.errors import Unavailable

MOST_BYTES = 1 << 18
"""Of one event, and of one line."""

MEDIA_TYPE = b"text/event-stream"


class Event(NamedTuple):
    """One event: its name (empty: ``message``) and its data, lines joined by LF."""

    data: bytes
    name: bytes = b""


class Events:
    """Bytes of a stream in, whole events out."""

    def __init__(self, most_bytes: int = MOST_BYTES) -> None:
        self._most = most_bytes
        self._line = bytearray()
        self._after_cr = False
        self._first = True
        self._data: list[bytes] = []
        self._name = b""
        self._held = 0

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that ``chunk`` completes. Raises: Unavailable (one is too long)."""
        if self._after_cr and chunk.startswith(b"\n"):
            chunk, self._after_cr = chunk[1:], False
        if not chunk:
            return []
        self._after_cr = chunk.endswith(b"\r")
        lines = chunk.splitlines(keepends=True)  # of bytes: at LF, CR and CRLF only
        rest = b"" if lines[-1].endswith((b"\n", b"\r")) else lines.pop()
        out: list[Event] = []
        for line in lines:
            self._bounded(len(line))
            whole = bytes(self._line) + line if self._line else line
            self._line.clear()
            self._take(whole.rstrip(b"\r\n"), out)
        self._bounded(len(rest))
        self._line += rest
        return out

    def close(self) -> None:
        """The stream ended. Raises: Unavailable (in the middle of an event)."""
        if self._line or self._data:
            raise Unavailable("the stream of events ended in the middle of one")

    def _bounded(self, more: int) -> None:
        if len(self._line) + self._held + more > self._most:
            raise Unavailable(
                "the stream of events holds one that is too long",
                why=f"more than {self._most:,} bytes",
            )

    def _take(self, line: bytes, out: list[Event]) -> None:
        if self._first:
            self._first = False
            line = line.removeprefix(b"\xef\xbb\xbf")
        if not line:
            if self._data:
                out.append(Event(b"\n".join(self._data), self._name))
            self._data, self._name, self._held = [], b"", 0
            return
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._held += len(value) + 1
        elif field == b"event":
            self._name = value


def written(data: bytes, name: bytes = b"") -> bytes:
    """One event on the wire; a line of ``data`` to each of its lines."""
    lines = [b"event: " + name] if name else []
    plain = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    lines += [b"data: " + line for line in plain.split(b"\n")]
    return b"\n".join(lines) + b"\n\n"


DONE = b"[DONE]"
"""The data of the event with which OpenAI's streams end."""
