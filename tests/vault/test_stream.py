"""Streams over stored files: the last block waits for the digest, a file seeks."""

from __future__ import annotations

import io
import os

import pytest

from sealwright.core.digest import of_bytes
from sealwright.core.errors import VerifyError
from sealwright.core.ports import StoredFile
from sealwright.vault import stream


class Plain:
    def __init__(self, content: bytes) -> None:
        self.content = content
        self.size = len(content)

    def pread(self, offset: int, count: int) -> bytes:
        return self.content[offset : offset + count]


def record(content: bytes) -> StoredFile:
    return StoredFile(of_bytes(content), len(content), ("0" * 64,))


@pytest.mark.parametrize("size", [0, 1, stream.BLOCK_BYTES, 2 * stream.BLOCK_BYTES + 3])
def test_a_whole_file_is_copied(size):
    content = os.urandom(size)
    sink = io.BytesIO()
    stream.copy(Plain(content), record(content), sink)
    assert sink.getvalue() == content


def test_the_last_block_is_withheld_when_the_digest_differs():
    content = os.urandom(2 * stream.BLOCK_BYTES + 3)
    wrong = content[:-1] + bytes([content[-1] ^ 1])
    sink = io.BytesIO()
    with pytest.raises(VerifyError) as caught:
        stream.copy(Plain(wrong), record(content), sink)
    assert caught.value.rule == "store.content-changed"
    assert len(sink.getvalue()) == 2 * stream.BLOCK_BYTES


def test_an_empty_file_with_a_wrong_digest_is_refused():
    with pytest.raises(VerifyError):
        stream.check(Plain(b""), StoredFile("0" * 64, 0, ("0" * 64,)))


def test_another_length_is_refused_before_a_byte_is_handed_out():
    content = b"abc"
    with pytest.raises(VerifyError):
        next(stream.blocks(Plain(content + b"d"), record(content)))
