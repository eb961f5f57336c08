"""For whom, what for and about which artifact keys are being used: what a key service logs.

Whoever opens data says so around it; a key service cannot check the words, and logs beside
them the uid or certificate that it did check.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec


class Acting(msgspec.Struct, frozen=True):
    """Names only. All may be empty."""

    principal: str = ""
    purpose: str = ""
    artifact: str = ""


_CURRENT: ContextVar[Acting | None] = ContextVar("acting", default=None)
_command = Acting()


def remember(*, purpose: str, artifact: str) -> None:
    """What the present command was allowed to do, in all its threads, until the next such word."""
    global _command
    _command = Acting(purpose=purpose, artifact=artifact)


@contextmanager
def acting(*, principal: str = "", purpose: str = "", artifact: str = "") -> Iterator[None]:
    """Inside, keys are used for this; what is left empty stays as it was outside."""
    now = current()
    token = _CURRENT.set(
        Acting(principal or now.principal, purpose or now.purpose, artifact or now.artifact)
    )
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current() -> Acting:
    """What the innermost :func:`acting` says, or what the command is remembered for."""
    return _CURRENT.get() or _command
