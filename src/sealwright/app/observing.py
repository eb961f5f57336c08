"""``seal run --observe``: needs no workspace, writes nothing of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sealwright.app.cli.out import Out
from sealwright.train.observe import Observation, observe

_STDERR = 2


def run(command: Sequence[str], out: Out) -> int:
    """Watch ``command`` here; its own output goes to stderr. 2 when it did not end with 0."""
    out.note("seal: watching outside the room; nothing is held back and nothing is recorded")
    seen = observe(command, Path.cwd(), stdout=_STDERR)
    out.emit(seen.to_json(), lambda: _text(seen))
    return 2 if seen.exit_code else 0


def _text(seen: Observation) -> str:
    return "\n".join([*seen.lines(), "", "# a seal.toml that says so", "", seen.proposal])
