"""Go's own sumdb/note and sumdb/tlog (Debian's golang-golang-x-mod-dev) read our log."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.adapters.tiles_dir import publish
from sealwright.evidence import note as notes
from sealwright.evidence.merkle import (
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_at,
    root_of,
)
from sealwright.vault.signers import Ed25519Signer

ORIGIN = "sealwright.local/w0123456789abcdef"
GOPATH = Path("/usr/share/gocode")
SIZE = 600
SIGNER = Ed25519Signer.generate()

pytestmark = pytest.mark.skipif(
    shutil.which("go") is None or not (GOPATH / "src/golang.org/x/mod/sumdb/note").is_dir(),
    reason="needs Go and x/mod: apt install golang-go golang-golang-x-mod-dev",
)


def text(value: bytes) -> str:
    return base64.b64encode(value).decode()


@pytest.fixture(scope="module")
def checklog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("go") / "checklog"
    source = Path(__file__).parent / "go" / "checklog.go"
    env = {**os.environ, "GO111MODULE": "off", "GOPATH": str(GOPATH), "GOFLAGS": ""}
    env["GOCACHE"] = str(tmp_path_factory.mktemp("gocache"))
    subprocess.run(["go", "build", "-o", str(out), str(source)], env=env, check=True, timeout=300)
    return out


@pytest.fixture
def case(tmp_path: Path) -> dict:
    log = SqliteLog.create(tmp_path / "l.db", ORIGIN, SIGNER)
    bodies = [b"entry %d" % index for index in range(SIZE)]
    log.append(bodies)
    witness = Ed25519Signer.generate()
    note = log.checkpoint()
    log.cosign(note, notes.cosignature_line(notes.split_note(note)[0], "w", witness, 1))
    publish(log, tmp_path / "tiles")
    leaves = [leaf_hash(body) for body in bodies]
    roots = {size: text(root_of(leaves[:size])) for size in (1, 255, 256, 257, 599, SIZE)}

    def proof(nodes: list[bytes]) -> list[str]:
        return [text(node) for node in nodes]

    assert roots[SIZE] == text(root_at(SIZE, log.hash_at))
    return {
        "dir": str(tmp_path / "tiles"),
        "vkey": notes.vkey(ORIGIN, SIGNER.public_pem()),
        "inclusion": [
            {
                "index": index,
                "size": size,
                "leaf": text(leaves[index]),
                "root": root,
                "proof": proof(inclusion_proof(index, size, log.hash_at)),
            }
            for size, root in roots.items()
            for index in {0, size // 2, size - 1}
        ],
        "consistency": [
            {
                "old": old,
                "new": new,
                "oldRoot": roots[old],
                "newRoot": roots[new],
                "proof": proof(consistency_proof(old, new, log.hash_at)),
            }
            for old in roots
            for new in roots
            if old <= new
        ],
    }


def check(checklog: Path, case: dict, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    file = tmp_path / "case.json"
    file.write_text(json.dumps(case))
    return subprocess.run(
        [str(checklog), str(file)], capture_output=True, text=True, timeout=60, check=False
    )


def test_go_opens_our_checkpoint_and_proves_every_entry_from_our_tiles(
    checklog: Path, case: dict, tmp_path: Path
) -> None:
    done = check(checklog, case, tmp_path)
    assert done.stdout == f"ok {SIZE} {len(case['inclusion'])} {len(case['consistency'])}\n", (
        done.stderr
    )


@pytest.mark.parametrize("victim", ["checkpoint", "tile/0/001", "tile/1/000.p/2"])
def test_go_refuses_what_was_changed(
    checklog: Path, case: dict, tmp_path: Path, victim: str
) -> None:
    file = Path(case["dir"]) / victim
    data = bytearray(file.read_bytes())
    data[40] ^= 1
    file.write_bytes(data)
    assert check(checklog, case, tmp_path).returncode != 0


def test_go_refuses_a_proof_of_ours_with_a_changed_hash(
    checklog: Path, case: dict, tmp_path: Path
) -> None:
    case["consistency"][1]["proof"][0] = text(bytes(32))
    done = check(checklog, case, tmp_path)
    assert done.returncode != 0
    assert "consistency of" in done.stderr
