"""What callers asked, in little memory: who asks what hardly anybody else does, twice.

A query's key says on which side of 32 secret planes it lies in whitened feature space (Charikar
2002), so near-duplicates mostly share it; of each principal the 256 keys with the smallest hashes
are kept (bottom-k: Cohen and Kaplan 2007), and a bitmap of cells. Two samples below one threshold
estimate what two principals share. A key is worth log2 of everybody over those who asked it:
popular inputs link nobody. docs/spec/monitors-v1.md has the bound on false links, and what
measured it.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise
from typing import TypeAlias

import msgspec
import numpy as np
import numpy.typing as npt

from sealwright.serve import coverage, linking
from sealwright.serve.coverage import Frame
from sealwright.serve.linking import Link
from sealwright.serve.monitors.interface import Floats

KEPT = 256
PRINCIPALS = 4_096
"""Of whom a sketch is kept, 2.2 kB each; beyond them who asked longest ago is forgotten."""

SEEN = 50
"""Principals with a sketch below whom nobody is linked: rarity among few says nothing."""

PLANES = 32
_POPULAR = 64
"""A key that more asked counts for nobody: it costs all pairs of them, and is worth little."""

_COMPARED = 256
"""Whose coverage is held against each other: those who asked last. It takes all pairs."""

Keys: TypeAlias = npt.NDArray[np.uint64]


class Sketches:
    """Of one model's callers. ``secret`` draws the planes and orders the keys.

    ``reference`` (n, d): features of ordinary rows; ``frame``: coverage's cells.
    """

    def __init__(self, reference: Floats, frame: Frame, secret: bytes) -> None:
        rows = coverage.finite(reference)
        axes = coverage.whitening(rows)
        rng = np.random.default_rng(_drawn(secret, b"planes"))
        self._planes = rng.normal(size=(PLANES, len(axes))) @ axes
        self._cuts = np.median(rows @ self._planes.T, axis=0)
        self._mix = _drawn(secret, b"order") | 1
        self._frame = frame
        self._kept: OrderedDict[str, tuple[Keys, bytes]] = OrderedDict()

    def __len__(self) -> int:
        """Principals with a sketch."""
        return len(self._kept)

    def add(self, principal: str, features: Floats) -> None:
        """Rows of features (n, d) that a principal asked."""
        above = coverage.finite(features) @ self._planes.T > self._cuts
        keys: Keys = above @ (np.uint64(1) << np.arange(PLANES, dtype=np.uint64))
        fresh = np.unique(_mixed(keys, self._mix))
        before, bitmap = self._kept.pop(principal, (fresh[:0], coverage.EMPTY))
        kept = np.union1d(before, fresh)[:KEPT]
        self._kept[principal] = kept, coverage.marked(bitmap, self._frame.cells(features))
        if len(self._kept) > PRINCIPALS:
            self._kept.popitem(last=False)

    def piece(self, principal: str) -> bytes:
        """One principal's, as :meth:`recall` takes it; empty where there is none."""
        kept = self._kept.get(principal)
        return msgspec.msgpack.encode((kept[0].astype("<u8").tobytes(), kept[1])) if kept else b""

    def recall(self, principal: str, body: bytes) -> None:
        """What an earlier server kept of one, by the same planes and cells."""
        keys, bitmap = msgspec.msgpack.decode(body, type=tuple[bytes, bytes])
        self._kept[principal] = np.frombuffer(keys, "<u8").astype(np.uint64), bitmap

    def forget(self, principal: str) -> None:
        """Who has not come for long."""
        self._kept.pop(principal, None)

    def links(self) -> tuple[Link, ...]:
        """Whom shared rare queries, and coverage that fits together, link; strongest first."""
        if len(self._kept) < SEEN:
            return ()
        found = [*self._shared(), *self._complements()]
        return tuple(sorted(found, key=lambda link: (-link.score, link.one, link.other)))

    def _shared(self) -> Iterable[Link]:
        names = sorted(self._kept)
        sides = [self._kept[name][0] for name in names]
        every = np.concatenate(sides)
        owners: npt.NDArray[np.int64] = np.repeat(
            np.arange(len(names)), [len(side) for side in sides]
        )
        found, which, counts = np.unique(every, return_inverse=True, return_counts=True)
        worth = np.log2(len(names) / counts)
        few = ((counts > 1) & (counts <= _POPULAR))[which]
        askers = defaultdict[int, list[int]](list)
        for place, owner in zip(which[few].tolist(), owners[few].tolist(), strict=True):
            askers[place].append(owner)
        common = defaultdict[tuple[int, int], list[int]](list)
        for place, who in askers.items():
            for pair in combinations(who, 2):
                common[pair].append(place)
        worths = np.split(worth[which], np.cumsum([len(side) for side in sides])[:-1])
        for (one, other), places in common.items():
            if len(places) < linking.SHARED_QUERIES:
                continue
            at = np.array(places)
            below = min(_reach(sides[one]), _reach(sides[other]))
            at = at[found[at] <= below]
            parts = [float(worths[who][sides[who] <= below].sum()) for who in (one, other)]
            share = float(worth[at].sum()) / max(math.sqrt(parts[0] * parts[1]), 1e-9)
            yield from linking.by_share(names[one], names[other], share, len(at))

    def _complements(self) -> tuple[Link, ...]:
        newest = list(self._kept)[-_COMPARED:]
        bitmaps = {name: self._kept[name][1] for name in newest}
        wide = [one for one in bitmaps.values() if coverage.count(one) >= linking.COMPLEMENT_CELLS]
        return linking.by_coverage(bitmaps, _usual(wide)) if len(wide) > 1 else ()


def _drawn(secret: bytes, what: bytes) -> int:
    """64 bits."""
    digest = hashlib.blake2b(what, key=secret, digest_size=8).digest()
    return int.from_bytes(digest, "little")


def _reach(keys: Keys) -> np.uint64:
    """Up to where a sample holds everything."""
    return np.uint64(keys[-1]) if len(keys) >= KEPT else np.uint64(2**64 - 1)


def _mixed(keys: Keys, odd: int) -> Keys:
    """A secret order of the keys: multiplied, folded, multiplied again; none meet another."""
    with np.errstate(over="ignore"):
        first = keys * np.uint64(odd)
        first ^= first >> np.uint64(32)
        return np.asarray(first * np.uint64(odd), np.uint64)


def _usual(bitmaps: Sequence[bytes]) -> float:
    """How many times chance two callers overlap: the median over neighbours in a fixed order."""
    ratios = []
    for one, other in pairwise(bitmaps):
        mine, theirs = coverage.count(one), coverage.count(other)
        both = mine + theirs - coverage.count(coverage.union(one, other))
        ratios.append(both * coverage.CELLS / (mine * theirs))
    return float(np.median(ratios))
