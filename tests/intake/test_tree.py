"""The record tree and the version tree: one root, however the work was cut and finished."""

import random
from concurrent.futures import ThreadPoolExecutor, as_completed
from itertools import pairwise

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.core.errors import BadInput
from sealwright.evidence import merkle
from sealwright.intake import tree as trees
from sealwright.intake.record import leaves
from sealwright.intake.schema import schema_of
from sealwright.intake.tree import (
    FileEntry,
    RecordTree,
    record_path,
    stretch,
    version_path,
    version_root,
)

KEY = bytes(range(32))
SIZES = [0, 1, 2, 3, 255, 256, 257, 511, 512, 513, 1000, 2048, 3001]


def some_leaves(count):
    return random.Random(count).randbytes(count * 32)


def each(run):
    return [run[at : at + 32] for at in range(0, len(run), 32)]


@pytest.mark.parametrize("count", SIZES)
def test_the_root_is_that_of_rfc_6962(count):
    run, tree = some_leaves(count), RecordTree()
    tree.push(run)
    assert tree.rows == count
    assert tree.root == merkle.root_of(each(run)).hex()


def tree_of(pieces):
    """The tree of a whole file from its stretches, in whatever order they were finished."""
    tree = RecordTree()
    for piece in sorted(pieces, key=lambda each: (each.start, each.rows)):
        tree.extend(piece)
    return tree


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.sampled_from(SIZES), st.lists(st.integers(0, 3001), max_size=9), st.randoms())
def test_the_root_does_not_depend_on_cuts_or_on_the_order_they_finish_in(count, cuts, shuffle):
    run = some_leaves(count)
    marks = sorted({0, count, *(cut for cut in cuts if cut < count)})
    pieces = [stretch(start, run[start * 32 : end * 32]) for start, end in pairwise(marks)]
    shuffle.shuffle(pieces)
    tree, streamed = tree_of(pieces), RecordTree()
    streamed.push(run)
    assert (tree.root, tree.stems, tree.rows) == (streamed.root, streamed.stems, count)


@pytest.mark.parametrize("workers", [1, 2, 7])
def test_the_root_of_a_table_does_not_depend_on_the_number_of_workers(workers):
    count, rows = 5000, 5000 // (workers + 3)
    batch = pa.record_batch(
        {"n": pa.array(range(count)), "s": [f"row {at}" for at in range(count)]}
    )
    schema = schema_of(batch.schema)

    def work(start):
        return stretch(start, leaves(batch.slice(start, rows), schema, KEY))

    with ThreadPoolExecutor(workers) as pool:
        starts = random.Random(workers).sample(range(0, count, rows), len(range(0, count, rows)))
        done = [job.result() for job in as_completed([pool.submit(work, at) for at in starts])]
    alone = RecordTree()
    alone.push(leaves(batch, schema, KEY))
    assert tree_of(done).root == alone.root


@pytest.mark.parametrize("change", ["drop", "repeat", "swap"])
def test_dropped_repeated_and_reordered_rows_change_the_root(change):
    rows = each(some_leaves(600))
    other = {
        "drop": rows[:300] + rows[301:],
        "repeat": rows[:300] + rows[299:],
        "swap": [*rows[:298], rows[299], rows[298], *rows[300:]],
    }[change]
    before, after = RecordTree(), RecordTree()
    before.push(b"".join(rows))
    after.push(b"".join(other))
    assert before.root != after.root


def test_missing_and_repeated_stretches_are_refused():
    run = some_leaves(600)
    first, second = stretch(0, run[: 300 * 32]), stretch(300, run[300 * 32 :])
    with pytest.raises(BadInput, match="from row 300 cannot follow 0 rows"):
        tree_of([second])
    with pytest.raises(BadInput, match="from row 0 cannot follow 300 rows"):
        tree_of([first, first, second])


def test_a_torn_run_of_leaves_is_refused():
    with pytest.raises(BadInput, match="32-byte leaf hashes"):
        RecordTree().push(b"\x00" * 33)
    with pytest.raises(BadInput, match="whole blocks"):
        trees.reduce(b"\x00" * 32)


def test_a_tree_without_stems_has_the_same_root_and_no_stems():
    tree = RecordTree(keep_stems=False)
    tree.push(some_leaves(1000))
    assert tree.root == merkle.root_of(each(some_leaves(1000))).hex()
    with pytest.raises(BadInput):
        _ = tree.stems


@pytest.mark.parametrize("blocks", [0, 1, 2, 5])
def test_both_paths_reduce_blocks_to_the_same_stems(blocks):
    run = some_leaves(blocks * 256)
    assert trees.reduce(run) == trees.plain_reduce(run)
    want = [merkle.root_of(each(run[at : at + 8192])) for at in range(0, len(run), 8192)]
    assert each(trees.plain_reduce(run)) == want


@pytest.mark.parametrize("count", [size for size in SIZES if size])
def test_every_path_verifies_and_asks_for_two_blocks_at_most(count):
    run, tree = some_leaves(count), RecordTree()
    tree.push(run)
    for row in {0, count - 1, count // 2, count // 3}:
        asked = []

        def leaves_at(start, end, asked=asked):
            asked.append(start)
            return run[start * 32 : end * 32]

        path = record_path(row, count, tree.stems, leaves_at)
        leaf, root = run[row * 32 : row * 32 + 32], bytes.fromhex(tree.root)
        assert merkle.verify_inclusion(row, count, leaf, path, root) == leaf
        assert len(asked) <= 2


def test_stems_of_another_file_are_refused():
    with pytest.raises(BadInput, match="stems"):
        record_path(0, 600, b"\x00" * 32, lambda start, end: b"")


def entries():
    return [
        FileEntry(path, rows, merkle.leaf_hash(path.encode()).hex())
        for path, rows in (("b/2.parquet", 5), ("a.csv", 0), ("\u00fc", 1), ("b/10.parquet", 7))
    ]


def test_the_version_root_does_not_depend_on_the_order_of_files():
    files = entries()
    want = version_root(files)
    for seed in range(5):
        random.Random(seed).shuffle(files)
        assert version_root(files) == want


@pytest.mark.parametrize(
    "other",
    [
        lambda entry: FileEntry("renamed", entry.rows, entry.root),
        lambda entry: FileEntry(entry.path, entry.rows + 1, entry.root),
        lambda entry: FileEntry(entry.path, entry.rows, "0" * 64),
    ],
    ids=["path", "rows", "root"],
)
def test_path_rows_and_root_of_each_file_count(other):
    files = entries()
    assert version_root([other(files[0]), *files[1:]]) != version_root(files)


def test_a_version_without_files_has_the_empty_root():
    assert version_root([]) == merkle.EMPTY_ROOT.hex()


def test_a_path_that_is_there_twice_is_refused():
    with pytest.raises(BadInput, match="twice"):
        version_root([*entries(), entries()[0]])


def test_a_new_file_leaves_the_entries_of_the_others_alone():
    before = {each.path: each.leaf() for each in trees.sorted_files(entries())}
    added = FileEntry("b/1.parquet", 3, "1" * 64)
    after = {each.path: each.leaf() for each in trees.sorted_files([*entries(), added])}
    assert {path: after[path] for path in before} == before


def test_every_file_has_a_path_to_the_version_root():
    files = trees.sorted_files(entries())
    root = bytes.fromhex(version_root(files))
    for index, entry in enumerate(files):
        path = version_path(index, files)
        merkle.verify_inclusion(index, len(files), entry.leaf(), path, root)


def test_a_file_leaf_is_no_record_leaf():
    """Both begin with 0x00, so the labels behind it must differ."""
    from sealwright.intake.record import LEAF_PREFIX

    assert len(trees.FILE_LABEL) == len(LEAF_PREFIX) - 1
    assert LEAF_PREFIX[1:] != trees.FILE_LABEL
