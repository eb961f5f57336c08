"""What every later version of a dataset must look like: a data contract, as TOML and canonically.

::

    [columns.age]
    type = "int"
    min = 0
    max = 120

A contract holds values (ranges, categories), so the log names it by digest only and its text is
kept encrypted beside the data. Source: docs/spec/contract-v1.md.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal

import msgspec

from sealwright.core import refs
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, BadSettings, VerifyError
from sealwright.core.records import Json
from sealwright.core.shape import near
from sealwright.evidence import jcs
from sealwright.intake import contract_rule

FORMAT: Literal["sealwright contract v1"] = "sealwright contract v1"
MEDIA_TYPE = "application/vnd.sealwright.contract+json"
MOST_CATEGORIES = 10_000

ColumnType = Literal["int", "float", "bool", "string", "time", "any"]
Bound = int | float | str
"""A number, or for ``time`` columns an ISO 8601 moment."""


class ColumnRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one column must hold. ``nulls`` and ``novel`` are the largest shares of records that
    may be missing, or hold a value outside ``categories``; ``finite``: no infinities."""

    type: ColumnType
    required: bool = True
    nulls: int | float = 1
    min: Bound | None = None
    max: Bound | None = None
    categories: tuple[str, ...] = ()
    novel: int | float = 0
    max_length: int | None = None
    unique: bool = False
    finite: bool = False


class RowBounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """How many records a version may have."""

    min: int = 0
    max: int | None = None


class Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A whole contract. ``rules`` are conditions over columns (:mod:`contract_rule`);
    ``inferred_from`` names the version it was drawn from, if any."""

    name: str
    columns: dict[str, ColumnRule]
    format: Literal["sealwright contract v1"] = FORMAT
    inferred_from: str = ""
    extra_columns: Literal["refuse", "allow"] = "refuse"
    rows: RowBounds = RowBounds()
    rules: tuple[str, ...] = ()

    def canonical(self) -> bytes:
        """The bytes its digest is over (RFC 8785): every member, numbers as decimal strings."""
        return jcs.canonical(_plain(msgspec.to_builtins(_spelled(self))))

    @property
    def digest(self) -> Digest:
        """The SHA-256 of :meth:`canonical`."""
        return of_bytes(self.canonical())

    def parsed_rules(self) -> tuple[contract_rule.Rule, ...]:
        """The conditions, ready to evaluate. Raises: BadInput."""
        return tuple(contract_rule.parse(text) for text in self.rules)


def parse(raw: bytes, where: str) -> Contract:
    """TOML in, contract out. Raises: BadSettings with every problem, each with its path."""
    try:
        tree = tomllib.loads(raw.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise _bad(where, [f"$: {error}"]) from error
    contract = _convert(tree, where)
    if problems := list(_problems(contract)):
        raise _bad(where, problems)
    return contract


def decode(data: bytes, digest: Digest) -> Contract:
    """A contract from its canonical bytes, once they are those that were signed.

    Raises: VerifyError, rule ``contract.changed``.
    """
    if of_bytes(data) != digest:
        raise VerifyError(
            "a contract is not the one that was activated",
            where=digest,
            why=f"its SHA-256 is {of_bytes(data)}",
            hint="activate it again: seal data contract activate NAME --reason '...'",
            rule="contract.changed",
        )
    tree: Any = jcs.parse(data)
    for column in tree["columns"].values():
        for key in ("nulls", "novel"):
            column[key] = _number(column[key])
        for key in ("min", "max"):
            if column[key] is not None and column["type"] != "time":
                column[key] = _number(column[key])
    return _convert(tree, digest)


def _convert(tree: Any, where: str) -> Contract:
    try:
        return msgspec.convert(tree, Contract)
    except msgspec.ValidationError as error:
        hint = ""
        if "unknown field" in str(error):
            word = str(error).split("`")[1]
            hint = near(word, (*Contract.__struct_fields__, *ColumnRule.__struct_fields__))
        raise _bad(where, [f"{error}{hint}"]) from error


def _bad(where: str, problems: list[str]) -> BadSettings:
    error = BadSettings(where, problems)
    error.hint = f"edit {where}; docs/spec/contract-v1.md describes every key"
    return error


def _problems(contract: Contract) -> Iterator[str]:
    try:
        refs.check_name(contract.name)
    except BadInput as error:
        yield f"$.name: {error.what}"
    if not contract.columns:
        yield "$.columns: is empty; a contract that asks for nothing would pass everything"
    for name, rule in contract.columns.items():
        yield from _column_problems(f"$.columns.{name}", rule)
    low, high = contract.rows.min, contract.rows.max
    if low < 0 or (high is not None and high < low):
        yield f"$.rows: {low} to {high} is no range"
    for number, text in enumerate(contract.rules):
        try:
            condition = contract_rule.parse(text)
        except BadInput as error:
            yield f"$.rules[{number}]: {error.what} ({error.why})"
            continue
        for column in sorted(condition.columns - contract.columns.keys()):
            yield f"$.rules[{number}]: no column {column!r}{near(column, tuple(contract.columns))}"


def _column_problems(path: str, rule: ColumnRule) -> Iterator[str]:
    for key, share in (("nulls", rule.nulls), ("novel", rule.novel)):
        if not 0 <= share <= 1:
            yield f"{path}.{key}: {share} is no share from 0 to 1"
    yield from _bound_problems(path, rule)
    if rule.categories and rule.type not in ("string", "any"):
        yield f"{path}.categories: are for string columns"
    if len(rule.categories) > MOST_CATEGORIES:
        yield f"{path}.categories: {len(rule.categories):,} of them; at most {MOST_CATEGORIES:,}"
    if rule.max_length is not None and rule.type != "string":
        yield f"{path}.max_length: is for string columns"
    if rule.finite and rule.type != "float":
        yield f"{path}.finite: is for float columns"


def _bound_problems(path: str, rule: ColumnRule) -> Iterator[str]:
    bounds = {"min": rule.min, "max": rule.max}
    given = {key: bound for key, bound in bounds.items() if bound is not None}
    if given and rule.type not in ("int", "float", "time"):
        yield f"{path}: min and max are for int, float and time"
        return
    for key, bound in given.items():
        if isinstance(bound, str) != (rule.type == "time"):
            yield f"{path}.{key}: a {'moment' if rule.type == 'time' else 'number'} is wanted"
            return
        if isinstance(bound, float) and not math.isfinite(bound):
            yield f"{path}.{key}: {bound} is no bound"
        elif isinstance(bound, str) and not contract_rule.is_moment(bound):
            yield f"{path}.{key}: {bound!r} is no ISO 8601 moment"
    if len(given) == 2 and given["min"] > given["max"]:  # type: ignore[operator]
        yield f"{path}: min is above max"


class _Column(msgspec.Struct):
    """Every member spelled out, so that a default that changes later changes no digest."""

    type: str
    required: bool
    nulls: str
    min: str | None
    max: str | None
    categories: list[str]
    novel: str
    max_length: int | None
    unique: bool
    finite: bool


class _Whole(msgspec.Struct):
    name: str
    columns: dict[str, _Column]
    format: str
    inferred_from: str
    extra_columns: str
    rows: dict[str, int | None]
    rules: list[str]


def _spelled(contract: Contract) -> _Whole:
    columns = {
        name: _Column(
            type=rule.type,
            required=rule.required,
            nulls=_decimal(rule.nulls),
            min=None if rule.min is None else _decimal(rule.min),
            max=None if rule.max is None else _decimal(rule.max),
            categories=sorted(set(rule.categories)),
            novel=_decimal(rule.novel),
            max_length=rule.max_length,
            unique=rule.unique,
            finite=rule.finite,
        )
        for name, rule in contract.columns.items()
    }
    return _Whole(
        contract.name,
        columns,
        contract.format,
        contract.inferred_from,
        contract.extra_columns,
        {"min": contract.rows.min, "max": contract.rows.max},
        list(contract.rules),
    )


def _decimal(value: Bound) -> str:
    """The shortest decimal that reads back as the same number: 1, 1.0 and 1e0 are one."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return format(Decimal(repr(value)), "f")


def _number(text: str) -> int | float:
    return float(text) if "." in text else int(text)


def _plain(value: Any) -> Json:
    return value  # type: ignore[no-any-return]
