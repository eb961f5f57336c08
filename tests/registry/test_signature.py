"""The OpenSSF model signature: the official tool takes ours, we take its, both refuse a change."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.core.digest import of_tree
from sealwright.core.errors import BadInput, UnknownSigner, VerifyError
from sealwright.evidence.keys import load_public
from sealwright.registry import files, signature
from sealwright.registry.files import ModelFile
from sealwright.vault.signers import EcdsaP256Signer, Ed25519Signer

KEY = EcdsaP256Signer.generate()
PUBLIC = load_public(KEY.public_pem())


@pytest.fixture
def model(tmp_path: Path) -> Path:
    root = tmp_path / "model"
    for name, body in {
        "weights.bin": b"\x00" * 300_000,
        "a-b/x": b"1",
        "a/x": b"2",
        "größe.txt": b"",
        "sub/deep/er/config.json": b"{}",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(body)
    return root


def sign(model: Path) -> bytes:
    return signature.sign("model", files.hash_files(files.paths_of(model)), KEY)


def official(model: Path, sig: Path, pub: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("model_signing")
    words = ["verify", "key", "--signature", sig, "--public_key", pub, model]
    return subprocess.run([tool, *words], capture_output=True, text=True, timeout=120)


def test_the_official_tool_accepts_ours_and_refuses_a_changed_model(
    model: Path, tmp_path: Path
) -> None:
    sig, pub = tmp_path / "model.sig", tmp_path / "model.pub"
    sig.write_bytes(sign(model))
    pub.write_bytes(KEY.public_pem())
    accepted = official(model, sig, pub)
    assert (accepted.returncode, accepted.stderr) == (0, "")
    (model / "a/x").write_bytes(b"3")
    refused = official(model, sig, pub)
    assert refused.returncode != 0
    assert "Signature mismatch" in refused.stderr
    assert "a/x" in refused.stderr


def test_we_accept_what_the_official_tool_signs(model: Path, tmp_path: Path) -> None:
    (tmp_path / "key").write_bytes(KEY.private_pem())
    tool = Path(sys.executable).with_name("model_signing")
    words = ["sign", "key", "--private_key", tmp_path / "key", "--signature", tmp_path / "s"]
    subprocess.run([tool, *words, model], check=True, capture_output=True, timeout=120)
    theirs = signature.verify((tmp_path / "s").read_bytes(), PUBLIC)
    ours = signature.verify(sign(model), PUBLIC)
    assert (theirs.digest, theirs.files) == (ours.digest, ours.files)


def test_git_files_at_the_top_are_no_part_of_a_model(model: Path, tmp_path: Path) -> None:
    (model / ".gitattributes").write_text("*.bin filter=lfs")
    (model / ".git").mkdir()
    (model / ".git/config").write_text("x")
    names = [name for name, _ in files.paths_of(model)]
    assert names == ["a/x", "a-b/x", "größe.txt", "sub/deep/er/config.json", "weights.bin"]
    (tmp_path / "s").write_bytes(sign(model))
    (tmp_path / "p").write_bytes(KEY.public_pem())
    assert official(model, tmp_path / "s", tmp_path / "p").returncode == 0


def test_files_are_in_the_order_of_their_path_components() -> None:
    made = [ModelFile(name, 1, f"{i:064x}") for i, name in enumerate(["a-b/x", "a/x", "a"])]
    payload = json.loads(signature.sign("m", made, KEY))["dsseEnvelope"]["payload"]
    resources = json.loads(base64.b64decode(payload))["predicate"]["resources"]
    assert [r["name"] for r in resources] == ["a", "a/x", "a-b/x"]
    assert of_tree((f.path, f.sha256) for f in reversed(made)) == of_tree(
        (f.path, f.sha256) for f in made
    )


def test_a_changed_added_or_missing_file_is_named(model: Path) -> None:
    signed = signature.verify(sign(model), PUBLIC)
    whole = files.hash_files(files.paths_of(model))
    changed = [*whole[:-1], ModelFile(whole[-1].path, 1, "0" * 64)]
    for found, rule, where in (
        (changed, "model.file-changed", "model/weights.bin"),
        ([*whole, ModelFile("extra", 1, "0" * 64)], "model.file-added", "model/extra"),
        (whole[1:], "model.file-missing", "model/a/x"),
    ):
        with pytest.raises(VerifyError) as caught:
            signature.check_files(signed, found)
        assert (caught.value.rule, caught.value.where) == (rule, where)


def test_another_key_is_an_unknown_signer(model: Path) -> None:
    with pytest.raises(UnknownSigner):
        signature.verify(sign(model), load_public(EcdsaP256Signer.generate().public_pem()))


def test_an_ed25519_key_signs_no_model(model: Path) -> None:
    with pytest.raises(BadInput, match="P-256"):
        signature.sign("m", files.hash_files(files.paths_of(model)), Ed25519Signer.generate())


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_byte_of_the_statement_can_change(data: st.DataObject) -> None:
    bundle = json.loads(signature.sign("m", [ModelFile("a", 1, "1" * 64)], KEY))
    payload = bytearray(base64.b64decode(bundle["dsseEnvelope"]["payload"]))
    at = data.draw(st.integers(0, len(payload) - 1))
    payload[at] ^= 1 << data.draw(st.integers(0, 7))
    bundle["dsseEnvelope"]["payload"] = base64.b64encode(payload).decode()
    with pytest.raises(VerifyError) as caught:
        signature.verify(json.dumps(bundle).encode(), PUBLIC)
    assert caught.value.rule == "model.signature"


@pytest.mark.parametrize(
    "garbage",
    [b"", b"{", b"[]", b"null", b"\xff", b"1.5", b'{"mediaType": 1}', b"[" * 100_000],
)
def test_garbage_is_refused(garbage: bytes) -> None:
    with pytest.raises(VerifyError, match="signature"):
        signature.verify(garbage, PUBLIC)


def test_links_and_special_files_are_refused(model: Path, tmp_path: Path) -> None:
    (model / "link").symlink_to(model / "a/x")
    with pytest.raises(BadInput, match="link"):
        files.paths_of(model)
    (model / "link").unlink()
    shutil.rmtree(tmp_path / "empty", ignore_errors=True)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="no files"):
        files.paths_of(tmp_path / "empty")
    with pytest.raises(BadInput, match="link"):
        (tmp_path / "to").symlink_to(model / "a/x")
        files.hash_file("to", tmp_path / "to")


@pytest.mark.parametrize(
    "name", ["", "/a", "a//b", "../a", "a/./b", "a\\b", "a\nb", "a/", "\udc80"]
)
def test_names_with_two_spellings_are_refused(name: str) -> None:
    with pytest.raises(BadInput):
        files.checked_name(name)
