"""Every thief by its name, and which are held out: no monitor was tuned against those."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sealwright.core.errors import BadInput
from sealwright.redteam.extraction.accounts import Split
from sealwright.redteam.extraction.interface import Known, Thief

_HERE = "sealwright.redteam.extraction"
THIEVES: dict[str, str] = {
    "in-distribution": f"{_HERE}.ordinary:InDistribution",
    "jacobian": f"{_HERE}.jacobian:Jacobian",
    "out-of-distribution": f"{_HERE}.elsewhere:OutOfDistribution",
    "random": f"{_HERE}.elsewhere:Uniform",
    "boundary": f"{_HERE}.boundary:Boundary",
    "data-free": f"{_HERE}.datafree:DataFree",
    "adaptive": f"{_HERE}.adaptive:Adaptive",
}
HELD_OUT = frozenset({"boundary", "data-free", "adaptive"})
MOST_ACCOUNTS = 1000


def thief(name: str, known: Known) -> Thief:
    """``NAME``, or ``NAME*N`` for N accounts in turn. Raises: BadInput (no such thief)."""
    count = accounts_of(name)
    module, _, kind = THIEVES[name.partition("*")[0]].partition(":")
    made: Any = getattr(import_module(module), kind)(known)
    alone: Thief = made
    return Split(alone, count) if "*" in name else alone


def accounts_of(name: str) -> int:
    """The N of ``NAME*N``; 1 for ``NAME``. Raises: BadInput."""
    family, times, count = name.partition("*")
    if family not in THIEVES:
        raise BadInput(f"no thief {family!r}", why=f"known: {', '.join(THIEVES)}")
    if times and not (count.isascii() and count.isdigit() and 1 <= int(count) <= MOST_ACCOUNTS):
        raise BadInput(f"{name}: how many accounts?", why=f"from 1 to {MOST_ACCOUNTS:,}")
    return int(count) if times else 1
