"""Envelopes: ours are accepted by others, theirs by us, and no byte can change."""

from __future__ import annotations

import base64
import json
import subprocess
from pathlib import Path

import pytest
from evidence_house import statement as a_statement
from hypothesis import given, settings
from hypothesis import strategies as st
from securesystemslib.dsse import Envelope
from securesystemslib.exceptions import VerificationError
from securesystemslib.signer import SSlibKey

from sealwright.core.errors import BadInput, SealError, UnknownSigner, VerifyError
from sealwright.core.records import Artifact, Statement
from sealwright.evidence import dsse, jcs, statement
from sealwright.evidence.keys import load_public
from sealwright.evidence.recorder import seal
from sealwright.vault.signers import EcdsaP256Signer, Ed25519Signer

ONE, TWO = Ed25519Signer.generate(), EcdsaP256Signer.generate()
KEYS = {s.key_id: load_public(s.public_pem()) for s in (ONE, TWO)}
PAYLOAD = statement.encode(a_statement(7))
ENVELOPE = dsse.sign(PAYLOAD, [ONE])


def test_the_pae_is_that_of_the_specification() -> None:
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_securesystemslib_accepts_our_envelopes_and_refuses_changed_ones() -> None:
    for signer, scheme in ((ONE, "ed25519"), (TWO, "ecdsa-sha2-nistp256")):
        envelope = json.loads(dsse.sign(PAYLOAD, [signer]))
        key = SSlibKey(
            signer.key_id,
            "ed25519" if scheme == "ed25519" else "ecdsa",
            scheme,
            {"public": raw_public(signer, scheme)},
        )
        accepted = Envelope.from_dict(json.loads(json.dumps(envelope))).verify([key], 1)
        assert list(accepted) == [signer.key_id]
        envelope["payload"] = base64.b64encode(PAYLOAD.replace(b"@7", b"@8")).decode()
        with pytest.raises(VerificationError):
            Envelope.from_dict(envelope).verify([key], 1)


def raw_public(signer: Ed25519Signer | EcdsaP256Signer, scheme: str) -> str:
    if scheme == "ed25519":
        return load_public(signer.public_pem()).raw().hex()
    return signer.public_pem().decode()


def test_openssl_verifies_an_envelope_as_the_guide_says(tmp_path: Path) -> None:
    (tmp_path / "entry.json").write_bytes(ENVELOPE)
    (tmp_path / "key.pem").write_bytes(ONE.public_pem())
    guide = Path(__file__).parents[2] / "docs/guide/verify-by-hand.md"
    commands = fenced(guide.read_text(), "dsse-by-hand")
    good = subprocess.run(["bash", "-ec", commands], cwd=tmp_path, capture_output=True, text=True)
    assert "Signature Verified Successfully" in good.stdout, good.stderr
    spoilt = json.loads(ENVELOPE)
    spoilt["payload"] = base64.b64encode(PAYLOAD.replace(b"@7", b"@8")).decode()
    (tmp_path / "entry.json").write_bytes(jcs.canonical(spoilt))
    bad = subprocess.run(["bash", "-ec", commands], cwd=tmp_path, capture_output=True, text=True)
    assert bad.returncode != 0


def fenced(page: str, name: str) -> str:
    """The code block that follows the marker ``<!-- test: NAME -->``."""
    return page.split(f"<!-- test: {name} -->", 1)[1].split("```")[1].removeprefix("sh\n")


def test_several_signers_are_all_checked() -> None:
    envelope = dsse.sign(PAYLOAD, [ONE, TWO])
    assert dsse.verify(envelope, KEYS).key_ids == (ONE.key_id, TWO.key_id)
    spoilt = json.loads(envelope)
    spoilt["signatures"][1]["sig"] = spoilt["signatures"][0]["sig"]
    with pytest.raises(VerifyError):
        dsse.verify(jcs.canonical(spoilt), KEYS)
    only_one = {ONE.key_id: KEYS[ONE.key_id]}
    assert dsse.verify(jcs.canonical(spoilt), only_one).key_ids == (ONE.key_id,)


def test_a_strangers_envelope_is_of_an_unknown_signer() -> None:
    with pytest.raises(UnknownSigner):
        dsse.verify(dsse.sign(PAYLOAD, [Ed25519Signer.generate()]), KEYS)


def test_a_payload_type_is_signed_too() -> None:
    envelope = dsse.sign(PAYLOAD, [ONE], "application/other")
    with pytest.raises(VerifyError):
        dsse.verify(envelope, KEYS)
    renamed = json.loads(envelope) | {"payloadType": dsse.PAYLOAD_TYPE}
    with pytest.raises(VerifyError):
        dsse.verify(jcs.canonical(renamed), KEYS)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(ENVELOPE) - 1), st.integers(0, 7))
def test_no_bit_of_an_envelope_can_change(at: int, bit: int) -> None:
    data = bytearray(ENVELOPE)
    data[at] ^= 1 << bit
    with pytest.raises(SealError):
        dsse.verify(bytes(data), KEYS)


@pytest.mark.parametrize(
    "change",
    [
        {"signatures": []},
        {"signatures": [{"keyid": ONE.key_id, "sig": ""}] * 2},
        {"signatures": [{"keyid": ONE.key_id}]},
        {"signatures": "none"},
        {"payload": "!!!"},
        {"payload": "QQ"},
        {"payload": "QR=="},
        {"payload": 1},
        {"extra": 1},
    ],
)
def test_odd_envelopes_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(VerifyError):
        dsse.verify(jcs.canonical(json.loads(ENVELOPE) | change), KEYS)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.builds(Artifact, st.text(), st.just("a" * 64), st.text()), min_size=1, max_size=4),
    st.text(min_size=1),
    st.dictionaries(st.text(), st.text() | st.integers(-9, 9) | st.lists(st.booleans())),
)
def test_statements_come_back_as_they_were(
    subjects: list[Artifact], kind: str, predicate: dict[str, object]
) -> None:
    made = Statement(tuple(subjects), kind, predicate)  # type: ignore[arg-type]
    assert statement.decode(statement.encode(made)) == made


@pytest.mark.parametrize(
    "change",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"},
        {"_type": None},
        {"predicateType": ""},
        {"predicate": []},
        {"subject": []},
        {"subject": [{"name": "x"}]},
        {"subject": [{"name": "x", "digest": {"sha256": "AA" * 32}}]},
        {"subject": [{"name": "x", "digest": {"sha256": "a" * 64, "md5": "b"}}]},
        {"subject": [{"name": "x", "digest": {"sha256": "a" * 64}, "uri": "u"}]},
        {"subject": [{"name": 1, "digest": {"sha256": "a" * 64}}]},
        {"more": 1},
    ],
)
def test_statements_of_another_shape_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(VerifyError):
        statement.decode(jcs.canonical(json.loads(PAYLOAD) | change))


def test_an_entry_that_does_not_fit_is_refused_with_what_would_help() -> None:
    big = Statement((Artifact("x", "a" * 64),), "p", {"text": "x" * 60_000})
    with pytest.raises(BadInput) as caught:
        seal(big, ONE)
    assert "65,535" in caught.value.why
    assert caught.value.hint
