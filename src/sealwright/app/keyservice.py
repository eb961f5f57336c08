"""Running a key service, and moving a workspace's keys into its home."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sealwright.adapters import tls
from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.kms_record import UseRecord
from sealwright.adapters.kms_server import KeyServer
from sealwright.app import wiring
from sealwright.core import clock
from sealwright.core.errors import BadInput, Unavailable
from sealwright.vault import private

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

_FOR = "workspace"
_MOVED = ("root.json", "root.key", "root.next", "root.key.next")


def move(ws: Workspace, home: Path) -> None:
    """Move the root and the wrapping keys into ``home``, and nothing else.

    ``home`` appears whole or not at all; the originals are overwritten after that, so a kill
    leaves them in one place or in both. Raises: BadInput (there is something), Unavailable.
    """
    if not isinstance(ws.kms, FileKms):
        raise BadInput("the keys are not in a file here", why=f"kms is {ws.settings.keys.kms}")
    if home.exists() and (not home.is_dir() or any(home.iterdir())):
        if not _same(ws.state_dir, home):
            raise BadInput(f"{home} is not empty", hint="name a directory that does not exist")
    else:
        _copy(ws, home)
    FileKms.open(home, wiring.passphrase_asker())
    for path in [ws.state_dir / name for name in _MOVED] + [*(ws.state_dir / "keys").glob("*")]:
        if path.is_file():
            private.overwrite(path)
            private.remove(path)
    ws.__dict__.pop("kms", None)


def _copy(ws: Workspace, home: Path) -> None:
    private.ensure_dir(home.parent)
    scratch = home.parent / f".new-{home.name}-{ws.id}"
    shutil.rmtree(scratch, ignore_errors=True)
    private.make_dir(scratch)
    private.make_dir(scratch / "keys")
    for name in _MOVED:
        if (ws.state_dir / name).is_file():
            private.create(scratch / name, private.read(ws.state_dir / name))
    for path in (ws.state_dir / "keys").glob("[!.]*.json"):
        private.create(scratch / "keys" / path.name, private.read(path))
    private.create(scratch / _FOR, ws.id.encode() + b"\n")
    if home.exists():
        home.rmdir()
    scratch.rename(home)
    private.sync_dir(home.parent)


def _same(state: Path, home: Path) -> bool:
    """Whether ``home`` is what a move that was killed had made of ``state``."""
    try:
        return private.read(state / "root.json") == private.read(home / "root.json")
    except FileNotFoundError:
        return False


def workspace_of(home: Path) -> str:
    """Whose keys lie in a home. Raises: Unavailable (nobody's)."""
    try:
        return private.read(home / _FOR).decode().strip()
    except FileNotFoundError:
        if (home / "root.json").is_file() and home.parent == wiring.state_home():
            return home.name
        raise Unavailable(
            f"there are no keys to serve in {home}",
            hint="in the project: seal keys move DIR; then seal keys serve --home DIR",
        ) from None


@contextmanager
def serving(
    home: Path,
    listen: list[Path | tuple[str, int]],
    uids: frozenset[int],
    files: tls.TlsFiles | None,
    say: Callable[[str], None],
) -> Iterator[list[KeyServer]]:
    """Key servers on every address, answering in threads of their own until the block ends."""
    os.umask(0o077)
    kms = FileKms.open(home, wiring.passphrase_asker())
    record = UseRecord(home)
    servers: list[KeyServer] = []
    try:
        for where in listen:
            server = KeyServer(
                kms,
                workspace_of(home),
                record,
                listen=where,
                uids=uids,
                files=files,
                stamp=lambda: clock.stamp(clock.now()),
                say=say,
            )
            servers.append(server)
            threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
        yield servers
    finally:
        for server in servers:
            server.shutdown()
            server.server_close()
        record.close()
