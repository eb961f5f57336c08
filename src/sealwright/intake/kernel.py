"""The fast path: the compiled kernel, found, checked against hashlib, and called.

It is optional. Where it was not built, or where it disagrees with hashlib by a single bit,
:func:`load` returns None and records are hashed by the plain path, to the same bytes.
"""

from __future__ import annotations

import ctypes
import hashlib
import sys
from functools import cache
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Literal

import pyarrow as pa

from sealwright.core.errors import BadInput
from sealwright.intake.kernel_columns import Described
from sealwright.intake.schema import RecordSchema

Engine = Literal["sha-ni", "openssl", "portable"]
_ENGINES: dict[Engine, int] = {"portable": 0, "openssl": 1, "sha-ni": 2}
_ORDER: tuple[Engine, ...] = ("sha-ni", "openssl", "portable")
_FAULTS = {
    1: ("no memory left to encode a row", ""),
    2: ("the row points outside its buffers", "the data is corrupt"),
    3: ("a value of 4 GiB or more", "lengths are 32-bit in record-hash v1"),
}


class Kernel:
    """The loaded library. Every call lets go of the interpreter lock."""

    def __init__(self, library: ctypes.CDLL, engine: Engine) -> None:
        self._library = library
        library.seal_leaves.restype = ctypes.c_int
        library.seal_reduce.restype = None
        library.seal_sha256_two.restype = None
        self.engine = engine

    def leaves(
        self,
        batch: pa.RecordBatch,
        schema: RecordSchema,
        key: bytes,
        prefix: bytes,
        first_row: int = 0,
    ) -> bytearray:
        """Leaf hashes of a batch; ``key`` is the nonce key, ``prefix`` a leaf's first block.

        Raises: BadInput, naming the row; ``first_row`` is the number of the batch's first.
        """
        described = Described(batch, schema)
        out, bad_row = bytearray(batch.num_rows * 32), ctypes.c_int64()
        fault = self._library.seal_leaves(
            described.columns,
            ctypes.c_int64(described.count),
            ctypes.c_int64(batch.num_rows),
            ctypes.c_char_p(key),
            ctypes.c_char_p(prefix),
            _writable(out),
            ctypes.byref(bad_row),
        )
        if fault:
            what, why = _FAULTS[fault]
            raise BadInput(f"row {first_row + bad_row.value}: {what}", why=why)
        return out

    def reduce(self, leaves: bytes | bytearray | memoryview) -> bytes:
        """The roots over runs of 256 leaves; ``len(leaves)`` is a multiple of 8192."""
        blocks = len(leaves) // 8192
        out = bytearray(blocks * 32)
        self._library.seal_reduce(
            ctypes.c_char_p(bytes(leaves)), ctypes.c_int64(blocks), _writable(out)
        )
        return bytes(out)

    def sha256_two(self, one: bytes, two: bytes) -> tuple[bytes, bytes]:
        """The SHA-256 of two messages of one length, hashed in step."""
        out = bytearray(64)
        self._library.seal_sha256_two(
            ctypes.c_char_p(one), ctypes.c_char_p(two), ctypes.c_int64(len(one)), _writable(out)
        )
        return bytes(out[:32]), bytes(out[32:])


@cache
def load() -> Kernel | None:
    """The fastest kernel that agrees with hashlib, or None."""
    for engine in _ORDER:
        kernel = open_kernel(engine)
        if kernel is not None:
            return kernel
    return None


def open_kernel(engine: Engine) -> Kernel | None:
    """The kernel on one engine, or None where it is not built, not able, or wrong.

    The engine is a setting of the whole process: this is for :func:`load` and for tests.
    """
    path = library_path()
    if path is None or sys.byteorder != "little":
        return None
    try:
        library = ctypes.CDLL(str(path))
        choose = library.seal_choose
    except (OSError, AttributeError):
        return None
    wanted = _ENGINES[engine]
    if choose(ctypes.c_int(wanted), _openssl_transform()) != wanted:
        return None
    kernel = Kernel(library, engine)
    return kernel if _agrees(kernel) else None


def library_path() -> Path | None:
    """Where the compiled kernel lies, if it was built."""
    here = Path(__file__).parent
    for suffix in EXTENSION_SUFFIXES:
        path = here / f"_kernel{suffix}"
        if path.is_file():
            return path
    return None


def _openssl_transform() -> ctypes.c_void_p:
    """OpenSSL's one-block function, from the library that hashlib is linked to; or NULL."""
    try:
        import _hashlib

        linked = ctypes.CDLL(_hashlib.__file__)
        return ctypes.cast(linked.SHA256_Transform, ctypes.c_void_p)
    except (ImportError, OSError, AttributeError):
        return ctypes.c_void_p(None)


def _agrees(kernel: Kernel) -> bool:
    """Every message length around four block boundaries, two messages at a time."""
    for length in range(260):
        one = bytes((at * 7 + length) & 0xFF for at in range(length))
        two = one[::-1]
        wanted = hashlib.sha256(one).digest(), hashlib.sha256(two).digest()
        if kernel.sha256_two(one, two) != wanted:
            return False
    return True


def _writable(out: bytearray) -> ctypes.Array[ctypes.c_char]:
    return (ctypes.c_char * len(out)).from_buffer(out)
