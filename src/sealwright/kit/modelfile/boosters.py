"""Binary boosters: XGBoost's UBJSON and CatBoost's container. Source: ubjson.org, FlatBuffers."""

from __future__ import annotations

import struct

from sealwright.core.ports import Readable
from sealwright.kit.modelfile.report import Unsound
from sealwright.kit.modelfile.source import exactly, unpacked, whole

_RULE = "booster.broken"
_SIZES = {
    **dict.fromkeys(b"iU", 1),
    ord("I"): 2,
    **dict.fromkeys(b"ld", 4),
    **dict.fromkeys(b"LD", 8),
}
_DEPTH = 60
_VALUES = 50_000_000


def looks_ubjson(head: bytes) -> bool:
    """An object whose first key has a length of eight bytes, as XGBoost writes it."""
    return head[:2] == b"{L" and len(head) > 10 and int.from_bytes(head[2:10], "big") < 256


def ubjson(source: Readable, most: int) -> None:
    """Walk the whole value. Raises: Unsound."""
    data = whole(source, most)
    end, keys = _Walk(data).value(0, 0, None), data[:4096]
    if end != len(data) or not (b"learner" in keys or b"version" in keys):
        raise Unsound(_RULE, "it is no XGBoost model, or something follows it", offset=end)


class _Walk:
    """Finds where a UBJSON value ends; keeps nothing of it."""

    def __init__(self, data: bytes) -> None:
        self.data, self.left = data, _VALUES

    def value(self, at: int, depth: int, kind: int | None) -> int:
        """The offset after the value at ``at``."""
        self.spent(1, at)
        if depth > _DEPTH:
            raise Unsound(_RULE, "it nests too deep", offset=at)
        if kind is None:
            kind, at = self.byte(at), at + 1
        if kind in b"ZTFN":
            return at
        if kind in _SIZES:
            return at + _SIZES[kind]
        if kind == ord("C"):
            return at + 1
        if kind in b"SH":
            length, at = self.count(at)
            return self.checked(at + length)
        if kind in b"[{":
            return self.container(at, depth, kind)
        raise Unsound(_RULE, f"a value of kind 0x{kind:02x}", offset=at)

    def container(self, at: int, depth: int, kind: int) -> int:
        typed, count = None, -1
        if self.byte(at) == ord("$"):
            typed, at = self.byte(at + 1), at + 2
        if self.byte(at) == ord("#"):
            count, at = self.count(at + 1)
        end = ord("]") if kind == ord("[") else ord("}")
        if typed is not None and count < 0:
            raise Unsound(_RULE, "a typed container without a count", offset=at)
        if typed is not None and kind == ord("[") and typed in b"ZTFN":
            self.spent(count, at)  # they take no bytes, so they shall take no time
            return at
        if typed is not None and kind == ord("[") and typed in _SIZES:
            return self.checked(at + count * _SIZES[typed])
        while count != 0:
            if count < 0 and self.byte(at) == end:
                return at + 1
            if kind == ord("{"):
                length, at = self.count(at)
                at = self.checked(at + length)
            at = self.checked(self.value(at, depth + 1, typed))
            count -= 1 if count > 0 else 0
        return at

    def spent(self, count: int, at: int) -> None:
        self.left -= count
        if self.left < 0:
            raise Unsound(_RULE, "it holds too many values", offset=at)

    def count(self, at: int) -> tuple[int, int]:
        size = _SIZES.get(self.byte(at), 0)
        if not size or self.byte(at) in b"dD":
            raise Unsound(_RULE, "a length that is no number", offset=at)
        value = int.from_bytes(self.data[at + 1 : at + 1 + size], "big", signed=size > 1)
        if value < 0:
            raise Unsound(_RULE, "a length below zero", offset=at)
        return value, self.checked(at + 1 + size)

    def byte(self, at: int) -> int:
        if at >= len(self.data):
            raise Unsound(_RULE, "it ends early", offset=at)
        return self.data[at]

    def checked(self, at: int) -> int:
        if at > len(self.data):
            raise Unsound(_RULE, "it ends early", offset=at)
        return at


def catboost(source: Readable) -> None:
    """CBM1, the length of a FlatBuffer, and a root table inside it. Raises: Unsound."""
    (length,) = unpacked("<L", source, 4, _RULE)
    body = exactly(source, 8, min(length, 64), _RULE)
    (root,) = struct.unpack_from("<L", body) if len(body) >= 4 else (0,)
    if length < 16 or 8 + length > source.size or not 4 <= root < length - 4:
        raise Unsound(_RULE, "its core is no FlatBuffer", offset=4)
    (back,) = unpacked("<l", source, 8 + root, _RULE)
    if not 0 <= root - back <= length - 4:
        raise Unsound(_RULE, "its core's root points out of it", offset=8 + root)
