"""How many tokens an answer told: what the server says, and never less than what can be seen.

A server that counts too few, or not at all, changes nothing for the worse: each piece of a stream
is at least one token, and no tokeniser puts more than ``FULL`` bytes of text into a token on
average. Without the server's word a token is taken to be ``PLAIN`` bytes.
"""

from __future__ import annotations

FULL = 8
PLAIN = 4


class Count:
    """The tokens of one answer, all its choices. ``said``: by the server, -1 where it does not."""

    def __init__(self) -> None:
        self.pieces = 0
        self.bytes = 0
        self.said = -1

    def add(self, text: str) -> None:
        """A piece of text came from the server, released or not."""
        if text:
            self.pieces += 1
            self.bytes += len(text.encode("utf-8", "surrogatepass"))

    @property
    def least(self) -> int:
        """The fewest tokens that what came can have been."""
        return max(self.pieces, -(-self.bytes // FULL))

    def charged(self, most: int) -> int:
        """The tokens to charge, ``most`` as reserved."""
        seen = self.least if self.said >= 0 else max(self.pieces, -(-self.bytes // PLAIN))
        return min(most, max(self.said, seen))
