"""What data must be before it trains: contracts and splits, checked just before the gate asks.

The statements made here are what the gate judges; :meth:`Found.explain` puts the rule, column,
counts and first record ids beside its refusal.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from sealwright.app import contracts, splits
from sealwright.app.wiring import Workspace
from sealwright.core.errors import GateDenied
from sealwright.intake.versions import Dataset

_RULES = ("contract.", "split.", "validation.")
_MOST_LINES = 8


class Found(msgspec.Struct, frozen=True):
    """What does not hold, a line each."""

    lines: tuple[str, ...]

    def explain(self, denied: GateDenied) -> GateDenied:
        """The same refusal, saying what it rests on where it is about the data."""
        if self.lines and any(rule.startswith(_RULES) for rule in denied.rule.split(", ")):
            told = [*self.lines[:_MOST_LINES]]
            if len(self.lines) > _MOST_LINES:
                told.append(f"and {len(self.lines) - _MOST_LINES:,} more")
            denied.why = "; ".join([denied.why, *told])
        return denied


def before_run(workspace: Workspace, datasets: Sequence[Dataset]) -> Found:
    """Check whatever a run uses that was not checked yet. Raises: VerifyError, Refused (it
    cannot be read)."""
    lines = [line for one in contracts.before_run(workspace, datasets) for line in one.lines()]
    compared = splits.before_run(workspace, datasets)
    lines += [line for one in compared if not one.apart for line in one.lines()]
    return Found(tuple(lines))
