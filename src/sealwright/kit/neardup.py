"""Near-duplicates: texts by MinHash over word shingles, pictures by dHash and a thumbnail.

Signatures are small and mergeable (a list of them is a state); only they are compared.
MinHash: Broder 1997. LSH with 16 bands of 4 finds a pair of Jaccard similarity 0.8 with
probability 0.9998; what is found is kept when its estimated similarity is high enough.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence

import msgspec
import numpy as np
import numpy.typing as npt

PERMUTATIONS = 64
BANDS = 16
FEWEST_WORDS = 5
"""Shorter texts say too little: they count as near only where they are equal."""

SHINGLE = 3
THUMB = 8
MOST_BITS = 5
MOST_DIFFERENCE = 8.0
_MOST_CANDIDATES = 16
_PICTURE_BANDS = ((0, 11), (11, 11), (22, 11), (33, 11), (44, 10), (54, 10))
_PIECE = 1 << 16
_WORD = re.compile(r"\w+")
_PRIME = np.uint64((1 << 31) - 1)
_CHANCE = np.random.Generator(np.random.PCG64(20_260_101))
_A = _CHANCE.integers(1, int(_PRIME), PERMUTATIONS, dtype=np.uint64)
_B = _CHANCE.integers(0, int(_PRIME), PERMUTATIONS, dtype=np.uint64)


class Pairs(msgspec.Struct, frozen=True):
    """``target[i]`` is near ``source[i]``: places in the two inputs, one pair a target."""

    target: npt.NDArray[np.int64]
    source: npt.NDArray[np.int64]


def text_signatures(
    texts: Sequence[str | None],
) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.bool_]]:
    """(n, 64) uint32, and which texts have enough words to be compared at all."""
    out: npt.NDArray[np.uint32] = np.zeros((len(texts), PERMUTATIONS), np.uint32)
    able: npt.NDArray[np.bool_] = np.zeros(len(texts), np.bool_)
    for at, text in enumerate(texts):
        words = _WORD.findall(text.lower()) if text else ()
        if len(words) >= FEWEST_WORDS:
            out[at], able[at] = _minhash(words), True
    return out, able


def _minhash(words: Sequence[str]) -> npt.NDArray[np.uint32]:
    codes = np.array([zlib.crc32(word.encode("utf-8", "replace")) for word in words], np.uint64)
    span = len(codes) - SHINGLE + 1
    mixed: npt.NDArray[np.uint64] = np.zeros(span, np.uint64)
    for step in range(SHINGLE):
        mixed = (mixed * np.uint64(1_000_003) + codes[step : step + span]) % _PRIME
    mixed = np.unique(mixed)
    least: npt.NDArray[np.uint64] = np.full(PERMUTATIONS, np.iinfo(np.uint64).max, np.uint64)
    for start in range(0, len(mixed), _PIECE):
        piece = mixed[start : start + _PIECE, None]
        np.minimum(least, ((piece * _A + _B) % _PRIME).min(axis=0), out=least)
    return least.astype(np.uint32)


def near_texts(
    target: npt.NDArray[np.uint32], source: npt.NDArray[np.uint32], least: float
) -> Pairs:
    """Targets whose estimated Jaccard similarity to some source is at least ``least``."""
    width = PERMUTATIONS // BANDS
    keys = [(_band(target, band, width), _band(source, band, width)) for band in range(BANDS)]

    def similar(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        kept: npt.NDArray[np.bool_] = (target[one] == source[other]).mean(axis=1) >= least
        return kept

    return _candidates(keys, similar, len(target))


def _band(signatures: npt.NDArray[np.uint32], band: int, width: int) -> npt.NDArray[np.uint64]:
    key: npt.NDArray[np.uint64] = np.zeros(len(signatures), np.uint64)
    for column in range(band * width, (band + 1) * width):
        key = key * np.uint64(0x9E3779B97F4A7C15) + signatures[:, column]
    return key


class Pictures(msgspec.Struct, frozen=True):
    """``hashes`` (n,) uint64 difference hashes, ``thumbs`` (n, 192) uint8 of 8 x 8 x 3."""

    hashes: npt.NDArray[np.uint64]
    thumbs: npt.NDArray[np.uint8]


def pictures(images: npt.NDArray[np.uint8]) -> Pictures:
    """Signatures of (n, h, w, 3) uint8 images of one size."""
    grey = images.mean(axis=3, dtype=np.float32)
    small = _shrunk(grey[..., None], 8, 9)[..., 0]
    bits = (small[:, :, 1:] > small[:, :, :-1]).reshape(len(images), 64)
    weights = np.uint64(1) << np.arange(64, dtype=np.uint64)
    hashes = (bits * weights).sum(axis=1, dtype=np.uint64)
    thumbs = _shrunk(images.astype(np.float32), THUMB, THUMB)
    return Pictures(hashes, thumbs.reshape(len(images), -1).round().astype(np.uint8))


def near_pictures(target: Pictures, source: Pictures) -> Pairs:
    """Targets within 5 of 64 bits of some source whose thumbnail differs by less than 8 of 255
    on average. Six bands of 10 or 11 bits: of 5 differing bits, one band has none."""
    keys = [(_bits(target.hashes, *band), _bits(source.hashes, *band)) for band in _PICTURE_BANDS]

    def similar(one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        apart = np.bitwise_count(target.hashes[one] ^ source.hashes[other]) <= MOST_BITS
        left, right = target.thumbs[one].astype(np.int16), source.thumbs[other].astype(np.int16)
        kept: npt.NDArray[np.bool_] = apart & (np.abs(left - right).mean(axis=1) < MOST_DIFFERENCE)
        return kept

    return _candidates(keys, similar, len(target.hashes), most=1 << 12)


def _bits(hashes: npt.NDArray[np.uint64], shift: int, count: int) -> npt.NDArray[np.uint64]:
    return (hashes >> np.uint64(shift)) & np.uint64((1 << count) - 1)


def _shrunk(images: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
    """Mean over blocks; an image smaller than the grid is repeated up to it first."""
    _, h, w, _ = images.shape
    rows = np.minimum(np.arange(height + 1) * h // height, h)
    columns = np.minimum(np.arange(width + 1) * w // width, w)
    if h < height or w < width:
        images = np.repeat(np.repeat(images, -(-height // h), axis=1), -(-width // w), axis=2)
        return _shrunk(images, height, width)
    summed = np.add.reduceat(np.add.reduceat(images, rows[:-1], axis=1), columns[:-1], axis=2)
    area = np.diff(rows)[:, None] * np.diff(columns)[None, :]
    return (summed / area[None, :, :, None]).astype(np.float32)


def _candidates(
    keys: Sequence[tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]],
    similar: object,
    targets: int,
    most: int = _MOST_CANDIDATES,
) -> Pairs:
    """For every target the first source that shares a band with it and is similar."""
    partner: npt.NDArray[np.int64] = np.full(targets, -1, np.int64)
    for wanted, held in keys:
        order = np.argsort(held, kind="stable")
        ranked = held[order]
        first: npt.NDArray[np.int64] = np.searchsorted(ranked, wanted, "left")
        last: npt.NDArray[np.int64] = np.minimum(
            np.searchsorted(ranked, wanted, "right"), first + most
        )
        open_ = np.flatnonzero((partner < 0) & (last > first))
        step = 0
        while len(open_):
            source = order[first[open_] + step]
            found = similar(open_, source)  # type: ignore[operator]
            partner[open_[found]] = source[found]
            step += 1
            open_ = open_[~found]
            open_ = open_[first[open_] + step < last[open_]]
    target = np.flatnonzero(partner >= 0)
    return Pairs(target, partner[target])
