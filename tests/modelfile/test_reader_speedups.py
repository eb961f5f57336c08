"""What the strict reader does in one turn changes nothing: held against one opcode at a time."""

import pickle

import plain_reader
from hypothesis import given, settings
from hypothesis import strategies as st
from test_fuzz import BARE, HONEST, mutated

from sealwright.kit.modelfile import linear, shapes
from sealwright.kit.modelfile.limits import LIMITS, Limits
from sealwright.kit.modelfile.machine import Machine
from sealwright.kit.modelfile.policy import policy_of
from sealwright.kit.modelfile.report import Unsound
from sealwright.kit.modelfile.stack import FETCHED, KIND, TUPLE

POLICY = policy_of("framework")
SHORT = st.text(max_size=70) | st.sampled_from(["id", "name", "at", "\x94", "u}("])
CELL = st.none() | st.booleans() | st.integers(-(2**33), 2**33) | st.floats(allow_nan=False) | SHORT
FIELD = CELL | st.tuples(CELL) | st.tuples(CELL, CELL) | st.tuples(CELL, CELL, CELL)


def seen(follow, data: bytes, storages: bool, limits: Limits) -> object:
    """Everything a reader knows at its end: verdict, trace, counts, memo and nodes."""
    m = Machine(data, POLICY, 0, storages=storages, inline=False, limits=limits)
    try:
        end = follow(m)
    except Unsound as error:
        budget = error.found.rule == "pickle.budget"
        return error.found.rule, -1 if budget else error.found.offset
    nodes = [m.nodes.of(value) for value in range(1, len(m.nodes.items))]
    for node in nodes:  # nobody fills a tuple, so nobody asks whether it was fetched
        node[FETCHED] = node[FETCHED] and node[KIND] != TUPLE
    return m.trace(end), m.refused, m.ops, m.memo, m.stack, nodes


def agree(data: bytes, *, storages: bool = False, limits: Limits = LIMITS) -> object:
    plain = seen(plain_reader.follow, data, storages, limits)
    assert seen(linear.follow, data, storages, limits) == plain
    return plain


@st.composite
def records(draw) -> bytes:
    """Enough records of one shape for it to be learnt, some of another, and what follows."""
    names = draw(st.lists(SHORT, min_size=1, max_size=4, unique=True))
    kinds = draw(st.lists(st.sampled_from(["cell", "tuple"]), min_size=4, max_size=4))
    row = st.tuples(
        *(CELL if kind == "cell" else st.tuples(CELL, CELL) for kind in kinds[: len(names)])
    )
    alike = draw(st.lists(row, min_size=2, max_size=4)) * 8
    as_dict = draw(st.booleans())
    fresh = [pickle.loads(pickle.dumps(one)) for one in alike]  # no two rows share a text
    made = [dict(zip(names, one, strict=True)) if as_dict else list(one) for one in fresh]
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(made)))
        other = st.dictionaries(SHORT, FIELD, max_size=4) | st.lists(FIELD, max_size=4)
        made.insert(at, draw(other))
    return pickle.dumps({"all": made, "again": made[-1]}, draw(st.sampled_from([2, 4, 5])))


@settings(max_examples=250, deadline=None)
@given(records())
def test_records_of_one_shape_are_read_as_one_by_one(data):
    kind = agree(data)
    assert not isinstance(kind[0], str), kind


@settings(max_examples=400, deadline=None)
@given(st.data())
def test_mutated_records_are_read_as_one_by_one(data):
    agree(mutated(data.draw, data.draw(records())))


@settings(max_examples=600, deadline=None)
@given(st.data())
def test_mutated_pickles_are_read_as_one_by_one(data):
    made = data.draw(st.sampled_from(BARE + HONEST))
    agree(mutated(data.draw, made), storages=data.draw(st.booleans()))


OPCODES = [
    *(b"N", b"\x88", b"K\x01", b"M\x01\x02", b"J\x01\x02\x03\x04", b"G" + b"\0" * 8),
    *(b"\x8c\x01a\x94", b"\x8c\x00", b"X\x01\0\0\0b", b"\x94", b"h\x00", b"h\x01", b"j\x01\0\0\0"),
    *(b"(", b"}", b"]", b")", b"\x8f", b"}\x94(", b"]\x94(", b"\x85", b"\x86", b"\x87", b"t"),
    *(b"e", b"u", b"a", b"s", b"\x90", b"0", b"1", b"l", b"d", b"\x91", b"q\x00", b"q\x01"),
    *(b"cnumpy\ndtype\n", b"R", b"b", b"\x81", b"Q", b"\x86\x94u", b"KKe"),
]


@settings(max_examples=1500, deadline=None)
@given(st.lists(st.sampled_from(OPCODES), max_size=30), st.booleans(), st.integers(0, 40))
def test_any_opcodes_are_read_as_one_by_one(codes, repeat, most):
    body = b"".join(codes) * (14 if repeat else 1)
    agree(b"\x80\x04" + body + b".", limits=Limits(opcodes=most * 20 + 1, depth=6, free_values=50))


def test_a_shape_is_learnt_once_and_then_matches_what_differs_in_values_only():
    rows = [{"id": at, "name": f"n{at}", "at": (at, at)} for at in range(40)]
    data = pickle.dumps(rows, 4)
    starts = [at for at in range(len(data)) if data.startswith(b"}\x94(", at)]
    memo = [0] * 6
    shape = shapes.learn(data, starts[20], len(data), memo)
    assert (shape.ops, shape.weight, shape.depth) == (14, 10, 2)
    assert shape.steps == (1, (0, 0))
    assert all(shape.match(data, at, len(data)) for at in starts[1:])
    assert not shape.match(data, starts[0], len(data))  # its keys are spelt, not fetched
    assert not shape.match(data, starts[5], starts[6] - 1)
    assert shapes.learn(data, starts[20], len(data), [0, 0, 7, 0, 0, 0]) is None


def test_the_budget_counts_opcodes_whatever_is_read_in_one_turn():
    rows = [{"id": at, "name": f"n{at}", "at": (at, at)} for at in range(100)]
    data = pickle.dumps([rows, [[1.5, 2]] * 50, list(range(99))], 4)
    ops = agree(data)[2]
    for most in (*range(ops - 40, ops + 2), 20, 300, 700):
        got = agree(data, limits=Limits(opcodes=most))
        assert (got[0] == "pickle.budget") == (most < ops)
