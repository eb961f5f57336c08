"""A version read again: every change is found and named, equal rows in other bytes are not one."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from intake_space import Space

from sealwright.core.errors import Refused, VerifyError
from sealwright.intake.add import RECORD_KEY_LABEL
from sealwright.intake.recall import Memory
from sealwright.intake.verify import VerifiedDataset, lies_unchanged, verify
from sealwright.intake.versions import Dataset, read_manifest

TABLE = "id,x\n" + "".join(f"{i},{i / 7}\n" for i in range(500))


def memory_of(space: Space, dataset: Dataset) -> Memory:
    return Memory(
        read_manifest(dataset, space.store),
        space.store,
        dataset.scope,
        space.kms.derive(dataset.scope, RECORD_KEY_LABEL),
        space.ports.scratch,
    )


def checked(space: Space, dataset: Dataset) -> VerifiedDataset:
    return verify(dataset, memory_of(space, dataset), space.project)


def shard(path: Path, rows: list[int], **how: object) -> None:
    path.parent.mkdir(exist_ok=True)
    pq.write_table(pa.table({"id": rows, "v": [f"v{each}" for each in rows]}), path, **how)


@pytest.mark.parametrize("reference", [False, True], ids=["stored", "external"])
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "images", "files"])
def test_what_was_signed_verifies(space: Space, kind: str, reference: bool) -> None:
    if kind == "csv":
        space.write("d/a.csv", TABLE)
    elif kind == "jsonl":
        space.write("d/a.jsonl", '{"a":1,"l":[1,2]}\n{"a":2.5,"s":{"x":"y"}}\n')
    elif kind == "parquet":
        shard(space.project / "d" / "0.parquet", [1, 2, 3])
    else:
        space.write(f"d/c/1.{'png' if kind == 'images' else 'bin'}", b"12")
    dataset = space.add("d", reference=reference).dataset
    assert dataset.kind == kind
    found = checked(space, dataset)
    assert (found.dataset.ref, found.rewritten) == (dataset.ref, ())


def test_any_flipped_byte_in_the_store_is_found_and_the_file_named(space: Space) -> None:
    space.write("d/a.csv", "a\n1\n2\n")
    space.write("d/b.csv", "a\n3\n")
    dataset = space.add("d").dataset
    segments = {file.path: file.segments[0] for file in space.datasets.manifest(dataset).files}
    (path,) = (space.seal / "store").rglob(f"{segments['b.csv']}.seg")
    good = path.read_bytes()
    for at in range(0, len(good), 3):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises(Refused, match=r"data:d@1: d/b\.csv: ") as caught:
            checked(space, dataset)
        assert caught.value.evidence[0] == "d/b.csv"
        assert caught.value.rule.startswith("store.")
    path.write_bytes(good)
    checked(space, dataset)


def test_a_flipped_byte_in_the_manifest_names_the_version(space: Space) -> None:
    space.write("a.csv", TABLE)
    dataset = space.add("a.csv").dataset
    (segment,) = dataset.signed.manifest.segments
    (path,) = (space.seal / "store").rglob(f"{segment}.seg")
    path.write_bytes(path.read_bytes()[:-1] + b"\x00")
    with pytest.raises(VerifyError, match="data:d@1: the manifest cannot be used"):
        checked(space, dataset)


def test_segments_of_two_files_swapped_are_found(space: Space) -> None:
    space.write("d/a.csv", "a\n1\n")
    space.write("d/b.csv", "a\n2\n")
    dataset = space.add("d").dataset
    one, two = (
        next((space.seal / "store").rglob(f"{file.segments[0]}.seg"))
        for file in space.datasets.manifest(dataset).files
    )
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(second)
    two.write_bytes(first)
    with pytest.raises(Refused) as caught:
        checked(space, dataset)
    assert "1 more: d/b.csv" in caught.value.why


def test_external_rows_that_changed_are_named_by_file_and_row(space: Space) -> None:
    path = space.write("a.csv", TABLE)
    dataset = space.add("a.csv", reference=True).dataset
    lines = TABLE.splitlines(keepends=True)
    for row in (0, 41, 499):
        changed = [*lines]
        changed[row + 1] = changed[row + 1].replace(",", ",9", 1)
        path.write_text("".join(changed))
        with pytest.raises(VerifyError) as caught:
            checked(space, dataset)
        assert caught.value.where == f"a.csv row {row}"
        assert caught.value.rule == "data.external-changed"


@pytest.mark.parametrize(
    ("change", "row"),
    [
        (lambda lines: lines[:-1], 499),
        (lambda lines: [*lines, "9,9\n"], 500),
        (lambda lines: [*lines[:5], lines[6], lines[5], *lines[7:]], 4),
        (lambda lines: [*lines[:5], lines[5], *lines[5:]], 5),
    ],
    ids=["dropped", "appended", "reordered", "duplicated"],
)
def test_external_rows_dropped_added_or_moved_are_named(space: Space, change, row: int) -> None:
    path = space.write("a.csv", TABLE)
    dataset = space.add("a.csv", reference=True).dataset
    path.write_text("".join(change(TABLE.splitlines(keepends=True))))
    with pytest.raises(VerifyError) as caught:
        checked(space, dataset)
    assert caught.value.where == f"a.csv row {row}"


def test_external_parquet_written_again_with_equal_rows_is_no_alarm(space: Space) -> None:
    path = space.project / "d" / "0.parquet"
    shard(path, list(range(1000)))
    dataset = space.add("d", reference=True).dataset
    for how in ({"compression": "gzip"}, {"row_group_size": 10}, {"use_dictionary": False}):
        shard(path, list(range(1000)), **how)
        assert checked(space, dataset).rewritten == ("d/0.parquet",)
    shard(path, [*range(999), 7])
    with pytest.raises(VerifyError, match=r"d/0\.parquet is not what was signed"):
        checked(space, dataset)


def test_an_external_file_that_is_gone_or_broken_is_named(space: Space) -> None:
    path = space.write("a.csv", TABLE)
    dataset = space.add("a.csv", reference=True).dataset
    path.write_text("id,x\n1\n")
    with pytest.raises(VerifyError, match=r"a\.csv is not what was signed: .* line 2 has 1 cells"):
        checked(space, dataset)
    path.unlink()
    with pytest.raises(VerifyError, match=r"a\.csv is not what was signed: a\.csv cannot be read"):
        checked(space, dataset)
    path.symlink_to("/etc/passwd")
    with pytest.raises(VerifyError, match="symbolic link"):
        checked(space, dataset)


@pytest.mark.parametrize("kind", ["png", "bin"])
def test_an_external_tree_whose_file_changed_is_named(space: Space, kind: str) -> None:
    space.write(f"d/c/1.{kind}", b"one")
    space.write(f"d/c/2.{kind}", b"two")
    dataset = space.add("d", reference=True).dataset
    space.write(f"d/c/2.{kind}", b"six")
    with pytest.raises(VerifyError) as caught:
        checked(space, dataset)
    assert caught.value.where == f"d/c/2.{kind}"


def test_a_shredded_version_is_refused_not_passed(space: Space) -> None:
    space.write("a.csv", TABLE)
    dataset = space.add("a.csv").dataset
    space.store.shred(dataset.scope, list(space.datasets.manifest(dataset).segments()))
    with pytest.raises(Refused) as caught:
        checked(space, dataset)
    assert caught.value.rule == "store.segment-missing"


def test_a_project_file_written_again_with_equal_rows_lies_unchanged(space: Space) -> None:
    path = space.project / "d" / "0.parquet"
    shard(path, list(range(1000)))
    memory = memory_of(space, space.add("d").dataset)
    (file,) = memory.manifest.files
    shard(path, list(range(1000)), compression="gzip")
    assert lies_unchanged(memory, file, space.project)
    shard(path, [*range(999), 7])
    assert not lies_unchanged(memory, file, space.project)
    path.unlink()
    assert not lies_unchanged(memory, file, space.project)
