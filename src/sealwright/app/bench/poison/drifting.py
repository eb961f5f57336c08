"""Drift: the rows of ``seal bench drift``, so that one run and one page hold every target."""

from __future__ import annotations

from sealwright.app.bench import Answer
from sealwright.app.bench import drift as bench


def drift(quick: bool, jobs: int) -> Answer:
    """Null splits, a named shift, and a wide table streamed; one process, whatever ``jobs``."""
    return Answer(bench.rows(quick), [])
