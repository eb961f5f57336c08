"""``seal supply scan`` as a user meets it."""

import json
import pickle

from sealwright.app.cli import main

EVIL = b"\x80\x02cos\nsystem\nX\x04\0\0\0true\x85R."


def test_a_folder_is_clean_only_when_every_file_is(tmp_path, capsys):
    (tmp_path / "good.pkl").write_bytes(pickle.dumps({"w": [1.0]}, 4))
    assert main(["supply", "scan", str(tmp_path), "--json"]) == 0
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "bad.bin").write_bytes(EVIL)
    capsys.readouterr()
    assert main(["supply", "scan", str(tmp_path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [one["verdict"] for one in found["files"]] == ["clean", "dangerous"]
    assert found["counts"] == {"clean": 1, "dangerous": 1, "not understood": 0}
    finding = found["files"][1]["findings"][0]
    assert (finding["rule"], finding["opcode"], finding["offset"]) == ("pickle.name", "GLOBAL", 2)
    assert finding["mend"]


def test_sarif_holds_a_result_for_each_finding(tmp_path, capsys):
    (tmp_path / "bad.pkl").write_bytes(EVIL)
    report = tmp_path / "out.sarif"
    assert main(["supply", "scan", str(tmp_path / "bad.pkl"), "--sarif", str(report)]) == 1
    run = json.loads(report.read_text("utf-8"))["runs"][0]
    assert [one["ruleId"] for one in run["results"]] == ["modelfile.pickle.name"]
    assert {one["id"] for one in run["tool"]["driver"]["rules"]} == {"modelfile.pickle.name"}
    assert "dangerous" in capsys.readouterr().out


def test_nothing_to_scan_is_said(tmp_path, capsys):
    assert main(["supply", "scan", str(tmp_path)]) == 2
    assert main(["supply", "scan", str(tmp_path / "absent")]) == 2
