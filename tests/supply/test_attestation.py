"""Attestations of others: what holds is returned, and every fault is refused by its own rule."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import attest_house as house
import pytest
from attest_house import AT, BUILDER, IDENTITY, ISSUER, b64, sha256
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import example, given
from hypothesis import strategies as st

from sealwright.core.errors import BadInput, SealError, UnknownSigner, VerifyError
from sealwright.evidence.keys import load_public
from sealwright.supply import attestation, attestcert
from sealwright.supply.attestation import Subject, Trusted
from sealwright.vault.signers import EcdsaP256Signer, Ed25519Signer

ARTIFACT = b"the wheel's bytes"
SUBJECT = Subject("app.whl", sha256(ARTIFACT), lambda: ARTIFACT)
SIGNER, OTHER = EcdsaP256Signer.generate(), EcdsaP256Signer.generate()
AUTHORITY, LOG = house.Authority(), house.TestLog()
CERTIFICATE = AUTHORITY.issue(SIGNER)
PAYLOAD = house.statement(ARTIFACT)
BY_KEY = Trusted(keys=(load_public(SIGNER.public_pem()),))
BY_ROOT = Trusted(
    roots=(AUTHORITY.certificate,),
    identities=(IDENTITY,),
    issuers=(ISSUER,),
    logs=(LOG.key,),
    builders=(BUILDER,),
)


def verify(document: Any, trusted: Trusted = BY_ROOT, subject: Subject = SUBJECT) -> Any:
    (found,) = attestation.verify(json.dumps(document).encode(), subject, trusted)
    return found


def refused(document: Any, trusted: Trusted = BY_ROOT, subject: Subject = SUBJECT) -> str:
    with pytest.raises(VerifyError) as error:
        verify(document, trusted, subject)
    return error.value.rule


def keyed() -> dict:
    inner = house.envelope(PAYLOAD, SIGNER)
    return house.bundle({"publicKey": {"hint": "x"}, "tlogEntries": []}, {"dsseEnvelope": inner})


def message(signer: Any, material: dict) -> dict:
    return house.bundle(
        material,
        {
            "messageSignature": {
                "messageDigest": {
                    "algorithm": "SHA2_256",
                    "digest": b64(bytes.fromhex(sha256(ARTIFACT))),
                },
                "signature": b64(signer.sign(ARTIFACT)),
            }
        },
    )


def test_an_envelope_and_a_bundle_by_a_trusted_key_hold() -> None:
    for document in (house.envelope(PAYLOAD, SIGNER), keyed()):
        found = verify(document, BY_KEY)
        assert (found.signers, found.builder) == ((SIGNER.key_id,), BUILDER)
        assert found.predicate_type == house.SLSA


def test_a_signature_over_the_file_itself_holds_by_key_and_by_certificate() -> None:
    ed = Ed25519Signer.generate()
    by_key = message(ed, {"publicKey": {"hint": ""}, "tlogEntries": []})
    assert verify(by_key, Trusted(keys=(load_public(ed.public_pem()),))).predicate_type == ""
    signed = message(SIGNER, {"certificate": {"rawBytes": b64(CERTIFICATE)}})
    signature = base64.b64decode(signed["messageSignature"]["signature"])
    body = house.record_body(ARTIFACT, signature, house.pem_of(CERTIFICATE))
    signed["verificationMaterial"]["tlogEntries"] = [LOG.add(body)]
    nobody = Trusted(BY_ROOT.keys, BY_ROOT.roots, (IDENTITY,), (ISSUER,), BY_ROOT.logs)
    assert verify(signed, nobody).signers == (IDENTITY,)
    assert refused(signed) == "attest.builder"


def test_a_certificate_holds_at_the_time_a_trusted_log_took_it_in() -> None:
    found = verify(house.certified(PAYLOAD, SIGNER, CERTIFICATE, LOG))
    assert (found.signers, found.issuer) == ((IDENTITY,), ISSUER)
    assert found.time == int(AT.timestamp())


def test_pep_740_holds_alone_and_in_a_provenance_object() -> None:
    one = house.pep740(PAYLOAD, SIGNER, CERTIFICATE, LOG)
    assert verify(one).form == "pep740"
    bundles = [{"publisher": {"kind": "CI"}, "attestations": [one]}]
    assert verify({"version": 1, "attestation_bundles": bundles}).form == "pep740"
    named = Subject("other.whl", SUBJECT.sha256)
    assert refused(one, subject=named) == "attest.subject"


def test_another_key_is_a_signer_nobody_knows() -> None:
    with pytest.raises(UnknownSigner):
        verify(house.envelope(PAYLOAD, OTHER), BY_KEY)
    with pytest.raises(UnknownSigner):
        verify(house.certified(PAYLOAD, SIGNER, CERTIFICATE, LOG), BY_KEY)
    with pytest.raises(BadInput):
        verify(keyed(), Trusted())
    with pytest.raises(BadInput):
        verify(keyed(), Trusted(roots=(AUTHORITY.certificate,)))


def test_another_artifact_is_refused() -> None:
    other = Subject("app.whl", sha256(b"other"), lambda: b"other")
    assert refused(keyed(), BY_KEY, other) == "attest.subject"
    assert refused(house.pep740(PAYLOAD, SIGNER, CERTIFICATE, LOG), subject=other) == (
        "attest.subject"
    )
    bare = message(SIGNER, {"publicKey": {"hint": ""}})
    assert refused(bare, BY_KEY, other) == "attest.subject"
    lying = Subject("app.whl", SUBJECT.sha256, lambda: b"swapped meanwhile")
    assert refused(bare, BY_KEY, lying) == "attest.subject"


def test_an_edited_payload_is_refused() -> None:
    edited = b64(house.statement(ARTIFACT, builder="https://elsewhere.example"))
    document = house.envelope(PAYLOAD, SIGNER)
    document["payload"] = edited
    assert refused(document, BY_KEY) == "attest.signature"
    made = house.certified(PAYLOAD, SIGNER, CERTIFICATE, LOG)
    made["dsseEnvelope"]["payload"] = edited
    assert refused(made) == "attest.log"


def test_two_signatures_of_which_one_is_bad_are_refused() -> None:
    both = Trusted(keys=tuple(load_public(one.public_pem()) for one in (SIGNER, OTHER)))
    good = house.envelope(PAYLOAD, SIGNER, OTHER)
    assert verify(good, both).signers == (SIGNER.key_id, OTHER.key_id)
    for name in (OTHER.key_id, ""):
        bad = copy.deepcopy(good)
        bad["signatures"][1] = {"keyid": name, "sig": b64(OTHER.sign(b"something else"))}
        assert refused(bad, both) == "attest.signature"
    # a stranger's signature beside a trusted one says nothing, and takes nothing away
    assert verify(good, BY_KEY).signers == (SIGNER.key_id,)


def test_another_identity_or_issuer_is_refused() -> None:
    other = AUTHORITY.issue(SIGNER, identity="mallory@example.org")
    assert refused(house.certified(PAYLOAD, SIGNER, other, LOG)) == "attest.identity"
    issued = AUTHORITY.issue(SIGNER, issuer="https://elsewhere.example")
    assert refused(house.certified(PAYLOAD, SIGNER, issued, LOG)) == "attest.identity"
    made = house.certified(PAYLOAD, SIGNER, CERTIFICATE, LOG)
    unasked = Trusted((), BY_ROOT.roots, (IDENTITY,), (), BY_ROOT.logs)
    assert refused(made, unasked) == "attest.identity"


@pytest.mark.parametrize(
    "certificate",
    [
        AUTHORITY.issue(SIGNER, begins=AT - timedelta(hours=2)),
        AUTHORITY.issue(SIGNER, begins=AT + timedelta(hours=2)),
        AUTHORITY.issue(SIGNER, use=ExtendedKeyUsageOID.SERVER_AUTH),
        AUTHORITY.issue(SIGNER, critical=True),
        house.Authority().issue(SIGNER),
    ],
    ids=["expired", "not yet good", "for servers", "an unknown rule", "another authority"],
)
def test_a_certificate_that_is_not_good_is_refused(certificate: bytes) -> None:
    assert refused(house.certified(PAYLOAD, SIGNER, certificate, LOG)) == "attest.certificate"


def test_a_root_that_is_no_authority_issues_nothing() -> None:
    weak = house.Authority(ca=False)
    trusted = Trusted((), (weak.certificate,), (IDENTITY,), (ISSUER,), (LOG.key,))
    made = house.certified(PAYLOAD, SIGNER, weak.issue(SIGNER), LOG)
    assert refused(made, trusted) == "attest.certificate"


def test_a_certificate_of_another_key_is_refused() -> None:
    made = house.certified(PAYLOAD, OTHER, CERTIFICATE, LOG)
    assert refused(made) == "attest.signature"


def _entry(change: Callable[[dict], Any]) -> Callable[[dict], Any]:
    return lambda made: change(made["verificationMaterial"]["tlogEntries"][0])


LIES: dict[str, Callable[[dict], Any]] = {
    "no entry": lambda made: made["verificationMaterial"].update(tlogEntries=[]),
    "an earlier time": _entry(lambda one: one.update(integratedTime="1700000000")),
    "no time": _entry(lambda one: one.update(integratedTime="0")),
    "a time beyond all": _entry(lambda one: one.update(integratedTime="9" * 18)),
    "another log": _entry(lambda one: one.update(logId={"keyId": b64(bytes(32))})),
    "another path": _entry(lambda one: one["inclusionProof"]["hashes"].reverse()),
    "a shorter path": _entry(lambda one: one["inclusionProof"]["hashes"].pop()),
    "another root": _entry(lambda one: one["inclusionProof"].update(rootHash=b64(bytes(32)))),
    "another size": _entry(lambda one: one["inclusionProof"].update(treeSize="2")),
    "no signature on the checkpoint": _entry(
        lambda one: one["inclusionProof"]["checkpoint"].update(
            envelope=one["inclusionProof"]["checkpoint"]["envelope"].partition("\u2014")[0]
        )
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_a_log_entry_that_lies_is_refused(name: str) -> None:
    made = house.certified(PAYLOAD, SIGNER, CERTIFICATE, house_log := house.TestLog())
    trusted = Trusted((), BY_ROOT.roots, (IDENTITY,), (ISSUER,), (house_log.key,))
    assert verify(copy.deepcopy(made), trusted)
    LIES[name](made)
    assert refused(made, trusted) in ("attest.log", "attest.malformed")


def test_an_entry_about_another_signature_is_refused() -> None:
    """A true entry of the log, moved beside a signature it does not speak of."""
    made = house.certified(PAYLOAD, SIGNER, CERTIFICATE, LOG)
    again = house.certified(PAYLOAD, SIGNER, CERTIFICATE, LOG)
    made["verificationMaterial"]["tlogEntries"] = again["verificationMaterial"]["tlogEntries"]
    assert refused(made) == "attest.log"


def test_without_a_trusted_log_a_certificate_is_refused() -> None:
    unlogged = Trusted((), BY_ROOT.roots, (IDENTITY,), (ISSUER,))
    assert refused(house.certified(PAYLOAD, SIGNER, CERTIFICATE, LOG), unlogged) == "attest.log"
    assert refused(keyed(), Trusted(BY_KEY.keys, logs=(LOG.key,))) == "attest.log"


def test_another_builder_is_refused() -> None:
    assert refused(keyed(), Trusted(BY_KEY.keys, builders=("https://b.example",))) == (
        "attest.builder"
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not JSON",
        b"[]",
        b"{}",
        b"\xff\xfe",
        b'{"a": 1, "a": 1}',
        b"[" * 100_000,
        b'{"mediaType": "application/vnd.dev.sigstore.bundle+json;version=0.1"}',
        b'{"payloadType": "text/plain"}',
        b'{"version": 1, "attestation_bundles": []}',
        b" " * (attestation.MOST_BYTES + 1),
    ],
    ids=lambda data: repr(data[:24]),
)
def test_what_is_no_attestation_is_refused(data: bytes) -> None:
    with pytest.raises(VerifyError) as error:
        attestation.verify(data, SUBJECT, BY_KEY)
    assert error.value.rule == "attest.malformed"


MADE_BY = house.TestLog()
MADE = json.dumps(house.pep740(PAYLOAD, SIGNER, CERTIFICATE, MADE_BY)).encode()
BY_MADE = Trusted((), BY_ROOT.roots, (IDENTITY,), (ISSUER,), (MADE_BY.key,))


@given(st.data())
def test_a_mutated_attestation_never_holds_for_another_reason_and_never_crashes(data: Any) -> None:
    text = MADE
    at = data.draw(st.integers(0, len(text) - 1))
    changed = text[:at] + data.draw(st.binary(min_size=1, max_size=3)) + text[at + 1 :]
    try:
        found = attestation.verify(changed, SUBJECT, BY_MADE)
    except SealError:
        return
    # what no signature covers may change; what was signed may not
    assert [one.signers for one in found] == [(IDENTITY,)]
    assert json.loads(changed)["envelope"] == json.loads(text)["envelope"]


@given(st.integers(0, len(CERTIFICATE) - 1), st.binary(min_size=1, max_size=3))
@example(15, b"\0")  # the serial number becomes zero, of which the library only warns
def test_a_mutated_certificate_is_refused(at: int, noise: bytes) -> None:
    changed = CERTIFICATE[:at] + noise + CERTIFICATE[at + 1 :]
    if changed != CERTIFICATE:
        when = int(AT.timestamp())
        with pytest.raises(VerifyError):
            attestcert.verify(changed, BY_ROOT.roots, when, (IDENTITY,), (ISSUER,))


def test_roots_are_certificates() -> None:
    assert attestcert.roots_of(AUTHORITY.pem() * 2) == (AUTHORITY.certificate,) * 2
    with pytest.raises(BadInput):
        attestcert.roots_of(b"nothing")


def test_our_bundle_is_read_by_ourselves_and_by_sigstores_parser() -> None:
    from sealwright.evidence import dsse

    ours = attestation.bundle(dsse.sign(PAYLOAD, [SIGNER]), load_public(SIGNER.public_pem()))
    assert verify(json.loads(ours), BY_KEY).signers == (SIGNER.key_id,)
    models = pytest.importorskip("sigstore_models.bundle.v1", reason="sigstore-models is absent")
    read = models.Bundle.from_json(ours)
    assert read.dsse_envelope.signatures[0].keyid == SIGNER.key_id


def test_sigstore_reads_what_our_authority_and_log_write() -> None:
    """The vectors are what the field's own client would accept as a bundle."""
    sigstore = pytest.importorskip("sigstore.models", reason="sigstore is not installed")
    made = house.certified(PAYLOAD, SIGNER, CERTIFICATE, LOG)
    read = sigstore.Bundle.from_json(json.dumps(made))
    assert read.log_entry._inner.integrated_time == int(AT.timestamp())


def test_a_model_signature_of_ours_is_an_attestation_of_the_model() -> None:
    from sealwright.registry import signature
    from sealwright.registry.files import ModelFile

    made = signature.sign("fraud", [ModelFile("model.bin", 3, sha256(b"abc"))], SIGNER)
    read = signature.verify(made, BY_KEY.keys[0])
    found = verify(json.loads(made), BY_KEY, Subject("fraud", read.digest))
    assert found.predicate_type == "https://model_signing/signature/v1.0"
    assert refused(json.loads(made), BY_KEY) == "attest.subject"
