"""Tokens for the values of one field: equal values, equal tokens, within one purpose.

Each (dataset, field, purpose) has a key of its own, derived from the dataset's token key in the
key service: tokens of two purposes never join, and destroying that key makes all of them final.
Source: docs/spec/derivation-v1.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable
from typing import Literal

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from sealwright.core import refs
from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.ports import Kms
from sealwright.vault import ff1

How = Literal["siv", "hmac", "ff1"]
HOWS: tuple[How, ...] = ("siv", "hmac", "ff1")
PREFIX = "tk1_"
_HMAC_HEX = 32


class Field(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a key is for. ``dataset`` is the name the values came from."""

    dataset: str
    column: str
    purpose: str

    def label(self, part: int) -> bytes:
        """What the key service derives from; unambiguous, as each part says its length."""
        said = [b"sealwright field token v1", bytes([part])]
        for each in (self.dataset, self.column, self.purpose):
            raw = each.encode()
            said.append(len(raw).to_bytes(4, "big") + raw)
        return b"".join(said)


def key_name(dataset: str) -> str:
    """The key service's name for a dataset's token key."""
    return f"tokens:{refs.check_name(dataset)}"


class Tokenizer:
    """Tokens of one field for one purpose."""

    def __init__(self, kms: Kms, field: Field, how: How) -> None:
        if not field.purpose.strip():
            raise BadInput("tokens are for a purpose", hint="repeat it with --purpose PURPOSE")
        self.how = how
        name = key_name(field.dataset)
        kms.create(name)
        keys = [kms.derive(name, field.label(part)) for part in (0, 1)]
        self._mac, self._siv = keys[0], AESSIV(b"".join(keys))
        self._about = [field.label(2)]

    def token(self, value: str) -> str:
        """The token of a value. Raises: BadInput (too short to keep its format)."""
        if self.how == "hmac":
            said = value.encode("utf-8", "surrogatepass")
            return hmac.new(self._mac, said, hashlib.sha256).hexdigest()[:_HMAC_HEX]
        if self.how == "ff1":
            return self._digits(value, ff1.encrypt)
        raw = self._siv.encrypt(b"\0" + value.encode("utf-8", "surrogatepass"), self._about)
        return PREFIX + base64.urlsafe_b64encode(raw).decode().rstrip("=")

    def value(self, token: str) -> str:
        """The value behind a token. Raises: VerifyError (not one of this field and purpose),
        BadInput (it cannot be turned back)."""
        if self.how == "hmac":
            raise BadInput(
                "these tokens cannot be turned back", why="they were made with --irreversible"
            )
        if self.how == "ff1":
            return self._digits(token, ff1.decrypt)
        try:
            body = token.removeprefix(PREFIX)
            raw = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
            return self._siv.decrypt(raw, self._about)[1:].decode("utf-8", "surrogatepass")
        except (InvalidTag, ValueError, binascii.Error) as error:
            raise VerifyError(
                "a token is not of this field and purpose",
                why="its key does not open it: another purpose, or it was changed",
                rule="token.foreign",
                hint="name the purpose it was made for",
            ) from error

    def _digits(self, text: str, cipher: Callable[[bytes, bytes, str], str]) -> str:
        """Only the digits change; what stands between them stays."""
        digits = "".join(filter(_ASCII_DIGITS.__contains__, text))
        turned = iter(cipher(self._mac, self._about[0][:16], digits))
        return "".join(next(turned) if each in _ASCII_DIGITS else each for each in text)


_ASCII_DIGITS = frozenset("0123456789")
