from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwright.core.errors import BadInput, UnknownSigner, VerifyError
from sealwright.evidence import note as notes
from sealwright.evidence.checkpoint import (
    Checkpoint,
    open_checkpoint,
    read_checkpoint,
    sign_checkpoint,
)
from sealwright.evidence.merkle import EMPTY_ROOT, leaf_hash
from sealwright.vault.signers import EcdsaP256Signer, Ed25519Signer

ORIGIN = "sealwright.local/w0123456789abcdef"
SIGNER = Ed25519Signer.generate()
KEY = notes.verifier(ORIGIN, SIGNER.public_pem())
WITNESS = Ed25519Signer.generate()
WITNESS_KEY = notes.verifier("example.org/w", WITNESS.public_pem(), notes.COSIGNATURE_V1)
HEAD = Checkpoint(ORIGIN, 3, leaf_hash(b"x"))
NOTE = sign_checkpoint(HEAD, SIGNER)
COSIGNED = NOTE + notes.cosignature_line(HEAD.encode(), "example.org/w", WITNESS, 1_679_315_147)

# the worked example of c2sp.org/signed-note
EXAMPLE_KEY = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
EXAMPLE_NOTE = (
    "This is an example message.\n\n\u2014 example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppz"
    "i2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n"
).encode()


def test_the_published_example_note_opens_with_its_published_key() -> None:
    opened = notes.open_note(EXAMPLE_NOTE, [notes.parse_vkey(EXAMPLE_KEY)])
    assert opened.text == b"This is an example message.\n"


def test_a_verifier_key_survives_its_text_form() -> None:
    for key in (KEY, WITNESS_KEY):
        assert notes.parse_vkey(key.vkey) == key
    assert notes.vkey(ORIGIN, SIGNER.public_pem()) == KEY.vkey


def test_a_cosignature_is_over_its_time_and_the_checkpoint() -> None:
    opened = open_checkpoint(COSIGNED, [KEY, WITNESS_KEY], ORIGIN)
    assert opened.checkpoint == HEAD
    assert {s.verifier: s.time for s in opened.signatures} == {KEY: 0, WITNESS_KEY: 1_679_315_147}


@given(st.integers(0, len(COSIGNED) - 1), st.integers(1, 255))
def test_no_byte_of_a_cosigned_checkpoint_can_change_unnoticed(at: int, change: int) -> None:
    changed = COSIGNED[:at] + bytes([COSIGNED[at] ^ change]) + COSIGNED[at + 1 :]
    try:
        opened = open_checkpoint(changed, [KEY, WITNESS_KEY], ORIGIN)
    except (VerifyError, UnknownSigner):
        return
    # a signature whose key name or hash was damaged belongs to nobody we know
    assert opened.checkpoint == HEAD
    assert len(opened.signatures) == 1


def test_signatures_by_strangers_are_ignored_and_never_enough() -> None:
    stranger = notes.verifier(ORIGIN, Ed25519Signer.generate().public_pem())
    assert open_checkpoint(COSIGNED, [KEY]).checkpoint == HEAD
    with pytest.raises(UnknownSigner):
        open_checkpoint(COSIGNED, [stranger])
    with pytest.raises(UnknownSigner):
        open_checkpoint(NOTE, [])


def test_a_bad_signature_by_a_known_key_spoils_the_note() -> None:
    bad = notes.line_of(WITNESS_KEY, bytes(72))
    with pytest.raises(VerifyError, match="does not verify") as caught:
        open_checkpoint(NOTE + bad, [KEY, WITNESS_KEY])
    assert caught.value.rule == "log.signature"


def test_a_key_that_signed_twice_spoils_the_note() -> None:
    with pytest.raises(VerifyError):
        open_checkpoint(NOTE + KEY_LINE, [KEY])


KEY_LINE = NOTE.split(b"\n\n", 1)[1]


def test_a_cosignature_is_not_a_signature_by_the_same_key() -> None:
    both = notes.verifier(ORIGIN, SIGNER.public_pem(), notes.COSIGNATURE_V1)
    assert both.key_hash != KEY.key_hash
    with pytest.raises(UnknownSigner):
        open_checkpoint(NOTE, [both])


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"\n",
        NOTE[:-1],
        HEAD.encode(),
        HEAD.encode() + b"\n",
        NOTE.replace(b"\n\n", b"\n"),
        NOTE.replace("\u2014".encode(), b"-"),
        b"\x00" + NOTE,
        b"tab\there\n\n" + KEY_LINE,
        b"\xff\n\n" + KEY_LINE,
        NOTE + b"\xe2\x80\x94 x AAAA\n",
        NOTE + "\u2014  AAAAAAAAAA==\n".encode(),
        NOTE + b"junk\n",
        HEAD.encode() + b"\n" + KEY_LINE * 101,
        b"x" * (notes.MAX_NOTE_BYTES + 1),
    ],
)
def test_what_is_no_signed_note_is_refused(bad: bytes) -> None:
    with pytest.raises(VerifyError):
        notes.open_note(bad, [KEY])


@pytest.mark.parametrize(
    "text",
    [
        b"o\n3\n",
        b"o\n3\nAAAA\n",
        HEAD.encode() + b"extension\n",
        HEAD.encode().replace(b"\n3\n", b"\n03\n"),
        HEAD.encode().replace(b"\n3\n", b"\n+3\n"),
        HEAD.encode().replace(b"\n3\n", b"\n-3\n"),
        HEAD.encode().replace(b"\n3\n", "\n\u0663\n".encode()),
        HEAD.encode().replace(b"\n3\n", b"\n9223372036854775808\n"),
        HEAD.encode().replace(b"\n3\n", b"\n" + b"9" * 5000 + b"\n"),
        b"\n3\n" + HEAD.encode().split(b"\n")[2] + b"\n",
        HEAD.encode()[:-3] + b"\n",
    ],
)
def test_a_signed_note_that_is_no_checkpoint_is_refused(text: bytes) -> None:
    with pytest.raises(VerifyError):
        open_checkpoint(notes.sign_note(text, [(ORIGIN, SIGNER)]), [KEY])


def test_a_checkpoint_of_another_log_is_refused() -> None:
    with pytest.raises(VerifyError) as caught:
        open_checkpoint(NOTE, [KEY], "sealwright.local/other")
    assert caught.value.rule == "log.origin"


def test_an_empty_log_must_have_the_empty_root() -> None:
    empty = Checkpoint(ORIGIN, 0, EMPTY_ROOT)
    assert open_checkpoint(sign_checkpoint(empty, SIGNER), [KEY]).checkpoint == empty
    with pytest.raises(VerifyError):
        open_checkpoint(sign_checkpoint(Checkpoint(ORIGIN, 0, HEAD.root), SIGNER), [KEY])


def test_a_checkpoint_reads_back_as_written() -> None:
    assert Checkpoint.decode(HEAD.encode()) == HEAD
    assert read_checkpoint(NOTE) == HEAD
    for origin, size, root in (("", 1, HEAD.root), ("o", -1, HEAD.root), ("o", 1, b"")):
        with pytest.raises(BadInput):
            Checkpoint(origin, size, root).encode()


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "name",
        "name+00000000+AAAA",
        KEY.vkey.replace("+", "+0", 1),
        KEY.vkey[:-4],
        KEY.vkey.replace(ORIGIN, "other"),
        EXAMPLE_KEY.replace("+A", "+B"),
        "a b" + KEY.vkey[len(ORIGIN) :],
    ],
    ids=range(8),
)
def test_a_malformed_verifier_key_is_refused(bad: str) -> None:
    with pytest.raises(BadInput):
        notes.parse_vkey(bad)


@pytest.mark.parametrize("name", ["", "a b", "a+b", "a\nb", "a\u00a0b"])
def test_a_key_name_has_no_spaces_and_no_plus(name: str) -> None:
    with pytest.raises(BadInput):
        notes.verifier(name, SIGNER.public_pem())


def test_notes_are_signed_with_ed25519_alone() -> None:
    with pytest.raises(BadInput, match="Ed25519"):
        notes.verifier("name", EcdsaP256Signer.generate().public_pem())
    with pytest.raises(BadInput):
        notes.sign_note(b"text\n", [])
    with pytest.raises(BadInput):
        notes.sign_note(b"no newline", [("name", SIGNER)])
