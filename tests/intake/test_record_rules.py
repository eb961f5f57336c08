"""The rules of record-hash v1, one by one."""

import hashlib
import hmac
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from record_cases import KEY, cases

from sealwright.core.errors import BadInput, VerifyError
from sealwright.evidence import merkle
from sealwright.intake import kernel
from sealwright.intake.decode import values_of
from sealwright.intake.record import Preimage, leaves, reveal
from sealwright.intake.schema import schema_of


def leaves_of(batch, key=KEY):
    done = leaves(batch, schema_of(batch.schema), key)
    return [done[at : at + 32] for at in range(0, len(done), 32)]


def one(values, arrow=None):
    return pa.record_batch({"x": pa.array(values, arrow)})


def test_equal_rows_have_equal_leaves_and_others_do_not():
    first, second, third = leaves_of(one(["a", "b", "a"]))
    assert first == third
    assert first != second


def test_another_key_gives_other_leaves():
    assert leaves_of(one(["a"])) != leaves_of(one(["a"]), b"\x01" * 32)


def test_a_guess_cannot_be_tested_without_the_key():
    """The leaf is not the hash of anything that can be written down from the row alone."""
    batch = one(["guess"])
    shown = reveal(batch, 0, schema_of(batch.schema), KEY)
    without_nonce = shown.data[:64] + shown.data[80:]
    assert hashlib.sha256(without_nonce).digest() != leaves_of(batch)[0]
    again = reveal(batch, 0, schema_of(batch.schema), b"\x02" * 32)
    assert again.nonce != shown.nonce
    assert again.fields == shown.fields


def test_the_leaf_is_recomputed_from_the_preimage_without_the_key():
    batch = one([1, 2, None])
    for row, leaf in enumerate(leaves_of(batch)):
        shown = reveal(batch, row, schema_of(batch.schema), KEY)
        assert shown.leaf == leaf == merkle.leaf_hash(shown.data[1:])


def test_the_nonce_is_an_hmac_over_the_fields():
    batch = one([7])
    schema = schema_of(batch.schema)
    inner = hmac.new(KEY, b"sealwright record-nonce v1\0" + schema.hash, "sha256").digest()
    shown = reveal(batch, 0, schema, KEY)
    assert shown.nonce == hmac.new(inner, shown.fields, "sha256").digest()[:16]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (one([None], pa.string()), one([""], pa.string())),
        (one([None], pa.float64()), one([float("nan")], pa.float64())),
        (one([0], pa.int64()), one([0], pa.uint64())),
        (one([0.5], pa.float32()), one([0.5], pa.float64())),
        (one(["a"], pa.string()), one([b"a"], pa.binary())),
        (one([0], pa.timestamp("s")), one([0], pa.timestamp("s", "UTC"))),
        (one(["\u00e9"]), one(["e\u0301"])),
        (one([[]], pa.list_(pa.int8())), one([None], pa.list_(pa.int8()))),
        (one([[None]], pa.list_(pa.int8())), one([[]], pa.list_(pa.int8()))),
        (one([Decimal("1.0")]), one([Decimal("1.00")])),
        (one([1]), pa.record_batch({"y": [1]})),
        (pa.record_batch({"x": [1], "y": [2]}), pa.record_batch({"y": [2], "x": [1]})),
        (pa.record_batch({"x": ["ab"], "y": ["c"]}), pa.record_batch({"x": ["a"], "y": ["bc"]})),
        (one([[["a"], []]]), one([[["a", None]]])),
    ],
    ids=lambda batch: str(batch.to_pylist()),
)
def test_what_differs_hashes_differently(left, right):
    assert leaves_of(left) != leaves_of(right)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        (one([1], pa.int8()), one([1], pa.int64())),
        (one([1], pa.uint32()), one([1], pa.int16())),
        (one([-0.0]), one([0.0])),
        (
            one(["a", None]),
            one(["a", None]).set_column(0, "x", pa.array(["a", None]).dictionary_encode()),
        ),
        (one([b"ab"], pa.binary(2)), one([b"ab"], pa.large_binary())),
        (one([1_000], pa.timestamp("ms")), one([1], pa.timestamp("s"))),
        (one([-1], pa.timestamp("s")), one([-1_000_000_000], pa.timestamp("ns"))),
        (one([0], pa.timestamp("s", "UTC")), one([0], pa.timestamp("us", "Asia/Tokyo"))),
        (one([Decimal("1.50")], pa.decimal128(5, 2)), one([Decimal("1.50")], pa.decimal256(50, 2))),
        (one([1], pa.date32()), one([86_400_000], pa.date64())),
        (
            one([[("a", 1), ("b", 2)]], pa.map_(pa.string(), pa.int8())),
            one([[("b", 2), ("a", 1)]], pa.map_(pa.string(), pa.int8())),
        ),
        (
            one([[1, 2]], pa.list_(pa.field("item", pa.int8()))),
            one([[1, 2]], pa.large_list(pa.field("element", pa.int32(), nullable=False))),
        ),
    ],
    ids=lambda batch: str(batch.schema.types),
)
def test_what_only_a_writer_changes_does_not_count(left, right):
    assert leaves_of(left) == leaves_of(right)


def test_every_nan_is_one_nan():
    bits = pa.array([0x7FF8 << 48, 0xFFF8 << 48, (0x7FF0 << 48) + 1, -1 & (2**64 - 1)], pa.uint64())
    assert len(set(leaves_of(pa.record_batch({"x": bits.view(pa.float64())})))) == 1


def test_nullability_and_metadata_do_not_count():
    plain = pa.schema([pa.field("x", pa.int64())])
    marked = pa.schema(
        [pa.field("x", pa.int64(), nullable=False, metadata={"PARQUET:field_id": "9"})],
        metadata={"writer": "somebody else"},
    )
    assert schema_of(plain) == schema_of(marked)
    assert schema_of(plain).digest == schema_of(marked).digest


@pytest.mark.parametrize(
    "options",
    [
        {"compression": "snappy", "row_group_size": 7},
        {"use_dictionary": False, "version": "1.0"},
        {"store_schema": False, "data_page_version": "2.0"},
        {"coerce_timestamps": "us", "write_statistics": False},
    ],
    ids=str,
)
def test_parquet_written_again_with_equal_rows_has_equal_leaves(tmp_path, options):
    table = pa.table(
        {
            "id": pa.array(range(50), pa.int16()),
            "text": pa.array([None if at % 9 == 0 else f"t{at % 5}" for at in range(50)]),
            "when": pa.array([at * 1_000_000 for at in range(50)], pa.timestamp("us", "UTC")),
            "price": pa.array([Decimal(at) / 4 for at in range(50)], pa.decimal128(9, 2)),
            "tags": pa.array([["a"] * (at % 3) for at in range(50)]),
        }
    )
    want = b"".join(b"".join(leaves_of(batch)) for batch in table.to_batches())
    pq.write_table(table, tmp_path / "again.parquet", **options)
    read = pq.ParquetFile(tmp_path / "again.parquet")
    assert b"".join(b"".join(leaves_of(batch)) for batch in read.iter_batches(11)) == want


def test_a_changed_cell_changes_its_leaf_and_no_other():
    before = leaves_of(one(["a", "b", "c"]))
    after = leaves_of(one(["a", "B", "c"]))
    assert [old == new for old, new in zip(before, after, strict=True)] == [True, False, True]


def test_two_columns_of_one_name_are_refused():
    batch = pa.RecordBatch.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"])
    with pytest.raises(BadInput, match="two columns are called 'x'"):
        schema_of(batch.schema)


def test_a_union_is_refused_and_named():
    union = pa.sparse_union([pa.field("a", pa.int8()), pa.field("b", pa.string())])
    with pytest.raises(BadInput, match=r"column 'x\.u' has type"):
        schema_of(pa.schema([("x", pa.struct([("u", union)]))]))


def test_a_date_with_a_time_of_day_is_refused():
    odd = pa.array([1], pa.int64()).view(pa.date64())
    with pytest.raises(BadInput, match="column 'x': a date holds a time of day"):
        leaves_of(pa.record_batch({"x": odd}))


def test_rows_of_another_schema_are_refused():
    batch = one([1])
    with pytest.raises(BadInput, match="not of the schema") as caught:
        leaves(batch, schema_of(one(["a"]).schema), KEY)
    assert "'x' (int), not 'x' (string)" in caught.value.why


def test_a_short_key_is_refused():
    with pytest.raises(BadInput, match="32 bytes"):
        leaves_of(one([1]), b"short")


def test_a_row_beyond_the_batch_is_refused():
    batch = one([1])
    with pytest.raises(BadInput, match="no row 1"):
        reveal(batch, 1, schema_of(batch.schema), KEY)


@pytest.mark.parametrize("offsets", [[0, 999_999, 8], [0, 8, 4], [0, -4, 8]], ids=str)
def test_offsets_that_leave_their_buffer_are_refused(offsets):
    """pyarrow's own quick check, which from_buffers makes, sees only the outer offsets."""
    if kernel.load() is None:
        pytest.skip("the kernel was not built on this machine")
    raw = pa.array(offsets, pa.int32()).buffers()[1]
    broken = pa.Array.from_buffers(pa.string(), 2, [None, raw, pa.py_buffer(b"abcdefgh")])
    batch = pa.record_batch({"x": broken})
    with pytest.raises(BadInput, match="the row points outside its buffers"):
        leaves(batch, schema_of(batch.schema), KEY)


def test_a_dictionary_index_beyond_the_dictionary_is_refused():
    if kernel.load() is None:
        pytest.skip("the kernel was not built on this machine")
    wild = pa.DictionaryArray.from_arrays(pa.array([0, 7]), pa.array(["a"]), safe=False)
    batch = pa.record_batch({"x": wild})
    with pytest.raises(BadInput, match="row 1: the row points outside its buffers"):
        leaves(batch, schema_of(batch.schema), KEY)


def test_the_values_can_be_read_back_from_every_preimage():
    shown = {}
    for name, batch in cases():
        schema = schema_of(batch.schema)
        for row in range(min(batch.num_rows, 3)):
            fields = reveal(batch, row, schema, KEY).fields
            shown[name, row] = values_of(fields, schema)
    assert shown["int64", 0] == {"x": "-9223372036854775808"}
    assert shown["int8", 0] == {"x": -128}
    assert shown["decimal128", 1] == {"x": "-0.01"}
    assert shown["timestamp us", 1] == {"x": "1969-12-31T23:59:59.999999"}
    assert shown["timestamp ns with zone", 0] == {"x": "1970-01-01T00:00:00Z"}
    assert shown["map", 0] == {"x": [["a", 2], ["b", 1], ["ab", None]]}
    assert shown["the example on the page", 0] == {"id": 7, "name": "Zo\u00eb", "score": None}


@pytest.mark.parametrize(
    ("arrow", "fields"),
    [
        (pa.bool_(), "0102"),
        (pa.bool_(), "02"),
        (pa.bool_(), "010100"),
        (pa.int64(), "0100"),
        (pa.null(), "01"),
        (pa.float32(), "0180000000"),
        (pa.float32(), "017fc00001"),
        (pa.timestamp("s"), "010000000000000000ffffffff"),
        (pa.string(), "010000000561"),
        (pa.list_(pa.bool_()), "010000000201"),
        (pa.map_(pa.bool_(), pa.bool_()), "010000000201010001000000"[:-2]),
    ],
    ids=str,
)
def test_bytes_that_no_encoder_writes_are_not_read(arrow, fields):
    with pytest.raises(VerifyError) as caught:
        values_of(bytes.fromhex(fields), schema_of(pa.schema([("x", arrow)])))
    assert caught.value.rule == "record.preimage-malformed"


def test_bytes_without_the_label_are_no_preimage():
    with pytest.raises(VerifyError):
        Preimage(b"\x00" * 200)
