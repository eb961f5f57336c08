"""A contract drawn from a version, with slack, and the page that says what was seen.

Slack: ranges are a tenth of their span wider on either side (and never cross zero); a column
that missed some records may miss half as many again; a category nobody saw is allowed as
often as seeing new ones is to be expected (Good and Turing: twice the share seen once);
records may halve or grow tenfold. A column that missed none may miss none.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from sealwright.intake.contract import FORMAT, Bound, ColumnRule, ColumnType, Contract, RowBounds
from sealwright.intake.contract_check import fits, moments
from sealwright.intake.contract_rule import absent
from sealwright.intake.leaves import key_leaves
from sealwright.intake.record import LEAF_BYTES

MOST_CATEGORIES = 64
_SEEN_PER_CATEGORY = 10
_WIDEN = 0.1
_MOST_ROWS = 10
_MOST_UNIQUE = 4_000_000


class Inferred(msgspec.Struct, frozen=True):
    """A contract, and for each column what was seen, in words."""

    contract: Contract
    seen: dict[str, str]
    records: int


def infer(name: str, ref: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Inferred:
    """Read every record once. Raises: whatever reading raises."""
    columns = [_Seen(field.name, field.type) for field in schema]
    records = 0
    for batch in batches:
        records += batch.num_rows
        for column in columns:
            column.observe(batch)
    contract = Contract(
        name=name,
        inferred_from=ref,
        columns={column.name: column.rule(records) for column in columns},
        rows=RowBounds(records // 2, max(records * _MOST_ROWS, 1)),
    )
    return Inferred(contract, {c.name: c.words(records) for c in columns}, records)


def page(contract: Contract, seen: dict[str, str] | None = None, records: int = 0) -> str:
    """The contract as TOML, to be edited; ``seen`` as comments."""
    lines = []
    if contract.inferred_from:
        lines.append(
            f"# Drawn from {contract.inferred_from} ({records:,} records). Edit freely, then"
        )
        lines.append(f"# seal data contract activate {contract.name} --reason '...'")
    lines += [
        f'format = "{FORMAT}"',
        f"name = {_text(contract.name)}",
        *([f"inferred_from = {_text(contract.inferred_from)}"] * bool(contract.inferred_from)),
        f'extra_columns = "{contract.extra_columns}"  # a column that is not listed here',
        "# conditions over columns: start <= end, or: status == 'closed' => closed_at is not null",
        "rules = ["
        + "".join(f"\n  {_text(rule)}," for rule in contract.rules)
        + "\n" * bool(contract.rules)
        + "]",
        "",
        "[rows]",
        f"min = {contract.rows.min}",
        *([f"max = {contract.rows.max}"] * (contract.rows.max is not None)),
    ]
    for name, rule in contract.columns.items():
        lines += ["", f"[columns.{_text(name)}]"]
        if seen and seen.get(name):
            lines.append(f"# seen: {seen[name]}")
        lines += _members(rule)
    return "\n".join(lines) + "\n"


def _members(rule: ColumnRule) -> Iterator[str]:
    default = ColumnRule(rule.type)
    for key in ColumnRule.__struct_fields__:
        value = getattr(rule, key)
        if key != "type" and value == getattr(default, key):
            continue
        if value is None:
            continue
        yield f"{key} = {_value(value)}"


def _value(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, tuple):
        return "[" + ", ".join(_text(each) for each in value) + "]"
    return repr(value)


def _text(text: str) -> str:
    """A TOML basic string."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


class _Seen:
    """What was seen of one column."""

    def __init__(self, name: str, kind: pa.DataType) -> None:
        self.name = name
        self.type = _type_of(kind)
        self.missing = 0
        self.low: Bound | None = None
        self.high: Bound | None = None
        self.infinite = False
        self.longest = 0
        self.counts: Counter[str] | None = Counter()
        self.hashes: list[np.ndarray] | None = []
        self.hashed = 0
        self.moments = self.type == "string"
        self.started = False

    def observe(self, batch: pa.RecordBatch) -> None:
        """Take in a batch."""
        column = batch.column(self.name)
        if types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        gone = absent(column)
        self.missing += pc.sum(gone).as_py() or 0
        there = column.filter(pc.invert(gone))
        if not len(there):
            return
        self.started = True
        self._distinct(there)
        if self.type in ("int", "float"):
            self._numbers(there)
        elif self.type == "time":
            self._range(moments(there))
        elif self.type == "string":
            self._texts(there)

    def _numbers(self, there: pa.Array) -> None:
        if types.is_floating(there.type):
            finite = pc.is_finite(there)
            self.infinite |= not pc.all(finite).as_py()
            there = there.filter(finite)
        if types.is_decimal(there.type):
            there = there.cast(pa.float64())
        self._range(there)

    def _range(self, values: pa.Array) -> None:
        found = pc.min_max(values).as_py()
        low, high = found["min"], found["max"]
        if low is None:
            return
        if isinstance(low, datetime):
            low, high = low.isoformat(), high.isoformat()
        self.low = low if self.low is None else min(self.low, low)
        self.high = high if self.high is None else max(self.high, high)

    def _texts(self, there: pa.Array) -> None:
        self.longest = max(self.longest, pc.max(pc.utf8_length(there)).as_py() or 0)
        if self.moments:
            found = moments(there)
            self.moments = found.null_count == 0
            if self.moments:
                self._range(found)
        if self.counts is not None:
            for each in pc.value_counts(there).to_pylist():
                self.counts[each["values"]] += each["counts"]
            if len(self.counts) > MOST_CATEGORIES:
                self.counts = None

    def _distinct(self, there: pa.Array) -> None:
        """Whether every value is another, for as long as that is so."""
        if self.hashes is None or self.type in ("float", "bool", "any"):
            self.hashes = None
            return
        alone = pa.RecordBatch.from_arrays([there], names=["value"])
        raw = np.frombuffer(key_leaves(alone, "value", b"\0" * 32), np.uint64)
        one = raw[:: LEAF_BYTES // 8].copy()
        self.hashed += len(one)
        if len(np.unique(one)) < len(one) or self.hashed > _MOST_UNIQUE:
            self.hashes = None
        else:
            self.hashes.append(one)

    def _unique(self, records: int) -> bool:
        if not self.hashes or self.missing or records < _SEEN_PER_CATEGORY:
            return False
        return len(np.unique(np.concatenate(self.hashes))) == self.hashed

    def rule(self, records: int) -> ColumnRule:
        """What was seen, with slack."""
        kind: ColumnType = "time" if self.moments and self.started else self.type
        nulls = _share(1.5 * self.missing / records) if records and self.missing else 0
        unique = self._unique(records) and kind in ("int", "string")
        low = high = None
        unbounded = self.infinite or (unique and kind == "int")
        if self.low is not None and self.high is not None and not unbounded:
            low, high = _widened(kind, self.low, self.high)
        categories, novel = self._categories(records) if kind == "string" else ((), 0.0)
        return ColumnRule(
            type=kind,
            nulls=min(1, nulls),
            min=low,
            max=high,
            categories=categories,
            novel=novel,
            max_length=self.longest * 2 if kind == "string" and not categories else None,
            unique=unique,
            finite=kind == "float" and not self.infinite,
        )

    def _categories(self, records: int) -> tuple[tuple[str, ...], float]:
        counts = self.counts
        if not counts or sum(counts.values()) < _SEEN_PER_CATEGORY * len(counts):
            return (), 0.0
        once = sum(1 for count in counts.values() if count == 1)
        return tuple(sorted(counts)), _share(2 * once / records) if once else 0.0

    def words(self, records: int) -> str:
        """What was seen, for the page."""
        told = []
        if self.low is not None:
            told.append(f"{self.low} to {self.high}")
        if self.type == "string" and not self.moments and self.counts:
            told.append(f"{len(self.counts)} values")
        elif self.type == "string" and not self.moments:
            told.append(f"up to {self.longest:,} characters")
        told.append(f"{self.missing:,} of {records:,} missing")
        if self.infinite:
            told.append("infinities")
        return ", ".join(told)


def _type_of(kind: pa.DataType) -> ColumnType:
    order: tuple[ColumnType, ...] = ("int", "float", "bool", "string", "time")
    return next((each for each in order if fits(each, kind)), "any")


def _share(value: float) -> float:
    """Up to the next thousandth, so that the page reads well."""
    return min(1.0, math.ceil(value * 1000) / 1000)


def _widened(kind: ColumnType, low: Bound, high: Bound) -> tuple[Bound, Bound]:
    if isinstance(low, str) and isinstance(high, str):
        one, two = datetime.fromisoformat(low), datetime.fromisoformat(high)
        slack = (two - one) * _WIDEN + timedelta(days=1)
        return _moment(one, -slack), _moment(two, slack)
    assert not isinstance(low, str)  # noqa: S101
    assert not isinstance(high, str)  # noqa: S101
    slack_n = Decimal(str(_WIDEN)) * max(
        Decimal(high) - Decimal(low), abs(Decimal(low)) if low == high else Decimal(0)
    )
    bottom, top = Decimal(low) - slack_n, Decimal(high) + slack_n
    bottom = max(bottom, Decimal(0)) if low >= 0 else bottom
    top = min(top, Decimal(0)) if high <= 0 else top
    if kind == "int":
        return int(bottom.to_integral_value(ROUND_FLOOR)), int(top.to_integral_value(ROUND_CEILING))
    return _outward(bottom, low, ROUND_FLOOR), _outward(top, high, ROUND_CEILING)


def _outward(bound: Decimal, seen: float, direction: str) -> float:
    """Four digits that are still outside of what was seen."""
    if bound == 0 or not bound.is_finite():
        return float(bound)
    step = Decimal(1).scaleb(bound.adjusted() - 3)
    return float((bound / step).to_integral_value(direction) * step)


def _moment(moment: datetime, slack: timedelta) -> str:
    try:
        return (moment + slack).replace(microsecond=0).isoformat()
    except OverflowError:
        edge = datetime.min if slack < timedelta(0) else datetime.max
        return edge.replace(microsecond=0, tzinfo=UTC).replace(tzinfo=None).isoformat()
