"""Over HTTP: a thief among fifty-odd honest callers is degraded, by statements; then a restart."""

import json
import time

import numpy as np
import pytest
from serve_house import Server

from sealwright.app import servingkeys, wiring

pytest.importorskip("uvicorn", reason="needs the extra serve")

INFER = "/v2/models/pets/infer"


def seal(capsys, *words):
    from sealwright.app.cli import main

    capsys.readouterr()
    assert main([*words, "--json"]) == 0, capsys.readouterr()
    return json.loads(capsys.readouterr().out)


def asked(server, key, rows):
    one = {"name": "input", "shape": list(rows.shape), "datatype": "FP64"}
    body = json.dumps({"inputs": [{**one, "data": rows.ravel().tolist()}]}).encode()
    return server.get(INFER, body, Authorization=f"Bearer {key}")


def people(seed, count, centre=0.0):
    return np.random.default_rng(seed).normal(centre, 1, (count, 4))


def waited(what, most_s=30.0):
    until = time.monotonic() + most_s
    while not (found := what()) and time.monotonic() < until:
        time.sleep(0.1)
    assert found
    return found


def test_who_asks_what_nobody_else_does_is_degraded_and_nobody_else_is(house, capsys):
    workspace = wiring.open_workspace(house)
    plain = servingkeys.Wish("", False, "top1", 0, "", False)
    keys = {
        name: servingkeys.create(workspace, name, plain, "pilot").key
        for name in ["thief", *(f"p{at}" for at in range(52))]
    }

    def monitors():
        return seal(capsys, "serve", "status")["monitors"]

    def stands():
        return {one["group"]: one["rung"] for one in seal(capsys, "serve", "budget")["groups"]}

    server = Server(house, "model:pets@1")
    try:
        for at in range(20):
            assert asked(server, keys[f"p{at}"], people(at, 25))[0] == 200
        waited(lambda: monitors().startswith("learning"))
        for at in range(52):
            assert asked(server, keys[f"p{at}"], people(100 + at, 60))[0] == 200
        waited(lambda: monitors().startswith("on"))
        for at in range(6):
            asked(server, keys["thief"], people(1 + at, 10, centre=12))
            time.sleep(0.5)
        waited(lambda: stands()["key:thief"] == "degrade")
        found = asked(server, keys["thief"], people(2, 1))
        assert found[1]["seal-profile"] == "multiclass/label"
        assert all(one == "observe" for who, one in stands().items() if who != "key:thief")
    finally:
        _, said = server.stop()
    assert "degrade: key:thief: guard.ladder: " in said
    server = Server(house, "model:pets@1")
    try:
        assert monitors().startswith("on")
        assert stands()["key:thief"] == "degrade"
        seal(capsys, "serve", "thaw", "key:thief", "--reason", "they explained it")
        asked(server, keys["thief"], people(3, 20))
        time.sleep(1.5)
        assert stands()["key:thief"] == "observe"
    finally:
        code, said = server.stop()
    assert code == 0
    assert "monitors:" not in said
