"""What changed between two versions: a multiset of leaves against another.

A record is what its leaf says; moving it is no change. Where a key column tells records apart,
a record that went and one that came with the same key are one that was edited.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from sealwright.intake.leaves import HASHES
from sealwright.intake.versions import Change


class Side(msgspec.Struct, frozen=True):
    """One version's records in the files that differ: leaves, key hashes (or None), and where
    each file's rows begin, as (path, first, rows)."""

    leaves: pa.ChunkedArray
    keys: pa.ChunkedArray | None
    files: tuple[tuple[str, int, int], ...] = ()


class Rows(msgspec.Struct, frozen=True):
    """Row numbers, from 0, in one file."""

    path: str
    rows: tuple[int, ...]


class Difference(msgspec.Struct, frozen=True):
    """The counts, and the rows behind them: ``removed`` and ``before`` count in the old version,
    ``added`` and ``after`` in the new (``before`` and ``after`` are the two ends of edits)."""

    change: Change
    added: tuple[Rows, ...]
    removed: tuple[Rows, ...]
    before: tuple[Rows, ...]
    after: tuple[Rows, ...]


def chunked(arrays: Sequence[pa.Array]) -> pa.ChunkedArray:
    """Hash arrays of several files, one after the other."""
    return pa.chunked_array(list(arrays), HASHES)


def unmatched(
    old: Sequence[tuple[int, str]], new: Sequence[tuple[int, str]]
) -> tuple[list[int], list[int]]:
    """Indices of the files left over once files of equal (rows, root) cancel out, in order."""
    spare = Counter(old)
    left_new = []
    for index, content in enumerate(new):
        if spare[content] > 0:
            spare[content] -= 1
        else:
            left_new.append(index)
    left_old = []
    for index, content in enumerate(old):
        if spare[content] > 0:
            spare[content] -= 1
            left_old.append(index)
    return left_old, left_new


def side_of(
    files: Sequence[tuple[str, int]], hashes: Sequence[tuple[pa.Array, pa.Array | None]]
) -> Side:
    """A side from files' (path, rows) and their leaves and key hashes; keys count only if all
    files have them."""
    keys = [keys for _, keys in hashes if keys is not None]
    first, places = 0, []
    for path, rows in files:
        places.append((path, first, rows))
        first += rows
    return Side(
        chunked([leaves for leaves, _ in hashes]),
        chunked(keys) if len(keys) == len(hashes) else None,
        tuple(places),
    )


def count(old: Side, new: Side) -> Change:
    """How many records were added, removed and edited."""
    old, new = _without_common_ends(old, new)
    keyed = old.keys is not None and new.keys is not None
    if not keyed and _nothing_shared(old.leaves, new.leaves):
        return Change(len(new.leaves), len(old.leaves), 0)
    gone, come = _surplus(old.leaves, new.leaves), _surplus(new.leaves, old.leaves)
    edited = _edited(old, new, gone, come) if keyed else 0
    return Change(len(come) - edited, len(gone) - edited, edited)


def _without_common_ends(old: Side, new: Side) -> tuple[Side, Side]:
    """Both sides without the rows that are equal from the start, and from the end.

    Equal leaves cancel out wherever they stand; most edits leave most rows in their places.
    """
    common = min(len(old.leaves), len(new.leaves))
    head = _equal_rows(old.leaves.slice(0, common), new.leaves.slice(0, common), from_end=False)
    rest = common - head
    ends = (each.leaves.slice(len(each.leaves) - rest) for each in (old, new))
    tail = _equal_rows(*ends, from_end=True)

    def cut(side: Side) -> Side:
        rows = len(side.leaves) - head - tail
        keys = side.keys.slice(head, rows) if side.keys is not None else None
        return Side(side.leaves.slice(head, rows), keys)

    return cut(old), cut(new)


def _equal_rows(one: pa.ChunkedArray, two: pa.ChunkedArray, *, from_end: bool) -> int:
    """How many rows are equal in a row, from one end of two equally long arrays."""
    if not len(one):
        return 0
    differs = pc.indices_nonzero(pc.not_equal(one, two))
    if not len(differs):
        return len(one)
    return int(len(one) - 1 - differs[-1].as_py() if from_end else differs[0].as_py())


def _nothing_shared(old: pa.ChunkedArray, new: pa.ChunkedArray) -> bool:
    """Quickly: no leaf is there twice, on either side or across. False may be wrong.

    The first 64 bits decide: leaves that differ there differ.
    """
    starts = pa.chunked_array([_starts(each) for each in (*old.chunks, *new.chunks)], pa.uint64())
    return bool(pc.count_distinct(starts).as_py() == len(starts))


def _starts(leaves: pa.Array) -> pa.Array:
    """The first 8 bytes of each leaf."""
    words = pa.Array.from_buffers(
        pa.uint64(), len(leaves) * 4, [None, leaves.buffers()[1]], offset=leaves.offset * 4
    )
    return pc.list_element(pa.FixedSizeListArray.from_arrays(words, 4), 0)


def compare(old: Side, new: Side) -> Difference:
    """:func:`count`, with the rows."""
    gone, come = _surplus(old.leaves, new.leaves), _surplus(new.leaves, old.leaves)
    pairs: list[tuple[int, int]] = []
    if old.keys is not None and new.keys is not None:
        pairs = _pairs(old.keys.take(gone), gone, new.keys.take(come), come)
    before = {one for one, _ in pairs}
    after = {two for _, two in pairs}
    gone_rows = [row for row in gone.to_pylist() if row not in before]
    come_rows = [row for row in come.to_pylist() if row not in after]
    return Difference(
        Change(len(come_rows), len(gone_rows), len(pairs)),
        _located(come_rows, new),
        _located(gone_rows, old),
        _located([one for one, _ in pairs], old),
        _located([two for _, two in pairs], new),
    )


def _surplus(these: pa.ChunkedArray, those: pa.ChunkedArray) -> pa.Array:
    """Indices of the rows in ``these`` beyond as many equal ones as there are in ``those``.

    Of equal rows the last count as surplus. Rows whose leaf is unknown on the other side are
    found at once; only repeated leaves are counted one by one.
    """
    known = pc.is_in(
        these, value_set=those.combine_chunks() if len(those) else pa.array([], HASHES)
    )
    fresh = pc.indices_nonzero(pc.invert(known))
    repeated = _more_often(these, those)
    if not len(repeated):
        return fresh.cast(pa.int64())
    suspects = pc.indices_nonzero(pc.and_(known, pc.is_in(these, value_set=repeated)))
    spare = Counter(those.filter(pc.is_in(those, value_set=repeated)).to_pylist())
    beyond = []
    for index, leaf in zip(suspects.to_pylist(), these.take(suspects).to_pylist(), strict=True):
        if spare[leaf] > 0:
            spare[leaf] -= 1
        else:
            beyond.append(index)
    return pa.array(sorted([*fresh.to_pylist(), *beyond]), pa.int64())


def _more_often(these: pa.ChunkedArray, those: pa.ChunkedArray) -> pa.Array:
    """The leaves that both sides have, and ``these`` more of."""
    if not len(these) or not len(those):
        return pa.array([], HASHES)
    one = _counts(these, "mine")
    two = _counts(those, "theirs")
    both = one.join(two, "leaf", join_type="inner")
    return both.filter(pc.greater(both["mine"], both["theirs"]))["leaf"].combine_chunks()


def _counts(leaves: pa.ChunkedArray, name: str) -> pa.Table:
    found = leaves.value_counts()
    return pa.table({"leaf": found.field("values"), name: found.field("counts")})


def _edited(old: Side, new: Side, gone: pa.Array, come: pa.Array) -> int:
    assert old.keys is not None  # noqa: S101
    assert new.keys is not None  # noqa: S101
    if not len(gone) or not len(come):
        return 0
    one = _counts(old.keys.take(gone), "mine")
    two = _counts(new.keys.take(come), "theirs")
    both = one.join(two, "leaf", join_type="inner")
    total = pc.sum(pc.min_element_wise(both["mine"], both["theirs"])).as_py()
    return int(total or 0)


def _pairs(
    old_keys: pa.ChunkedArray, gone: pa.Array, new_keys: pa.ChunkedArray, come: pa.Array
) -> list[tuple[int, int]]:
    """Rows that went and rows that came under the same key, matched in order."""
    waiting: dict[bytes, list[int]] = {}
    for key, row in zip(old_keys.to_pylist(), gone.to_pylist(), strict=True):
        waiting.setdefault(key, []).append(row)
    pairs = []
    for key, row in zip(new_keys.to_pylist(), come.to_pylist(), strict=True):
        if waiting.get(key):
            pairs.append((waiting[key].pop(0), row))
    return pairs


def _located(rows: Sequence[int], side: Side) -> tuple[Rows, ...]:
    """Row numbers of the whole side as row numbers per file."""
    found: dict[str, list[int]] = {}
    files = iter(side.files)
    path, first, many = "", 0, 0
    for row in sorted(rows):
        while row >= first + many:
            path, first, many = next(files)
        found.setdefault(path, []).append(row - first)
    return tuple(Rows(path, tuple(numbers)) for path, numbers in found.items())
