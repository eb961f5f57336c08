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


_CURRENT: ContextVar[Acting] = ContextVar("acting", default=Acting())  # noqa: B039 - frozen


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
    """What the innermost :func:`acting` says."""
    return _CURRENT.get()
