"""What the words of ``seal keys`` share: asking for a secret, and where the root is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sealwright.core.errors import BadInput

if TYPE_CHECKING:
    from sealwright.adapters.kms_file import FileKms
    from sealwright.app.wiring import Workspace


def ask(what: str) -> str:
    """A secret from the terminal, or one line of stdin."""
    import getpass
    import sys

    if sys.stdin.isatty():
        return getpass.getpass(f"{what}: ", stream=sys.stderr)
    return sys.stdin.readline().rstrip("\n")


def held_here(ws: Workspace) -> FileKms:
    """The keys in the state directory. Raises: BadInput (they are somewhere else)."""
    from sealwright.adapters.kms_file import FileKms

    if not isinstance(ws.kms, FileKms):
        raise BadInput(
            "the root key is not in the state directory",
            why=f"[keys] kms is {ws.settings.keys.kms}",
            hint="do it where the key service has its home",
        )
    return ws.kms


def kept(custody: str) -> str:
    """How the root is kept, in words."""
    if custody == "external":
        return "the root key is held elsewhere"
    return f"the root key is kept by a {custody.replace('-', ' ')}"
