"""Label flips: the rows of ``seal bench labels``; one run and one page hold every target."""

from __future__ import annotations

from sealwright.app.bench import Answer, labels


def flips(quick: bool, jobs: int) -> Answer:
    """5 and 10 % of Adult's labels, beside cleanlab and the ceiling; one process."""
    return Answer(labels.rows(quick), [])
