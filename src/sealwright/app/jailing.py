"""Where our own modules open files that nobody trusts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sealwright.adapters.runner_room import RoomJail
from sealwright.core.ports import Jail
from sealwright.core.settings import Isolation


def jail_of(state_dir: Path, walls: Isolation, heard: Callable[[str], None] | None = None) -> Jail:
    """The room's walls around a module; ``heard`` gets how far it says it is.

    A workspace whose scripts run without a room still opens such files in one, or not at all.
    """
    scratch = state_dir / "rooms"
    scratch.mkdir(mode=0o700, exist_ok=True)
    return RoomJail(scratch, "standard" if walls == "none" else walls, heard=heard)
