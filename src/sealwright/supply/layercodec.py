"""How a layer is packed: not at all, gzip or zstd. Each decoder is bounded, piece by piece.

Source: RFC 1952 (gzip), RFC 8878 (Zstandard), OCI image-spec v1.1 (layer media types).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

from sealwright.core.errors import BadInput

Decoder = Callable[[bytes], bytes]

_PIECE_BYTES = 256 << 20
_WINDOW_BYTES = 128 << 20
"""What zstd's own command takes without being told: memory, not output."""
_SLICE = 512
"""A block of zstd is four bytes at least and 128 KiB at most, so a slice gives 16 MiB at most."""
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"


def decoder(head: bytes, media_type: str) -> Decoder:
    """What unpacks a layer that begins with ``head``: its bytes decide, not what it is called.

    Raises: BadInput (it is called what it is not, or nothing here unpacks it).
    """
    zstd = head[:4] == _ZSTD or (head[1:4] == b"\x2a\x4d\x18" and head[0] >> 4 == 5)  # skippable
    if media_type.endswith(("+gzip", ".gzip")) and head[:2] != _GZIP:
        raise BadInput("a layer that is called gzip is none")
    if media_type.endswith("+zstd") and not zstd:
        raise BadInput("a layer that is called zstd is none")
    if head[:2] == _GZIP:
        return _gunzip()
    return _unzstd() if zstd else lambda data: data


def _gunzip() -> Decoder:
    """Members one after the other, as gzip allows."""
    state = {"engine": zlib.decompressobj(wbits=31)}

    def decode(data: bytes) -> bytes:
        out = bytearray()
        while data:
            try:
                out += state["engine"].decompress(data, _PIECE_BYTES)
            except zlib.error as error:
                raise BadInput(f"a layer is no gzip that can be read: {error}"[:200]) from error
            if state["engine"].unconsumed_tail:
                raise _bomb()
            data = state["engine"].unused_data
            if state["engine"].eof:
                data = data.lstrip(b"\0")
                state["engine"] = zlib.decompressobj(wbits=31)
        return bytes(out)

    return decode


def _unzstd() -> Decoder:
    """Frames one after the other, skippable ones passed over."""
    try:
        import zstandard
    except ImportError as error:
        raise BadInput(
            "a layer is zstd, not understood without: pip install 'sealwright[images]'"
        ) from error
    engine = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES).decompressobj(
        read_across_frames=True
    )

    def decode(data: bytes) -> bytes:
        out = bytearray()
        for at in range(0, len(data), _SLICE):
            try:
                out += engine.decompress(data[at : at + _SLICE])
            except zstandard.ZstdError as error:
                raise BadInput(f"a layer is no zstd that can be read: {error}"[:200]) from error
            if len(out) > _PIECE_BYTES:
                raise _bomb()
        return bytes(out)

    return decode


def _bomb() -> BadInput:
    return BadInput("a layer unpacks out of all proportion")
