"""Contracts: what is inferred, what breaks them, and that reports are equal for equal records."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.core.errors import BadInput, BadSettings, VerifyError
from sealwright.intake import contract, contract_infer, contract_pandera, contract_rule
from sealwright.intake.contract import ColumnRule, Contract, RowBounds
from sealwright.intake.contract_check import check


def table(**columns: object) -> pa.Table:
    return pa.table({name: pa.array(values) for name, values in columns.items()})  # type: ignore[arg-type]


def held(rules: Contract, rows: pa.Table, size: int | None = None):
    return check(rules, rows.schema, rows.to_batches(max_chunksize=size))


def broken(rules: Contract, rows: pa.Table) -> dict[tuple[str, str], tuple[int, tuple[int, ...]]]:
    return {(b.rule, b.column): (b.count, b.first) for b in held(rules, rows).breaches}


def of(**columns: ColumnRule) -> Contract:
    return Contract(name="train", columns=columns)


PEOPLE = table(
    id=list(range(1000)),
    age=[18 + i % 60 for i in range(1000)],
    income=[1000.5 + i for i in range(1000)],
    state=["new", "open", "closed", "lost"] * 250,
    opened=[f"2026-01-{1 + i % 28:02d}" for i in range(1000)],
    note=["x" * (i % 200) for i in range(1000)],
)


def infer(rows: pa.Table) -> contract_infer.Inferred:
    return contract_infer.infer("train", "data:train@1", rows.schema, rows.to_batches(100))


def test_what_a_contract_was_inferred_from_conforms_to_it():
    made = infer(PEOPLE)
    assert held(made.contract, PEOPLE).conforms
    columns = made.contract.columns
    assert columns["id"].unique and columns["id"].min is None
    assert (columns["age"].min, columns["age"].max) == (12, 83)
    assert columns["state"].categories == ("closed", "lost", "new", "open")
    assert columns["opened"].type == "time"
    assert columns["note"].max_length == 398
    assert made.contract.rows == RowBounds(500, 10_000)


def test_the_page_reads_back_as_the_same_contract_and_says_what_was_seen():
    made = infer(PEOPLE)
    page = contract_infer.page(made.contract, made.seen, made.records)
    assert contract.parse(page.encode(), "x.toml").digest == made.contract.digest
    assert "# seen: 18 to 77, 0 of 1,000 missing" in page


@settings(deadline=None, max_examples=60)
@given(
    st.dictionaries(
        st.text(min_size=1, max_size=8),
        st.builds(
            ColumnRule,
            type=st.just("float"),
            nulls=st.floats(0, 1),
            min=st.floats(-1e9, 0) | st.integers(-(10**18), 0),
            max=st.floats(1, 1e300),
            finite=st.booleans(),
        )
        | st.builds(
            ColumnRule,
            type=st.just("string"),
            categories=st.lists(st.text(max_size=5), max_size=4, unique=True).map(tuple),
        ),
        min_size=1,
        max_size=3,
    )
)
def test_any_contract_survives_its_page_and_its_canonical_form(columns):
    made = Contract(name="t", columns=columns)
    page = contract_infer.page(made)
    assert contract.parse(page.encode(), "x").digest == made.digest
    assert contract.decode(made.canonical(), made.digest).digest == made.digest


def test_a_contract_with_other_bytes_than_were_signed_is_refused():
    made = of(a=ColumnRule("int"))
    with pytest.raises(VerifyError, match="not the one"):
        contract.decode(made.canonical() + b" ", made.digest)


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        (ColumnRule("int", min=0, max=9), [1, -1, 10, None], ("contract.range", 2, (1, 2))),
        (ColumnRule("int", nulls=0.2), [1, None, 3, None], ("contract.nulls", 2, (1, 3))),
        (ColumnRule("float", nulls=0), [1.0, float("nan")], ("contract.nulls", 1, (1,))),
        (
            ColumnRule("float", finite=True),
            [1.0, float("inf"), float("-inf")],
            ("contract.finite", 2, (1, 2)),
        ),
        (ColumnRule("float", max=5), [1.0, float("inf")], ("contract.range", 1, (1,))),
        (ColumnRule("int"), ["1", "two", "3", ""], ("contract.type", 1, (1,))),
        (ColumnRule("int"), [1.0, 2.5, None], ("contract.type", 1, (1,))),
        (ColumnRule("bool"), ["a", "b"], ("contract.type", 2, (0, 1))),
        (ColumnRule("string"), [1, 2], ("contract.type", 2, (0, 1))),
        (
            ColumnRule("string", categories=("a", "b")),
            ["a", "c", "", None],
            ("contract.category", 1, (1,)),
        ),
        (ColumnRule("string", max_length=3), ["abc", "abcd"], ("contract.length", 1, (1,))),
        (ColumnRule("string", unique=True), ["a", "b", "a", "a"], ("contract.unique", 2, (2, 3))),
        (ColumnRule("time"), ["2026-01-31", "2026-02-31", "soon"], ("contract.type", 1, (2,))),
        (
            ColumnRule("time", min="2026-01-02"),
            ["2026-01-01", "2026-01-03T00:00:00Z"],
            ("contract.range", 1, (0,)),
        ),
    ],
)
def test_each_rule_counts_what_breaks_it_and_names_the_first(rule, values, expected):
    found = held(of(a=rule), table(a=values)).breaches
    assert expected in [(b.rule, b.count, b.first) for b in found]


def test_what_conforms_breaks_nothing():
    rules = of(
        a=ColumnRule("int", min=0, max=3, nulls=0.5),
        b=ColumnRule("string", categories=("x",), novel=0.5, nulls=0),
        c=ColumnRule("float", unique=True),
        d=ColumnRule("time"),
    )
    rows = table(
        a=[0, 3, None, 1],
        b=["x", "y", "x", "x"],
        c=[None, None, 1.0, 2.0],
        d=["2026-01-01", "2026-01-01T10:00:00+02:00", "", None],
    )
    assert broken(rules, rows) == {}


def test_missing_and_extra_columns_are_breaches_of_form():
    report = held(of(a=ColumnRule("int"), b=ColumnRule("int")), table(a=[1], c=[2]))
    found = {(b.rule, b.column): b.structural for b in report.breaches}
    assert found == {("contract.column-missing", "b"): True, ("contract.column-extra", "c"): True}
    lax = Contract(
        name="t",
        columns={"a": ColumnRule("int"), "b": ColumnRule("int", required=False)},
        extra_columns="allow",
    )
    assert held(lax, table(a=[1], c=[2])).conforms


def test_too_few_and_too_many_records_are_a_breach():
    for bounds in (RowBounds(3), RowBounds(0, 1)):
        rules = Contract(name="t", columns={"a": ColumnRule("int")}, rows=bounds)
        assert broken(rules, table(a=[1, 2])) == {("contract.rows", ""): (2, ())}


RULES = [
    ("a <= b", [0, 1], [1, 0], [1]),
    ("a <= b", [None, 3], [1, 2], [1]),
    ("a == 1 => b > 0", [1, 1, 2], [1, 0, 0], [1]),
    ("a in [1, 2] and b is not null", [1, 3, 2], [0, 0, None], [1, 2]),
    ("not (a > 1 or b > 1)", [0, 2, 0], [0, 0, 2], [1, 2]),
    ("a is null or b >= 0.5", [None, 1], [0, 0], [1]),
]


@pytest.mark.parametrize(("text", "a", "b", "wrong"), RULES)
def test_a_cross_column_rule_is_broken_where_it_is_definitely_false(text, a, b, wrong):
    rules = Contract(
        name="t", columns={"a": ColumnRule("int"), "b": ColumnRule("int")}, rules=(text,)
    )
    found = [x for x in held(rules, table(a=a, b=b)).breaches if x.rule == "contract.rule"]
    assert [(x.count, list(x.first)) for x in found] == [(len(wrong), wrong)]


def test_texts_quotes_and_quoted_columns_are_read():
    rule = contract_rule.parse(r"`odd name` == 'it\'s' => other != 'x'")
    rows = table(**{"odd name": ["it's", "it's", "no"], "other": ["x", "y", "x"]})
    assert rule.broken(rows.to_batches()[0]).to_pylist() == [True, False, False]
    assert rule.columns == {"odd name", "other"}


@pytest.mark.parametrize(
    "text",
    ["", "a", "a <", "1 < 2", "a ** b", "a < b extra", "a in b", "__import__('os')", "a.b < 1",
     "(" * 50 + "a < 1" + ")" * 50, "not " * 50 + "a < 1", "a < 1 " + "and a < 1 " * 400],
)  # fmt: skip
def test_what_is_no_rule_is_refused_in_words(text):
    with pytest.raises(BadInput, match="rule"):
        contract_rule.parse(text)


def test_a_rule_that_cannot_be_applied_is_a_breach_and_never_a_pass():
    rules = Contract(
        name="t", columns={"a": ColumnRule("any"), "b": ColumnRule("any")}, rules=("a < b",)
    )
    assert {b.rule for b in held(rules, table(a=[1], b=["x"])).breaches} == {
        "contract.rule-unusable"
    }


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 40), st.integers(0, 2**32 - 1))
def test_equal_records_give_an_equal_report_whatever_the_batches(size, seed):
    import random

    chance = random.Random(seed)
    rows = table(
        a=[chance.choice([None, 1, 5, 99]) for _ in range(40)],
        b=[chance.choice(["x", "y", "", None]) for _ in range(40)],
    )
    rules = Contract(
        name="t",
        columns={
            "a": ColumnRule("int", nulls=0.1, max=50, unique=True),
            "b": ColumnRule("string", categories=("x",)),
        },
        rules=("a > 1 => b == 'x'",),
    )
    assert held(rules, rows, size).digest == held(rules, rows).digest


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('name = "t"\n[columns.a]\ntype = "integer"', "a"),
        ('name = "t"\n[columns.a]\ntype = "int"\nmni = 1', "min"),
        ('name = "t"\n[columns.a]\ntype = "int"\nmin = 2\nmax = 1', "above"),
        ('name = "t"\n[columns.a]\ntype = "int"\nmin = nan', "bound"),
        ('name = "t"\n[columns.a]\ntype = "time"\nmin = "soon"', "moment"),
        ('name = "t"\n[columns.a]\ntype = "bool"\nmax = 1', "are for"),
        ('name = "t"\n[columns.a]\ntype = "int"\nnulls = 2', "share"),
        ('name = "t"\nrules = ["b < 1"]\n[columns.a]\ntype = "int"', "no column 'b'"),
        ('name = "t"\n[columns]', "empty"),
        ('name = "T!"\n[columns.a]\ntype = "int"', "name"),
        ("name = ", "Invalid"),
    ],
)
def test_a_page_that_is_wrong_is_refused_with_its_path(text, fault):
    with pytest.raises(BadSettings, match="problem") as caught:
        contract.parse(text.encode(), "t.toml")
    assert fault in caught.value.why


@pytest.mark.parametrize(
    "rows",
    [
        table(a=pa.array([], pa.int64())),
        table(a=pa.array([None, None])),
        table(a=["x"] * 500),
        table(a=[float("nan"), float("inf"), 1.0]),
        table(a=["y" * (1 << 20), ""]),
        table(a=[[1, 2], [3]]),
        table(a=[2**63 - 1, -(2**63)]),
        table(a=[f"c{i}" for i in range(100_000)]),
    ],
    ids=["no rows", "all null", "constant", "odd floats", "1 MB", "lists", "int64", "categories"],
)
def test_odd_columns_are_inferred_and_conform(rows):
    assert held(infer(rows).contract, rows).conforms


def test_pandera_schemas_import_from_what_pandera_itself_writes():
    import pandera.pandas as pan

    schema = pan.DataFrameSchema(
        {
            "a": pan.Column(int, pan.Check.ge(0), nullable=False),
            "b": pan.Column(str, pan.Check.isin(["x", "y"]), nullable=True),
            "c": pan.Column(float, pan.Check.in_range(0, 1)),
            "d": pan.Column("datetime64[ns]", required=False),
        },
        strict=True,
        unique=["a"],
    )
    made = contract_pandera.read(schema.to_json().encode(), "s.json", "train")
    assert made == contract_pandera.read(schema.to_yaml().encode(), "s.yaml", "train")
    assert made.columns == {
        "a": ColumnRule("int", nulls=0, min=0, unique=True),
        "b": ColumnRule("string", nulls=1, categories=("x", "y")),
        "c": ColumnRule("float", nulls=0, min=0, max=1),
        "d": ColumnRule("time", nulls=0, required=False),
    }


def test_what_a_contract_cannot_say_is_refused_by_name():
    said = {
        "schema_type": "dataframe",
        "columns": {"a": {"dtype": "int64", "str_matches": "x"}, "b": {"dtype": "complex128"}},
        "checks": {"whole": 1},
    }
    with pytest.raises(BadInput) as caught:
        contract_pandera.read(json.dumps(said).encode(), "s.json", "t")
    for word in ("str_matches", "complex128", "whole frame"):
        assert word in caught.value.why
    for junk in (b"{", b"[]", b"", b"\xff", b"!!python/object/apply:os.system ['true']"):
        with pytest.raises(BadInput):
            contract_pandera.read(junk, "s", "t")
