"""Arrays as they are kept on disk: bytes of numbers as they were, or words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt


class Array(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``data``: little-endian numbers of ``shape``; or ``words``, where ``dtype`` is empty."""

    shape: tuple[int, ...]
    dtype: str = ""
    data: bytes = b""
    words: tuple[str, ...] = ()


def packed(rows: npt.NDArray[Any]) -> Array:
    """An array as it is kept."""
    if rows.dtype.kind in "OUS":
        return Array(rows.shape, words=tuple(str(one) for one in rows.ravel()))
    plain = np.ascontiguousarray(rows, rows.dtype.newbyteorder("<"))
    return Array(plain.shape, plain.dtype.str, plain.tobytes())


def unpacked(kept: Array) -> npt.NDArray[Any]:
    """The inverse."""
    if not kept.dtype:
        return _words(kept.words).reshape(kept.shape)
    return np.frombuffer(kept.data, kept.dtype).reshape(kept.shape)


def _words(words: Sequence[str]) -> npt.NDArray[Any]:
    out: npt.NDArray[Any] = np.empty(len(words), object)
    out[:] = words
    return out
