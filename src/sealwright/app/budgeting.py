"""Which leakage ledger a server charges: ``[serve] ledger`` in, the port ``Ledger`` out."""

from __future__ import annotations

import os
from pathlib import Path

from sealwright.core.errors import BadInput
from sealwright.serve.interface import Ledger

RECORD = "budget.db"
_REDIS = ("redis://", "rediss://", "unix://")
_POSTGRES = ("postgresql://", "postgres://")


async def open_budget(spec: str, folder: Path, origin: str) -> Ledger:
    """``file``: this process alone, its record in ``folder``. Else Redis and PostgreSQL, in
    which every workspace (``origin``) has counters and rows of its own.

    Raises: BadInput (no such ledger), Unavailable (``guard.ledger``), MissingExtra.
    """
    if spec == "file":
        from sealwright.adapters.budget_memory import MemoryLedger

        return MemoryLedger.open(folder / RECORD)
    redis_url, postgres_url = addresses(spec)
    from sealwright.adapters.budget_redis import RedisLedger

    password = os.environ.get("SEAL_REDIS_PASSWORD") or None
    return await RedisLedger.open(redis_url, postgres_url, origin, password=password)


def addresses(spec: str) -> tuple[str, str]:
    """``redis://… + postgresql://…`` as two. Raises: BadInput."""
    counters, plus, record = (part.strip() for part in spec.partition(" + "))
    if not plus or not counters.startswith(_REDIS) or not record.startswith(_POSTGRES):
        raise BadInput(
            "[serve] ledger is none that there is",
            why='"file" or "redis://HOST:6379/0 + postgresql://USER@HOST/DATABASE"',
            hint="edit [serve] ledger in seal.toml",
        )
    return counters, record
