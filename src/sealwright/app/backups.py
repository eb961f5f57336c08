"""Writing a backup: the project's rules, the log as tiles, the store as it lies, wrapped keys.

What is in it and what is not is docs/guide/keys-and-backup.md.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sealwright.adapters import backup_tar, tiles_dir
from sealwright.adapters.backup_tar import Member
from sealwright.app.wiring import SETTINGS, Workspace
from sealwright.core import clock
from sealwright.core.errors import BadInput
from sealwright.core.ports import Progress
from sealwright.evidence import dsse, jcs
from sealwright.vault import private

TYPE = "urn:sealwright:backup/v1"
PAYLOAD_TYPE = "application/vnd.sealwright.backup+json"
_KEY_FILES = ("root.json", "trust.pin")
_KEY_FOLDERS = ("keys", "signers")


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"kind": "type"}):
    """What the last member says, signed by the workspace key."""

    kind: str
    workspace: str
    origin: str
    size: int
    root: str
    keys: bool
    time: str
    members: tuple[Member, ...]


def make(ws: Workspace, target: Path, *, with_keys: bool, progress: Progress) -> Catalogue:
    """Write ``target``. The log and the list of segments are of one moment.

    Raises: BadInput (the file exists, or lies in the workspace's own folder), VerifyError
    (the log does not verify: a backup of it would only keep the damage), Unavailable.
    """
    if target.resolve().is_relative_to(ws.seal_dir.resolve()):
        raise BadInput(f"{target} lies inside {ws.seal_dir}", hint="write it somewhere else")
    if with_keys and ws.settings.keys.kms != "file":
        raise BadInput(
            "the keys are not here to be put into a backup",
            why=f"[keys] kms is {ws.settings.keys.kms}",
            hint="back up the home of the key service by itself, or leave --with-keys out",
        )
    scratch = ws.seal_dir / "tmp" / private.tmp_name()
    private.ensure_dir(scratch)
    try:
        with ws.lock():
            ws.history()
            checkpoint = tiles_dir.publish(ws.log, scratch / "log")
            sources = sorted(_sources(ws, scratch / "log", with_keys=with_keys))
        made = Catalogue(
            kind=TYPE,
            workspace=ws.id,
            origin=ws.origin,
            size=checkpoint.size,
            root=checkpoint.root.hex(),
            keys=with_keys,
            time=clock.stamp(ws.clock()),
            members=(),
        )
        signer = ws.keyring.signer("workspace")

        def catalogue(members: list[Member]) -> bytes:
            nonlocal made
            made = msgspec.structs.replace(made, members=tuple(members))
            return dsse.sign(jcs.canonical(msgspec.to_builtins(made)), [signer], PAYLOAD_TYPE)

        backup_tar.write(target, sources, catalogue, progress)
        return made
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _sources(ws: Workspace, log: Path, *, with_keys: bool) -> Iterator[tuple[str, Path]]:
    if (ws.root / SETTINGS).is_file():
        yield f"project/{SETTINGS}", ws.root / SETTINGS
    yield from _tree("project/policies", ws.root / "policies")
    yield "seal/workspace.json", ws.seal_dir / "workspace.json"
    yield from _tree("seal/trust", ws.seal_dir / "trust")
    yield from _tree("seal/past", ws.seal_dir / "past")
    yield from _tree("seal/log", log)
    for scope in ws.store.scopes():
        yield from _tree(f"seal/store/{scope}", ws.seal_dir / "store" / scope)
    if with_keys:
        for name in _KEY_FILES:
            yield f"keys/{name}", ws.state_dir / name
        for folder in _KEY_FOLDERS:
            yield from _tree(f"keys/{folder}", ws.state_dir / folder)


def _tree(name: str, folder: Path) -> Iterator[tuple[str, Path]]:
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if not hidden and path.is_file() and not path.is_symlink():
            yield f"{name}/{path.relative_to(folder).as_posix()}", path
