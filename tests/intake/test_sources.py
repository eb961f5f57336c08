"""What kind of data lies there, and which types its text has."""

from __future__ import annotations

import io
import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from intake_space import Space

from sealwright.core.errors import BadInput
from sealwright.intake import csvtext, jsonlines, location, sources


def kind_of(space: Space, path: str) -> str:
    return sources.inspect(location.locate(path, space.project, reference=False)).kind


def types_of(*files: str, delimiter: str = ",") -> dict[str, str]:
    masks = [csvtext.scan(opener(each), "x.csv", delimiter)[0] for each in files]
    return {field.name: str(field.type) for field in csvtext.join(masks)}


def opener(text: str | bytes):
    data = text.encode() if isinstance(text, str) else text
    return lambda: io.BytesIO(data)


@pytest.mark.parametrize(
    ("name", "content", "kind"),
    [
        ("a.csv", "a,b\n1,2\n", "csv"),
        ("a.tsv", "a\tb\n1\t2\n", "csv"),
        ("a.jsonl", '{"a":1}\n', "jsonl"),
        ("a.ndjson", '{"a":1}\n', "jsonl"),
        ("a.json", '{"a":1}\n{"a":2}\n', "jsonl"),
        ("a.json", '{\n "a": 1\n}\n', "files"),
        ("a.bin", b"\x00\x01", "files"),
        ("weights.csv.gz", b"\x1f\x8b", "files"),
    ],
)
def test_a_file_is_known_by_content_and_extension(
    space: Space, name: str, content: str | bytes, kind: str
) -> None:
    space.write(name, content)
    assert kind_of(space, name) == kind


def test_parquet_is_known_by_its_content_whatever_its_name(space: Space) -> None:
    pq.write_table(pa.table({"a": [1]}), space.project / "data.csv")
    assert kind_of(space, "data.csv") == "parquet"


def test_a_folder_of_shards_is_one_table_and_markers_are_left_out(space: Space) -> None:
    for number in range(2):
        space.write(f"t/part-{number}.csv", "a\n1\n")
    space.write("t/_SUCCESS", "")
    space.write("t/.part-0.crc", "x")
    found = sources.inspect(location.locate("t", space.project, reference=False))
    assert (found.kind, found.files) == ("csv", ("part-0.csv", "part-1.csv"))
    assert found.skipped == (".part-0.crc", "_SUCCESS")


def test_a_mixed_folder_is_a_file_tree_and_says_so(space: Space) -> None:
    space.write("t/a.csv", "a\n1\n")
    space.write("t/README.md", "hello")
    added = space.add("t")
    assert (added.dataset.kind, added.dataset.rows) == ("files", 2)
    assert "mixed folder" in added.notes[0]


def test_an_image_is_labelled_by_its_folder(space: Space) -> None:
    for name in ("train/cat/1.png", "train/dog/2.JPG"):
        space.write(name, os.urandom(20))
    added = space.add("train")
    manifest = space.datasets.manifest(added.dataset)
    assert (added.dataset.kind, added.dataset.label) == ("images", "label")
    assert [name for name, _ in manifest.columns()] == ["path", "size", "sha256", "label"]
    assert sources.tree_batch("images", [("cat/1.png", 1, "00" * 32)])["label"][0].as_py() == "cat"


def test_images_without_folders_are_a_file_tree(space: Space) -> None:
    space.write("i/1.png", b"x")
    assert kind_of(space, "i") == "files"


def test_git_and_seal_folders_are_never_data(space: Space) -> None:
    space.write("t/.git/config", "x")
    space.write("t/a.txt", "x")
    place = location.locate("t", space.project, reference=False)
    assert place.files() == ("a.txt",)
    with pytest.raises(BadInput, match="never data"):
        location.locate(".seal", space.project, reference=False)


@pytest.mark.parametrize(
    ("cells", "kind"),
    [
        (["1", "-2", ""], "int64"),
        (["9223372036854775807"], "int64"),
        (["9223372036854775808"], "string"),
        (["1", "2.5"], "double"),
        (["1e5", "nan", "-inf", ".5", "5."], "double"),
        (["12345678901234567", "1.5"], "string"),
        (["true", "False", ""], "bool"),
        (["1", "true"], "string"),
        (["007"], "string"),
        (["+1"], "string"),
        (["0x1f"], "string"),
        ([" 1"], "string"),
        (["-0"], "double"),
        (["2024-01-31"], "string"),
        (["NA", "1"], "string"),
        (["", ""], "string"),
    ],
)
def test_csv_types_lose_nothing(cells: list[str], kind: str) -> None:
    assert types_of("a,b\n" + "".join(f"{cell},x\n" for cell in cells))["a"] == kind


def test_an_empty_cell_is_null_except_in_text() -> None:
    schema = csvtext.join([csvtext.scan(opener("a,b\n1,x\n,\n"), "x", ",")[0]])
    (batch,) = csvtext.batches(opener("a,b\n1,x\n,\n"), "x", ",", schema)
    assert batch.to_pydict() == {"a": [1, None], "b": ["x", ""]}


def test_a_type_far_behind_the_first_block_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a\n" + "1\n" * 400_000 + "x\n"
    assert types_of(text) == {"a": "string"}


CELLS = st.sampled_from(["", "0", "-7", "2.5", "1e3", "true", "False", "007", "é", "a b", '"x\ny"'])


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=30), cut=st.integers(0, 30))
def test_csv_types_do_not_depend_on_blocks_or_on_how_files_are_cut(
    rows: list[tuple[str, str]], cut: int
) -> None:
    def text(part: list[tuple[str, str]]) -> str:
        return "a,b\n" + "".join(f"{one},{two}\n" for one, two in part)

    whole = types_of(text(rows))
    assert types_of(text(rows[:cut]), text(rows[cut:])) == whole
    before, csvtext._BLOCKS = csvtext._BLOCKS, (32, 1 << 20)
    try:
        assert types_of(text(rows)) == whole
        schema = csvtext.join([csvtext.scan(opener(text(rows)), "x", ",")[0]])
        small = list(csvtext.batches(opener(text(rows)), "x", ",", schema))
    finally:
        csvtext._BLOCKS = before
    large = list(csvtext.batches(opener(text(rows)), "x", ",", schema))
    assert pa.Table.from_batches(small).equals(pa.Table.from_batches(large))


@pytest.mark.parametrize(
    ("head", "name", "delimiter"),
    [
        ("a,b\n", "x.csv", ","),
        ("a;b;c\n1,5;2;3", "x.csv", ";"),
        ("a\tb\n", "x.txt", "\t"),
        ("a,b\n", "x.tsv", "\t"),
        ("a\n", "x.csv", ","),
    ],
)
def test_the_delimiter_follows_from_the_header(head: str, name: str, delimiter: str) -> None:
    assert csvtext.delimiter_of(head.encode(), name) == delimiter


def test_a_byte_order_mark_is_no_part_of_the_first_column() -> None:
    assert types_of("\ufeffa,b\n1,2\n") == {"a": "int64", "b": "int64"}


def test_the_index_column_without_a_name_that_pandas_writes_is_accepted() -> None:
    assert types_of(",a\n0,x\n1,y\n") == {"": "int64", "a": "string"}


def schema_of_lines(*files: str) -> pa.Schema:
    return jsonlines.schema_of_files(
        [("x", jsonlines.scan(opener(each), "x.jsonl")[0]) for each in files]
    )


def test_json_text_that_looks_like_a_date_stays_text() -> None:
    assert schema_of_lines('{"t":"2024-01-01"}\n').field("t").type == pa.string()


def test_json_fields_are_sorted_and_missing_ones_are_null() -> None:
    text = '{"b":1}\n\n{"a":{"y":null,"x":[1,2.5]},"b":2}\n'
    schema = schema_of_lines(text)
    assert schema.names == ["a", "b"]
    assert str(schema.field("a").type) == "struct<x: list<item: double>, y: string>"
    (batch,) = jsonlines.batches(opener(text), "x", schema)
    assert batch.to_pylist()[0] == {"a": None, "b": 1}


VALUES = st.recursive(
    st.sampled_from([None, 1, 2]), lambda inner: st.dictionaries(st.sampled_from("xyz"), inner)
)
LINES = st.lists(
    st.fixed_dictionaries(
        {},
        optional={
            "n": st.sampled_from([None, 1, 2.5]),
            "s": st.sampled_from([None, "a", "2024-01-01"]),
            "l": st.sampled_from([None, [], [1], [None, 2.5]]),
        },
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=60, deadline=None)
@given(lines=LINES, cut=st.integers(0, 20))
def test_json_types_do_not_depend_on_blocks_or_on_how_files_are_cut(
    lines: list[dict[str, object]], cut: int
) -> None:
    def text(part: list[dict[str, object]]) -> str:
        return "".join(json.dumps(each) + "\n" for each in part)

    whole = schema_of_lines(text(lines))
    parts = [part for part in (lines[:cut], lines[cut:]) if part]
    assert schema_of_lines(*map(text, parts)) == whole
    before, jsonlines._BLOCK_BYTES = jsonlines._BLOCK_BYTES, 16
    try:
        assert schema_of_lines(text(lines)) == whole
        rows = [
            row for b in jsonlines.batches(opener(text(lines)), "x", whole) for row in b.to_pylist()
        ]
    finally:
        jsonlines._BLOCK_BYTES = before
    assert len(rows) == len(lines)
    assert [row.get("n") for row in rows] == [line.get("n") for line in lines]


def test_a_line_longer_than_a_block_is_read_whole(space: Space) -> None:
    wide = "x" * (5 << 20)
    space.write("wide.csv", f"a,b\n1,{wide}\n2,y\n")
    space.write("wide.jsonl", json.dumps({"a": wide}) + '\n{"a":"y"}\n')
    assert space.add("wide.csv").dataset.rows == 2
    assert space.add("wide.jsonl", "j").dataset.rows == 2


def test_a_deep_tree_is_walked(space: Space) -> None:
    deep = space.project / "t" / Path(*["d"] * 300)
    deep.mkdir(parents=True)
    (deep / "f").write_bytes(b"x")
    assert space.add("t").dataset.rows == 1
