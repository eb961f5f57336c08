import base64
import io
import json
import re
from itertools import pairwise
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.train.redact import Redactor, leaked

VALUE = "p@ss/w0rd+of the=team"
REDACT = Redactor({"TEAM": VALUE})
# built here, so that no scanner mistakes this file for a leak
AWS = "AK" + "IA" + "Q7XW3N5PLM2RT9VZ"
TOKENS = {
    "aws-key": AWS,
    "github-token": "gh" + "p_" + "a1B2" * 9,
    "gitlab-token": "gl" + "pat-" + "x1y2z3w4v5" * 2,
    "slack-token": "xo" + "xb-" + "1234567890-abcdefghij",
    "huggingface-token": "h" + "f_" + "aB" * 17,
    "google-key": "AI" + "za" + "B" * 35,
    "jwt": "ey"
    + "J"
    + "hbGciOiJFZERTQSJ9.ey"
    + "J"
    + "zdWIiOiJ4eXoifQ12.c2lnbmF0dXJlLWJ5dGVzLWhlcmU",
}

SPELT = {
    "as it is": VALUE,
    "base64": base64.b64encode(VALUE.encode()).decode(),
    "base64 of user and password": base64.b64encode(f"bob:{VALUE}!".encode()).decode(),
    "base64 at another offset": base64.b64encode(f"ab:{VALUE}".encode()).decode(),
    "base64 for URLs": base64.urlsafe_b64encode(f"x{VALUE}".encode()).decode(),
    "hex": VALUE.encode().hex(),
    "HEX": VALUE.encode().hex().upper(),
    "URL-encoded": quote(VALUE, safe=""),
    "URL-encoded in lower case": re.sub("%..", lambda m: m[0].lower(), quote(VALUE, safe="")),
    "JSON": json.dumps({"password": VALUE}),
    "UTF-16": VALUE.encode("utf-16-le").decode("latin-1"),
}


def through(redactor: Redactor, pieces: list[bytes]) -> tuple[bytes, dict[str, int]]:
    stream = redactor.stream()
    out = b"".join(stream.feed(piece) for piece in pieces) + stream.end()
    return out, stream.counts


@pytest.mark.parametrize("spelt", SPELT)
def test_a_value_is_redacted_however_it_is_spelt(spelt):
    text = f"before {SPELT[spelt]} after\n".encode("latin-1")
    out, counts = through(REDACT, [text])
    assert b"[redacted:TEAM]" in out and counts == {"TEAM": 1}
    assert VALUE.encode() not in out and out.endswith(b" after\n")


@pytest.mark.parametrize("spelt", SPELT)
@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 120), max_size=6))
def test_a_value_in_pieces_is_redacted_all_the_same(spelt, cuts):
    text = f"before {SPELT[spelt]} after\n".encode("latin-1")
    marks = [0, *sorted(cuts), len(text)]
    pieces = [text[a:b] for a, b in pairwise(marks)]
    assert through(REDACT, pieces) == through(REDACT, [text])


def test_a_value_that_comes_byte_by_byte_is_redacted():
    text = f"{VALUE}{VALUE}x".encode()
    out, counts = through(REDACT, [bytes([byte]) for byte in text])
    assert out == b"[redacted:TEAM][redacted:TEAM]x" and counts == {"TEAM": 2}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=8))
def test_what_holds_no_secret_passes_byte_for_byte(pieces):
    assert through(REDACT, pieces) == (b"".join(pieces), {})


@pytest.mark.parametrize("kind", TOKENS)
def test_a_token_is_known_by_its_shape(kind):
    out, counts = through(Redactor({}), [f"key={TOKENS[kind]}\n".encode()])
    assert out == f"key=[redacted:{kind}]\n".encode() and counts == {kind: 1}
    half = len(TOKENS[kind]) // 2
    pieces = [TOKENS[kind][:half].encode(), TOKENS[kind][half:].encode() + b"\n"]
    assert through(Redactor({}), pieces)[0] == f"[redacted:{kind}]\n".encode()


def test_a_private_key_is_redacted_whole():
    body = "\n".join(["MC4CAQAwBQYDK2VwBCIEIA" + "A" * 40] * 20)
    begin, end = "-----BEGIN PRIVATE" + " KEY-----", "-----END PRIVATE" + " KEY-----"
    text = f"a\n{begin}\n{body}\n{end}\nb\n".encode()
    pieces = [text[at : at + 50] for at in range(0, len(text), 50)]
    assert through(Redactor({}), pieces)[0] == b"a\n[redacted:private-key]\nb\n"


@pytest.mark.parametrize(
    "text", ["epoch 3 loss 0.21", "sha256 " + "ab" * 32, "AKIA", "hf_token", "eyJ", "user@host"]
)
def test_ordinary_output_is_left_alone(text):
    assert through(Redactor({}), [text.encode() + b"\n"])[0] == text.encode() + b"\n"


def test_a_live_line_is_shown_at_once():
    stream = REDACT.stream()
    assert stream.feed(b"epoch 1\n") == b"epoch 1\n"


def test_sizes_stay_as_they_were_where_something_counts_them():
    stream = REDACT.stream(same_length=True)
    out = stream.feed(f"<{VALUE}>".encode()) + stream.end()
    assert out == b"<" + b"*" * len(VALUE) + b">"


def test_a_file_is_searched_across_its_windows():
    junk = b"\0" * ((1 << 20) - 5)
    assert REDACT.search(io.BytesIO(junk + VALUE.encode() + junk)) == {"TEAM"}
    assert REDACT.search(io.BytesIO(junk * 2)) == frozenset()


def test_a_finding_names_the_secret_and_the_place_and_never_the_value():
    (finding,) = leaked({"TEAM": 2}, "stdout")
    assert finding.rule == "secret.leaked"
    assert "TEAM" in finding.message and "stdout" in finding.message
    assert VALUE not in repr(finding)
