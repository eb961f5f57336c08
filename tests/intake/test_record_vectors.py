"""The published vectors hold for the plain path, the fast path and a stranger's implementation."""

import json

import msgspec
import pytest
from record_cases import KEY, VECTORS, cases, rows_of, vector
from record_cases import stranger as load_stranger

from sealwright.intake import kernel
from sealwright.intake.record import fast_leaves, plain_leaves
from sealwright.intake.schema import RecordSchema, schema_of

FILE = json.loads(VECTORS.read_text())
PUBLISHED = {each["name"]: each for each in FILE["vectors"]}
CASES = dict(cases())


@pytest.fixture(scope="session")
def stranger():
    return load_stranger()


def test_the_published_vectors_are_those_of_the_cases():
    assert {name: vector(name, batch) for name, batch in CASES.items()} == PUBLISHED


def test_the_example_on_the_page_is_the_published_one():
    page = "".join(VECTORS.with_name("record-hash-v1.md").read_text().split())
    example = PUBLISHED["the example on the page"]
    for part in (example["schema_hash"], *example["nonces"], *example["leaves"]):
        assert part in page
    label = b"sealwright record-hash v1".ljust(31, b"\0").hex()
    assert f"00{label}0x00andlabel" in page
    assert f"{example['fields'][0]})fields" in page


def test_the_vectors_show_every_kind_of_value():
    from sealwright.intake.schema import CODES

    def kinds(fields):
        for field in fields:
            yield field["type"]["kind"]
            yield from kinds(field["type"].get("children", []))

    shown = {kind for each in PUBLISHED.values() for kind in kinds(each["schema"]["fields"])}
    assert shown == set(CODES)


@pytest.mark.parametrize("name", PUBLISHED)
def test_an_independent_implementation_gives_the_published_bytes(stranger, name):
    want, key = PUBLISHED[name], bytes.fromhex(FILE["record_key"])
    schema = want["schema"]
    shown = [stranger.preimage(schema, row, key) for row in want["rows"]]
    leaves = [stranger.sha(each) for each in shown]
    root = stranger.tree_root(leaves)
    assert stranger.schema_hash(schema).hex() == want["schema_hash"]
    assert root.hex() == want["root"]
    version = stranger.version_root([(FILE["path"], len(leaves), root)])
    assert version.hex() == want["version_root"]
    if "leaves" in want:
        assert [each[80:].hex() for each in shown] == want["fields"]
        assert [each[64:80].hex() for each in shown] == want["nonces"]
        assert [each.hex() for each in leaves] == want["leaves"]


@pytest.mark.parametrize("name", CASES)
def test_the_fast_path_gives_the_bytes_of_the_plain_path(name):
    fast = kernel.load()
    if fast is None:
        pytest.skip("the kernel was not built on this machine")
    batch = CASES[name]
    schema = schema_of(batch.schema)
    assert fast_leaves(batch, schema, KEY, fast) == plain_leaves(batch, schema, KEY)


def test_a_schema_survives_its_journey_through_json():
    for batch in CASES.values():
        schema = schema_of(batch.schema)
        again = msgspec.json.decode(msgspec.json.encode(schema), type=RecordSchema)
        assert again == schema
        assert again.digest == schema.digest


def test_rows_of_equal_meaning_are_published_with_equal_leaves():
    """A chunked, dictionary-encoded or large column is the same column."""
    leaves = {name: PUBLISHED[name].get("leaves") for name in PUBLISHED}
    assert leaves["string"] == leaves["large_string"] == leaves["string_view"]
    assert leaves["binary"] == leaves["large_binary"] == leaves["binary_view"]
    assert leaves["list"] == leaves["large_list"] == leaves["list_view"]
    assert leaves["decimal32"] == leaves["decimal128"] == leaves["decimal256"]
    assert leaves["float64 special"][0] == leaves["float64 special"][1]
    assert len(set(leaves["float64 special"][4:6])) == 1
    assert rows_of(CASES["string"]) == rows_of(CASES["string_view"])
