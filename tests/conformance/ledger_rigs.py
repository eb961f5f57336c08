"""How each ledger is started, crashed and opened again in the tests of its port."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

from servers import shared_postgres, shared_redis

from sealwright.adapters.budget_memory import MemoryLedger
from sealwright.adapters.budget_redis import RedisLedger

ORIGIN = "sealwright.local/w0123456789abcdef"


class Clock:
    """Microseconds since 1970, moved by hand."""

    def __init__(self):
        self.us = 1_800_000_000_000_000

    def __call__(self):
        return self.us


class MemoryRig:
    restart_empties_the_rate = True

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


class RedisRig:
    """One replica; ``crash`` is a flushed Redis, ``restart`` a replica closed and opened anew."""

    restart_empties_the_rate = False

    def __init__(self):
        self.redis, self.postgres = shared_redis(), shared_postgres()
        self.redis.cli("FLUSHALL")
        exists = self.postgres.sql("SELECT 1 FROM pg_database WHERE datname = 'ledger'")
        if not exists:
            self.postgres.database("ledger")
        self.url = f"postgresql://seal@/ledger?host={self.postgres.folder}"
        if self.postgres.sql("SELECT to_regclass('sealwright_placed')", "ledger"):
            names = "sealwright_epochs, sealwright_accounts, sealwright_models, sealwright_placed"
            self.postgres.sql(f"TRUNCATE {names}", "ledger")
        self.clock = Clock()
        self.runner = asyncio.Runner()
        self.ledger = self.opened()

    def opened(self):
        return self.run(RedisLedger.open(self.redis.url, self.url, ORIGIN, clock_us=self.clock))

    def run(self, call):
        return self.runner.run(call)

    def crash(self):
        self.redis.cli("FLUSHALL")

    def restart(self):
        self.run(self.ledger.close())
        self.ledger = self.opened()

    def break_record(self):
        self.ledger._record._url = "postgresql://seal@/ledger?host=/nonexistent"
        self.run(self.ledger._record.close())

    def close(self):
        self.run(self.ledger.close())
        self.runner.close()


@contextmanager
def redis(folder):
    rig = RedisRig()
    try:
        yield rig
    finally:
        rig.close()


RIGS = {"memory": memory, "redis": redis}
