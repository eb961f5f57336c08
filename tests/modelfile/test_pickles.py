"""Pickles: what is followed, what is refused, and that the readers agree."""

import pickle
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.kit.modelfile import linear
from sealwright.kit.modelfile.boxed import Box
from sealwright.kit.modelfile.limits import Limits
from sealwright.kit.modelfile.policy import policy_of
from sealwright.kit.modelfile.report import Unsound

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False)
    | st.text(max_size=300)
    | st.binary(max_size=300),
    lambda inner: (
        st.lists(inner, max_size=6)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text(max_size=9), inner, max_size=6)
        | st.sets(st.integers(), max_size=5)
        | st.frozensets(st.integers(), max_size=5)
    ),
    max_leaves=40,
)


@settings(max_examples=150, deadline=None)
@given(PLAIN, st.integers(0, 5))
def test_plain_values_are_clean_in_every_protocol(gate, value, protocol):
    found = gate.look(pickle.dumps(value, protocol))
    if protocol == 0:  # a lone text or number of protocol 0 is plain text as well
        assert found.verdict == "clean" or found.format in ("", "text", "json")
    else:
        assert found.verdict == "clean", found


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    "value",
    [
        OrderedDict(a=1),
        Counter("aab"),
        defaultdict(list, a=[1]),
        deque([1, 2]),
        datetime(2026, 1, 2, tzinfo=UTC),
        [bytearray(b"xyz"), b"", complex(1, 2), range(3), slice(1, 2)],
    ],
    ids=lambda value: type(value).__name__,
)
def test_values_of_the_standard_library_are_clean(gate, value, protocol):
    assert gate.look(pickle.dumps(value, protocol)).findings == ()


def test_large_values_between_frames_are_followed(gate):
    value = {"a": "x" * 300_000, "b": b"y" * 300_000, "c": list(range(70_000))}
    for protocol in (2, 4, 5):
        assert gate.word(pickle.dumps(value, protocol)) == "clean"


def test_an_unknown_class_is_not_understood_and_one_left_out_is_dangerous(gate):
    assert gate.rules(b"\x80\x02cnobody\nKnown\n.") == ["pickle.class"]
    assert gate.word(b"\x80\x02cnobody\nKnown\n.") == "not understood"
    assert gate.rules(b"\x80\x02cos\nsystem\n.") == ["pickle.name"]
    assert gate.word(b"\x80\x02cos\nsystem\n.") == "dangerous"


def test_a_finding_names_opcode_and_offset(gate):
    found = gate.look(b"\x80\x02]cos\nsystem\na.").findings[0]
    assert (found.opcode, found.offset) == ("GLOBAL", 3)


def test_naming_is_not_calling(gate):
    named = b"\x80\x02cnumpy\nndarray\n."
    assert gate.word(named) == "clean"
    assert gate.rules(named[:-1] + b"K\x05\x85R.") == ["pickle.call"]


def test_levels_are_apart(gate, weights):
    import numpy as np

    data = pickle.dumps(np.zeros(3), 4)
    assert gate.word(data) == "clean"
    assert weights.word(data) == "dangerous"


def test_a_dotted_name_is_refused_even_of_an_allowed_module(gate):
    data = b"\x80\x04\x8c\x05numpy\x8c\x0ddtype.__class\x93."
    assert gate.word(data) == "dangerous"


def test_the_two_readers_agree_event_by_event():
    policy = policy_of("framework")
    value = [OrderedDict(a=deque([1])), complex(1, 2), {"x": frozenset({1})}]
    with Box(policy) as box:
        for protocol in range(6):
            data = pickle.dumps(value, protocol)
            ours, refused = linear.read(data, policy)
            other = box.follow(data)
            assert refused == ()
            assert (ours.pairs, ours.events, ours.end) == (other.pairs, other.events, other.end)


def test_budgets_stop_a_reader():
    policy = policy_of("framework")
    small = Limits(opcodes=50, depth=10)
    with pytest.raises(Unsound, match="opcodes"):
        linear.read(b"\x80\x02" + b"]0" * 60 + b"N.", policy, limits=small)
    with pytest.raises(Unsound, match="deep"):
        linear.read(b"\x80\x02)" + b"\x85" * 20 + b".", policy, limits=small)


def test_a_child_that_takes_too_long_is_stopped_and_the_next_file_is_read():
    policy = policy_of("framework")
    with Box(policy, Limits(child_s=6)) as box:
        # hashing nested tuples takes the square of two to their number
        tuples = b"N\x94" + b"".join(b"h%ch%c\x86\x94" % (i, i) for i in range(60))
        slow = b"\x80\x04" + tuples + b"0" * 60 + b"}h\x3cK\x01s."
        with pytest.raises(Unsound):
            box.follow(slow)
        assert box.follow(pickle.dumps([1], 4)).events == ()
