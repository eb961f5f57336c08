"""A trust root as it is named on the command line."""

from __future__ import annotations

from pathlib import Path

from sealwright.core.errors import BadInput
from sealwright.evidence.trust import pin_of

_MOST_BYTES = 4 << 20


def pin(given: str | None) -> str | None:
    """The pin that ``--trust FILE|FINGERPRINT`` names; None for none. Raises: BadInput."""
    if not given:
        return None
    path = Path(given)
    if not path.is_file():
        return pin_of(given.encode())
    with path.open("rb") as file:
        data = file.read(_MOST_BYTES + 1)
    if len(data) > _MOST_BYTES:
        raise BadInput(f"{given} is too large for a trust file", why=f"over {_MOST_BYTES:,} bytes")
    return pin_of(data)
