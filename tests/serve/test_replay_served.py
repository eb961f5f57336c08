"""What callers asked is kept where that is wanted, and a copy is trained on exactly that."""

import json

import numpy as np
import pytest
from serve_house import Server, model_bytes
from test_watched_served import asked, seal

from sealwright.app import servingkeys, wiring
from sealwright.app.servingkept import Drawer

pytest.importorskip("uvicorn", reason="needs the extra serve")

PLAIN = servingkeys.Wish("", False, "top1", 0, "", False)
REPLAY = ("redteam", "replay", "pets@1", "--data", "kinds@1", "--reason", "a month is over")


def told(capsys, *words):
    """A command that may fail: its exit code and JSON."""
    from sealwright.app.cli import main

    capsys.readouterr()
    code = main([*words, "--json"])
    return code, json.loads(capsys.readouterr().out)


@pytest.fixture
def keeping(house, capsys):
    """A workspace that keeps, records to judge copies by, and two callers' keys."""
    toml = house / "seal.toml"
    toml.write_text(toml.read_text() + '\n[serve]\nkept_rows = 1000\nkept_time = "2h"\n')
    _, model = model_bytes()
    rows = np.random.default_rng(4).normal(size=(300, 4))
    lines = [
        f"{','.join(f'{cell:.6f}' for cell in row)},{said}"
        for row, said in zip(rows, model.predict(rows), strict=True)
    ]
    (house / "data" / "kinds.csv").write_text("\n".join(["a,b,c,d,kind", *lines]) + "\n")
    seal(
        capsys,
        "data",
        "add",
        "data/kinds.csv",
        "--name",
        "kinds",
        "--label",
        "kind",
        "--reason",
        "to judge copies by",
    )
    workspace = wiring.open_workspace(house)
    keys = {
        name: servingkeys.create(workspace, name, PLAIN, "pilot").key for name in ("heavy", "light")
    }
    return house, keys


def served(house, keys, counts, seed=7):
    """Ask, and stop: what was kept is on disk then."""
    server = Server(house, "model:pets@1")
    rng = np.random.default_rng(seed)
    try:
        for name, count in counts.items():
            for _ in range(count // 20):
                assert asked(server, keys[name], rng.normal(size=(20, 4)))[0] == 200
    finally:
        code, said = server.stop()
    assert code == 0
    return said


def test_copies_are_trained_on_what_the_heaviest_callers_were_told(keeping, capsys):
    house, keys = keeping
    code, body = told(capsys, *REPLAY)
    assert (code, "kept_rows" in body["error"]["hint"]) == (2, True)
    served(house, keys, {"heavy": 400, "light": 40})
    code, body = told(capsys, *REPLAY, "--target", "1")
    assert code == 0, body
    heavy, light = body["groups"]
    assert (heavy["group"], heavy["asked"], heavy["used"]) == ("key:heavy", 400, 400)
    assert (light["group"], light["used"]) == ("key:light", 40)
    assert (body["together"]["callers"], body["together"]["used"]) == (2, 440)
    assert body["unrecorded"] == 0
    assert float(heavy["agreement"]) > 0.8
    workspace = wiring.open_workspace(house)
    said = workspace.history().of_type("urn:sealwright:predicate:extraction-replay/v1")[-1]
    assert said.statement.subjects[0].name == "model:pets@1"
    # above the target: recorded too, the exit code says so, and so does the gate
    code, body = told(capsys, *REPLAY, "--target", "0.2")
    assert (code, body["over"]) == (1, True)
    gate = told(capsys, "policy", "check", "model:pets@1", "--gate", "serve")[1]
    assert "extraction.held" in json.dumps(gate)
    # whoever removes the file has removed it
    drawer = Drawer(workspace, said.statement.subjects[0].digest)
    assert drawer.remove()
    assert told(capsys, *REPLAY)[0] == 2


def test_what_no_record_tells_of_is_not_used_and_changed_records_are_refused(keeping, capsys):
    house, keys = keeping
    served(house, keys, {"heavy": 80})
    workspace = wiring.open_workspace(house)
    digest = wiring.open_workspace(house).history()
    model = next(
        entry.statement.subjects[0].digest
        for entry in digest.of_type("urn:sealwright:predicate:guard-event/v1")
        if entry.statement.predicate["what"] == "kept"
    )
    drawer = Drawer(workspace, model)
    kept = drawer.read()
    mine = kept.accounts["key:heavy"]
    # somebody else's questions put under this caller's name
    import msgspec

    other = msgspec.structs.replace(mine.requests[0], inputs=bytes(len(mine.requests[0].inputs)))
    accounts = {"key:heavy": msgspec.structs.replace(mine, requests=(other, *mine.requests[1:]))}
    drawer.write(msgspec.structs.replace(kept, accounts=accounts))
    code, body = told(capsys, *REPLAY, "--target", "1")
    assert (code, body["unrecorded"], body["groups"][0]["used"]) == (0, 20, 60)
    records = next((house / ".seal" / "serve" / "records").glob("*.records"))
    records.write_bytes(records.read_bytes().replace(b'"rows":20', b'"rows":21', 1))
    code, body = told(capsys, *REPLAY)
    assert (code, body["error"]["rule"]) == (1, "guard.record-inclusion")
    drawer.path.write_bytes(drawer.path.read_bytes()[:-1] + b"x")
    code, body = told(capsys, *REPLAY)
    assert body["error"]["rule"] in ("guard.kept", "guard.record-inclusion")


def test_nothing_is_kept_unless_it_is_asked_for(keeping, capsys):
    house, keys = keeping
    toml = house / "seal.toml"
    served(house, keys, {"heavy": 40})
    model = next((house / ".seal" / "serve").glob("*.kept"))
    toml.write_text(toml.read_text().replace("kept_rows = 1000", "kept_rows = 0"))
    assert "is removed" in served(house, keys, {"light": 40})
    assert not model.exists()
