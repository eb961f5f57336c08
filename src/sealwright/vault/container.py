"""The encrypted segment: a header, then fixed-size AES-256-GCM chunks. Random access reads.

Every byte of a segment is authenticated: the header by its own tag, each chunk by a tag
over its ciphertext, its index, whether it is the last, and the header. So a change, a
truncation, an extension, a reordering or a splice of two segments is refused. A segment has
a key of its own, used for it and nothing else, and is never appended to.

The format is docs/spec/segment-v1.md.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sealwright.core.errors import BadInput, Unavailable, VerifyError

MAGIC = b"SEALSEG\x00"
VERSION = 1
AES_256_GCM = 1
TAG_BYTES = 16
PREFIX_BYTES = 8
CHUNK_BYTES = 64 << 10
"""See docs/spec/segment-v1.md for the measurement behind it."""
MOST_BYTES = 64 << 20
"""The most plaintext a segment holds."""

_FIXED = struct.Struct(">8sHHIQ8s32sH")
_WRAPPED = struct.Struct(">H")
_LEAST_CHUNK, _MOST_CHUNK = 4 << 10, 1 << 20
_MOST_KEY_NAME, _MOST_WRAPPED = 256, 1024
_HEADER_INDEX = 0xFFFFFFFF
MOST_HEADER_BYTES = _FIXED.size + _MOST_KEY_NAME + TAG_BYTES + _WRAPPED.size + _MOST_WRAPPED
_BATCH_BYTES = 1 << 20
_FEW_CHUNKS = 4


class Header(msgspec.Struct, frozen=True):
    """What a segment says of itself; ``segment_id`` is 32 bytes, ``wrapped`` its wrapped key."""

    chunk_bytes: int
    size: int
    prefix: bytes
    key_name: str
    segment_id: bytes
    wrapped: bytes

    @property
    def chunks(self) -> int:
        """How many there are; an empty segment has one, empty and final."""
        return max(1, -(-self.size // self.chunk_bytes))

    @property
    def bound(self) -> bytes:
        """The bytes every chunk is bound to: the header without its tag and wrapped key.

        The wrapped key is left out so that it can be wrapped anew under another key without
        touching a chunk; it needs no second tag, since it opens in one piece or not at all.
        """
        name = self.key_name.encode()
        fixed = _FIXED.pack(
            MAGIC,
            VERSION,
            AES_256_GCM,
            self.chunk_bytes,
            self.size,
            self.prefix,
            self.segment_id,
            len(name),
        )
        return fixed + name

    @property
    def header_bytes(self) -> int:
        """Where the first chunk starts."""
        name = len(self.key_name.encode())
        return _FIXED.size + name + TAG_BYTES + _WRAPPED.size + len(self.wrapped)

    @property
    def wrapped_at(self) -> int:
        """Where the wrapped key starts, which ends where the first chunk starts."""
        return self.header_bytes - len(self.wrapped)

    @property
    def file_bytes(self) -> int:
        """How long a whole segment is."""
        return self.header_bytes + self.size + self.chunks * TAG_BYTES


def new_header(key_name: str, segment_id: bytes, wrapped: bytes, size: int) -> Header:
    """The header of a segment about to be written. Raises: BadInput (too large)."""
    if size > MOST_BYTES or len(key_name.encode()) > _MOST_KEY_NAME or len(wrapped) > _MOST_WRAPPED:
        raise BadInput("a segment this large has no form", why=f"at most {MOST_BYTES} bytes")
    return Header(CHUNK_BYTES, size, os.urandom(PREFIX_BYTES), key_name, segment_id, wrapped)


def encrypt(header: Header, key: bytes, content: memoryview) -> Iterator[memoryview]:
    """The segment's bytes, in order, in a buffer that is reused: write each before the next.

    ``key`` must be fresh: 32 random bytes that encrypt this segment and nothing else.
    """
    cipher, bound = AESGCM(key), header.bound
    digest = hashlib.sha256(bound).digest()
    tag = cipher.encrypt(_nonce(header, _HEADER_INDEX), b"", bound)
    step, last = header.chunk_bytes, header.chunks - 1
    buffer = memoryview(bytearray(min(_BATCH_BYTES, header.file_bytes) + step + MOST_HEADER_BYTES))
    head = bound + tag + _WRAPPED.pack(len(header.wrapped)) + header.wrapped
    buffer[: len(head)] = head
    used = len(head)
    for index in range(header.chunks):
        plain = content[index * step : (index + 1) * step]
        end = used + len(plain) + TAG_BYTES
        aad = _aad(digest, index, last)
        cipher.encrypt_into(_nonce(header, index), plain, aad, buffer[used:end])
        used = end
        if used >= _BATCH_BYTES or index == last:
            yield buffer[:used]
            used = 0


def read_header(fd: int, where: str) -> Header:
    """The header, its form checked; nothing is authenticated until a :class:`SegmentReader` is.

    Raises: VerifyError (not a segment, or malformed), Unavailable (a newer format).
    """
    raw = os.pread(fd, MOST_HEADER_BYTES, 0)
    if len(raw) < _FIXED.size or raw[: len(MAGIC)] != MAGIC:
        raise _malformed(where, "it does not start as a segment does")
    _, version, algorithm, chunk, size, prefix, segment_id, name_bytes = _FIXED.unpack_from(raw)
    if version > VERSION:
        raise Unavailable(
            f"{where} is a segment of format {version}; this version reads {VERSION}",
            why="a newer Sealwright wrote it, or the byte that says so was damaged",
            hint="pip install --upgrade sealwright; if that does not know it either, seal restore",
        )
    if version != VERSION or algorithm != AES_256_GCM:
        raise _malformed(where, f"version {version}, algorithm {algorithm}")
    if chunk & (chunk - 1) or not _LEAST_CHUNK <= chunk <= _MOST_CHUNK or size > MOST_BYTES:
        raise _malformed(where, f"chunk size {chunk}, length {size}")
    name = raw[_FIXED.size : _FIXED.size + name_bytes]
    wrapped = _wrapped_after(raw, _FIXED.size + name_bytes + TAG_BYTES)
    if name_bytes > _MOST_KEY_NAME or wrapped is None or not name.isascii():
        raise _malformed(where, "its header is cut short or too long")
    return Header(chunk, size, prefix, name.decode("ascii"), segment_id, wrapped)


def _wrapped_after(raw: bytes, at: int) -> bytes | None:
    if len(raw) < at + _WRAPPED.size:
        return None
    (count,) = _WRAPPED.unpack_from(raw, at)
    wrapped = raw[at + _WRAPPED.size : at + _WRAPPED.size + count]
    return wrapped if len(wrapped) == count <= _MOST_WRAPPED else None


class SegmentReader:
    """Verified plaintext of one open segment; ``key`` is its unwrapped key.

    Opening authenticates the header and the file's length. Reading authenticates every
    chunk it touches. Safe for threads; closes nothing. Raises: VerifyError.
    """

    def __init__(self, fd: int, header: Header, key: bytes, where: str) -> None:
        self._fd = fd
        self._header = header
        self._cipher = AESGCM(key)
        self._where = where
        bound = header.bound
        self._digest = hashlib.sha256(bound).digest()
        self._data_at = header.header_bytes
        self._last = header.chunks - 1
        tag = os.pread(fd, TAG_BYTES, len(bound))
        try:
            self._cipher.decrypt(_nonce(header, _HEADER_INDEX), tag, bound)
        except InvalidTag as error:
            raise self._changed("its header was changed", "store.header-changed") from error
        found = os.fstat(fd).st_size
        if found != header.file_bytes:
            raise self._changed(
                f"it has {found} bytes and says {header.file_bytes}", "store.length-changed"
            )

    @property
    def size(self) -> int:
        """Length of the plaintext in bytes."""
        return self._header.size

    def pread(self, offset: int, count: int) -> bytes:
        """Up to ``count`` bytes from ``offset``; every byte returned was authenticated."""
        count = max(0, min(count, self.size - offset))
        if offset < 0 or count == 0:
            return b""
        step = self._header.chunk_bytes
        first, last = offset // step, (offset + count - 1) // step
        if last - first >= _FEW_CHUNKS:
            out = bytearray(count)
            self.pread_into(offset, memoryview(out))
            return bytes(out)
        skip = offset - first * step
        plain = self._few(first, last)
        if len(plain) == 1:
            return plain[0] if count == len(plain[0]) else plain[0][skip : skip + count]
        views = [memoryview(chunk) for chunk in plain]
        views[0] = views[0][skip:]
        views[-1] = views[-1][: offset + count - last * step]
        return b"".join(views)

    def pread_into(self, offset: int, out: memoryview) -> int:
        """Fill ``out`` from ``offset``, as far as there is plaintext; returns how far."""
        count = max(0, min(len(out), self.size - offset))
        if offset < 0 or count == 0:
            return 0
        step, sealed_step = self._header.chunk_bytes, self._header.chunk_bytes + TAG_BYTES
        per_batch = max(1, _BATCH_BYTES // step)
        stored = memoryview(bytearray(min(per_batch, count // step + 2) * sealed_step))
        end = offset + count
        for first in range(offset // step, -(-end // step), per_batch):
            until = min(first + per_batch, -(-end // step))
            batch = self._fetch(first, until, stored)
            for index in range(first, until):
                sealed = batch[(index - first) * sealed_step :][:sealed_step]
                self._place(index, sealed, out[:count], index * step - offset)
        return count

    def check(self) -> None:
        """Authenticate every chunk."""
        out = memoryview(bytearray(min(_BATCH_BYTES, self.size)))
        for offset in range(0, max(1, self.size), _BATCH_BYTES):
            self.pread_into(offset, out)
        if self.size == 0:
            self._few(0, 0)

    def _place(self, index: int, sealed: memoryview, out: memoryview, at: int) -> None:
        """Decrypt chunk ``index`` to ``out[at:]``; what falls outside ``out`` is dropped."""
        size = len(sealed) - TAG_BYTES
        if at >= 0 and at + size <= len(out):
            self._decrypt(index, sealed, out[at : at + size])
            return
        whole = memoryview(bytearray(size))
        self._decrypt(index, sealed, whole)
        start, stop = max(0, at), min(len(out), at + size)
        out[start:stop] = whole[start - at : stop - at]

    def _few(self, first: int, last: int) -> list[bytes]:
        """Chunks ``first`` to ``last``: fewer copies than reading into a buffer."""
        sealed_step = self._header.chunk_bytes + TAG_BYTES
        want = (last - first + 1) * sealed_step
        stored = memoryview(os.pread(self._fd, want, self._data_at + first * sealed_step))
        plain = []
        for index in range(first, last + 1):
            sealed = stored[(index - first) * sealed_step :][:sealed_step]
            aad = _aad(self._digest, index, self._last)
            try:
                plain.append(self._cipher.decrypt(_nonce(self._header, index), sealed, aad))
            except InvalidTag as error:
                raise self._chunk_changed(index) from error
        return plain

    def _fetch(self, first: int, until: int, into: memoryview) -> memoryview:
        step = self._header.chunk_bytes
        plain = min(until * step, self.size) - first * step
        want = plain + (until - first) * TAG_BYTES
        got = os.preadv(self._fd, [into[:want]], self._data_at + first * (step + TAG_BYTES))
        if got != want:
            raise self._changed("it became shorter while it was read", "store.length-changed")
        return into[:want]

    def _decrypt(self, index: int, sealed: memoryview, out: memoryview) -> None:
        aad = _aad(self._digest, index, self._last)
        try:
            self._cipher.decrypt_into(_nonce(self._header, index), sealed, aad, out)
        except InvalidTag as error:
            out[:] = bytes(len(out))  # it was decrypted before its tag was compared
            raise self._chunk_changed(index) from error

    def _chunk_changed(self, index: int) -> VerifyError:
        return self._changed(f"chunk {index} does not authenticate", "store.chunk-changed")

    def _changed(self, why: str, rule: str) -> VerifyError:
        return VerifyError(
            "a stored segment was changed",
            where=self._where,
            why=why,
            rule=rule,
            hint="seal restore from a backup, or add the data again",
        )


def _nonce(header: Header, index: int) -> bytes:
    return header.prefix + index.to_bytes(4, "big")


def _aad(header_digest: bytes, index: int, last: int) -> bytes:
    return header_digest + index.to_bytes(4, "big") + (b"\x01" if index == last else b"\x00")


def _malformed(where: str, why: str) -> VerifyError:
    return VerifyError(
        "a stored segment is malformed", where=where, why=why, rule="store.header-changed"
    )
