"""The recovery key: 160 random bits a person can write down and type back.

Eight groups of five base32 characters (RFC 4648): 20 bytes of secret, then the first
5 bytes of their SHA-256, so that a slip of the pen is told apart from a wrong key.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os

from sealwright.core.errors import BadInput

SECRET_BYTES = 20
_CHECK_BYTES = 5
_GROUP = 5


def generate() -> str:
    """A new recovery key, as it is printed."""
    return encode(os.urandom(SECRET_BYTES))


def encode(secret: bytes) -> str:
    """``ABCDE-FGHIJ-…``: eight groups of five."""
    text = base64.b32encode(secret + _check(secret)).decode()
    return "-".join(text[i : i + _GROUP] for i in range(0, len(text), _GROUP))


def decode(text: str) -> bytes:
    """The secret; case, spaces and dashes do not matter, 0 reads as O, 1 as I, 8 as B.

    Raises: BadInput (wrong length, a foreign character, or a checksum that does not hold).
    """
    letters = "".join(text.replace("-", " ").split()).upper().translate(_LOOKALIKES)
    try:
        raw = base64.b32decode(letters)
    except (binascii.Error, ValueError) as error:
        raise _typo("it has 40 letters and digits 2 to 7, in eight groups of five") from error
    secret, check = raw[:SECRET_BYTES], raw[SECRET_BYTES:]
    if len(raw) != SECRET_BYTES + _CHECK_BYTES or check != _check(secret):
        raise _typo("its checksum does not hold, so at least one character is wrong")
    return secret


_LOOKALIKES = str.maketrans("018", "OIB")


def _check(secret: bytes) -> bytes:
    return hashlib.sha256(b"sealwright recovery key v1" + secret).digest()[:_CHECK_BYTES]


def _typo(why: str) -> BadInput:
    return BadInput(
        "that is not a recovery key", why=why, hint="type it again as it was printed by seal init"
    )
