"""Before another server: what it is said to have is its gate and its end; callers are watched."""

import json
import time

import numpy as np
import pytest
from serve_house import Server
from upstream_house import Guarded, toy

from sealwright.app import servingkeys, wiring
from sealwright.app.servingupstream import Behindhand, OtherServer, check
from sealwright.core.errors import BadInput

for needed in ("uvicorn", "uvloop", "httptools"):
    pytest.importorskip(needed, reason="the extra 'serve' is not installed")

NAMED = ("--model", "toy", "--protocol", "oip", "--as", "model:pets@1")


@pytest.fixture(scope="module")
def behind(tmp_path_factory):
    started = toy(tmp_path_factory.mktemp("behind"))
    yield started.said
    started.stop()


def seal(capsys, *words, code=0):
    from sealwright.app.cli import main

    capsys.readouterr()
    assert main([*words, "--json"]) == code, capsys.readouterr()
    return json.loads(capsys.readouterr().out)


def asked(server, key, rows, name):
    one = {"name": "input", "shape": list(rows.shape), "datatype": "FP64"}
    body = json.dumps({"inputs": [{**one, "data": rows.ravel().tolist()}]}).encode()
    sent = {"Authorization": f"Bearer {key}"} if key else {}
    return server.get(f"/v2/models/{name}/infer", body, **sent)


def people(seed, count, centre=0.0):
    return np.random.default_rng(seed).normal(centre, 1, (count, 64))


def waited(what, most_s=30.0):
    until = time.monotonic() + most_s
    while not (found := what()) and time.monotonic() < until:
        time.sleep(0.1)
    assert found
    return found


def keys_of(house):
    """Of a thief and 52 others."""
    workspace = wiring.open_workspace(house)
    plain = servingkeys.Wish("", False, "top1", 0, "", False)
    return {
        name: servingkeys.create(workspace, name, plain, "pilot").key
        for name in ["thief", *(f"p{at}" for at in range(52))]
    }


def told_by(capsys):
    """What a server says of itself, and how each group stands."""
    return (
        lambda: seal(capsys, "serve", "status"),
        lambda: {one["group"]: one for one in seal(capsys, "serve", "budget")["groups"]},
    )


def test_callers_of_another_server_are_watched_and_a_thief_is_degraded(house, behind, capsys):
    keys = keys_of(house)
    told, stands = told_by(capsys)
    server = Server(house, "--upstream", behind, *NAMED)
    try:
        assert told()["coverage"].startswith("not counted yet")
        for at in range(20):
            assert asked(server, keys[f"p{at}"], people(at, 25), "pets")[0] == 200
        waited(lambda: told()["monitors"].startswith("learning"))
        for at in range(52):
            assert asked(server, keys[f"p{at}"], people(100 + at, 60), "pets")[0] == 200
        waited(lambda: told()["monitors"].startswith("on"))
        assert stands()["key:p51"]["cells"] > 5, "coverage is counted"
        for at in range(6):
            asked(server, keys["thief"], people(1 + at, 10, centre=9), "pets")
            time.sleep(0.5)
        waited(lambda: stands()["key:thief"]["rung"] == "degrade")
        found = asked(server, keys["thief"], people(2, 1), "pets")
        assert found[1]["seal-profile"] == "multiclass/label"
        others = {who: one["rung"] for who, one in stands().items() if who != "key:thief"}
        assert set(others.values()) == {"observe"}
    finally:
        _, said = server.stop()
    assert "degrade: key:thief: guard.ladder: " in said


def test_a_named_server_ends_with_the_data_it_was_made_from(house, behind, capsys, tmp_path):
    server = Server(house, "--upstream", behind, *NAMED)
    try:
        code, head, body = asked(server, "", people(1, 2), "pets")
        assert (code, json.loads(body)["model_version"]) == (200, "1")
        assert seal(capsys, "serve", "status")["upstream"] == behind
        seal(capsys, "data", "revoke", "train@1", "--reason", "it was stolen")
        waited(lambda: asked(server, "", people(1, 2), "pets")[1].get("seal-rule") is not None)
        assert asked(server, "", people(1, 2), "pets")[1]["seal-rule"] == "guard.withdrawn"
        assert server.get("/v2/health/ready")[0] == 403
    finally:
        code, said = server.stop()
    assert code == 0, said
    trust = seal(capsys, "log", "show", "--index", "0")["predicate"]["trust"]
    seal(capsys, "serve", "prove", head["seal-record"], str(tmp_path / "proof"))
    record = seal(capsys, "verify", str(tmp_path / "proof"), "--trust", trust)["record"]
    assert record["model"] == "model:pets@1"
    entries = seal(capsys, "log", "show", "--all")["entries"]
    decisions = [one for one in entries if one["type"] == "decision"]
    assert (
        seal(capsys, "log", "show", "--index", str(decisions[-1]["index"]))["predicate"]["facts"][
            "serve_upstream"
        ]
        == 1
    )
    events = [one["index"] for one in entries if one["type"] == "guard-event"]
    first = seal(capsys, "log", "show", "--index", str(events[0]))["predicate"]
    assert (first["what"], first["rule"]) == ("upstream", "upstream.said")
    with pytest.raises(AssertionError, match="revoked"):
        Server(house, "--upstream", behind, *NAMED)


def test_of_an_unnamed_server_it_is_said_and_of_texts_what_is_not_watched_yet(behind, tmp_path):
    made = Guarded(tmp_path, behind, "--model", "toy")
    made.start()
    try:
        told = made.seal("serve", "status")
    finally:
        said = made.stop()
    assert "upstream.unnamed" in said
    assert told["monitors"].startswith("not yet: 0 of 500 rows")
    assert told["coverage"].startswith("not counted yet")


def test_wide_rows_are_counted_by_planes_that_never_change_and_not_watched(tmp_path):
    import asyncio

    from sealwright.app.servingupstream import Narrowed

    async def answers(batch):
        return np.ones((len(batch), 2)) / 2, batch

    rows = people(1, 3, 0.0).repeat(10, axis=1)

    async def twice():
        return [await Narrowed(answers, 640).ask(rows) for _ in range(2)]

    (_, one), (_, other) = asyncio.run(twice())
    assert one.shape == (3, 64)
    assert (one == other).all()


def test_what_no_server_can_be_is_refused_before_anything_is_asked():
    plain = Behindhand("http://192.0.2.7:8000", "oip", "x", "x", "KEY")
    with pytest.raises(BadInput, match="in the clear"):
        check(plain)
    assert OtherServer(None, plain).subject.ref == "upstream:x"


HONEST = (
    "the film is a warm and funny story about two people who never quite meet each other".split()
)
FOREIGN = "u cn txt me 2nite luv fone wkly comp xx gd nyt qjq zk vvq xkcd 8pm".split()


def embedded(server, key, words, seed, count):
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(words, int(rng.integers(6, 14)))) for _ in range(count)]
    body = json.dumps({"model": "toy", "input": texts}).encode()
    return server.get("/embeddings", body, Authorization=f"Bearer {key}")[:2]


def test_texts_are_watched_too_and_another_kind_of_text_climbs(house, behind, capsys):
    keys = keys_of(house)
    told, stands = told_by(capsys)
    server = Server(house, "--upstream", behind, "--model", "toy", "--protocol", "openai")
    try:
        assert told()["monitors"].startswith("not yet: 0 of 500")
        for at in range(20):
            assert embedded(server, keys[f"p{at}"], HONEST, at, 25)[0] == 200
        waited(lambda: told()["monitors"].startswith("learning"))
        for at in range(52):
            assert embedded(server, keys[f"p{at}"], HONEST, 100 + at, 60)[0] == 200
        waited(lambda: told()["monitors"].startswith("on"))
        assert stands()["key:p51"]["cells"] > 5, "coverage is counted by words"
        for at in range(6):
            embedded(server, keys["thief"], FOREIGN, 500 + at, 20)
            time.sleep(0.5)
        waited(lambda: stands()["key:thief"]["rung"] == "degrade")
        others = {who: one["rung"] for who, one in stands().items() if who != "key:thief"}
        assert set(others.values()) == {"observe"}
    finally:
        server.stop()
