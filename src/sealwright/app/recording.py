"""Recording while keys may be rotated: neither waits for longer than one statement."""

from __future__ import annotations

from pathlib import Path

from sealwright.core.locking import directory
from sealwright.core.ports import Recorder
from sealwright.core.records import Receipt, Statement


class Steady:
    """A recorder that shares the trust folder's lock: who rotates a signing key waits for it."""

    def __init__(self, inner: Recorder, folder: Path) -> None:
        self.inner = inner
        self._folder = folder

    def record(self, statement: Statement) -> Receipt:
        """Record it with the folder shared."""
        with directory(self._folder, alone=False):
            return self.inner.record(statement)
