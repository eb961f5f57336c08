"""One record is shown to be in a version, for every kind of data."""

from __future__ import annotations

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from intake_space import Space
from test_verify_data import memory_of

from sealwright.core.errors import BadInput, VerifyError
from sealwright.intake.prove import prove_row
from sealwright.intake.recordproof import verify_record, verify_reveal


@pytest.mark.parametrize("reference", [False, True], ids=["stored", "external"])
@pytest.mark.parametrize("row", [0, 41, 255, 256, 599, 600, 1233])
def test_a_row_is_proven_and_shown(space: Space, row: int, reference: bool) -> None:
    (space.project / "d").mkdir()
    for number, (start, end) in enumerate([(0, 600), (600, 1234)]):
        table = pa.table({"id": list(range(start, end))})
        pq.write_table(table, space.project / "d" / f"{number}.parquet")
    dataset = space.add("d", reference=reference).dataset
    proven = prove_row(dataset, memory_of(space, dataset), row, space.project, show=True)
    record = verify_record(proven.proof, dataset.root)
    assert (record.path, record.row) == (
        ("0.parquet", row) if row < 600 else ("1.parquet", row - 600)
    )
    assert proven.reveal is not None
    assert verify_reveal(proven.reveal, record).values == {"id": row}
    assert len(msgspec.json.encode(proven.proof)) <= 1536
    with pytest.raises(VerifyError):
        verify_record(proven.proof, dataset.digest)


def test_a_file_of_a_tree_is_proven_by_what_it_is(space: Space) -> None:
    space.write("d/cat/1.png", b"one")
    space.write("d/dog/2.png", b"two")
    dataset = space.add("d").dataset
    proven = prove_row(
        dataset, memory_of(space, dataset), 0, space.project, path="dog/2.png", show=True
    )
    record = verify_record(proven.proof, dataset.root)
    assert proven.reveal is not None
    values = verify_reveal(proven.reveal, record).values
    assert (values["path"], values["size"], values["label"]) == ("dog/2.png", 3, "dog")


def test_a_row_can_be_counted_within_a_file(space: Space) -> None:
    space.write("d/0.csv", "a\n1\n2\n")
    space.write("d/1.csv", "a\n3\n")
    dataset = space.add("d").dataset
    memory = memory_of(space, dataset)
    whole = prove_row(dataset, memory, 2, space.project)
    assert prove_row(dataset, memory, 0, space.project, path="1.csv") == whole
    assert prove_row(dataset, memory, 0, space.project, path="d/1.csv") == whole


@pytest.mark.parametrize(("row", "path"), [(3, ""), (-1, ""), (1, "1.csv"), (0, "none.csv")])
def test_a_row_that_is_not_there_is_refused(space: Space, row: int, path: str) -> None:
    space.write("d/0.csv", "a\n1\n2\n")
    space.write("d/1.csv", "a\n3\n")
    dataset = space.add("d").dataset
    with pytest.raises(BadInput):
        prove_row(dataset, memory_of(space, dataset), row, space.project, path=path)


def test_a_row_that_changed_since_is_not_shown(space: Space) -> None:
    path = space.write("a.csv", "a,b\n1,2\n3,4\n")
    dataset = space.add("a.csv", reference=True).dataset
    path.write_text("a,b\n1,2\n3,5\n")
    memory = memory_of(space, dataset)
    assert verify_record(prove_row(dataset, memory, 1, space.project).proof, dataset.root)
    with pytest.raises(VerifyError):
        prove_row(dataset, memory, 1, space.project, show=True)
