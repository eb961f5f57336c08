"""Any table, cut anywhere: the plain path, the fast path and a stranger agree on every leaf."""

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from record_cases import KEY, rows_of, schema_json
from record_cases import stranger as load_stranger

from sealwright.intake import kernel
from sealwright.intake.record import fast_leaves, leaves, plain_leaves
from sealwright.intake.schema import schema_of

stranger = load_stranger()

MODEST = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def ints(bits, signed=True):
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return st.integers(low, high)


_INT64 = ints(64)
_DAYS = st.integers(-100_000, 100_000).map(lambda days: days * 86_400_000)
_TEXT = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
_BLOB = st.binary(max_size=90)


LEAVES = [
    (pa.null(), st.none()),
    (pa.bool_(), st.booleans()),
    *[(getattr(pa, f"int{bits}")(), ints(bits)) for bits in (8, 16, 32, 64)],
    *[(getattr(pa, f"uint{bits}")(), ints(bits, signed=False)) for bits in (8, 16, 32, 64)],
    (pa.float16(), st.floats(width=16)),
    (pa.float32(), st.floats(width=32)),
    (pa.float64(), st.floats()),
    (pa.string(), _TEXT),
    (pa.large_string(), _TEXT),
    (pa.string_view(), _TEXT),
    (pa.dictionary(pa.int8(), pa.string()), _TEXT),
    (pa.dictionary(pa.uint16(), pa.int64()), st.integers(0, 3)),
    (pa.binary(), _BLOB),
    (pa.large_binary(), _BLOB),
    (pa.binary_view(), _BLOB),
    (pa.binary(5), st.binary(min_size=5, max_size=5)),
    (pa.date32(), ints(32)),
    (pa.date64(), _DAYS),
    *[(pa.timestamp(unit), _INT64) for unit in ("s", "ms", "us", "ns")],
    (pa.timestamp("ns", "Asia/Tokyo"), _INT64),
    *[(pa.duration(unit), _INT64) for unit in ("s", "us")],
    (pa.time32("ms"), ints(32)),
    (pa.time64("us"), _INT64),
    (pa.decimal128(12, 3), st.integers(-(10**12) + 1, 10**12 - 1).map(lambda n: Decimal(n) / 1000)),
    (pa.decimal256(60, 0), st.integers(-(10**60) + 1, 10**60 - 1).map(Decimal)),
    (pa.month_day_nano_interval(), st.tuples(ints(32), ints(32), _INT64).map(pa.MonthDayNano)),
]


def _wrapped(inner):
    arrow, values = inner
    some = st.one_of(st.none(), values)
    lists = st.lists(some, max_size=4)
    pairs = st.lists(st.tuples(_TEXT, some), max_size=4)
    return st.sampled_from(
        [
            (pa.list_(arrow), lists),
            (pa.large_list(arrow), lists),
            (pa.list_view(arrow), lists),
            (pa.list_(arrow, 2), st.lists(some, min_size=2, max_size=2)),
            (
                pa.struct([("a", arrow), ("b", pa.bool_())]),
                st.fixed_dictionaries({"a": some, "b": st.booleans()}),
            ),
            (pa.map_(pa.string(), arrow), pairs),
        ]
    )


TYPES = st.recursive(st.sampled_from(LEAVES), lambda inner: inner.flatmap(_wrapped), max_leaves=3)


@st.composite
def batches(draw):
    """A record batch of up to four columns, a slice of a longer one."""
    count = draw(st.integers(0, 9))
    columns = {}
    for name in draw(st.lists(st.sampled_from("abcd"), min_size=1, unique=True)):
        arrow, values = draw(TYPES)
        rows = draw(st.lists(st.one_of(st.none(), values), min_size=count, max_size=count))
        columns[name] = pa.array(rows, arrow)
    start = draw(st.integers(0, count))
    return pa.record_batch(columns).slice(start, draw(st.integers(0, count - start)))


@MODEST
@given(batches())
def test_plain_path_and_stranger_agree_on_every_leaf(batch):
    schema = schema_of(batch.schema)
    want = [stranger.leaf(schema_json(schema), row, KEY) for row in rows_of(batch)]
    assert plain_leaves(batch, schema, KEY) == b"".join(want)


@pytest.mark.parametrize("engine", ["sha-ni", "openssl", "portable"])
def test_fast_path_and_plain_path_agree_on_every_leaf(engine, request):
    fast = kernel.open_kernel(engine)
    if fast is None:
        pytest.skip(f"no kernel on {engine} here")
    chosen = kernel.load()
    request.addfinalizer(lambda: kernel.open_kernel(chosen.engine))

    @MODEST
    @given(batches())
    def agree(batch):
        schema = schema_of(batch.schema)
        assert fast_leaves(batch, schema, KEY, fast) == plain_leaves(batch, schema, KEY)

    agree()


@MODEST
@given(batches(), st.integers(0, 9), st.integers(0, 9))
def test_a_leaf_does_not_depend_on_where_the_rows_were_cut(batch, one, two):
    schema = schema_of(batch.schema)
    first, last = sorted((min(one, batch.num_rows), min(two, batch.num_rows)))
    cut = [batch.slice(0, first), batch.slice(first, last - first), batch.slice(last)]
    pieces = b"".join(leaves(each, schema, KEY) for each in cut)
    assert pieces == leaves(batch, schema, KEY)
