"""stdout and stderr of a room: live to a listener, kept in a file, cut at a cap and counted.

The cap bounds both copies: what a script prints is a way out of the room.
"""

from __future__ import annotations

import hashlib
import os
from typing import BinaryIO

from sealwright.train.spec import Channel, Listener, LogFacts

_CHUNK = 1 << 16
_TAIL_BYTES = 1 << 16


class Capture:
    """One channel. ``fd`` is the reading end of its pipe."""

    def __init__(
        self, channel: Channel, fd: int, cap: int, listener: Listener, keep: BinaryIO | None
    ) -> None:
        self.fd = fd
        self._channel = channel
        self._cap = cap
        self._listener = listener
        self._keep = keep
        self._hash = hashlib.sha256()
        self._passed = 0
        self._kept = 0
        self._dropped = 0
        self._tail = bytearray()

    def pump(self) -> bool:
        """Take what is there. False at the end of the stream."""
        data = os.read(self.fd, _CHUNK)
        if not data:
            return False
        self._tail += data
        del self._tail[:-_TAIL_BYTES]
        room = self._cap - self._passed
        self._passed += min(room, len(data))
        self._give(data[:room])
        if room < len(data):
            if not self._dropped:
                self._give(f"\n[cut: {self._channel} went over {self._cap} bytes]\n".encode())
            self._dropped += len(data) - room
        return True

    def _give(self, data: bytes) -> None:
        if not data:
            return
        self._kept += len(data)
        self._hash.update(data)
        if self._keep is not None:
            self._keep.write(data)
        self._listener(self._channel, data)

    def tail(self) -> str:
        """The last 64 KiB, cut or not, for finding out what went wrong."""
        return self._tail.decode(errors="replace")

    def facts(self) -> LogFacts:
        """Digest and size of what was kept, the marker included, and how much was cut."""
        return LogFacts(self._hash.hexdigest(), self._kept, self._dropped)
