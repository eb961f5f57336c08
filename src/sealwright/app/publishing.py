"""What follows an append: tiles, a mirror, a witness. None of it may block the append."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

from sealwright.adapters import tiles_dir, witness_http
from sealwright.adapters.witness_address import parse_address
from sealwright.app.choosing import tls_files
from sealwright.core.errors import BadInput, SealError, VerifyError
from sealwright.evidence import note as notes
from sealwright.evidence.checkpoint import Checkpoint, read_checkpoint
from sealwright.evidence.history import verified_checkpoint
from sealwright.evidence.note import Verifier
from sealwright.policy.context import Witnessed
from sealwright.registry import witnessed as registry_witnessed

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace


def settle(workspace: Workspace) -> list[str]:
    """Publish, mirror and ask the witness, as ``[log]`` says; returns what could not be done.

    Raises: VerifyError (the log was rewound or forked against what was published, mirrored
    or witnessed).
    """
    publish(workspace, tiles(workspace))
    undone: list[str] = []
    for wanted, work in (
        (workspace.settings.log.mirror, mirror),
        (workspace.settings.log.witness, ask),
    ):
        if wanted:
            try:
                work(workspace)
            except VerifyError:
                raise
            except SealError as error:
                undone.append(": ".join(filter(None, (error.what, error.why))))
            except OSError as error:
                undone.append(f"{wanted}: {error.strerror or error}")
    return undone


def tiles(workspace: Workspace) -> Path:
    """Where the log is published inside the project."""
    return workspace.seal_dir / "tiles"


def mirror(workspace: Workspace, directory: Path | None = None) -> Checkpoint:
    """Bring the mirror up to the log. Raises: VerifyError (it holds something else), BadInput."""
    target = directory or mirror_of(workspace)
    if target is None:
        raise BadInput(
            "there is no mirror", hint="seal log mirror DIR, or [log] mirror in seal.toml"
        )
    return publish(workspace, target)


def publish(workspace: Workspace, directory: Path) -> Checkpoint:
    """Write the log as static tiles. Raises: VerifyError, Unavailable, OSError."""

    def verified(note: bytes) -> Checkpoint:
        # another log's checkpoint is told apart by its origin, not by its key
        if read_checkpoint(note).origin != workspace.origin:
            return read_checkpoint(note)
        return verified_checkpoint(note, workspace.trust)

    return tiles_dir.publish(workspace.log, directory, verified)


def mirror_of(workspace: Workspace) -> Path | None:
    """The directory that ``[log] mirror`` names, relative to the project."""
    named = workspace.settings.log.mirror
    return workspace.root / Path(named).expanduser() if named else None


def ask(workspace: Workspace, address: str = "") -> witness_http.Cosigned:
    """Have the witness cosign the newest checkpoint; the newest trusted witness key counts.

    Raises: BadInput (no witness is set or trusted), and what ``witness_http.submit`` raises.
    """
    where = address or workspace.settings.log.witness
    keys = list(witness_keys(workspace))
    if not where or not keys:
        raise BadInput(
            "this log has no witness",
            why="no address in [log] witness" if keys else "the trust root names no witness key",
            hint="seal log witness trust VKEY --at ADDRESS",
        )
    files = tls_files(workspace.settings, workspace.root)
    return witness_http.submit(workspace.log, parse_address(where), keys[-1], files)


def witness_keys(workspace: Workspace) -> dict[Verifier, str]:
    """The witnesses that the trust root names for the newest entry, with their separation."""
    last = max(workspace.log.size() - 1, 0)
    return {
        notes.verifier(key.name, key.pem.encode(), notes.COSIGNATURE_V1): key.note or "none"
        for key in workspace.trust.keys
        if key.role == "witness" and key.covers(last)
    }


def witnessed(workspace: Workspace) -> Witnessed:
    """The best cosignature the log holds. Raises: VerifyError (a stored one was changed)."""
    note = workspace.log.witnessed()
    if note is None:
        return Witnessed()
    known = registry_witnessed.known_only(note, workspace.trust)
    found = registry_witnessed.check(known, workspace.trust, "the witnessed checkpoint")
    return registry_witnessed.best(found.cosignatures)


def posix_now() -> int:
    """The system clock in seconds, for a witness."""
    return int(time.time())
