"""The rung that the probes measured on this machine, kept beside the keys, and when it counts.

A room's evidence carries it as ``rung_measured``; a policy judges the lower of that and the
promised rung. A measurement is of one kernel, one bubblewrap, one filter and one kind of user:
after any of them has changed it counts no more, and the evidence says that there is none.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sealwright.core import digest
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput
from sealwright.core.settings import Isolation
from sealwright.train import landlock, limits, primitives, seccomp

if TYPE_CHECKING:
    from sealwright.train.probes.suite import Tried, Walls

FILE = "room-measured.json"
_LOWEST = {"network": 0, "files": 0, "processes": 1, "kernel": 1, "resources": 2}
"""Where one leak in a group leaves the room, whatever it promises."""


class Rung(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One isolation: what it promises here, what was measured, and the probes behind that."""

    promised: int
    measured: int
    counted: int
    held: int
    leaked: tuple[str, ...]
    bounded: tuple[str, ...]


class Measured(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``machine`` is what must be the same for this to count; ``time`` as stamps are."""

    machine: dict[str, str]
    time: str
    rungs: dict[str, Rung]

    @property
    def digest(self) -> Digest:
        """SHA-256 of the file that holds it."""
        return digest.of_bytes(msgspec.json.encode(self))


def promised(walls: Isolation, *, grouped: bool) -> int:
    """The rung of facts/v1 that a room without a GPU promises."""
    return 0 if walls == "none" else 2 + grouped + (walls == "strict")


def of(tried: Sequence[Tried], walls: Walls, *, grouped: bool) -> Rung:
    """What the probes make of one isolation.

    A leak costs the rung where this isolation promised to hold it; one that only ``strict``
    promises to hold costs ``standard`` nothing, and is in the table all the same.
    """
    verdicts = {one.name: one.verdicts[walls] for one in tried}
    rung = promise = promised(walls, grouped=grouped)
    for one in tried:
        if verdicts[one.name] == "leaked" and (walls == "strict" or one.since == "standard"):
            rung = min(rung, _LOWEST.get(one.group, 0))
    return Rung(
        promised=promise,
        measured=rung,
        counted=sum(verdict != "no-control" for verdict in verdicts.values()),
        held=sum(verdict == "held" for verdict in verdicts.values()),
        leaked=tuple(name for name, verdict in verdicts.items() if verdict == "leaked"),
        bounded=tuple(name for name, verdict in verdicts.items() if verdict == "bounded"),
    )


def machine() -> dict[str, str]:
    """What a measurement depends on. Raises: Refused (no bubblewrap)."""
    return {
        "kernel": platform.release(),
        "bubblewrap": primitives.bubblewrap().text,
        "landlock": str(landlock.abi()),
        "standard": seccomp.program_digest(),
        "strict": seccomp.program_digest(strict=True),
        "uid": "root" if os.getuid() == 0 else "user",
    }


def measure(tried: Sequence[Tried], time: str) -> Measured:
    """The record of one run of the suite. Raises: Refused."""
    group = limits.make_cgroup(primitives.SMALL)
    if group is not None:
        group.remove()
    seen = tried[0].verdicts if tried else {}
    rungs = {
        walls: of(tried, walls, grouped=group is not None)  # type: ignore[arg-type]
        for walls in seen
    }
    return Measured(machine(), time, rungs)


def save(measured: Measured, state_dir: Path) -> Path:
    """Keep it, 0600, whole or not at all."""
    path = state_dir / FILE
    partial = path.with_suffix(f".{os.getpid()}")
    partial.touch(0o600)
    partial.write_bytes(msgspec.json.encode(measured))
    partial.replace(path)
    return path


def load(state_dir: Path) -> Measured | None:
    """The measurement of this machine as it is now; None when there is none that counts.

    Raises: BadInput (the file is not what ``save`` wrote), Refused (no bubblewrap).
    """
    path = state_dir / FILE
    try:
        found = msgspec.json.decode(path.read_bytes(), type=Measured)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise BadInput(
            f"{path} cannot be read", why=str(error), hint="seal doctor --probes"
        ) from error
    return found if found.machine == machine() else None
