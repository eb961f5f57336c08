"""``seal model``, ``seal verify`` and ``seal lineage`` on a model that a real run made."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sealwright.core import predicates
from sealwright.policy import policyset

needs_room = pytest.mark.skipif(shutil.which("bwrap") is None, reason="the room needs bubblewrap")
pytestmark = needs_room
DOCS = Path(__file__).parents[2] / "docs"

TRAIN = """\
import sys
rows = open("data/train.csv").read().split()[1:]
open("model.bin", "w").write(f"{len(rows)} rows {sys.argv[1:]}")
"""


@pytest.fixture
def trained(project):
    project.write("train.py", TRAIN)
    for number in ("1", "2"):
        project.ok(
            "run", "--model", "model.bin", "--name", "fraud", "--", "python", "train.py", number
        )
        (project.root / "model.bin").unlink()
    return project


def fingerprint(project) -> str:
    (pin,) = project.state.rglob("trust.pin")
    return pin.read_text().strip()


def test_list_is_newest_first_and_has_exactly_the_documented_shape(trained) -> None:
    body = trained.ok("model", "list")
    assert [m["ref"] for m in body["models"]] == ["model:fraud@2", "model:fraud@1"]
    assert set(body) == {"models"}
    assert set(body["models"][0]) == {"ref", "digest", "run", "aliases", "status"}
    assert body["models"][0]["status"] == "active"
    content = b"200 rows ['2']"
    digest = hashlib.sha256(hashlib.sha256(content).digest()).hexdigest()
    assert body["models"][0]["digest"] == digest


def test_promote_and_rollback_move_the_alias(trained) -> None:
    assert trained.ok("model", "promote", "fraud@1", "prod")["previous"] is None
    assert trained.ok("model", "promote", "fraud@2", "prod")["previous"] == "model:fraud@1"
    assert trained.ok("model", "rollback", "fraud@prod")["ref"] == "model:fraud@1"
    assert trained.ok("model", "show", "fraud@prod")["version"] == 1
    code, body, _ = trained.seal("model", "rollback", "fraud", "prod")
    assert (code, body["error"]["rule"]) == (1, "model.no-rollback")
    code, body, _ = trained.seal("model", "promote", "fraud@1", "prod")
    assert code == 2


def test_a_reader_judges_a_bundle_by_their_own_policy(trained, tmp_path: Path) -> None:
    out, mine = tmp_path / "bundle.tar", tmp_path / "mine"
    trained.ok("model", "export", "fraud@1", str(out))
    verify = ("verify", str(out), "--trust", fingerprint(trained))
    plain = trained.ok(*verify)
    assert (plain["profile"], plain["policy"]) == ("solo", None)
    accepted = trained.ok(*verify, "--profile", "solo")["policy"]
    assert set(accepted) == {"profile", "digest", "decision", "facts", "warnings"}
    code, body, _ = trained.seal(*verify, "--profile", "regulated")
    assert (code, body["error"]["kind"]) == (1, "GateDenied")
    assert "approval.two-others" in body["error"]["rule"]
    assert len(body["error"]["decision"]) == 64
    assert any(each.startswith("facts ") for each in body["error"]["evidence"])
    policyset.write(mine, "solo")
    assert trained.ok(*verify, "--policy", str(mine))["policy"]["digest"] == accepted["digest"]
    with (mine / "solo.cedar").open("a") as file:
        file.write('\n@id("no.csv")\n@reason("never")\nforbid (principal, action, resource);\n')
    code, body, _ = trained.seal(*verify, "--policy", str(mine))
    assert (code, body["error"]["rule"]) == (1, "no.csv")
    code, body, _ = trained.seal("verify", str(out), "--profile", "solo")
    assert (code, body["error"]["kind"]) == (2, "UnknownSigner")


@pytest.mark.parametrize("name", ["bundle", "bundle.tar"])
def test_an_export_is_verified_by_a_process_without_workspace_or_state(
    trained, tmp_path: Path, name: str
) -> None:
    out = tmp_path / name
    body = trained.ok("model", "export", "fraud@1", str(out))
    assert body["trust"] == fingerprint(trained)
    shutil.rmtree(trained.root / ".seal")
    shutil.rmtree(trained.state)

    def verify(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sealwright", "verify", str(out), "--json", *words]
        return subprocess.run(
            command, cwd="/", capture_output=True, text=True, env={"PATH": "/usr/bin", "HOME": "/"}
        )

    good = verify("--trust", body["trust"], "--max-age", "1h")
    assert good.returncode == 0, good.stderr
    told = json.loads(good.stdout)
    assert (told["ref"], told["status"]) == ("model:fraud@1", "active")
    assert [each["ref"] for each in told["data"]] == ["data:train@1"]
    assert told["as_of"]["by"] == "self-asserted"
    unknown = verify()
    assert unknown.returncode == 2
    assert "consistent, but its signer is unknown" in unknown.stderr
    assert verify("--trust", "0" * 64).returncode == 2
    spoil(out, b"200 rows ['1']", b"201 rows ['1']")
    bad = verify("--trust", body["trust"])
    assert bad.returncode == 1
    assert "model/model.bin" in json.loads(bad.stdout)["error"]["evidence"]


def spoil(out: Path, old: bytes, new: bytes) -> None:
    path = out if out.is_file() else out / "model/model.bin"
    path.write_bytes(path.read_bytes().replace(old, new, 1))


def test_the_official_tool_accepts_an_export_and_refuses_it_changed(
    trained, tmp_path: Path
) -> None:
    out = tmp_path / "bundle"
    trained.ok("model", "export", "fraud", str(out))
    tool = Path(sys.executable).with_name("model_signing")
    words = [tool, "verify", "key", "--signature", out / "model.sig"]
    words += ["--public_key", out / "model.pub", out / "model"]
    assert subprocess.run(words, capture_output=True).returncode == 0
    (out / "model/model.bin").write_bytes(b"other")
    assert subprocess.run(words, capture_output=True).returncode != 0


def test_an_entry_of_an_export_is_checked_as_the_guide_says(trained, tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    body = trained.ok("model", "export", "fraud@1", str(out))
    page = (DOCS / "guide/verify-by-hand.md").read_text()
    (entries,) = (out / "evidence/log/tile/entries").rglob("000.p/*")
    work = tmp_path / "hand"
    work.mkdir()
    shutil.copy(entries, work / "bundle")
    shutil.copy(out / "evidence/trust/1.json", work / "1.json")
    trust = json.loads(subprocess.check_output(["base64", "-d"], input=payload(work / "1.json")))
    (pem,) = (key["pem"] for key in trust["keys"] if key["role"] == "workspace")
    (work / "key.pem").write_text(pem)
    for name in ("entry-by-hand", "dsse-by-hand", "fingerprint-by-hand"):
        block = page.split(f"<!-- test: {name} -->", 1)[1].split("```")[1].removeprefix("sh\n")
        done = subprocess.run(["bash", "-ec", block], cwd=work, capture_output=True, text=True)
        assert done.returncode == 0, (name, done.stderr)
        if name == "dsse-by-hand":
            keyid = json.loads((work / "entry.json").read_bytes())["signatures"][0]["keyid"]
            assert "Signature Verified Successfully" in done.stdout
            assert keyid in done.stdout
    assert done.stdout.strip() == body["trust"]


def payload(envelope: Path) -> bytes:
    return json.loads(envelope.read_bytes())["payload"].encode()


def test_revoked_data_blocks_its_models_everywhere(trained, tmp_path: Path) -> None:
    trained.ok("model", "promote", "fraud@2", "prod")
    told = trained.ok("data", "revoke", "train@1", "--reason", "labels were swapped")
    assert set(told["models"]) == {"model:fraud@1", "model:fraud@2"}
    assert told["aliases"] == ["model:fraud@prod"]
    status = {m["ref"]: m["status"] for m in trained.ok("model", "list")["models"]}
    assert status == {"model:fraud@1": "blocked", "model:fraud@2": "blocked"}
    for words in (
        ("model", "promote", "fraud@1", "prod"),
        ("model", "export", "fraud@1", str(tmp_path / "x.tar")),
        ("verify", "model:fraud@1"),
    ):
        code, body, err = trained.seal(*words)
        assert (code, body["error"]["rule"]) == (1, "model.blocked"), (words, err)
        assert "data:train@1" in err
    assert not (tmp_path / "x.tar").exists()


def test_a_revoked_model_is_refused_and_a_dry_run_changes_nothing(trained) -> None:
    dry = trained.ok("model", "revoke", "fraud@1", "--reason", "r", "--dry-run")
    assert (dry["revoked"], dry["entry"]) == (False, -1)
    assert trained.ok("model", "show", "fraud@1")["status"] == "active"
    trained.ok("model", "revoke", "fraud@1", "--reason", "leaks")
    assert trained.ok("model", "show", "fraud@1")["status"] == "revoked"
    code, body, _ = trained.seal("verify", "fraud@1")
    assert (code, body["error"]["rule"]) == (1, "model.revoked")


def test_verify_reads_models_runs_and_data_again(trained) -> None:
    run = trained.ok("model", "list")["models"][0]["run"]
    assert trained.ok("verify", "model:fraud@1")["files"][0]["path"] == "model.bin"
    kept = trained.ok("verify", f"run:{run}")
    assert {"code", "environment", "stdout", "stderr"} <= set(kept["kept"])
    assert kept["models"] == ["model:fraud@2"]
    assert trained.ok("verify", run)["run"] == run
    assert trained.ok("verify", "train")["ref"] == "data:train@1"
    code, _, _ = trained.seal("verify", "nothing")
    assert code == 2


def test_a_flipped_byte_in_the_store_is_found_by_verify(trained) -> None:
    (folder,) = (trained.root / ".seal/store").glob("model*")
    for path in folder.rglob("*.seg"):
        path.chmod(0o600)
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    code, body, _ = trained.seal("verify", "fraud@1")
    assert (code, body["error"]["kind"]) == (1, "VerifyError")


def test_lineage_shows_both_trees_and_follows_a_record(trained) -> None:
    up = trained.ok("lineage", "fraud@1")
    (run,) = up["from"]
    assert run["kind"] == "run"
    (data,) = (node for node in run["children"] if node["kind"] == "data")
    assert (data["ref"], data["notes"]["source"]) == ("data:train@1", "data/train.csv")
    gates = [each["gate"] for each in up["decisions"] if each["what"] == "decision"]
    assert gates == ["register"]
    trained.write("data/train.csv", "x,label\n" + "".join(f"{i},1\n" for i in range(150, 350)))
    trained.ok("data", "add", "data/train.csv", "--name", "train", "--reason", "moved on")
    down = trained.ok("lineage", "train@1", "--row", "151", "--history")
    made = [child["ref"] for run in down["into"] for child in run["children"]]
    assert made == ["model:fraud@1", "model:fraud@2"]
    record = down["record"]
    assert record["models"] == ["model:fraud@1", "model:fraud@2"]
    assert [(v["ref"], v["file_row"]) for v in record["versions"]] == [
        ("data:train@1", 151),
        ("data:train@2", 1),
    ]
    assert [each["ref"] for each in down["history"]] == ["data:train@1", "data:train@2"]


def test_the_pages_name_every_member_that_the_log_holds(trained, tmp_path: Path) -> None:
    trained.ok("model", "promote", "fraud@2", "prod")
    trained.ok("model", "export", "fraud@2", str(tmp_path / "b.tar"))
    trained.ok("model", "revoke", "fraud@1", "--reason", "r")
    page = (DOCS / "spec/predicates.md").read_text()
    sections = dict(re.findall(r"^## ([a-z, -]+)\n(.*?)(?=^## |\Z)", page, re.M | re.S))
    seen = set()
    for row in trained.statements():
        kind = row["type"]
        whole = trained.ok("log", "show", "--index", str(row["index"]))
        if whole["predicate_type"] == predicates.SLSA_PROVENANCE:
            continue
        seen.add(kind)
        told = set(re.findall(r"`([a-z_]+)`", sections[kind]))
        common = {"actor", "time", "reason", "decision", "inputs"}
        assert set(whole["predicate"]) - common <= told, kind
    assert {"dataset-version", "model-version", "alias", "revocation", "export"} <= seen


def test_every_predicate_has_a_section() -> None:
    page = (DOCS / "spec/predicates.md").read_text()
    heads = {name for line in re.findall(r"^## (.*)$", page, re.M) for name in line.split(", ")}
    own = {p.rsplit(":", 1)[1].removesuffix("/v1") for p in predicates.ALL if p.startswith("urn:")}
    assert own | {"provenance"} == heads
