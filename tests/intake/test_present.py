"""A version as the jailed worker reads it: its records, in its own order."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pytest

from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.store_local import LocalStore
from sealwright.core.errors import BadInput
from sealwright.intake import ingest, location, present, sources
from sealwright.intake.ingest import Taking
from sealwright.intake.manifest import TABLES, Manifest
from sealwright.intake.recall import Memory
from sealwright.intake.streams import Silent, Tally
from sealwright.intake.tree import version_root


@pytest.fixture
def remember(tmp_path):
    """A folder or file, stored, as the memory of a version."""
    kms, _ = FileKms.initialize(tmp_path / "state", None)
    store = LocalStore(tmp_path / "store", kms)
    kms.create("data:d")

    def make(path: str) -> Memory:
        place = location.locate(str(tmp_path / path), tmp_path, reference=False)
        found = ingest.survey(sources.inspect(place, ""), None, None, Tally(Silent(), 0, ""))
        key = "" if found.source.kind in TABLES else "path"
        secret = kms.derive("data:d", b"x")
        terms = Taking(
            store=store, scope="data:d", secret=secret, external=False, key=key, spools=False,
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


def streamed(memory: Memory, project: Path) -> dict[str, list]:
    tables = []
    for file in memory.manifest.files:
        sink = io.BytesIO()
        present.write_table(memory, project, file, sink)
        tables.append(pa.ipc.open_stream(sink.getvalue()).read_all())
    return pa.concat_tables(tables).to_pydict()


def test_rows_come_in_the_order_of_the_version_and_say_their_file(remember, tmp_path):
    (tmp_path / "d").mkdir()
    for name, rows in (("b.csv", [1, 2]), ("a.csv", [3])):
        (tmp_path / "d" / name).write_text("x\n" + "".join(f"{row}\n" for row in rows))
    memory = remember("d")
    assert streamed(memory, tmp_path) == {
        "x": [3, 1, 2],
        present.FILE_COLUMN: ["d/a.csv", "d/b.csv", "d/b.csv"],
    }
    assert present.column_of(memory, tmp_path, "x", [2, 0]) == ["2", "3"]
    assert present.column_of(memory, tmp_path, present.FILE_COLUMN, [0, 1]) == [
        "d/a.csv",
        "d/b.csv",
    ]
    assert present.rows_of(memory, tmp_path, [1]) == [{"x": "1", present.FILE_COLUMN: "d/b.csv"}]


def test_a_column_of_our_name_is_refused(remember, tmp_path):
    (tmp_path / "t.csv").write_text(f"{present.FILE_COLUMN}\n1\n")
    memory = remember("t.csv")
    with pytest.raises(BadInput, match="is called seal:file"):
        streamed(memory, tmp_path)


def test_text_files_become_a_table(remember, tmp_path):
    for path, text in (("spam/a.txt", "buy now"), ("ham/b.txt", "caf\u00e9")):
        (tmp_path / "d" / path).parent.mkdir(parents=True)
        (tmp_path / "d" / path).write_text(text)
    memory, sink = remember("d"), io.BytesIO()
    present.write_texts(memory, memory.manifest.files, sink)
    assert pa.ipc.open_stream(sink.getvalue()).read_all().to_pydict() == {
        "text": ["caf\u00e9", "buy now"],
        "folder": ["ham", "spam"],
        present.FILE_COLUMN: ["d/ham/b.txt", "d/spam/a.txt"],
    }


def test_paths_of_pictures_say_label_and_origin():
    assert present.folder_of("cat/feed-a/1.png") == "cat"
    assert present.origin_of("cat/feed-a/1.png") == "feed-a"
    assert present.origin_of("cat/1.png") == present.folder_of("1.png") == ""
    assert present.is_picture("a/B.JPG")
    assert not present.is_picture("a/b.npy")
