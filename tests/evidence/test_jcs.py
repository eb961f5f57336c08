"""Canonical JSON: one value, one spelling; anything else is refused."""

from __future__ import annotations

import json

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.core.errors import BadInput, VerifyError
from sealwright.evidence import jcs

SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@settings(max_examples=200, deadline=None)
@given(VALUES)
def test_every_value_comes_back_from_its_one_spelling(value: object) -> None:
    data = jcs.canonical(value)
    assert data == rfc8785.dumps(value)
    assert jcs.parse(data) == value


@settings(max_examples=100, deadline=None)
@given(VALUES)
def test_another_spelling_of_the_same_value_is_refused(value: object) -> None:
    data = jcs.canonical(value)
    for other in (json.dumps(value, indent=1).encode(), b" " + data, data + b"\n"):
        if other != data:
            with pytest.raises(VerifyError):
                jcs.parse(other)


@pytest.mark.parametrize(
    ("data", "rule"),
    [
        (b'{"a":1,"a":1}', "json.duplicate-key"),
        (b'{"a":{"b":1,"b":2}}', "json.duplicate-key"),
        (b"1.0", "json.float"),
        (b"1e3", "json.float"),
        (b"[NaN]", "json.float"),
        (b"-Infinity", "json.float"),
        (b'{"b":1,"a":2}', "json.not-canonical"),
        (b'{"a": 1}', "json.not-canonical"),
        (b'"\\u0041"', "json.not-canonical"),
        (b'"\\/"', "json.not-canonical"),
        (b"-0", "json.not-canonical"),
        (b"9007199254740992", "json.not-canonical"),
        (b'"\\ud800"', "json.not-canonical"),
        ('{"\\ufb33":1,"\U0001f600":2}'.encode(), "json.not-canonical"),
        (b"\xff", "json.not-utf8"),
        (b'"\xed\xa0\x80"', "json.not-utf8"),
        (b"\xef\xbb\xbf1", "json.malformed"),
        ("1".encode("utf-16"), "json.not-utf8"),
        (b"", "json.malformed"),
        (b"01", "json.malformed"),
        (b"[1,]", "json.malformed"),
        (b"{'a':1}", "json.malformed"),
        (b"1" * 5000, "json.malformed"),
        (b"[" * 200_000, "json.malformed"),
        (b"[" * 200 + b"]" * 200, "json.not-canonical"),
    ],
)
def test_what_could_be_read_two_ways_is_refused(data: bytes, rule: str) -> None:
    with pytest.raises(VerifyError) as caught:
        jcs.parse(data)
    assert caught.value.rule == rule


def test_keys_are_sorted_by_utf16_code_units() -> None:
    assert jcs.canonical({"\ufb33": 1, "\U0001f600": 2}) == '{"\U0001f600":2,"\ufb33":1}'.encode()


@pytest.mark.parametrize(
    "value", [1.0, float("nan"), 2**53, {1: 2}, b"bytes", {"a": object()}, "\ud800", [[0.5]]]
)
def test_what_a_statement_may_not_hold_is_refused(value: object) -> None:
    with pytest.raises(BadInput):
        jcs.canonical(value)


def test_the_refusal_says_where() -> None:
    with pytest.raises(BadInput, match=r"\$\.a\[1\]\.b"):
        jcs.canonical({"a": [0, {"b": 0.5}]})
