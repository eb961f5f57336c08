from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwright.core.errors import BadInput, UnknownSigner, VerifyError
from sealwright.evidence import note as notes
from sealwright.evidence.checkpoint import Checkpoint, sign_checkpoint
from sealwright.evidence.merkle import leaf_hash, root_of
from sealwright.evidence.proof import LogProof, prove, verify_proof
from sealwright.vault.signers import Ed25519Signer

ORIGIN = "sealwright.local/w0123456789abcdef"
BODIES = [b"entry %d" % index for index in range(11)]
LEAVES = [leaf_hash(body) for body in BODIES]
SIGNER, WITNESS = Ed25519Signer.generate(), Ed25519Signer.generate()
KEY = notes.verifier(ORIGIN, SIGNER.public_pem())
WITNESS_KEY = notes.verifier("example.org/w", WITNESS.public_pem(), notes.COSIGNATURE_V1)
HEAD = Checkpoint(ORIGIN, len(BODIES), root_of(LEAVES))
LINE = notes.cosignature_line(HEAD.encode(), "example.org/w", WITNESS, 1_700_000_000)
NOTE = sign_checkpoint(HEAD, SIGNER) + LINE


def node(level: int, index: int) -> bytes:
    return root_of(LEAVES[index << level : (index + 1) << level])


@given(st.integers(0, len(BODIES) - 1), st.binary(max_size=40))
def test_a_proof_file_proves_its_entry_offline(index: int, extra: bytes) -> None:
    file = prove(index, NOTE, node, extra).encode()
    read = LogProof.decode(file)
    proven = verify_proof(read, BODIES[index], [KEY], [WITNESS_KEY])
    assert (proven.index, proven.checkpoint, read.extra) == (index, HEAD, extra)
    assert [s.time for s in proven.cosignatures] == [1_700_000_000]


@given(st.data())
def test_no_byte_of_a_proof_file_can_change_unnoticed(data: st.DataObject) -> None:
    file = prove(4, NOTE, node).encode()
    at = data.draw(st.integers(0, len(file) - 1))
    changed = file[:at] + bytes([file[at] ^ data.draw(st.integers(1, 255))]) + file[at + 1 :]
    try:
        proven = verify_proof(LogProof.decode(changed), BODIES[4], [KEY], [WITNESS_KEY])
    except (VerifyError, UnknownSigner):
        return
    # only the witness's name or key hash: its vouching is gone, and is not reported
    assert proven.cosignatures == ()
    assert at >= len(file) - len(LINE)


def test_a_proof_of_another_entry_is_refused() -> None:
    with pytest.raises(VerifyError) as caught:
        verify_proof(prove(4, NOTE, node), BODIES[5], [KEY])
    assert caught.value.rule == "log.inclusion"


def test_a_witness_alone_does_not_make_a_log() -> None:
    with pytest.raises(UnknownSigner):
        verify_proof(prove(4, NOTE, node), BODIES[4], [], [WITNESS_KEY])


def test_a_key_of_another_name_does_not_speak_for_the_log() -> None:
    other = Ed25519Signer.generate()
    note = notes.sign_note(HEAD.encode(), [("somebody.else", other)])
    with pytest.raises(VerifyError, match="not a log proof"):
        verify_proof(
            LogProof(4, prove(4, NOTE, node).path, note),
            BODIES[4],
            [notes.verifier("somebody.else", other.public_pem())],
        )


@pytest.mark.parametrize(
    "change",
    [
        lambda f: b"",
        lambda f: f.replace(b"@v1", b"@v2", 1),
        lambda f: f.replace(b"index 4", b"index 04", 1),
        lambda f: f.replace(b"index 4\n", b"", 1),
        lambda f: f.replace(b"index 4\n", b"index 4\nAAAA\n", 1),
        lambda f: f.replace(b"index 4\n", b"index 4\nnot base64\n", 1),
        lambda f: f.replace(b"\n\n", b"\n" + b"A" * 43 + b"=\n\n", 1),
        lambda f: f.replace(b"index 4", b"extra !\nindex 4", 1),
        lambda f: f.replace(b"index 4", b"index -4", 1),
    ],
)
def test_a_malformed_proof_file_is_refused(change) -> None:
    changed = change(prove(4, NOTE, node).encode())
    with pytest.raises(VerifyError):
        verify_proof(LogProof.decode(changed), BODIES[4], [KEY])


def test_no_proof_is_made_beyond_the_checkpoint() -> None:
    with pytest.raises(BadInput):
        prove(len(BODIES), NOTE, node)
