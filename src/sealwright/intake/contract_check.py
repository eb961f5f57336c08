"""Holding a version to its contract: record batches in, one report out. Streaming.

The report of equal records under an equal contract is equal, whatever the batches were.
It counts, and names records by their place in the version; it holds no value of any record.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date
from typing import Any, Literal

import msgspec
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput
from sealwright.evidence import jcs
from sealwright.intake import csvtext
from sealwright.intake.contract import ColumnRule, ColumnType, Contract
from sealwright.intake.contract_rule import Rule, absent
from sealwright.intake.leaves import key_leaves
from sealwright.intake.record import LEAF_BYTES

FIRST = 5
_TIME = (
    r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])"
    r"([T ]([01]\d|2[0-3]):[0-5]\d(:[0-5]\d(\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$"
)
_TEXT_FORMS: Mapping[ColumnType, str] = {
    "int": csvtext.INT,
    "float": csvtext.FLOAT,
    "time": _TIME,
}

RuleId = Literal[
    "contract.column-missing",
    "contract.column-extra",
    "contract.type",
    "contract.nulls",
    "contract.range",
    "contract.category",
    "contract.length",
    "contract.unique",
    "contract.finite",
    "contract.rows",
    "contract.rule",
    "contract.rule-unusable",
]
STRUCTURAL: frozenset[RuleId] = frozenset(
    {
        "contract.column-missing",
        "contract.column-extra",
        "contract.type",
        "contract.rule-unusable",
    }
)
"""Breaches of form, which a training script would trip over: they block in every profile."""


class Breach(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing that does not conform. ``count`` of ``of`` records, the ``first`` of them by
    their place in the version; ``number`` is a cross-column rule's place in the contract."""

    rule: RuleId
    column: str
    count: int
    of: int
    first: tuple[int, ...] = ()
    number: int = -1

    @property
    def structural(self) -> bool:
        """Whether it blocks in every profile."""
        return self.rule in STRUCTURAL

    def words(self) -> str:
        """For people: rule, column, counts, first records. No value."""
        where = f"column {self.column!r}" if self.column else "the version"
        if self.number >= 0:
            where = f"rule {self.number + 1}"
        told = f"{self.rule}: {where}: {self.count:,} of {self.of:,} records"
        return told + (f", first {', '.join(map(str, self.first))}" if self.first else "")


class Report(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a check found."""

    contract: Digest
    records: int
    breaches: tuple[Breach, ...]

    @property
    def digest(self) -> Digest:
        """SHA-256 over its canonical JSON."""
        return of_bytes(jcs.canonical(msgspec.to_builtins(self)))

    @property
    def conforms(self) -> bool:
        """Nothing was broken."""
        return not self.breaches


def check(contract: Contract, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Report:
    """Hold every record to ``contract``. Memory is constant but for ``unique`` columns, which
    cost 16 bytes a record. Raises: whatever reading raises."""
    names = set(schema.names)
    breaches = list(_form(contract, schema))
    watches = [
        _Column(name, rule, schema.field(name).type)
        for name, rule in contract.columns.items()
        if name in names
    ]
    conditions = [
        _Condition(number, rule)
        for number, rule in enumerate(contract.parsed_rules())
        if rule.columns <= names
    ]
    start = 0
    for batch in batches:
        for watch in watches:
            watch.observe(batch, start)
        for condition in conditions:
            condition.observe(batch, start)
        start += batch.num_rows
    for watch in watches:
        breaches.extend(watch.breaches(start))
    for condition in conditions:
        breaches.extend(condition.breaches(start))
    low, high = contract.rows.min, contract.rows.max
    if start < low or (high is not None and start > high):
        breaches.append(Breach("contract.rows", "", start, start))
    return Report(contract.digest, start, tuple(breaches))


def _form(contract: Contract, schema: pa.Schema) -> Iterator[Breach]:
    names = set(schema.names)
    for name, rule in contract.columns.items():
        if name not in names and rule.required:
            yield Breach("contract.column-missing", name, 0, 0)
    if contract.extra_columns == "refuse":
        for name in schema.names:
            if name not in contract.columns:
                yield Breach("contract.column-extra", name, 0, 0)
    for number, condition in enumerate(contract.parsed_rules()):
        if not condition.columns <= names:
            yield Breach("contract.rule-unusable", "", 0, 0, number=number)


class _Tally:
    """How many records broke one thing, and the first of them."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[int] = []

    def add(self, broken: pa.Array, start: int) -> None:
        """``broken`` is true for the records that did; ``start`` is the batch's first record."""
        count = pc.sum(broken).as_py() or 0
        self.count += count
        if count and len(self.first) < FIRST:
            places = np.flatnonzero(broken.to_numpy(zero_copy_only=False))
            self.first += [start + int(at) for at in places[: FIRST - len(self.first)]]


class _Column:
    """The state of one column's rules."""

    def __init__(self, name: str, rule: ColumnRule, kind: pa.DataType) -> None:
        self.name, self.rule = name, rule
        self.tallies: dict[RuleId, _Tally] = {}
        self.keys: list[npt.NDArray[Any]] = []
        self.places: list[npt.NDArray[Any]] = []
        self.wrong_kind = not _readable(rule.type, kind)
        self.present = 0
        self.ranged = rule.min is not None or rule.max is not None
        self.known = pa.array(sorted(set(rule.categories)), pa.string())

    def observe(self, batch: pa.RecordBatch, start: int) -> None:
        """Take in a batch."""
        column = batch.column(self.name)
        if types.is_dictionary(column.type):
            column = column.cast(column.type.value_type)
        gone = absent(column)
        self._tally("contract.nulls", gone, start)
        there = pc.invert(gone)
        self.present += pc.sum(there).as_py() or 0
        odd = self._misfits(column)
        self._tally("contract.type", pc.and_(there, odd), start)
        for rule, broken in self._values(column):
            held = pc.and_(there, pc.fill_null(broken, fill_value=False))
            self._tally(rule, pc.and_(held, pc.invert(odd)), start)
        if self.rule.unique:
            self._remember(column, there, start)

    def _tally(self, rule: RuleId, broken: pa.Array, start: int) -> None:
        self.tallies.setdefault(rule, _Tally()).add(broken, start)

    def _misfits(self, column: pa.Array) -> pa.Array:
        """Values that are not of the contract's type."""
        if fits(self.rule.type, column.type):
            return _all(column, False)
        if types.is_null(column.type):
            return _all(column, False)
        if self.rule.type == "int" and types.is_floating(column.type):
            return pc.fill_null(pc.not_equal(pc.floor(column), column), fill_value=False)
        form = _TEXT_FORMS.get(self.rule.type)
        if form is not None and _is_text(column.type):
            fit = pc.match_substring_regex(column, form)
            return pc.fill_null(pc.invert(fit), fill_value=False)
        return _all(column, True)

    def _values(self, column: pa.Array) -> Iterator[tuple[RuleId, pa.Array]]:
        rule, kind = self.rule, column.type
        if self.ranged:
            yield "contract.range", _outside(column, rule)
        if rule.categories and _is_text(kind):
            yield "contract.category", pc.invert(pc.is_in(column, value_set=self.known))
        if rule.max_length is not None and _is_text(kind):
            yield "contract.length", pc.greater(pc.utf8_length(column), rule.max_length)
        if rule.finite and types.is_floating(kind):
            yield "contract.finite", pc.is_inf(column)

    def _remember(self, column: pa.Array, there: pa.Array, start: int) -> None:
        """16 bytes of each value's hash; equal values, whatever their place, have equal ones."""
        alone = pa.RecordBatch.from_arrays([column], names=["value"])
        hashes = np.frombuffer(key_leaves(alone, "value", b"\0" * 32), np.uint64)
        kept = there.to_numpy(zero_copy_only=False)
        halves = hashes.reshape(-1, LEAF_BYTES // 8)[kept, :2]
        self.keys.append(halves.copy())
        self.places.append((start + np.flatnonzero(kept)).astype(np.int64))

    def breaches(self, records: int) -> Iterator[Breach]:
        """What was broken over all records."""
        for rule, tally in self.tallies.items():
            if tally.count > self._allowed(rule) * records:
                yield Breach(rule, self.name, tally.count, records, tuple(tally.first))
        if self.wrong_kind and self.present and not self.tallies["contract.type"].count:
            # every value reads as the wanted type, and the file says it is another
            yield Breach("contract.type", self.name, self.present, records)
        if self.rule.unique and self.keys:
            yield from self._repeats(records)

    def _allowed(self, rule: RuleId) -> float:
        shares = {"contract.nulls": self.rule.nulls, "contract.category": self.rule.novel}
        return shares.get(rule, 0)

    def _repeats(self, records: int) -> Iterator[Breach]:
        raw = np.concatenate(self.keys)
        places = np.concatenate(self.places)
        order = np.lexsort((places, raw[:, 1], raw[:, 0]))
        again: npt.NDArray[np.bool_] = np.zeros(len(order), np.bool_)
        again[1:] = (raw[order][1:] == raw[order][:-1]).all(axis=1)
        repeated = np.sort(places[order][again])
        if len(repeated):
            first = tuple(int(at) for at in repeated[:FIRST])
            yield Breach("contract.unique", self.name, len(repeated), records, first)


class _Condition:
    """The state of one cross-column rule."""

    def __init__(self, number: int, rule: Rule) -> None:
        self.number, self.rule = number, rule
        self.tally = _Tally()
        self.unusable = False

    def observe(self, batch: pa.RecordBatch, start: int) -> None:
        """Take in a batch; a rule that cannot be applied is a finding, never a pass."""
        if self.unusable:
            return
        try:
            self.tally.add(self.rule.broken(batch), start)
        except BadInput:
            self.unusable = True

    def breaches(self, records: int) -> Iterator[Breach]:
        """What was broken over all records."""
        if self.unusable:
            yield Breach("contract.rule-unusable", "", records, records, number=self.number)
        elif self.tally.count:
            first = tuple(self.tally.first)
            yield Breach("contract.rule", "", self.tally.count, records, first, self.number)


_KINDS: Mapping[ColumnType, tuple[Callable[[pa.DataType], bool], ...]] = {
    "int": (types.is_integer,),
    "float": (types.is_integer, types.is_floating, types.is_decimal),
    "bool": (types.is_boolean,),
    "string": (types.is_string, types.is_large_string),
    "time": (types.is_timestamp, types.is_date),
}


def fits(wanted: ColumnType, kind: pa.DataType) -> bool:
    """Whether every value of an Arrow type is one of the contract's type. An int is a float."""
    if types.is_dictionary(kind):
        kind = kind.value_type
    return wanted == "any" or any(test(kind) for test in _KINDS[wanted])


def _readable(wanted: ColumnType, kind: pa.DataType) -> bool:
    """As :func:`fits`, and what can stand for it: whole floats for int, ISO texts for time."""
    if types.is_dictionary(kind):
        kind = kind.value_type
    stands = (wanted == "int" and types.is_floating(kind)) or (wanted == "time" and _is_text(kind))
    return stands or types.is_null(kind) or fits(wanted, kind)


def _is_text(kind: pa.DataType) -> bool:
    return bool(types.is_string(kind) or types.is_large_string(kind))


def _outside(column: pa.Array, rule: ColumnRule) -> pa.Array:
    """Below ``min`` or above ``max``; infinities are outside any range."""
    values = column
    if rule.type == "time":
        values = moments(column)
    elif _is_text(column.type):
        values = _numbers(column)
    elif types.is_decimal(column.type):
        values = column.cast(pa.float64())
    outside = _all(column, False)
    if rule.min is not None:
        outside = pc.or_kleene(outside, pc.less(values, _bound(rule.min, values.type, math.ceil)))
    if rule.max is not None:
        outside = pc.or_kleene(
            outside, pc.greater(values, _bound(rule.max, values.type, math.floor))
        )
    return outside


def _bound(
    bound: int | float | str, kind: pa.DataType, round_: Callable[[float], int]
) -> pa.Scalar:
    if isinstance(bound, str):
        return moments(pa.array([bound])).cast(kind)[0]
    if types.is_integer(kind):  # whole, and in range, so that nothing is lost in the comparison
        whole = round_(bound) if math.isfinite(bound) else 2**63
        return pa.scalar(max(-(2**63), min(2**63 - 1, whole)))
    return pa.scalar(float(bound))


def moments(column: pa.Array) -> pa.Array:
    """ISO 8601 texts, dates and timestamps as UTC microseconds; null where one is no moment.

    A time without a zone is taken as UTC.
    """
    wanted = pa.timestamp("us")
    if not _is_text(column.type):
        plain = (
            column.cast(pa.timestamp("us", column.type.tz))
            if (types.is_timestamp(column.type) and column.type.tz)
            else column
        )
        return plain.cast(wanted, safe=False)
    fit = pc.match_substring_regex(column, _TIME)
    day = pc.utf8_slice_codeunits(column, 0, 10)
    texts = pc.if_else(fit, column, pa.scalar(None, column.type))
    try:
        return _parsed(texts)
    except pa.ArrowException:  # a 31st of June among them: one by one
        known = pa.array([_is_day(text) for text in day.to_pylist()], pa.bool_())
        return _parsed(pc.if_else(known, texts, pa.scalar(None, column.type)))


def _parsed(texts: pa.Array) -> pa.Array:
    zoned = pc.match_substring_regex(texts, r"(Z|[+-]\d\d:?\d\d)$")
    long = pc.greater(pc.utf8_length(texts), 10)
    with_zone = pc.if_else(pc.and_(zoned, long), texts, pa.scalar(None, texts.type))
    without = pc.if_else(pc.and_(zoned, long), pa.scalar(None, texts.type), texts)
    plain = pa.timestamp("us")
    aware = with_zone.cast(pa.timestamp("us", "UTC")).cast(plain)
    return pc.coalesce(aware, without.cast(plain))


def _is_day(text: str | None) -> bool:
    try:
        date.fromisoformat(text or "")
    except ValueError:
        return False
    return True


def _numbers(column: pa.Array) -> pa.Array:
    """Texts that are numbers, as numbers; null elsewhere."""
    fit = pc.match_substring_regex(column, csvtext.FLOAT)
    return pc.if_else(fit, column, pa.scalar(None, column.type)).cast(pa.float64())


def _all(column: pa.Array, value: bool) -> pa.Array:
    return pa.array(np.full(len(column), value))
