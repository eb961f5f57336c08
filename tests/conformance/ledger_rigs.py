"""How each ledger is started, crashed and opened again in the tests of its port."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

from sealwright.adapters.budget_memory import MemoryLedger


class Clock:
    """Microseconds since 1970, moved by hand."""

    def __init__(self):
        self.us = 1_800_000_000_000_000

    def __call__(self):
        return self.us


class MemoryRig:
    def __init__(self, folder):
        self.path = folder / "budget.db"
        self.clock = Clock()
        self.runner = asyncio.Runner()
        self.ledger = self.opened()

    def opened(self):
        return MemoryLedger.open(self.path, self.clock)

    def run(self, call):
        return self.runner.run(call)

    def crash(self):
        """As kill -9 leaves it; opened anew."""
        self.ledger._claims.close(None)
        self.ledger = self.opened()

    def restart(self):
        """Closed in good order, and opened anew."""
        self.run(self.ledger.close())
        self.ledger = self.opened()

    def break_record(self):
        self.ledger._claims._db.close()

    def close(self):
        self.ledger._claims.close(None)
        self.runner.close()


@contextmanager
def memory(folder):
    rig = MemoryRig(folder)
    try:
        yield rig
    finally:
        rig.close()


RIGS = {"memory": memory}
