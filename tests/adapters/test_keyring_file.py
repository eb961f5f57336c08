"""Signing keys at rest: wrapped, one a role, never overwritten."""

from __future__ import annotations

import json

import pytest

from sealwright.adapters.keyring_file import Keyring
from sealwright.adapters.kms_file import FileKms
from sealwright.core.errors import BadInput, Unavailable, VerifyError
from sealwright.evidence.keys import load_public


@pytest.fixture
def state(tmp_path):
    return tmp_path / "state"


@pytest.fixture
def keyring(state):
    kms, _ = FileKms.initialize(state, None)
    return Keyring(state, kms)


@pytest.mark.parametrize(
    ("role", "algorithm"),
    [("workspace", "ed25519"), ("model", "ecdsa-p256"), ("principal:ann-b", "ed25519")],
)
def test_a_key_signs_the_same_when_it_is_read_back(keyring, state, role, algorithm):
    made = keyring.create(role, algorithm)
    read = Keyring(state, FileKms.open(state, None)).signer(role)
    assert (read.key_id, read.algorithm) == (made.key_id, algorithm)
    load_public(keyring.public_pem(role)).verify(b"m", read.sign(b"m"))
    assert keyring.roles() == (role,)


def test_creating_twice_is_refused_and_keeps_the_first(keyring):
    first = keyring.create("log")
    with pytest.raises(BadInput):
        keyring.create("log")
    assert keyring.signer("log").key_id == first.key_id


def test_no_private_key_rests_in_the_clear(keyring, state):
    signer = keyring.create("log")
    at_rest = b"".join(p.read_bytes() for p in state.rglob("*") if p.is_file())
    body = b"".join(signer.private_pem().splitlines()[1:-1])
    assert body[-40:] not in at_rest
    assert b"PRIVATE KEY" not in at_rest
    assert all(p.stat().st_mode & 0o077 == 0 for p in state.rglob("*"))


def test_a_role_without_a_key_is_unavailable(keyring):
    with pytest.raises(Unavailable):
        keyring.signer("workspace")
    with pytest.raises(Unavailable):
        keyring.rotate("workspace")


@pytest.mark.parametrize("role", ["", "root", "principal:", "principal:../x", "log/x", "principal"])
def test_what_is_no_role_is_refused(keyring, role):
    with pytest.raises(BadInput):
        keyring.create(role)


def test_rotation_gives_a_new_key_and_keeps_the_old_one_out_of_use(keyring, state):
    old = keyring.create("model", "ecdsa-p256")
    new = keyring.rotate("model")
    assert new.key_id != old.key_id
    assert keyring.signer("model").key_id == new.key_id
    assert keyring.roles() == ("model",)
    retired = list((state / "signers").glob("*.retired"))
    assert [json.loads(p.read_text())["key_id"] for p in retired] == [old.key_id]


def test_one_roles_file_in_anothers_place_is_refused(keyring, state):
    keyring.create("log")
    source = state / "signers/log.json"
    target = state / "signers/workspace.json"
    target.write_bytes(source.read_bytes())
    target.chmod(0o600)
    with pytest.raises(VerifyError):
        keyring.signer("workspace")
    target.write_text(source.read_text().replace('"log"', '"workspace"'))
    with pytest.raises(VerifyError):
        keyring.signer("workspace")


def test_every_changed_byte_is_refused(keyring, state):
    keyring.create("log")
    path = state / "signers/log.json"
    good = path.read_bytes()
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :])
        with pytest.raises((VerifyError, Unavailable, BadInput)):
            keyring.signer("log")


def test_a_newer_format_is_refused_with_what_to_do(keyring, state):
    keyring.create("log")
    path = state / "signers/log.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 2, "new": True}))
    with pytest.raises(Unavailable) as caught:
        keyring.signer("log")
    assert "upgrade" in caught.value.hint


def test_a_swapped_public_half_is_refused(keyring, state):
    keyring.create("log")
    keyring.create("workspace")
    path = state / "signers/log.json"
    other = json.loads((state / "signers/workspace.json").read_text())
    record = json.loads(path.read_text())
    changed = {**record, "public": other["public"], "key_id": other["key_id"]}
    path.write_text(json.dumps(changed, separators=(",", ":")))
    with pytest.raises(VerifyError, match="not what it was") as caught:
        keyring.signer("log")
    assert "public half" in caught.value.why
