"""A certificate authority, a transparency log and signers of our own, and what they would write."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sealwright.evidence import dsse, jcs
from sealwright.evidence.keys import PublicKey, load_public
from sealwright.evidence.merkle import inclusion_proof, leaf_hash, subtree_root
from sealwright.vault.signers import EcdsaP256Signer

AT = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
IDENTITY = "https://ci.example/team/fraud/release.yml@refs/heads/main"
ISSUER = "https://id.example"
BUILDER = "https://ci.example/pipeline"
SLSA = "https://slsa.dev/provenance/v1"
MEDIA = "application/vnd.dev.sigstore.bundle.v0.3+json"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def statement(artifact: bytes, name: str = "app.whl", builder: str = BUILDER) -> bytes:
    return json.dumps(
        {
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"name": name, "digest": {"sha256": sha256(artifact)}}],
            "predicateType": SLSA,
            "predicate": {"runDetails": {"builder": {"id": builder}}},
        }
    ).encode()


class Authority:
    """Issues certificates that live for ten minutes, as Fulcio does."""

    def __init__(self, *, ca: bool = True) -> None:
        self._key = ec.generate_private_key(ec.SECP384R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        self.certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(self._key.public_key())
            .serial_number(1)
            .not_valid_before(AT - timedelta(days=365))
            .not_valid_after(AT + timedelta(days=365))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=0 if ca else None), True)
            .add_extension(_usage(signing=not ca, certificates=ca), True)
            .sign(self._key, hashes.SHA384())
        )

    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def issue(
        self,
        signer: EcdsaP256Signer,
        identity: str = IDENTITY,
        issuer: str = ISSUER,
        begins: datetime = AT - timedelta(minutes=1),
        use: x509.ObjectIdentifier = ExtendedKeyUsageOID.CODE_SIGNING,
        critical: bool = False,
    ) -> bytes:
        """DER."""
        public = serialization.load_pem_public_key(signer.public_pem())
        said = b"\x0c" + bytes([len(issuer)]) + issuer.encode()
        names = x509.SubjectAlternativeName(
            [
                x509.RFC822Name(identity)
                if "@" in identity and "/" not in identity
                else x509.UniformResourceIdentifier(identity)
            ]
        )
        oid = x509.ObjectIdentifier
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([]))
            .issuer_name(self.certificate.subject)
            .public_key(public)
            .serial_number(7)
            .not_valid_before(begins)
            .not_valid_after(begins + timedelta(minutes=10))
            .add_extension(_usage(signing=True, certificates=False), True)
            .add_extension(x509.ExtendedKeyUsage([use]), False)
            .add_extension(names, True)
            .add_extension(x509.UnrecognizedExtension(oid("1.3.6.1.4.1.57264.1.8"), said), False)
        )
        if critical:
            builder = builder.add_extension(
                x509.UnrecognizedExtension(oid("1.2.3.4.5"), b"\x05\x00"), True
            )
        return builder.sign(self._key, hashes.SHA384()).public_bytes(serialization.Encoding.DER)


def _usage(*, signing: bool, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        signing, False, False, False, False, certificates, certificates, False, False
    )


class TestLog:
    """A transparency log as Rekor v1 answers: a promise, a path and a signed checkpoint."""

    __test__ = False

    def __init__(self) -> None:
        self.signer = EcdsaP256Signer.generate()
        self.leaves = [leaf_hash(b"another entry %d" % n) for n in range(5)]

    @property
    def key(self) -> PublicKey:
        return load_public(self.signer.public_pem())

    def add(self, body: dict, at: datetime = AT) -> dict:
        data = jcs.canonical(body)
        index, time = len(self.leaves), int(at.timestamp())
        self.leaves.append(leaf_hash(data))
        root, size = root_of_hashes(self.leaves), len(self.leaves)
        text = f"log.example - 1\n{size}\n{b64(root)}\n"
        hint = bytes.fromhex(self.key.key_id)[:4]
        line = f"\u2014 log.example {b64(hint + self.signer.sign(text.encode()))}\n"
        promise = jcs.canonical(
            {
                "body": b64(data),
                "integratedTime": time,
                "logID": self.key.key_id,
                "logIndex": 1000 + index,
            }
        )
        path = inclusion_proof(index, size, lambda level, n: node(self.leaves, level, n))
        return {
            "logIndex": str(1000 + index),
            "logId": {"keyId": b64(bytes.fromhex(self.key.key_id))},
            "kindVersion": {"kind": body["kind"], "version": "0.0.1"},
            "integratedTime": str(time),
            "inclusionPromise": {"signedEntryTimestamp": b64(self.signer.sign(promise))},
            "inclusionProof": {
                "logIndex": str(index),
                "rootHash": b64(root),
                "treeSize": str(size),
                "hashes": [b64(one) for one in path],
                "checkpoint": {"envelope": f"{text}\n{line}"},
            },
            "canonicalizedBody": b64(data),
        }


def node(leaves: list[bytes], level: int, number: int) -> bytes:
    """The hash over the whole subtree number ``number`` of ``2**level`` leaves."""
    if level == 0:
        return leaves[number]
    return hashlib.sha256(
        b"\x01" + node(leaves, level - 1, 2 * number) + node(leaves, level - 1, 2 * number + 1)
    ).digest()


def root_of_hashes(leaves: list[bytes]) -> bytes:
    return subtree_root(0, len(leaves), lambda level, n: node(leaves, level, n))


def pem_of(certificate: bytes) -> bytes:
    return x509.load_der_x509_certificate(certificate).public_bytes(serialization.Encoding.PEM)


def dsse_body(payload: bytes, signature: bytes, verifier: bytes) -> dict:
    return {
        "apiVersion": "0.0.1",
        "kind": "dsse",
        "spec": {
            "envelopeHash": {"algorithm": "sha256", "value": sha256(b"the envelope")},
            "payloadHash": {"algorithm": "sha256", "value": sha256(payload)},
            "signatures": [{"signature": b64(signature), "verifier": b64(verifier)}],
        },
    }


def record_body(artifact: bytes, signature: bytes, verifier: bytes) -> dict:
    return {
        "apiVersion": "0.0.1",
        "kind": "hashedrekord",
        "spec": {
            "data": {"hash": {"algorithm": "sha256", "value": sha256(artifact)}},
            "signature": {
                "content": b64(signature),
                "publicKey": {"content": b64(verifier)},
            },
        },
    }


def envelope(payload: bytes, *signers: EcdsaP256Signer, named: bool = True) -> dict:
    message = dsse.pae(dsse.PAYLOAD_TYPE, payload)
    return {
        "payload": b64(payload),
        "payloadType": dsse.PAYLOAD_TYPE,
        "signatures": [
            {"keyid": one.key_id if named else "", "sig": b64(one.sign(message))} for one in signers
        ],
    }


def bundle(material: dict, content: dict) -> dict:
    return {"mediaType": MEDIA, "verificationMaterial": material, **content}


def certified(payload: bytes, signer: EcdsaP256Signer, certificate: bytes, log: TestLog) -> dict:
    """A bundle as a keyless signer writes it."""
    inner = envelope(payload, signer, named=False)
    signature = base64.b64decode(inner["signatures"][0]["sig"])
    entry = log.add(dsse_body(payload, signature, pem_of(certificate)))
    material = {"certificate": {"rawBytes": b64(certificate)}, "tlogEntries": [entry]}
    return bundle(material, {"dsseEnvelope": inner})


def pep740(payload: bytes, signer: EcdsaP256Signer, certificate: bytes, log: TestLog) -> dict:
    made = certified(payload, signer, certificate, log)
    material = made["verificationMaterial"]
    return {
        "version": 1,
        "verification_material": {
            "certificate": material["certificate"]["rawBytes"],
            "transparency_entries": material["tlogEntries"],
        },
        "envelope": {
            "statement": made["dsseEnvelope"]["payload"],
            "signature": made["dsseEnvelope"]["signatures"][0]["sig"],
        },
    }
