"""segment-v1.md, read by an implementation made from that page alone (and keys-v1.md's wrap)."""

from __future__ import annotations

import hashlib
import hmac
import json
import struct
import tempfile
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sealwright.adapters import store_names
from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.store_local import LocalStore
from sealwright.vault import container, recovery

SPEC = Path(__file__).parents[2] / "docs" / "spec"
VECTORS = json.loads((SPEC / "segment-v1.vectors.json").read_text())


def derive(key: bytes, label: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=None, info=label).derive(key)


def gcm(key: bytes, nonce: bytes, sealed: bytes, data: bytes) -> bytes:
    body, tag = sealed[:-16], sealed[-16:]
    opened = Cipher(algorithms.AES(key), modes.GCM(nonce, tag)).decryptor()
    opened.authenticate_additional_data(data)
    return opened.update(body) + opened.finalize()


def read_by_the_page(raw: bytes, wrapping_key: bytes) -> bytes:
    """Header and chunks as the page has them."""
    magic, version, algorithm, chunk, length = struct.unpack_from(">8sHHIQ", raw)
    assert (magic, version, algorithm) == (b"SEALSEG\0", 1, 1)
    prefix, segment_id = raw[24:32], raw[32:64]
    (k,) = struct.unpack_from(">H", raw, 64)
    bound, name = raw[: 66 + k], raw[66 : 66 + k]
    (w,) = struct.unpack_from(">H", raw, 82 + k)
    wrapped = raw[84 + k : 84 + k + w]
    context = b"sealwright segment v1 " + name + b" " + segment_id.hex().encode()
    assert wrapped[:1] == b"\x01"
    key = gcm(wrapping_key, wrapped[1:13], wrapped[13:], context)
    assert gcm(key, prefix + b"\xff" * 4, raw[66 + k : 82 + k], bound) == b""
    chunks = max(1, -(-length // chunk))
    assert len(raw) == 84 + k + w + length + 16 * chunks
    plain = b""
    for i in range(chunks):
        at = 84 + k + w + i * (chunk + 16)
        size = min(chunk, length - i * chunk)
        data = hashlib.sha256(bound).digest() + struct.pack(">I", i)
        data += b"\x01" if i == chunks - 1 else b"\x00"
        plain += gcm(key, prefix + struct.pack(">I", i), raw[at : at + size + 16], data)
    return plain


@pytest.mark.parametrize("vector", VECTORS["segments"], ids=lambda vector: vector["name"])
def test_the_vectors_read_the_same_by_the_page_and_by_us(vector):
    raw = bytes.fromhex(vector["segment"])
    assert hashlib.sha256(raw).hexdigest() == vector["segment_sha256"]
    secret = bytes.fromhex(vector["scope_secret"])
    plain = read_by_the_page(raw, derive(secret, b"sealwright key v1 wrap"))
    assert len(plain) == vector["plaintext_bytes"]
    assert hashlib.sha256(plain).hexdigest() == vector["plaintext_sha256"]
    with tempfile.TemporaryFile() as stream:
        stream.write(raw)
        stream.flush()
        header = container.read_header(stream.fileno(), "vector")
        key = bytes.fromhex(vector["segment_key"])
        reader = container.SegmentReader(stream.fileno(), header, key, "vector")
        assert reader.pread(0, reader.size) == plain


def test_the_example_on_the_page_is_the_first_vector():
    page = (SPEC / "segment-v1.md").read_text()
    example = "".join(page.split("```")[1].split())
    assert example == VECTORS["segments"][0]["segment"]
    assert VECTORS["names"][0]["name"] in page


def test_the_names_follow_from_the_page():
    for vector in VECTORS["names"]:
        secret, content = bytes.fromhex(vector["scope_secret"]), bytes.fromhex(vector["slice"])
        name_key = derive(secret, b"sealwright key v1 derive segment-name")
        print_key = derive(secret, b"sealwright key v1 derive segment-fingerprint")
        tag = AESGCM(print_key).encrypt(bytes(12), b"", content)
        message = struct.pack(">Q", len(content)) + tag
        assert hmac.new(name_key, message, hashlib.sha256).hexdigest() == vector["name"]

        class Kms:
            def derive(self, key: str, label: bytes, secret: bytes = secret) -> bytes:
                return derive(secret, b"sealwright key v1 derive " + label)

        assert store_names.Namer(Kms(), "data:a").name(memoryview(content)) == vector["name"]


def test_what_the_store_writes_reads_by_the_page(tmp_path):
    kms, _ = FileKms.initialize(tmp_path / "state", None)
    store = LocalStore(tmp_path / "store", kms)
    content = bytes(range(256)) * 700
    with tempfile.TemporaryFile() as source:
        source.write(content)
        source.seek(0)
        store.put("data:a", source)
    [path] = (tmp_path / "store" / "data:a").rglob("*.seg")
    assert read_by_the_page(path.read_bytes(), kms._open("data:a").wraps[1]) == content


def test_the_page_refuses_a_changed_vector():
    raw = bytearray.fromhex(VECTORS["segments"][2]["segment"])
    raw[-1] ^= 1
    with pytest.raises(InvalidTag):
        read_by_the_page(bytes(raw), bytes.fromhex(VECTORS["segments"][2]["scope_secret"]))


def test_the_recovery_key_on_the_keys_page_is_right():
    assert recovery.encode(bytes(range(20))) in (SPEC / "keys-v1.md").read_text()
