"""What changed between two versions, held against counting by hand."""

from __future__ import annotations

import hashlib
from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_space import Space
from test_verify_data import memory_of

from sealwright.intake import change
from sealwright.intake.change import Side
from sealwright.intake.diff import diff
from sealwright.intake.leaves import HASHES

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=14)


def side(rows: list[tuple[int, int]], *, keyed: bool = True) -> Side:
    def hashes(values: list[object]) -> pa.Array:
        return pa.array([hashlib.sha256(repr(each).encode()).digest() for each in values], HASHES)

    half = len(rows) // 2
    return Side(
        change.chunked([hashes(rows[:half]), hashes(rows[half:])]),
        change.chunked([hashes([key for key, _ in rows])]) if keyed else None,
        (("a", 0, half), ("b", half, len(rows) - half)),
    )


@settings(max_examples=200, deadline=None)
@given(old=ROWS, new=ROWS)
def test_counts_are_those_of_two_multisets(
    old: list[tuple[int, int]], new: list[tuple[int, int]]
) -> None:
    come, gone = Counter(new) - Counter(old), Counter(old) - Counter(new)
    keys_come = Counter(key for key, _ in come.elements())
    edited = (keys_come & Counter(key for key, _ in gone.elements())).total()
    found = change.count(side(old), side(new))
    assert found == change.Change(come.total() - edited, gone.total() - edited, edited)
    plain = change.count(side(old, keyed=False), side(new, keyed=False))
    assert plain == change.Change(come.total(), gone.total(), 0)
    difference = change.compare(side(old), side(new))
    assert difference.change == found
    rows = {"a": new[: len(new) // 2], "b": new[len(new) // 2 :]}
    named = [
        rows[each.path][row] for each in (*difference.added, *difference.after) for row in each.rows
    ]
    assert Counter(named) == come


FILES = st.lists(st.tuples(st.integers(1, 3), st.sampled_from("xyz")), max_size=8)


@given(old=FILES, new=FILES)
def test_files_of_equal_rows_cancel_out(
    old: list[tuple[int, str]], new: list[tuple[int, str]]
) -> None:
    left_old, left_new = change.unmatched(old, new)
    assert Counter(old[at] for at in left_old) == Counter(old) - Counter(new)
    assert Counter(new[at] for at in left_new) == Counter(new) - Counter(old)


@pytest.mark.parametrize("reference", [False, True], ids=["stored", "external"])
def test_rows_are_numbered_in_their_own_files(space: Space, reference: bool) -> None:
    space.write("d/0.csv", "id,v\n1,a\n2,b\n")
    space.write("d/1.csv", "id,v\n3,c\n4,d\n")
    old = memory_of(space, space.add("d", key="id", reference=reference).dataset)
    space.write("d/1.csv", "id,v\n4,d\n3,X\n9,n\n")
    space.write("d/2.csv", "id,v\n7,s\n")
    (space.project / "d/0.csv").unlink()
    new = memory_of(space, space.add("d", reference=reference).dataset)
    found = diff(old, new)
    assert found.difference.change == change.Change(2, 2, 1)
    assert [(each.path, each.rows) for each in found.difference.added] == [
        ("1.csv", (2,)),
        ("2.csv", (0,)),
    ]
    assert [(each.path, each.rows) for each in found.difference.removed] == [("0.csv", (0, 1))]
    assert [(each.path, each.rows) for each in found.difference.before] == [("1.csv", (0,))]
    assert [(each.path, each.rows) for each in found.difference.after] == [("1.csv", (1,))]
    assert (found.files_added, found.files_removed) == (("2.csv",), ("0.csv",))
    assert found.files_changed == ("1.csv",)


def test_columns_that_changed_are_said(space: Space) -> None:
    space.write("a.csv", "id,x,old\n1,2,3\n")
    old = memory_of(space, space.add("a.csv").dataset)
    space.write("a.csv", "id,x,new\n1,2.5,3\n")
    new = memory_of(space, space.add("a.csv").dataset)
    assert diff(old, new).columns == (
        "column 'new' is new",
        "column 'old' is gone",
        "column 'x' was int, is float64",
    )


def test_a_version_does_not_differ_from_itself(space: Space) -> None:
    space.write("a.csv", "a\n1\n1\n2\n")
    memory = memory_of(space, space.add("a.csv").dataset)
    found = diff(memory, memory)
    assert found.difference.change == change.Change(0, 0, 0)
    assert (found.columns, found.files_changed) == ((), ())
