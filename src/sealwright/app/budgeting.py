"""Which leakage ledger a server charges: ``[serve] ledger`` in, the port ``Ledger`` out."""

from __future__ import annotations

from pathlib import Path

from sealwright.core.errors import BadInput
from sealwright.serve.interface import Ledger

RECORD = "budget.db"


async def open_budget(spec: str, state_dir: Path, origin: str) -> Ledger:
    """``file``: this process alone, its record in ``state_dir``.

    Raises: BadInput (no such ledger), Unavailable (``guard.ledger``), MissingExtra.
    """
    del origin
    if spec == "file":
        from sealwright.adapters.budget_memory import MemoryLedger

        return MemoryLedger.open(state_dir / RECORD)
    raise BadInput(
        f"there is no ledger {spec!r:.80}",
        why='"file" or "redis://… + postgresql://…"',
        hint="edit [serve] ledger in seal.toml",
    )
