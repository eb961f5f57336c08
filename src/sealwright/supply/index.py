"""The offline index of advisories: canonical JSON in gzip, named by its digest.

Built from OSV records, evaluated with no network. Whether it is the one that was signed is the
log's business (predicate ``advisories/v1``); how old it is, the newest record in it says.
Source: docs/spec/advisories-v1.md.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import cached_property
from itertools import pairwise

import msgspec

from sealwright.core import clock
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, VerifyError
from sealwright.supply.ecosystem import PYPI
from sealwright.supply.osv import Advisory, Affected, normal

FORMAT = "sealwright advisories v1"
MOST_BYTES = 256 << 20
"""What an index may hold once it is unpacked."""


class Index(msgspec.Struct, frozen=True, forbid_unknown_fields=True, dict=True):
    """Every advisory there is. ``skipped`` are files of the source that could not be read.

    ``exploited`` are ids that a feed of known exploitation names (CISA KEV).
    """

    format: str
    source: str
    attribution: str
    newest: str
    advisories: tuple[Advisory, ...]
    skipped: tuple[str, ...] = ()
    exploited: tuple[str, ...] = ()

    @cached_property
    def by_package(self) -> Mapping[tuple[str, str], tuple[tuple[Advisory, Affected], ...]]:
        """Ecosystem and package → what is said of it; withdrawn advisories are left out."""
        found: dict[tuple[str, str], list[tuple[Advisory, Affected]]] = {}
        for advisory in self.advisories:
            if not advisory.withdrawn:
                for affected in advisory.affected:
                    found.setdefault(affected.key, []).append((advisory, affected))
        return {name: tuple(entries) for name, entries in found.items()}

    def about(self, package: str) -> tuple[tuple[Advisory, Affected], ...]:
        """Everything said of one package of PyPI."""
        return self.by_package.get((PYPI, normal(package)), ())

    @cached_property
    def ecosystems(self) -> frozenset[str]:
        """Those it has advisories of their own of. Of any other, "unaffected" cannot be said.

        A record about a library and its package in a distribution is in both their databases, so
        it does not show that this one was brought.
        """
        return frozenset(
            one.ecosystem
            for found in self.advisories
            if len({one.ecosystem.partition(":")[0] for one in found.affected}) == 1
            for one in found.affected
        )

    def age_days(self, now: datetime) -> int:
        """Whole days since the newest record, rounded up; what is from tomorrow is no age."""
        seconds = (now - clock.parse(self.newest)).total_seconds()
        if seconds < -86_400:
            raise VerifyError(
                "the advisory index is from the future",
                why=f"its newest record is of {self.newest}",
                rule="supply.index-stale",
                hint="set this machine's clock, or: seal supply advisories update --from SOURCE",
            )
        return max(0, -int(-seconds // 86_400))


def build(
    advisories: Iterable[Advisory],
    source: str,
    attribution: str,
    skipped: Iterable[str] = (),
    exploited: Iterable[str] = (),
) -> Index:
    """An index in its canonical order. Raises: BadInput (nothing in it, an id twice)."""
    ordered = tuple(sorted(advisories, key=lambda one: one.id))
    if not ordered:
        raise BadInput(f"{source} holds no advisory that could be read")
    for one, other in pairwise(ordered):
        if one.id == other.id:
            raise BadInput(f"{source} holds {one.id} twice")
    return Index(
        FORMAT,
        source,
        attribution,
        max(one.modified for one in ordered),
        ordered,
        tuple(sorted(skipped)),
        tuple(sorted(set(exploited))),
    )


def pack(index: Index) -> bytes:
    """Equal indexes have equal bytes."""
    return gzip.compress(msgspec.json.encode(index, order="sorted"), 9, mtime=0)


def unpack(data: bytes, digest: Digest) -> Index:
    """The index, once its bytes are those that were signed. Raises: VerifyError."""
    if of_bytes(data) != digest:
        raise _corrupt("its SHA-256 is not the one that was signed")
    try:
        engine = zlib.decompressobj(wbits=31)
        text = engine.decompress(data, MOST_BYTES)
        if engine.unconsumed_tail or not engine.eof or engine.unused_data:
            raise _corrupt("it does not unpack to one index of a sane size")
        index = msgspec.json.decode(text, type=Index)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise _corrupt(str(error)) from error
    if index.format != FORMAT:
        raise _corrupt(f"it is of format {index.format!r}")
    return index


def _corrupt(why: str) -> VerifyError:
    return VerifyError(
        "the advisory index cannot be used",
        why=why,
        rule="supply.index-corrupt",
        hint="seal supply advisories update --from SOURCE",
    )
