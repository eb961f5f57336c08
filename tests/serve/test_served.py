"""``seal serve`` whole: a real worker, a real log, a client nobody wrote for us."""

import json
import signal
import time

import numpy as np
import pytest
from serve_house import Server, model_bytes

pytest.importorskip("uvicorn", reason="needs the extra serve")


def seal(capsys, *words, code=0):
    from sealwright.app.cli import main

    capsys.readouterr()
    assert main([*words, "--json"]) == code, capsys.readouterr()
    return json.loads(capsys.readouterr().out)


ASKED = json.dumps(
    {
        "inputs": [
            {"name": "input", "shape": [1, 4], "datatype": "FP64", "data": [0.1, 0.2, 0.3, 0.4]}
        ]
    }
).encode()
INFER = "/v2/models/pets/infer"


def ask_with_tritonclient(http, server, key):
    _, model = model_bytes()
    rows = np.random.default_rng(1).normal(size=(5, 4))
    with http.InferenceServerClient(server.address) as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("pets", "1")
        assert client.get_model_metadata("pets")["inputs"][0]["shape"] == [-1, 4]
        for binary in (True, False):
            given = http.InferInput("input", [5, 4], "FP64")
            given.set_data_from_numpy(rows, binary_data=binary)
            found = client.infer("pets", [given])
            assert found.as_numpy("label").astype(str).tolist() == list(model.predict(rows))
            full = found.as_numpy("probabilities")
            assert np.allclose(full, model.predict_proba(rows), atol=1e-6)
        wanted = [http.InferRequestedOutput("label", binary_data=False)]
        found = client.infer("pets", [given], outputs=wanted, request_id="mine")
        assert found.get_response()["id"] == "mine"
        assert [one["name"] for one in found.get_response()["outputs"]] == ["label"]
        bearer = {"Authorization": f"Bearer {key}"}
        outside = client.infer("pets", [given], headers=bearer)
        assert outside.as_numpy("probabilities") is None
        top = outside.as_numpy("probability")
        assert np.allclose(top, model.predict_proba(rows).max(axis=1), atol=0.0051)
        with pytest.raises(Exception, match=r"guard\.fidelity"):
            wanted = [http.InferRequestedOutput("probabilities")]
            client.infer("pets", [given], outputs=wanted, headers=bearer)


def proven(capsys, what, out, trust):
    """A proof written here and verified from the file alone."""
    assert seal(capsys, "serve", "prove", what, str(out))["trust"] == trust
    return seal(capsys, "verify", str(out), "--trust", trust)


def waited(what, wanted, most_s=30.0):
    """``what()`` once it is ``wanted``."""
    until = time.monotonic() + most_s
    while (found := what()) != wanted and time.monotonic() < until:
        time.sleep(0.1)
    assert found == wanted


def test_a_served_model_from_its_first_answer_to_the_revocation_of_its_data(
    house, capsys, tmp_path
):
    http = pytest.importorskip("tritonclient.http")
    toml = house / "seal.toml"
    toml.write_text(toml.read_text() + "\n[serve]\nbudget_bits = 80\n")
    keys = {
        name: seal(capsys, "serve", "keys", "create", name, *more, "--reason", "pilot")["secret"]
        for name, more in {
            "acme": ("--organisation", "acme"),
            "acme-two": ("--organisation", "acme"),
            "bait": ("--honey",),
        }.items()
    }
    bearer = {name: {"Authorization": f"Bearer {key}"} for name, key in keys.items()}
    server = Server(house, "model:pets@1")
    try:
        ask_with_tritonclient(http, server, keys["acme"])
        second = [server.get(INFER, ASKED, **bearer["acme-two"])[:2] for _ in range(8)]
        codes = [code for code, _ in second]
        assert codes[0] == 200, "the organisation's 80 bits are not spent by five rows"
        assert codes[-1] == 403, "two keys of one organisation share its budget"
        answered = second[0][1]["seal-record"]
        code, _, body = server.get(INFER, ASKED, **bearer["bait"])
        assert code == 401
        assert b"honey" not in body
        # a degrade and a block by hand; the machine's own rungs go the same way
        mine = {group["group"]: group for group in seal(capsys, "serve", "budget")["groups"]}
        assert mine["organisation:acme"]["members"] == ["key:acme", "key:acme-two"]
        held = {
            rung: seal(
                capsys, "serve", "hold", "ada", "--rung", rung, "--for", "1h", "--reason", "try"
            )
            for rung in ("degrade",)
        }
        found = server.get(INFER, ASKED)
        assert found[1]["seal-profile"] == "multiclass/label"
        assert b"probabilities" not in found[2]
        degraded = found[1]["seal-record"]
        held["block"] = seal(
            capsys, "serve", "hold", "ada", "--rung", "block", "--for", "1h", "--reason", "try"
        )
        code, head, _ = server.get(INFER, ASKED)
        assert (code, head["seal-rule"]) == (403, "guard.blocked")
        seal(capsys, "serve", "thaw", "ada", "--reason", "they asked")
        assert server.get(INFER, ASKED)[0] == 200
        status = seal(capsys, "serve", "status")
        assert status["verdicts"]["answered"] >= 6
        assert status["unnamed"] == {"guard.unknown-caller": 1}
        links = seal(capsys, "serve", "links")["links"]
        assert [one["group"] for one in links] == ["organisation:acme"]
        last = server.get(INFER, ASKED)[1]["seal-record"]
    finally:
        server.process.send_signal(signal.SIGKILL)
        server.process.communicate()
    again(house, capsys, tmp_path, bearer["acme"], (answered, degraded, last), held)


def again(house, capsys, tmp_path, bearer, records, held):
    """After the kill -9: nothing is lost, what was spent is spent; then the data is withdrawn."""
    trust = seal(capsys, "log", "show", "--index", "0")["predicate"]["trust"]
    server = Server(house, "model:pets@1")
    try:
        code, head, _ = server.get(INFER, ASKED, **bearer)
        assert (code, head["seal-rule"]) == (403, "guard.budget")
        verdicts = [
            proven(capsys, name, tmp_path / name, trust)["record"]["verdict"] for name in records
        ]
        assert verdicts == ["answered"] * 3
        profile = proven(capsys, records[1], tmp_path / "again", trust)["record"]["profile"]
        assert profile == "multiclass/label"
        entries = seal(capsys, "log", "show", "--all")["entries"]
        events = [one["index"] for one in entries if one["type"] == "guard-event"]
        what = {}
        for index in events:
            event = proven(capsys, f"entry:{index}", tmp_path / f"e{index}", trust)["event"]
            what[event["what"]] = event
        assert what["denial"]["rule"] == "guard.budget"
        assert what["tripwire"]["principal"] == "key:bait"
        assert {"degrade", "block", "thaw", "link"} <= set(what)
        seal(capsys, "data", "revoke", "train@1", "--reason", "it was stolen")
        waited(lambda: server.get(INFER, ASKED)[1].get("seal-rule"), "guard.withdrawn")
        assert server.get("/v2/health/ready")[0] == 403
        assert server.get("/v2/health/live")[0] == 200
    finally:
        code, said = server.stop()
    assert code == 0, said
    seal(capsys, "log", "verify")
    with pytest.raises(AssertionError, match="revoked"):
        Server(house, "model:pets@1")
