"""Decoys look like a table's records, are nobody's, and are known by a key alone."""

import random
import re

import pyarrow as pa
import pytest

from sealwright.core.errors import BadInput
from sealwright.intake import decoys

KEY, OTHER = b"k" * 32, b"o" * 32


def people(count=300):
    rng = random.Random(3)
    return pa.table(
        {
            "id": [f"CU-{rng.randrange(10**9, 10**10)}" for _ in range(count)],
            "number": [rng.randrange(10**10, 10**11) for _ in range(count)],
            "name": [f"Ann{n:03} Bo{n:03}x".translate(DIGITS) for n in range(count)],
            "mail": [f"user.number{n}@mail.example" for n in range(count)],
            "born": [f"19{rng.randrange(40, 99)}-02-1{n % 9}" for n in range(count)],
            "city": [rng.choice(["Bern", "Genova", None]) for _ in range(count)],
            "note": [f"asked about invoice {n} and paid it late again" for n in range(count)],
            "amount": [rng.random() for _ in range(count)],
            "label": [n % 2 for n in range(count)],
        }
    )


DIGITS = str.maketrans("0123456789", "abcdefghij")


def made(table, count=40, key=KEY, seed=1):
    return decoys.make(table.schema, table.to_batches(), count, key, random.Random(seed))


def test_decoys_have_the_shape_of_the_table_and_no_identifier_of_it():
    source = people()
    found = made(source)
    assert found.schema == source.schema
    assert found.num_rows == 40
    for name in ("id", "number", "mail", "name"):
        assert not set(found[name].to_pylist()) & set(source[name].to_pylist()), name
    for name in ("born", "city", "label", "amount"):
        assert set(found[name].to_pylist()) <= set(source[name].to_pylist()), name
    assert all(re.fullmatch(r"[A-Z]{2}-\d{10}", each) for each in found["id"].to_pylist())
    assert all(each.endswith("@mail.example") for each in found["mail"].to_pylist())
    words = {word for note in source["note"].to_pylist() for word in note.split()}
    assert all(set(note.split()[:-1]) <= words for note in found["note"].to_pylist())


def test_marks_are_told_by_the_key_and_by_nothing_else():
    source = people()
    found = made(source)
    marks = decoys.marks(found.to_batches(), KEY)
    assert set(found["id"].to_pylist()) <= marks
    assert {str(number) for number in found["number"].to_pylist()} <= marks
    assert {note.split()[-1] for note in found["note"].to_pylist()} <= marks
    assert not decoys.marks(found.to_batches(), OTHER)
    assert not decoys.marks(source.to_batches(), KEY)


def test_a_column_of_short_values_carries_no_mark_and_stays_in_its_type():
    source = pa.table({"n": pa.array(range(100), pa.int8()), "s": [f"a{n}" for n in range(100)]})
    found = made(source)
    assert found.schema == source.schema
    assert not decoys.marks(found.to_batches(), KEY)


@pytest.mark.parametrize(
    "values",
    [
        pa.array([None] * 5, pa.string()),
        pa.array(["", " ", "  ", "   ", "    "]),
        pa.array([2**63 - 1, 2**63 - 2, -(2**63), -1, 0]),
        pa.array([[1], [2], [3], [4], [5]]),
        pa.array(["a", "b", "a", "c", "d"]).dictionary_encode(),
        pa.array(["²³¹²³¹²³¹²³¹", "日本語日本語日本語日本語", "é" * 20, "x", "y" * 70_000]),
        pa.array([b"\x00" * 20, b"1", b"2", b"3", b"4"]),
        pa.array([float("nan"), float("inf"), 1.0, 2.0, 3.0]),
    ],
)
def test_odd_columns_make_decoys_too(values):
    source = pa.table({"x": values})
    assert made(source).schema == source.schema


def test_an_empty_table_makes_none():
    with pytest.raises(BadInput, match="without records"):
        made(people(0))
