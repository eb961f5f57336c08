"""How much a look may cost: a file that wants more is refused, whatever it holds."""

from __future__ import annotations

import msgspec


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bytes, counts and seconds. ``total_bytes`` bounds what all archives of a file unfold to.

    ``expansion`` is how many values a pickle's objects may unfold to for each opcode, beyond
    ``free_values``; ``depth`` how deep they may nest, ``archives`` how deep archives may.
    """

    stream_bytes: int = 512 << 20
    total_bytes: int = 2 << 30
    members: int = 65_536
    archives: int = 4
    opcodes: int = 20_000_000
    depth: int = 500
    free_values: int = 1_000_000
    expansion: int = 64
    header_bytes: int = 100 << 20
    text_bytes: int = 16 << 20
    ratio: int = 1_100
    child_bytes: int = 3 << 30
    child_s: int = 60


LIMITS = Limits()
