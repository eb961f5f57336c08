"""Conditions over columns: a small language that is parsed and never evaluated as code.

::

    start <= end
    status == 'closed' => closed_at is not null
    kind in ['a', 'b'] and amount > 0 => `tax rate` >= 0.05

A record breaks a rule when it is definitely false: a comparison with a missing value is
unknown, and what is unknown breaks nothing (as CHECK in SQL). Source: docs/spec/contract-v1.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Literal

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from sealwright.core.errors import BadInput

_MOST_CHARACTERS = 2000
_MOST_DEPTH = 20
_TOKEN = re.compile(
    r"\s*(?:(?P<number>-?\d+(?:\.\d+)?)|(?P<text>'(?:[^'\\]|\\.)*')|`(?P<quoted>[^`]+)`"
    r"|(?P<op>=>|==|!=|<=|>=|<|>|\(|\)|\[|\]|,)|(?P<word>[^\W\d]\w*))"
)
_COMPARE: Mapping[str, Callable[..., pa.Array]] = {
    "==": pc.equal,
    "!=": pc.not_equal,
    "<": pc.less,
    "<=": pc.less_equal,
    ">": pc.greater,
    ">=": pc.greater_equal,
}
_WORDS = frozenset({"and", "or", "not", "is", "null", "in", "true", "false"})


class Column(msgspec.Struct, frozen=True, tag=True):
    """A column's value."""

    name: str


class Constant(msgspec.Struct, frozen=True, tag=True):
    """A number, a text or a truth value."""

    value: int | float | str | bool


class Compare(msgspec.Struct, frozen=True, tag=True):
    """``left op right``."""

    op: str
    left: Column | Constant
    right: Column | Constant


class Missing(msgspec.Struct, frozen=True, tag=True):
    """``column is null``."""

    column: str


class OneOf(msgspec.Struct, frozen=True, tag=True):
    """``column in [...]``."""

    column: str
    values: tuple[int | float | str | bool, ...]


class Joined(msgspec.Struct, frozen=True, tag=True):
    """``left and right``, ``left or right``; ``left => right`` is ``not left or right``."""

    word: Literal["and", "or"]
    left: Condition
    right: Condition


class Not(msgspec.Struct, frozen=True, tag=True):
    """``not condition``."""

    of: Condition


Condition = Compare | Missing | OneOf | Joined | Not


class Rule(msgspec.Struct, frozen=True):
    """A parsed condition, the text it came from and the columns it reads."""

    text: str
    condition: Condition
    columns: frozenset[str]

    def broken(self, batch: pa.RecordBatch) -> pa.Array:
        """True where a record definitely breaks it. Raises: BadInput (kinds do not compare)."""
        try:
            held = _evaluate(self.condition, batch)
        except (pa.ArrowException, KeyError, TypeError, ValueError) as error:
            raise BadInput(
                f"the rule {self.text!r} cannot be applied", why=str(error)[:200]
            ) from error
        return pc.fill_null(pc.invert(held), fill_value=False)


def parse(text: str) -> Rule:
    """Raises: BadInput saying what was expected and where."""
    if len(text) > _MOST_CHARACTERS:
        raise BadInput("the rule is too long", why=f"at most {_MOST_CHARACTERS:,} characters")
    parser = _Parser(text)
    condition = parser.implication()
    if parser.token:
        raise parser.expected("an end")
    return Rule(text, condition, frozenset(parser.columns))


def is_moment(text: str) -> bool:
    """Whether ``text`` is an ISO 8601 date or time."""
    try:
        datetime.fromisoformat(text)
    except ValueError:
        return False
    return True


class _Parser:
    """Recursive descent: implication, or, and, not, atom."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.depth = 0
        self.columns: set[str] = set()
        self.token = ""
        self.kind = ""
        self.advance()

    def advance(self) -> str:
        before = self.token
        if not self.text[self.at :].strip():
            self.token = self.kind = ""
            return before
        found = _TOKEN.match(self.text, self.at)
        if found is None:
            raise BadInput(
                f"{self.text!r} is no rule", why=f"character {self.at}: nothing known starts here"
            )
        self.at, self.kind = found.end(), str(found.lastgroup)
        self.token = found.group(self.kind)
        if self.kind == "word" and self.token in _WORDS:
            self.kind = "op"
        return before

    def expected(self, what: str) -> BadInput:
        found = repr(self.token) if self.token else "the end"
        return BadInput(
            f"{self.text!r} is no rule",
            why=f"{what} is expected before character {self.at}, not {found}",
        )

    def take(self, *tokens: str) -> str:
        if self.kind == "op" and self.token in tokens:
            return self.advance()
        return ""

    def need(self, token: str) -> None:
        if not self.take(token):
            raise self.expected(repr(token))

    def implication(self) -> Condition:
        self.depth += 1
        if self.depth > _MOST_DEPTH:
            raise BadInput("the rule nests too deep", why=f"at most {_MOST_DEPTH} levels")
        left = self.either()
        if self.take("=>"):
            left = Joined("or", Not(left), self.implication())
        self.depth -= 1
        return left

    def either(self) -> Condition:
        left = self.both()
        while self.take("or"):
            left = Joined("or", left, self.both())
        return left

    def both(self) -> Condition:
        left = self.single()
        while self.take("and"):
            left = Joined("and", left, self.single())
        return left

    def single(self) -> Condition:
        if self.take("not"):
            self.depth += 1
            if self.depth > _MOST_DEPTH:
                raise BadInput("the rule nests too deep", why=f"at most {_MOST_DEPTH} levels")
            inner = self.single()
            self.depth -= 1
            return Not(inner)
        if self.take("("):
            inner = self.implication()
            self.need(")")
            return inner
        return self.atom()

    def atom(self) -> Condition:
        left = self.operand()
        if isinstance(left, Column):
            if self.take("is"):
                negated = bool(self.take("not"))
                self.need("null")
                return Not(Missing(left.name)) if negated else Missing(left.name)
            if self.take("in"):
                return OneOf(left.name, self.listed())
        op = self.take(*_COMPARE)
        if not op:
            raise self.expected("a comparison")
        right = self.operand()
        if isinstance(left, Constant) and isinstance(right, Constant):
            raise BadInput(f"{self.text!r} is no rule", why="it compares two constants")
        return Compare(op, left, right)

    def listed(self) -> tuple[int | float | str | bool, ...]:
        self.need("[")
        values = []
        while not self.take("]"):
            operand = self.operand()
            if isinstance(operand, Column):
                raise self.expected("a constant")
            values.append(operand.value)
            if not self.take(","):
                self.need("]")
                break
        return tuple(values)

    def operand(self) -> Column | Constant:
        kind = self.kind
        if kind in ("word", "quoted"):
            name = self.advance()
            self.columns.add(name)
            return Column(name)
        if kind == "number":
            text = self.advance()
            return Constant(float(text) if "." in text else int(text))
        if kind == "text":
            return Constant(re.sub(r"\\(.)", r"\1", self.advance()[1:-1]))
        if word := self.take("true", "false"):
            return Constant(word == "true")
        raise self.expected("a column or a constant")


def _evaluate(condition: Condition, batch: pa.RecordBatch) -> pa.Array:
    """True, false or null (unknown) for each record: Kleene's logic."""
    if isinstance(condition, Joined):
        left, right = _evaluate(condition.left, batch), _evaluate(condition.right, batch)
        return pc.and_kleene(left, right) if condition.word == "and" else pc.or_kleene(left, right)
    if isinstance(condition, Not):
        return pc.invert(_evaluate(condition.of, batch))
    if isinstance(condition, Missing):
        return absent(batch.column(condition.column))
    if isinstance(condition, OneOf):
        column = batch.column(condition.column)
        found = pc.is_in(column, value_set=pa.array(condition.values, column.type))
        return pc.if_else(absent(column), pa.scalar(None, pa.bool_()), found)
    return _compared(condition, batch)


def _compared(condition: Compare, batch: pa.RecordBatch) -> pa.Array:
    sides = [
        batch.column(each.name) if isinstance(each, Column) else each.value
        for each in (condition.left, condition.right)
    ]
    kind = next(each.type for each in sides if isinstance(each, pa.Array))
    left, right = (each if isinstance(each, pa.Array) else _constant(each, kind) for each in sides)
    held = _COMPARE[condition.op](left, right)
    for side in (left, right):
        if isinstance(side, pa.Array):
            held = pc.if_else(absent(side), pa.scalar(None, pa.bool_()), held)
    return held


def _constant(value: int | float | str | bool, kind: pa.DataType) -> pa.Scalar:
    """A text beside a moment is a moment."""
    if isinstance(value, str) and pa.types.is_temporal(kind):
        return pa.scalar(datetime.fromisoformat(value)).cast(kind)
    return pa.scalar(value)


def absent(column: pa.Array) -> pa.Array:
    """Missing: null, not a number, or an empty text (which is how CSV writes a missing one)."""
    gone = pc.is_null(column)
    if pa.types.is_floating(column.type):
        return pc.or_(gone, pc.fill_null(pc.is_nan(column), fill_value=False))
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return pc.or_(gone, pc.fill_null(pc.equal(column, ""), fill_value=False))
    return gone
