"""Versions: immutable, signed, in one chain; unchanged data makes none."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
from pathlib import Path
from typing import BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from intake_space import Space

from sealwright.core import predicates
from sealwright.core.digest import of_bytes, of_file
from sealwright.core.errors import BadInput, Unavailable, VerifyError
from sealwright.core.ports import StoredFile
from sealwright.core.records import Artifact, Recorded, Statement
from sealwright.evidence import jcs
from sealwright.intake import leaves
from sealwright.intake import manifest as manifests
from sealwright.intake.add import AddRequest, add
from sealwright.intake.versions import dataset_of, open_files

TABLE = "id,x,label\n1,2.5,a\n2,3,b\n"


def shards(space: Space, folder: str = "t", count: int = 4) -> None:
    (space.project / folder).mkdir(exist_ok=True)
    for number in range(count):
        ids = list(range(number * 10, number * 10 + 10))
        table = pa.table({"id": ids, "v": [f"v{each}" for each in ids]})
        pq.write_table(table, space.project / folder / f"{number}.parquet")


def test_a_version_says_who_why_and_what_changed(space: Space) -> None:
    space.write("a.csv", TABLE)
    first = space.add("a.csv", label="label", key="id", reason="first").dataset
    space.write("a.csv", TABLE.replace("3,b", "3,c") + "3,4,c\n")
    second = space.add("a.csv", reason="one more").dataset
    assert (first.ref, second.ref) == ("data:d@1", "data:d@2")
    signed = second.signed
    assert (signed.actor, signed.reason, signed.label, signed.key) == (
        "ann",
        "one more",
        "label",
        "id",
    )
    assert (signed.change.added, signed.change.removed, signed.change.edited) == (1, 0, 1)
    assert signed.previous is not None
    assert (signed.previous.root, signed.previous.digest) == (first.root, first.digest)
    assert space.datasets.all() == (first, second)


def test_unchanged_data_makes_no_version(space: Space) -> None:
    space.write("a.csv", TABLE)
    first = space.add("a.csv")
    again, reread = space.add("a.csv"), space.add("a.csv", reread=True)
    assert (first.outcome, again.outcome, reread.outcome) == ("added", "unchanged", "unchanged")
    assert again.dataset == first.dataset
    assert space.log.size() == 1


def test_equal_records_in_other_bytes_make_no_version_and_store_nothing(space: Space) -> None:
    shards(space, count=1)
    path = space.project / "t" / "0.parquet"
    space.add("t")
    before = space.contents()
    pq.write_table(pq.read_table(path), path, compression="gzip", row_group_size=3)
    added = space.add("t")
    assert added.outcome == "same-records"
    assert space.contents() == before
    forced = space.add("t", force_version=True).dataset
    assert (forced.version, forced.root) == (2, added.dataset.root)
    assert forced.signed.change == type(forced.signed.change)(0, 0, 0)


def test_equal_data_can_be_signed_anew_under_a_digest_of_its_own(space: Space) -> None:
    space.write("a.csv", TABLE)
    first = space.add("a.csv").dataset
    second = space.add("a.csv", force_version=True).dataset
    third = space.add("a.csv", force_version=True).dataset
    assert [each.version for each in (first, second, third)] == [1, 2, 3]
    assert len({each.digest for each in (first, second, third)}) == 3
    assert first.root == third.root
    assert space.add("a.csv").outcome == "unchanged"


def test_external_data_in_other_bytes_is_a_version_because_only_the_new_bytes_exist(
    space: Space,
) -> None:
    shards(space, count=1)
    path = space.project / "t" / "0.parquet"
    first = space.add("t", reference=True).dataset
    pq.write_table(pq.read_table(path), path, compression="gzip")
    second = space.add("t", reference=True).dataset
    assert (second.version, second.root) == (2, first.root)


def test_a_row_written_otherwise_in_csv_is_the_same_record(space: Space) -> None:
    space.write("a.csv", TABLE)
    space.add("a.csv")
    space.write("a.csv", 'id,x,label\r\n"1",2.50,a\r\n2,3e0,"b"\r\n')
    assert space.add("a.csv").outcome == "same-records"


@pytest.mark.parametrize("reference", [False, True], ids=["stored", "external"])
def test_changed_shards_are_counted_by_record(space: Space, reference: bool) -> None:
    shards(space)
    space.add("t", key="id", reference=reference)
    (space.project / "t" / "3.parquet").unlink()
    table = pa.table({"id": list(range(10)), "v": ["edited", *(f"v{i}" for i in range(1, 10))]})
    pq.write_table(table, space.project / "t" / "0.parquet")
    pq.write_table(pa.table({"id": [99], "v": ["new"]}), space.project / "t" / "new.parquet")
    change = space.add("t", reference=reference).dataset.signed.change
    assert (change.added, change.removed, change.edited) == (1, 10, 1)


def test_moving_rows_between_files_changes_no_record(space: Space) -> None:
    space.write("t/0.csv", "a\n1\n2\n")
    space.write("t/1.csv", "a\n3\n")
    space.add("t")
    space.write("t/0.csv", "a\n3\n1\n")
    space.write("t/1.csv", "a\n2\n")
    added = space.add("t")
    change = added.dataset.signed.change
    assert added.dataset.version == 2
    assert (change.added, change.removed) == (0, 0)


def test_a_new_column_changes_every_record_and_with_a_key_edits_it(space: Space) -> None:
    space.write("a.csv", "id\n1\n2\n")
    space.add("a.csv", key="id")
    space.write("a.csv", "id,x\n1,5\n2,6\n")
    change = space.add("a.csv").dataset.signed.change
    assert (change.added, change.removed, change.edited) == (0, 0, 2)


def test_images_and_trees_change_by_file(space: Space) -> None:
    for name in ("t/a/1.png", "t/a/2.png", "t/b/3.png"):
        space.write(name, name)
    space.add("t")
    space.write("t/a/1.png", "edited")
    (space.project / "t/a/2.png").unlink()
    space.write("t/b/4.png", "new")
    change = space.add("t").dataset.signed.change
    assert (change.added, change.removed, change.edited) == (1, 1, 1)


def test_equal_data_has_an_equal_digest_so_going_back_is_going_back(space: Space) -> None:
    space.write("a.csv", TABLE)
    first = space.add("a.csv").dataset
    space.write("a.csv", TABLE + "9,9,z\n")
    space.add("a.csv")
    space.write("a.csv", TABLE)
    third = space.add("a.csv").dataset
    assert third.version == 3
    assert third.digest == first.digest


def test_equal_data_under_two_names_has_unrelated_roots(space: Space) -> None:
    space.write("a.csv", TABLE)
    assert space.add("a.csv", "one").dataset.root != space.add("a.csv", "two").dataset.root


def test_label_and_key_are_inherited_and_can_be_dropped(space: Space) -> None:
    space.write("a.csv", TABLE)
    space.add("a.csv", label="label", key="id")
    assert space.add("a.csv").outcome == "unchanged"
    dropped = space.add("a.csv", label="").dataset
    assert (dropped.version, dropped.label, dropped.key) == (2, "", "id")


def test_the_manifest_is_canonical_json(space: Space) -> None:
    space.write("t/é\t\u2028.csv", TABLE)
    space.write('t/q"\\.csv', TABLE)
    found = space.datasets.manifest(space.add("t", key="id").dataset)
    assert manifests.encode(found) == jcs.canonical(msgspec.to_builtins(found))
    external = space.datasets.manifest(space.add("t", "e", reference=True).dataset)
    assert manifests.encode(external) == jcs.canonical(msgspec.to_builtins(external))


def test_the_example_on_the_manifest_page_is_a_manifest() -> None:
    page = Path(__file__).parents[2] / "docs" / "spec" / "dataset-manifest-v1.md"
    example = page.read_text().split("```json\n")[1].split("```")[0]
    data = jcs.canonical(json.loads(example))
    assert manifests.decode(data, of_bytes(data)).rows == 2


def test_a_manifest_that_lies_about_its_root_is_refused(space: Space) -> None:
    space.write("a.csv", TABLE)
    found = space.datasets.manifest(space.add("a.csv").dataset)
    data = manifests.encode(msgspec.structs.replace(found, root="0" * 64))
    with pytest.raises(VerifyError) as caught:
        manifests.decode(data, of_bytes(data))
    assert caught.value.rule == "data.manifest-malformed"
    with pytest.raises(VerifyError) as caught:
        manifests.decode(data, found.root)
    assert caught.value.rule == "data.manifest-changed"


def test_only_what_changed_is_stored_again(space: Space) -> None:
    shards(space, count=8)
    space.add("t")
    before = space.store.segments("data:d")
    pq.write_table(pa.table({"id": [1], "v": ["x"]}), space.project / "t" / "0.parquet")
    space.add("t")
    assert len(space.store.segments("data:d") - before) == 2  # the shard and the manifest


def test_the_files_of_a_version_come_back_as_they_were(space: Space) -> None:
    shards(space)
    space.write("outside/b.csv", TABLE)
    stored = space.add("t").dataset
    external = space.add("outside/b.csv", "e", reference=True).dataset
    signed = {path.name: path.read_bytes() for path in (space.project / "t").iterdir()}
    (space.project / "t" / "0.parquet").write_bytes(b"changed since")
    found = list(open_files(stored, space.store, space.project))
    assert [each.relpath for each in found] == [f"t/{number}.parquet" for number in range(4)]
    for each in found:
        assert each.readable.pread(0, each.size) == signed[Path(each.relpath).name]
    (one,) = open_files(external, space.store, space.project)
    assert (one.relpath, one.readable.pread(0, 1000)) == ("outside/b.csv", TABLE.encode())


def test_external_data_lies_anywhere_and_nothing_of_it_is_copied(space: Space) -> None:
    path = space.project.parent / "big.csv"
    path.write_text("a\nneedle-in-the-store\n")
    dataset = space.add(path, reference=True).dataset
    (one,) = open_files(dataset, space.store, space.project)
    assert (one.relpath, dataset.external) == (str(path), True)
    assert one.readable.pread(0, 100) == path.read_bytes()
    (file,) = space.datasets.manifest(dataset).files
    assert file.segments == ()
    assert file.leaves is not None
    kept = {*file.leaves.segments, *dataset.signed.manifest.segments}
    assert space.store.segments(dataset.scope) == kept


def test_external_data_that_changed_is_refused_while_it_is_read(space: Space) -> None:
    path = space.write("a.csv", "a\n" + "1\n" * 1000)
    dataset = space.add("a.csv", reference=True).dataset
    path.write_bytes(path.read_bytes()[:-2] + b"2\n")
    (one,) = open_files(dataset, space.store, space.project)
    with pytest.raises(VerifyError, match=r"a\.csv is not what was signed"):
        for offset in range(0, one.size, 100):
            one.readable.pread(offset, 100)
    (one,) = open_files(dataset, space.store, space.project)
    with pytest.raises(VerifyError):
        one.readable.pread(500, 10)
    path.write_bytes(b"a\n1\n")
    with pytest.raises(VerifyError, match="not what was signed"):
        list(open_files(dataset, space.store, space.project))


def test_external_data_behind_a_link_put_there_later_is_refused(space: Space) -> None:
    path = space.write("in/a.csv", TABLE)
    dataset = space.add("in/a.csv", reference=True).dataset
    (space.project / "in").rename(space.project / "other")
    (space.project / "in").symlink_to("other")
    with pytest.raises(BadInput, match="symbolic link"):
        list(open_files(dataset, space.store, space.project))
    assert of_file(space.project / "other" / path.name)


def test_derived_data_names_its_parents_stage_and_run(space: Space) -> None:
    space.write("a.csv", TABLE)
    parent = space.add("a.csv").dataset
    derived = space.add(
        "a.csv", "derived", inputs=(parent.artifact,), stage="clean", run="r1"
    ).dataset
    assert derived.parents == (Artifact(parent.ref, parent.digest),)
    assert (derived.signed.stage, derived.signed.run) == ("clean", "r1")


def test_references_resolve_or_say_what_there_is(space: Space) -> None:
    space.write("a.csv", TABLE)
    first = space.add("a.csv", "train").dataset
    found = space.datasets
    assert found.resolve("train") == found.resolve("data:train@latest") == first
    with pytest.raises(BadInput, match="no dataset called 'trian'") as caught:
        found.resolve("trian")
    assert caught.value.hint == "did you mean data:train?"
    with pytest.raises(BadInput, match="no version 7"):
        found.resolve("train@7")


@pytest.mark.parametrize(
    ("field", "value"),
    [("version", 3), ("version", 1), ("previous", None), ("name", "other")],
)
def test_a_version_that_does_not_follow_its_chain_is_refused(
    space: Space, field: str, value: object
) -> None:
    space.write("a.csv", TABLE)
    space.add("a.csv")
    space.write("a.csv", TABLE + "5,5,e\n")
    second = space.add("a.csv").dataset
    (entry,) = space.history().about(second.digest)
    forged = {**entry.statement.predicate, "version": 3, field: value}
    subject = Artifact(f"data:{forged['name']}@{forged['version']}", "0" * 64)
    space.ports.recorder.record(Statement((subject,), predicates.DATASET_VERSION, forged))
    with pytest.raises(VerifyError) as caught:
        space.datasets.all()
    assert caught.value.rule == "data.chain-broken"


def test_two_who_add_at_once_make_two_versions_or_one_is_told(space: Space) -> None:
    path = space.write("a.csv", "a\n" + "1\n" * 1000)
    raced = False

    class Racer:
        def advance(self, done: int, total: int, what: str) -> None:
            nonlocal raced
            if not raced:
                raced = True
                space.write("b.csv", "a\n5\n")
                space.add("b.csv")

    with pytest.raises(BadInput, match="added meanwhile"):
        add(AddRequest(str(path), "d", "ann"), space.ports, Racer())
    assert [each.ref for each in space.datasets.all()] == ["data:d@1"]


def test_a_ledger_that_cannot_be_written_leaves_the_store_as_it_was(space: Space) -> None:
    space.write("a.csv", TABLE)
    space.add("a.csv")
    before = space.contents()
    space.write("a.csv", TABLE + "5,5,e\n")

    class Full:
        def record(self, statement: Statement) -> None:
            raise OSError(28, "No space left on device")

    ports = msgspec.structs.replace(space.ports, recorder=Full())
    with pytest.raises(OSError, match="No space"):
        add(AddRequest("a.csv", "d", "ann"), ports)
    assert space.contents() == before


def test_a_version_whose_bytes_were_lost_can_be_followed_by_the_next(space: Space) -> None:
    space.write("a.csv", TABLE)
    first = space.add("a.csv").dataset
    space.store.shred("data:d", list(space.datasets.manifest(first).segments()))
    space.write("a.csv", TABLE + "5,5,e\n")
    added = space.add("a.csv")
    change = added.dataset.signed.change
    assert (change.added, change.removed) == (3, 2)
    assert "cannot be compared" in added.notes[0]


def test_lost_bytes_come_back_when_the_same_data_is_added(space: Space) -> None:
    space.write("a.csv", TABLE)
    first = space.add("a.csv").dataset
    space.store.shred("data:d", list(space.datasets.manifest(first).segments()))
    assert space.add("a.csv").outcome == "unchanged"
    (one,) = open_files(first, space.store, space.project)
    assert one.readable.pread(0, 999) == TABLE.encode()


def _add_and_die(space: Space, at: int) -> None:
    class Killer:
        calls = 0

        def advance(self, done: int, total: int, what: str) -> None:
            self.calls += 1
            if self.calls == at:
                os.kill(os.getpid(), 9)

    space.reopen()
    add(AddRequest(str(space.project / "t"), "d", "ann"), space.ports, Killer())


@pytest.mark.parametrize("at", [1, 4, 7, 10, 13, 1000])
def test_killed_at_any_moment_there_is_a_whole_version_or_none(space: Space, at: int) -> None:
    shards(space)
    space.add("t")
    table = pa.table({"id": [1], "v": ["x"]})
    pq.write_table(table, space.project / "t" / "0.parquet")
    pq.write_table(table, space.project / "t" / "1.parquet")
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_add_and_die, args=(space, at))
    child.start()
    child.join(60)
    assert child.exitcode == (0 if at == 1000 else -9)
    datasets = space.datasets
    assert [each.version for each in datasets.all()] == ([1, 2] if at == 1000 else [1])
    for dataset in datasets.all():
        assert len(list(open_files(dataset, space.store, space.project))) == 4
    assert space.add("t").dataset.version == 2


def test_a_version_of_many_files_keeps_few_of_them_open(space: Space) -> None:
    for number in range(80):
        space.write(f"t/{number}.bin", str(number))
    for name, reference in (("stored", False), ("external", True)):
        dataset = space.add("t", name, reference=reference).dataset
        files = list(open_files(dataset, space.store, space.project))
        before = len(os.listdir("/dev/fd"))
        for each in files:
            assert each.readable.pread(0, 100) == (space.project / each.relpath).read_bytes()
        assert len(os.listdir("/dev/fd")) < before + 10


def test_a_store_that_was_cleared_meanwhile_is_noticed(space: Space) -> None:
    space.write("a.csv", TABLE)

    class Cleared:
        """The store, while somebody else clears it just before the manifest is put."""

        def __getattr__(self, name: str) -> object:
            return getattr(space.store, name)

        def put(self, scope: str, source: BinaryIO) -> StoredFile:
            if isinstance(source, io.BytesIO):
                space.store.shred(scope, sorted(space.store.segments(scope)))
            return space.store.put(scope, source)

    ports = msgspec.structs.replace(space.ports, store=Cleared())
    with pytest.raises(Unavailable, match="parts of it are gone again"):
        add(AddRequest("a.csv", "d", "ann"), ports)
    assert space.datasets.all() == ()


@pytest.mark.parametrize("most", [1, 100, 1 << 20], ids=["file", "both", "memory"])
def test_leaves_come_back_from_memory_and_from_disk(tmp_path: Path, most: int, monkeypatch) -> None:
    monkeypatch.setattr(leaves, "MOST_HELD_BYTES", most)
    spool = leaves.Spool(tmp_path)
    hashes = [bytes([number]) * 32 for number in range(10)]
    for each in hashes:
        spool.write(each)
    assert spool.reader().read() == b"".join(hashes)
    found = spool.array()
    spool.close()
    assert found.to_pylist() == hashes
    assert list(tmp_path.iterdir()) == []


def test_a_statement_from_before_there_was_a_sensitivity_is_still_read(space: Space) -> None:
    (space.project / "a.csv").write_text("x\n1\n")
    add(AddRequest("a.csv", "d", "ann"), space.ports)
    statement = space.history().of_type(predicates.DATASET_VERSION)[0].statement
    older = {name: value for name, value in statement.predicate.items() if name != "sensitivity"}
    recorded = Recorded(0, "0" * 64, "k", msgspec.structs.replace(statement, predicate=older))
    assert dataset_of(recorded).signed.sensitivity == ""


def test_the_second_of_two_parents_makes_derived_data_sensitive(space: Space) -> None:
    (space.project / "a.csv").write_text("x\n1\n")
    low = add(AddRequest("a.csv", "low", "ann", sensitivity="public"), space.ports).dataset
    high = add(AddRequest("a.csv", "high", "ann", sensitivity="sensitive"), space.ports).dataset
    one = AddRequest("a.csv", "made", "ann", inputs=(low.artifact,))
    assert add(one, space.ports).dataset.signed.sensitivity == "public"
    both = AddRequest("a.csv", "made", "ann", inputs=(low.artifact, high.artifact))
    made = add(both, space.ports)
    assert (made.dataset.ref, made.dataset.signed.sensitivity) == ("data:made@2", "sensitive")
