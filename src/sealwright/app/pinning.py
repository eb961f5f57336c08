"""A trust root as it is named on the command line."""

from __future__ import annotations

from pathlib import Path

from sealwright.core.reading import small_file
from sealwright.evidence.trust import pin_of


def pin(given: str | None) -> str | None:
    """The pin that ``--trust FILE|FINGERPRINT`` names; None for none. Raises: BadInput."""
    if not given:
        return None
    path = Path(given)
    if not path.is_file():
        return pin_of(given.encode())
    return pin_of(small_file(path))
