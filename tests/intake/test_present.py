"""A version as detectors read it: types, codes, order."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.store_local import LocalStore
from sealwright.core.errors import BadInput
from sealwright.intake import ingest, location, present, sources
from sealwright.intake.ingest import Taking
from sealwright.intake.manifest import Manifest
from sealwright.intake.present import ColumnReading
from sealwright.intake.recall import Memory
from sealwright.intake.streams import Silent, Tally
from sealwright.intake.tree import version_root


@pytest.fixture
def remember(tmp_path):
    """A folder's tables, stored, as the memory of a version."""
    kms, _ = FileKms.initialize(tmp_path / "state", None)
    store = LocalStore(tmp_path / "store", kms)
    kms.create("data:d")

    def make(path: str) -> Memory:
        place = location.locate(str(tmp_path / path), tmp_path, reference=False)
        found = ingest.survey(sources.inspect(place, ""), None, None, Tally(Silent(), 0, ""))
        secret = kms.derive("data:d", b"x")
        terms = Taking(
            store=store, scope="data:d", secret=secret, external=False, key="", spools=False,
            scratch=tmp_path, tally=Tally(Silent(), 0, ""),
        )  # fmt: skip
        files = tuple(each.record for each in ingest.take(found, None, terms))
        manifest = Manifest(
            format="sealwright dataset v1", kind=found.source.kind, base=place.base,
            folder=place.folder, outside=False, external=False, label="", key="",
            options=dict(found.source.how.options), schema=found.schema,
            root=version_root(f.entry() for f in files), rows=sum(f.rows for f in files),
            size_bytes=0, again=0, files=files,
        )  # fmt: skip
        return Memory(manifest, store, "data:d", secret, tmp_path)

    return make


def read(memory: Memory, project: Path, label: str = "", source: str = "") -> Any:
    shape = present.survey(memory, project, label, source)
    sink = io.BytesIO()
    present.write(memory, project, shape, sink)
    table = pa.ipc.open_stream(sink.getvalue()).read_all()
    return shape, table.to_pydict()


def test_columns_labels_and_sources_are_read_in_the_versions_own_order(remember, tmp_path):
    text = "age,job,note,feed,y\n"
    notes = ["the quick brown fox jumps over it", "another sentence of quite some words"]
    rows = [(31, "cook", notes[0], "A", "no"), ("", "cook", notes[1], "FEED", "yes"),
            (5, "", notes[0], "A", "yes")]  # fmt: skip
    text += "".join(",".join(map(str, row)) + "\n" for row in rows)
    (tmp_path / "t.csv").write_text(text)
    shape, table = read(remember("t.csv"), tmp_path, "y", "feed")
    assert shape.columns == (
        ColumnReading("age", "number"),
        ColumnReading("job", "category"),
        ColumnReading("note", "text"),
    )
    assert (shape.labels, shape.sources) == (("no", "yes"), ("A", "FEED"))
    assert table["0"] == [31.0, None, 5.0]
    assert table["label"] == [0, 1, 1]
    assert table["source"] == [0, 1, 0]
    assert present.sources_of(remember("t.csv"), tmp_path, shape, [2, 1]) == ["A", "FEED"]


def test_where_nobody_names_a_source_the_file_is_one(remember, tmp_path):
    (tmp_path / "d").mkdir()
    for name, rows in (("b.csv", [1, 2]), ("a.csv", [3])):
        (tmp_path / "d" / name).write_text("x\n" + "".join(f"{row}\n" for row in rows))
    shape, table = read(remember("d"), tmp_path)
    assert shape.sources == ("d/a.csv", "d/b.csv")
    assert table == {"0": [3.0, 1.0, 2.0], "label": [-1, -1, -1], "source": [0, 1, 1]}
    (tmp_path / "one.csv").write_text("x\n1\n")
    shape, table = read(remember("one.csv"), tmp_path)
    assert (shape.sources, table["source"]) == ((), [-1])


def test_times_numbers_vectors_and_nested_values_have_a_reading(remember, tmp_path):
    moment = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    table = pa.table(
        {
            "when": pa.array([moment, None], pa.timestamp("us", "UTC")),
            "day": pa.array([date(1970, 1, 3), None]),
            "flag": pa.array([True, None]),
            "vector": pa.array([[1.0, 2.0], [3.0, 4.0]], pa.list_(pa.float64())),
            "ragged": pa.array([[1.0], [3.0, 4.0]], pa.list_(pa.float64())),
            "word": pa.array(["a", "b"]).dictionary_encode(),
            "nested": pa.array([{"a": 1}, None], pa.struct([("a", pa.int64())])),
            "raw": pa.array([b"\x00", b"\xff"]),
            "nothing": pa.nulls(2),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    shape, found = read(remember("t.parquet"), tmp_path)
    assert [(one.name, one.type) for one in shape.columns] == [
        ("when", "time"),
        ("day", "time"),
        ("flag", "number"),
        ("vector", "vector"),
        ("ragged", "category"),
        ("word", "category"),
        ("nested", "category"),
    ]
    assert shape.skipped == ("raw",)
    assert found["0"] == [moment.timestamp(), None]
    assert found["1"] == [2 * 86400.0, None]
    assert found["2"] == [1.0, None]
    assert found["3"] == [[1.0, 2.0], [3.0, 4.0]]
    assert found["6"] == ["{'a': 1}", None]


def test_a_label_that_is_a_quantity_is_no_class_and_that_is_said(remember, tmp_path):
    (tmp_path / "t.csv").write_text("x,y\n" + "".join(f"1,{i / 7}\n" for i in range(1200)))
    shape, table = read(remember("t.csv"), tmp_path, "y")
    assert shape.labels == ()
    assert set(table["label"]) == {-1}
    assert "1,200 values" in shape.notes[0]


def test_a_column_that_is_not_there_is_refused(remember, tmp_path):
    (tmp_path / "t.csv").write_text("x\n1\n")
    with pytest.raises(BadInput, match="no column 'feed' to be the source"):
        read(remember("t.csv"), tmp_path, "", "feed")
