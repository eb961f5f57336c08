"""Stable 64-bit hashes of cells and rows: the same in every process and for every batch size."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from sealwright.scan.interface import Batch, Column

MISSING = np.uint64(0x9E3779B97F4A7C15)


def mix(bits: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """splitmix64's finaliser (Steele, Lea, Flood 2014): every input bit moves every output bit."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))


def of_numbers(values: npt.NDArray[np.float64]) -> npt.NDArray[np.uint64]:
    """(n,) floats → hashes; every NaN is one value, and so are the two zeros."""
    plain = np.where(np.isnan(values), np.nan, values) + 0.0
    return mix(plain.view(np.uint64) + MISSING)


def of_bytes(data: bytes) -> int:
    """One byte string."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def of_strings(values: npt.NDArray[Any]) -> npt.NDArray[np.uint64]:
    """(n,) str or None → hashes; each distinct string is hashed once."""
    codes, words = coded(values)
    known = np.array([of_bytes(word.encode("utf-8", "replace")) for word in words], np.uint64)
    return np.append(known, MISSING)[codes]


def coded(values: npt.NDArray[Any]) -> tuple[npt.NDArray[np.int64], list[str]]:
    """(n,) str or None → codes (n,), -1 where missing, and the strings by code."""
    try:
        column = pa.array(values, pa.string(), from_pandas=True).dictionary_encode()
    except (pa.ArrowInvalid, pa.ArrowTypeError, UnicodeEncodeError):
        plain = [None if _missing(value) else _clean(str(value)) for value in values]
        column = pa.array(plain, pa.string()).dictionary_encode()
    codes = column.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    return codes.astype(np.int64), column.dictionary.to_pylist()


def of_column(values: npt.NDArray[Any], column: Column) -> npt.NDArray[np.uint64]:
    """The hashes of one column's cells, by its type."""
    if column.type in ("number", "time"):
        return of_numbers(np.asarray(values, np.float64))
    return of_strings(values)


def of_rows(batch: Batch, columns: tuple[Column, ...]) -> npt.NDArray[np.uint64]:
    """(n,) one hash for all that a record holds, label and source left out."""
    total: npt.NDArray[np.uint64] = np.zeros(len(batch.ids), np.uint64)
    for column in columns:
        if column.name in batch.values:
            total = mix(total * np.uint64(31) + of_column(batch.values[column.name], column))
    for stack in (batch.images, batch.vectors):
        if stack is not None:
            cells = [of_bytes(np.ascontiguousarray(one).tobytes()) for one in stack]
            total = mix(total * np.uint64(31) + np.array(cells, np.uint64))
    return total


def _missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)


def _clean(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
