"""A drill: the log key is stolen. Played on a copy of the log; nothing of it stays.

The copy's log key is replaced as `seal keys rotate log` would; then a thief signs with the
old one, and each thing that must hold is looked at.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import msgspec

from sealwright.app import rotating, wiring
from sealwright.core.errors import Refused, SealError, UnknownSigner
from sealwright.evidence.checkpoint import Checkpoint, read_checkpoint, sign_checkpoint
from sealwright.evidence.history import verified_checkpoint
from sealwright.vault import private

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace


class Step(msgspec.Struct, frozen=True):
    """One thing that must hold, whether it did, and what was seen."""

    what: str
    held: bool
    seen: str


def log_key(ws: Workspace) -> tuple[Step, ...]:
    """Play the theft of the log key. Raises what making the copy raises."""
    with _copy(ws) as copy:
        size = copy.log.size()
        before = copy.log.checkpoint()
        thief = copy.keyring.signer("log")
        new = rotating.replaced(copy, "log", "drill: the log key is stolen")
        forged = sign_checkpoint(Checkpoint(copy.origin, size + 40, bytes(32)), thief)
        head = read_checkpoint(copy.log.checkpoint())
        resigned = sign_checkpoint(head, thief)
        elsewhere = sign_checkpoint(Checkpoint(copy.origin, size, bytes(32)), thief)
        return (
            _holds(
                "checkpoints from before the break still verify",
                lambda: f"{verified_checkpoint(before, copy.trust).size} entries",
            ),
            _holds(
                "the log goes on under the new key",
                lambda: f"{copy.history().size} entries, the new key from {new.first_index} on",
            ),
            _refused(
                "a longer log signed by the thief is refused",
                lambda: verified_checkpoint(forged, copy.trust),
            ),
            _refused(
                "the same log signed by the thief is refused",
                lambda: verified_checkpoint(resigned, copy.trust),
            ),
            _holds(
                "a rewritten past verifies by signature alone: witness and anchor tell it",
                lambda: f"{verified_checkpoint(elsewhere, copy.trust).size} entries, another root",
            ),
        )


def _holds(what: str, look: Callable[[], str]) -> Step:
    try:
        return Step(what, True, look())
    except SealError as error:
        return Step(what, False, error.what)


def _refused(what: str, look: Callable[[], object]) -> Step:
    try:
        look()
    except (Refused, UnknownSigner) as error:
        return Step(what, True, error.what)
    return Step(what, False, "it was accepted")


@contextmanager
def _copy(ws: Workspace) -> Iterator[Workspace]:
    folder = ws.state_dir / f"drill-{private.tmp_name().removeprefix('.')}"
    try:
        private.make_dir(folder)
        root, state = folder / "project", folder / "state"
        seal = root / wiring.SEAL_DIR
        for each in (root, seal, seal / "tmp", state):
            private.make_dir(each)
        shutil.copytree(ws.seal_dir / "trust", seal / "trust")
        shutil.copytree(ws.state_dir / "signers", state / "signers")
        for name in ("trust.pin", "anchor.json"):
            if (ws.state_dir / name).exists():
                shutil.copy2(ws.state_dir / name, state / name)
        record = wiring.read_record(ws.seal_dir)
        with (
            closing(sqlite3.connect(ws.seal_dir / "ledger.db")) as old,
            closing(sqlite3.connect(seal / "ledger.db")) as new,
        ):
            old.backup(new)
        copy = wiring.Workspace(root, record)
        copy.state_dir = state
        copy.__dict__["kms"] = ws.kms
        copy.__dict__["principal"] = ws.principal
        yield copy
        copy.log.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
