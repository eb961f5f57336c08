"""Names that nobody can guess, of which many are wanted: the system's random bytes, in bulk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain

_DRAWN = 64
"""Names that are drawn from the system at once."""


def random_names(size_bytes: int) -> Iterator[str]:
    """One after another without end: ``2 * size_bytes`` hex digits each. Not across a fork."""
    digits = 2 * size_bytes

    def drawn() -> list[str]:
        whole = os.urandom(_DRAWN * size_bytes).hex()
        return [whole[at : at + digits] for at in range(0, len(whole), digits)]

    return chain.from_iterable(iter(drawn, None))
