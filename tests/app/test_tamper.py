"""A byte is flipped in each file that a workspace keeps, and some command names what changed."""

import shutil
from pathlib import Path

import pytest
from app_house import needs_room

CHECKS = (
    ("log", "verify"),
    ("data", "verify"),
    ("verify", "model:fraud@1"),
    ("policy", "check"),
)
RUN = ("run", "--model", "model.json", "--name", "fraud", "--", "python", "train.py")


@pytest.fixture
def sealed(project):
    project.ok(*RUN)
    project.ok("model", "export", "fraud@1", str(project.root.parent / "bundle"))
    return project


def flip(path: Path, at: int) -> bytes:
    kept = path.read_bytes()
    changed = bytearray(kept)
    changed[at] ^= 0x01
    path.chmod(0o600)
    path.write_bytes(changed)
    return kept


def fingerprint_of(project) -> str:
    return next((project.state / "sealwright").glob("*/trust.pin")).read_text().strip()


def answers(project) -> list[tuple[int, dict]]:
    return [project.seal(*words)[:2] for words in CHECKS]


def used_files(project) -> list[Path]:
    """What evidence rests on. The ledger's pages have a suite of their own (tests/ledger)."""
    parts = ("store/data:train", "store/model:fraud", "tiles", "trust", "workspace.json")
    found = [project.root / ".seal" / part for part in parts]
    # the cases of `seal policy test` are no rules: an activation names the digest they had
    found += [p for p in (project.root / "policies").iterdir() if p.name != "tests"]
    paths = [p for top in found for p in ([top] if top.is_file() else sorted(top.rglob("*")))]
    return [p for p in paths if p.is_file() and p.stat().st_size and not superseded(p)]


def superseded(path: Path) -> bool:
    """A partial tile that a wider one has replaced: no checkpoint needs it any more."""
    if not path.parent.name.endswith(".p"):
        return False
    return int(path.name) < max(int(other.name) for other in path.parent.iterdir())


@needs_room
def test_a_flipped_byte_in_any_kept_file_is_detected(sealed):
    assert all(code == 0 for code, _ in answers(sealed))
    files = used_files(sealed)
    assert len(files) > 8
    for path in files:
        size = path.stat().st_size
        for at in sorted({0, size // 2, size - 1}):
            kept = flip(path, at)
            found = answers(sealed)
            path.write_bytes(kept)
            shown = path.relative_to(sealed.root)
            refusals = [body for code, body in found if code]
            assert refusals, f"byte {at} of {shown} was flipped and nobody noticed"
    assert all(code == 0 for code, _ in answers(sealed))


def test_a_version_that_nobody_knows_is_told_as_newer_or_damaged(project):
    """The version is read before anything can be authenticated."""
    for path in sorted((project.root / ".seal/store/data:train").rglob("*.seg")):
        kept = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(kept[:9] + b"\x02" + kept[10:])
        code, body, _ = project.seal("data", "verify")
        path.write_bytes(kept)
        assert (code, body["error"]["kind"]) == (2, "Unavailable")
        assert "newer" in body["error"]["why"]
        assert "damaged" in body["error"]["why"]
        assert path.stem in body["error"]["what"]
        assert "seal restore" in body["error"]["hint"]
    project.ok("data", "verify")


@needs_room
def test_a_flipped_byte_in_any_bundle_member_is_detected(sealed):
    bundle = sealed.root.parent / "bundle"
    fingerprint = fingerprint_of(sealed)
    sealed.ok("verify", str(bundle), "--trust", fingerprint)
    for path in sorted(p for p in bundle.rglob("*") if p.is_file()):
        size = path.stat().st_size
        for at in sorted({0, size // 3, size - 1}):
            kept = flip(path, at)
            code, body, _ = sealed.seal("verify", str(bundle), "--trust", fingerprint)
            path.write_bytes(kept)
            assert code, f"byte {at} of {path.relative_to(bundle)} was flipped and nobody noticed"
            assert body["error"]["what"]
    sealed.ok("verify", str(bundle), "--trust", fingerprint)


@needs_room
def test_a_bundle_with_a_member_more_or_less_is_refused(sealed):
    bundle = sealed.root.parent / "bundle"
    fingerprint = fingerprint_of(sealed)
    for path in sorted(p for p in bundle.rglob("*") if p.is_file()):
        kept = path.read_bytes()
        path.unlink()
        code, _, _ = sealed.seal("verify", str(bundle), "--trust", fingerprint)
        path.write_bytes(kept)
        assert code, f"{path.relative_to(bundle)} was dropped and nobody noticed"
    (bundle / "model" / "extra.bin").write_bytes(b"more")
    code, _, _ = sealed.seal("verify", str(bundle), "--trust", fingerprint)
    assert code == 1


@needs_room
def test_an_unknown_signer_is_not_a_pass(sealed):
    bundle = str(sealed.root.parent / "bundle")
    code, body, _ = sealed.seal("verify", bundle)
    assert (code, body["error"]["kind"]) == (2, "UnknownSigner")
    code, body, _ = sealed.seal("verify", bundle, "--trust", "0" * 64)
    assert code != 0


@needs_room
def test_a_bundle_verifies_where_there_is_no_workspace(sealed, monkeypatch, tmp_path):
    fingerprint = fingerprint_of(sealed)
    away = tmp_path / "elsewhere"
    shutil.copytree(sealed.root.parent / "bundle", away / "bundle")
    monkeypatch.chdir(away)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "nothing"))
    sealed.ok("verify", "bundle", "--trust", fingerprint)


@needs_room
def test_rewound_project_files_are_noticed(sealed):
    """An older copy of .seal is put back: the anchor in the state directory knows better."""
    older = sealed.root.parent / "older"
    shutil.copytree(sealed.root / ".seal", older)
    sealed.ok("model", "promote", "fraud@1", "prod", "--reason", "go")
    shutil.rmtree(sealed.root / ".seal")
    shutil.copytree(older, sealed.root / ".seal")
    code, body, _ = sealed.seal("log", "verify")
    assert (code, body["error"]["rule"]) == (1, "log.rewound")
