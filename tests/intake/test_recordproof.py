"""Proofs of one record: small, checked against a version's root, and broken by any change."""

import base64

import msgspec
import pyarrow as pa
import pytest
from record_cases import stranger as load_stranger

from sealwright.core.errors import BadInput, VerifyError
from sealwright.evidence import jcs
from sealwright.intake.record import leaves, reveal
from sealwright.intake.recordproof import (
    RecordProof,
    Reveal,
    VerifiedRecord,
    prove,
    reveal_of,
    verify_record,
    verify_reveal,
)
from sealwright.intake.schema import schema_of
from sealwright.intake.tree import FileEntry, RecordTree, version_root

KEY = bytes(range(32))
COUNT = 700
BATCH = pa.record_batch({"n": pa.array(range(COUNT)), "s": [f"row {at}" for at in range(COUNT)]})
SCHEMA = schema_of(BATCH.schema)
LEAVES = leaves(BATCH, SCHEMA, KEY)


def leaves_at(start, end):
    return LEAVES[start * 32 : end * 32]


@pytest.fixture(scope="module")
def tree():
    tree = RecordTree()
    tree.push(LEAVES)
    return tree


@pytest.fixture(scope="module")
def files(tree):
    others = [FileEntry(f"part-{at}.parquet", at, f"{at:064x}") for at in range(5)]
    return (*others, FileEntry("data/train.parquet", COUNT, tree.root))


@pytest.fixture(scope="module")
def proof(files, tree):
    return prove(files, "data/train.parquet", 555, tree.stems, leaves_at)


def test_a_proof_is_verified_against_the_version_root(files, proof):
    record = verify_record(proof, version_root(files))
    assert record == VerifiedRecord(version_root(files), "data/train.parquet", 555, proof.leaf)
    assert proof.leaf == LEAVES[555 * 32 : 556 * 32].hex()


@pytest.mark.parametrize("row", [0, 1, 255, 256, 511, 512, COUNT - 1])
def test_every_row_can_be_proved(files, tree, row):
    shown = prove(files, "data/train.parquet", row, tree.stems, leaves_at)
    assert verify_record(shown, version_root(files)).row == row


def test_a_proof_travels_as_canonical_json(proof):
    data = jcs.canonical(msgspec.to_builtins(proof))
    assert msgspec.json.decode(data, type=RecordProof) == proof


def test_a_proof_from_five_million_rows_in_a_thousand_files_is_under_1536_bytes(proof):
    large = msgspec.structs.replace(
        proof,
        row=4_999_999,
        rows=5_000_000,
        row_path=base64.b64encode(bytes(23 * 32)).decode(),
        path="data/2026/part-00999.parquet",
        file_path=base64.b64encode(bytes(4 * 32)).decode(),
    )
    assert len(jcs.canonical(msgspec.to_builtins(large))) <= 1536


CHANGES = {
    "leaf": lambda proof: {"leaf": "0" * 64},
    "leaf too short": lambda proof: {"leaf": proof.leaf[:-2]},
    "row": lambda proof: {"row": proof.row - 1},
    "row negative": lambda proof: {"row": -1},
    "row beyond": lambda proof: {"row": proof.rows},
    "rows": lambda proof: {"rows": proof.rows + 1},
    "rows negative": lambda proof: {"rows": -5},
    "rows huge": lambda proof: {"rows": 1 << 70},
    "path": lambda proof: {"path": "data/test.parquet"},
    "path not unicode": lambda proof: {"path": "\ud800"},
    "root": lambda proof: {"root": "1" * 64},
    "file": lambda proof: {"file": proof.file + 1},
    "files": lambda proof: {"files": proof.files + 4},
    "row_path shorter": lambda proof: {"row_path": _cut(proof.row_path, -32)},
    "row_path longer": lambda proof: {"row_path": _longer(proof.row_path)},
    "row_path torn": lambda proof: {"row_path": _cut(proof.row_path, -1)},
    "row_path flipped": lambda proof: {"row_path": _flip(proof.row_path)},
    "row_path not base64": lambda proof: {"row_path": "*" + proof.row_path[1:]},
    "file_path flipped": lambda proof: {"file_path": _flip(proof.file_path)},
    "file_path empty": lambda proof: {"file_path": ""},
}


def _cut(text, end):
    return base64.b64encode(base64.b64decode(text)[:end]).decode()


def _longer(text):
    return base64.b64encode(base64.b64decode(text) + bytes(32)).decode()


def _flip(text):
    data = bytearray(base64.b64decode(text))
    data[-1] ^= 1
    return base64.b64encode(data).decode()


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_proof_is_refused_and_its_row_named(files, proof, change):
    other = msgspec.structs.replace(proof, **CHANGES[change](proof))
    with pytest.raises(VerifyError) as caught:
        verify_record(other, version_root(files))
    assert caught.value.rule == "record.inclusion"
    assert caught.value.where == f"{other.path} row {other.row}"


@pytest.fixture(scope="module")
def stranger():
    return load_stranger()


def test_an_independent_implementation_gives_the_same_roots_and_paths(stranger, files, proof):
    each = [LEAVES[at : at + 32] for at in range(0, len(LEAVES), 32)]
    others = [(file.path, file.rows, bytes.fromhex(file.root)) for file in files[:-1]]
    mine = [*others, ("data/train.parquet", COUNT, stranger.tree_root(each))]
    assert stranger.version_root(mine).hex() == version_root(files)
    path = b"".join(stranger.inclusion_path(each, 555))
    assert base64.b64encode(path).decode() == proof.row_path


@pytest.mark.parametrize("row", [0, 255, 256, 512, COUNT - 1])
def test_an_independent_implementation_accepts_the_proof(stranger, files, tree, row):
    shown = prove(files, "data/train.parquet", row, tree.stems, leaves_at)
    assert stranger.proof_holds(msgspec.to_builtins(shown), version_root(files))


@pytest.mark.parametrize("change", CHANGES)
def test_an_independent_implementation_refuses_the_changed_proof(stranger, files, proof, change):
    other = msgspec.structs.replace(proof, **CHANGES[change](proof))
    assert not stranger.proof_holds(msgspec.to_builtins(other), version_root(files))


def test_an_independent_implementation_accepts_the_reveal_of_this_record_alone(stranger, proof):
    shown = [reveal_of(reveal(BATCH, row, SCHEMA, KEY), SCHEMA) for row in (555, 554)]
    held = [stranger.reveal_holds(msgspec.to_builtins(each), proof.leaf) for each in shown]
    assert held == [True, False]


@pytest.mark.parametrize("version", ["0" * 64, "", "zz"])
def test_a_proof_for_another_version_is_refused(proof, version):
    with pytest.raises(VerifyError):
        verify_record(proof, version)


def test_a_file_that_is_not_in_the_version_cannot_be_proved(files, tree):
    with pytest.raises(BadInput, match="no file 'elsewhere'"):
        prove(files, "elsewhere", 0, tree.stems, leaves_at)


def test_a_row_that_is_not_in_the_file_cannot_be_proved(files, tree):
    with pytest.raises(BadInput, match="700"):
        prove(files, "data/train.parquet", COUNT, tree.stems, leaves_at)


def test_no_proof_is_made_from_a_file_that_changed(files, tree):
    with pytest.raises(VerifyError):
        prove(
            files, "data/train.parquet", 3, tree.stems, lambda start, end: bytes(32 * (end - start))
        )


def test_a_reveal_shows_the_values_to_who_holds_the_proof(files, proof):
    record = verify_record(proof, version_root(files))
    shown = reveal_of(reveal(BATCH, 555, SCHEMA, KEY), SCHEMA)
    again = msgspec.json.decode(msgspec.json.encode(shown), type=Reveal)
    assert verify_reveal(again, record).values == {"n": 555, "s": "row 555"}


def test_another_records_reveal_is_refused(files, proof):
    record = verify_record(proof, version_root(files))
    other = reveal_of(reveal(BATCH, 554, SCHEMA, KEY), SCHEMA)
    with pytest.raises(VerifyError, match="not the record's") as caught:
        verify_reveal(other, record)
    assert caught.value.rule == "record.preimage-changed"


def test_a_reveal_under_other_column_names_is_refused(files, proof):
    record = verify_record(proof, version_root(files))
    renamed = schema_of(pa.schema([("n", pa.int64()), ("secret", pa.string())]))
    shown = reveal_of(reveal(BATCH, 555, SCHEMA, KEY), renamed)
    with pytest.raises(VerifyError, match="not the record's"):
        verify_reveal(shown, record)


def test_every_flipped_bit_of_a_reveal_is_noticed(files, proof):
    record = verify_record(proof, version_root(files))
    data = reveal(BATCH, 555, SCHEMA, KEY).data
    for bit in range(len(data) * 8):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        text = base64.b64encode(changed).decode()
        with pytest.raises(VerifyError):
            verify_reveal(Reveal("sealwright record-reveal v1", SCHEMA, text), record)


def test_a_reveal_that_is_not_base64_is_refused(files, proof):
    record = verify_record(proof, version_root(files))
    with pytest.raises(VerifyError, match="not the record's"):
        verify_reveal(Reveal("sealwright record-reveal v1", SCHEMA, "*"), record)
