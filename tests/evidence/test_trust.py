"""The chain of trust: each version by the key before, keys added and closed, never altered."""

from __future__ import annotations

import json

import msgspec
import pytest
from evidence_house import ORIGIN, Desk

from sealwright.core.digest import of_bytes
from sealwright.core.errors import BadInput, SealError, UnknownSigner, VerifyError
from sealwright.evidence import dsse, jcs, trust
from sealwright.vault.signers import EcdsaP256Signer, Ed25519Signer

DESK = Desk()
NEW = Ed25519Signer.generate()


def rotated() -> list[bytes]:
    keys = trust.rotated(DESK.trust, "workspace", trust.key_of(NEW, "workspace", "next"), 5)
    return [*DESK.chain, trust.next_version(DESK.chain, keys, DESK.workspace)]


def test_the_fingerprint_is_the_digest_of_the_first_payload() -> None:
    payload = dsse.parse(DESK.chain[0]).payload
    assert DESK.trust.fingerprint == of_bytes(payload) == trust.load(rotated(), None).fingerprint


def test_a_rotation_closes_the_old_key_and_opens_the_new_one() -> None:
    found = trust.load(rotated(), DESK.trust.fingerprint)
    assert found.version == 2
    assert list(found.public("workspace", 4)) == [DESK.workspace.key_id]
    assert list(found.public("workspace", 5)) == [NEW.key_id]
    assert list(found.public("log", 5)) == [DESK.log_key.key_id]


def test_the_old_key_signs_no_third_version() -> None:
    chain = rotated()
    keys = trust.load(chain, None).keys
    with pytest.raises(BadInput):
        trust.next_version(chain, keys, DESK.workspace)
    third = [*chain, trust.next_version(chain, keys, NEW)]
    assert trust.load(third, None).version == 3


def test_a_thief_of_a_rotated_key_is_held_off_by_a_pin_to_the_newer_version() -> None:
    chain = rotated()
    newest = trust.load(chain, None).digest
    keys = trust.rotated(
        DESK.trust, "workspace", trust.key_of(Ed25519Signer.generate(), "workspace", "evil"), 5
    )
    forged = [DESK.chain[0], trust.next_version(DESK.chain, keys, DESK.workspace)]
    assert trust.load(forged, DESK.trust.fingerprint).version == 2
    with pytest.raises(UnknownSigner):
        trust.load(forged, newest)
    assert trust.load(chain, newest).version == 2


def test_another_root_is_an_unknown_signer() -> None:
    with pytest.raises(UnknownSigner) as caught:
        trust.load(Desk().chain, DESK.trust.fingerprint)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("number", [0, 1])
def test_no_byte_of_a_trust_file_can_change(number: int) -> None:
    chain = rotated()
    for at in range(0, len(chain[number]), 7):
        spoilt = bytearray(chain[number])
        spoilt[at] ^= 0x04
        with pytest.raises(VerifyError) as caught:
            trust.load([*chain[:number], bytes(spoilt), *chain[number + 1 :]], None)
        assert caught.value.where == f"trust/{number + 1}.json"


def forged(**change: object) -> list[bytes]:
    """Version 2, signed by the right key, with ``change`` that ``next_version`` would refuse."""
    value = json.loads(dsse.parse(rotated()[1]).payload) | change
    return [*DESK.chain, dsse.sign(jcs.canonical(value), [DESK.workspace], trust.PAYLOAD_TYPE)]


KEYS = json.loads(dsse.parse(rotated()[1]).payload)["keys"]


@pytest.mark.parametrize(
    "change",
    [
        {"version": 3},
        {"version": 1},
        {"previous": ""},
        {"previous": "0" * 64},
        {"workspace": "wffffffffffffffff"},
        {"type": "urn:sealwright:trust/v2"},
        {"keys": []},
        {"keys": KEYS[1:]},
        {"keys": [{**KEYS[0], "last_index": None}, *KEYS[1:]]},
        {"keys": [{**KEYS[0], "first_index": 2}, *KEYS[1:]]},
        {"keys": [{**KEYS[0], "name": "renamed"}, *KEYS[1:]]},
        {"keys": [*KEYS, KEYS[-1]]},
        {"keys": [*KEYS[:-1], {**KEYS[-1], "key_id": "0" * 64}]},
        {"keys": [*KEYS[:-1], {**KEYS[-1], "role": "model"}]},
        {"keys": [*KEYS[:-1], {**KEYS[-1], "first_index": 9, "last_index": 8}]},
        {"keys": [*KEYS[:-1], {**KEYS[-1], "pem": "nonsense"}]},
        {"keys": [*KEYS[:-1], {**KEYS[-1], "extra": 1}]},
        {"more": 1},
    ],
)
def test_a_version_that_breaks_the_rules_is_refused_though_well_signed(
    change: dict[str, object],
) -> None:
    with pytest.raises(VerifyError) as caught:
        trust.load(forged(**change), None)
    assert caught.value.rule.startswith("trust.")


def test_dropped_and_swapped_versions_are_refused() -> None:
    chain = rotated()
    for broken in ([], chain[1:], [chain[1], chain[0]], [chain[0], chain[0]]):
        with pytest.raises(SealError):
            trust.load(broken, None)


def test_a_closed_key_cannot_be_opened_again() -> None:
    chain = rotated()
    keys = [
        msgspec.structs.replace(k, last_index=None if k.last_index is not None else 99)
        if k.role == "workspace"
        else k
        for k in trust.load(chain, None).keys
    ]
    with pytest.raises(BadInput, match="accept") as caught:
        trust.next_version(chain, keys, NEW)
    assert "open again" in caught.value.why


def test_only_model_keys_are_ecdsa_and_only_ecdsa_keys_are_for_models() -> None:
    signer = Ed25519Signer.generate()
    base = [trust.key_of(signer, "workspace", "w")]
    for key in (
        trust.key_of(EcdsaP256Signer.generate(), "log", "l"),
        trust.key_of(Ed25519Signer.generate(), "model", "m"),
    ):
        with pytest.raises(BadInput):
            trust.first("w1", ORIGIN, [*base, key], signer)


def test_a_pin_is_a_fingerprint_or_a_trust_file() -> None:
    assert trust.pin_of(DESK.chain[0]) == DESK.trust.fingerprint
    assert trust.pin_of(rotated()[1]) == trust.load(rotated(), None).digest
    assert trust.pin_of(DESK.trust.fingerprint.encode() + b"\n") == DESK.trust.fingerprint
    for bad in (b"", b"abc", b"{}", b'{"a":1}', dsse.sign(b"x", [NEW])):
        with pytest.raises(SealError):
            trust.pin_of(bad)
