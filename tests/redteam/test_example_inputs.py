"""Rows of a table as what a model is asked."""

import numpy as np
import pyarrow as pa
import pytest

from sealwright.app.exampleinputs import read
from sealwright.core.errors import BadInput

MANY = range(100)


def test_numbers_stay_in_their_order_and_the_label_goes():
    table = pa.table({"b": [float(i) for i in MANY], "y": list(MANY), "a": [1.5] * 100})
    found = read(table, "y")
    assert found.space.form == "table"
    assert found.inputs[7].tolist() == [7.0, 1.5]
    assert found.labels[7] == "7"


def test_mixed_columns_are_asked_as_the_words_they_were():
    table = pa.table({"n": [float(i) / 2 for i in MANY], "c": ["red", None] * 50})
    found = read(table, "")
    rendered = found.space.render(found.inputs)
    assert rendered[1].tolist() == ["0.5", ""]
    assert rendered[2].tolist() == ["1", "red"]


def test_one_column_of_text_is_a_bag_of_words():
    found = read(pa.table({"t": ["the cat sat", "the dog"] * 50, "y": [0, 1] * 50}), "y")
    assert found.space.form == "text"
    assert sorted(found.space.render(found.inputs[:1])[0].split()) == ["cat", "sat", "the"]


def test_rows_without_a_number_are_left_out():
    table = pa.table({"a": [None, float("nan"), *map(float, range(98))], "y": [0] * 100})
    found = read(table, "y")
    assert (len(found.inputs), len(found.labels)) == (98, 98)


@pytest.mark.parametrize(
    "table",
    [
        {"y": list(MANY)},
        {"a": [None] * 100, "y": list(MANY)},
        {"a": [[1]] * 100, "y": list(MANY)},
    ],
    ids=["only a label", "no numbers", "lists"],
)
def test_a_table_that_is_no_input_is_refused(table):
    with pytest.raises(BadInput):
        read(pa.table(table), "y")


def test_a_shape_that_does_not_fit_is_refused():
    table = pa.table({f"p{i}": np.arange(100.0) for i in range(6)})
    assert read(table, "", (2, 3)).space.form == "image"
    with pytest.raises(BadInput, match="no picture"):
        read(table, "", (2, 2))
