"""`seal serve` remembers callers over a stop and a kill, and does not start where it cannot."""

import signal

import numpy as np
import pytest
from serve_house import Server
from test_watched_served import asked, seal

from sealwright.app import servingkeys, wiring
from sealwright.core.predicates import GUARD_EVENT

pytest.importorskip("uvicorn", reason="needs the extra serve")

PLAIN = servingkeys.Wish("", False, "top1", 0, "", False)


def past_events(house):
    history = wiring.open_workspace(house).history()
    told = [entry.statement.predicate for entry in history.of_type(GUARD_EVENT)]
    return [one for one in told if one["what"] == "past"]


def test_a_stop_and_a_kill_keep_what_was_seen_and_a_damaged_past_stops_the_start(house, capsys):
    key = servingkeys.create(wiring.open_workspace(house), "ann", PLAIN, "pilot").key

    def seen():
        found = seal(capsys, "serve", "status")
        return found["coverage"], found["monitors"]

    server = Server(house, "model:pets@1")
    assert asked(server, key, np.random.default_rng(0).normal(size=(20, 4)))[0] == 200
    assert server.stop()[0] == 0
    for how in (signal.SIGKILL, signal.SIGTERM):
        server = Server(house, "model:pets@1")
        coverage, monitors = seen()
        assert coverage.startswith("not counted yet: 20 of 500 rows")
        assert monitors.startswith("not yet: 20 of 500 rows of 1 callers")
        server.stop(how)
    assert past_events(house) == []
    (path,) = (house / ".seal" / "serve").glob("*.pasts")
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(AssertionError, match="was changed or damaged"):
        Server(house, "model:pets@1")
    path.unlink()
    server = Server(house, "model:pets@1")
    assert seen()[0].startswith("not counted yet: 0 of 500")
    server.stop()
    (told,) = past_events(house)
    assert (told["rule"], told["group"]) == ("guard.past", "")
    assert "groups that asked before: 1;" in told["why"]


def test_a_pace_of_the_settings_ends_who_asks_something_new_every_time(house, capsys):
    toml = house / "seal.toml"
    toml.write_text(toml.read_text() + "\n[serve]\ncells = 300\npace = [[100, 2], [10000, 300]]\n")
    workspace = wiring.open_workspace(house)
    keys = {
        name: servingkeys.create(workspace, name, PLAIN, "pilot").key for name in ("ann", "eve")
    }
    server = Server(house, "model:pets@1")
    try:
        for seed in range(5):
            found = np.random.default_rng(seed).normal(size=(100, 4))
            assert asked(server, keys["ann"], found)[0] == 200
        assert seal(capsys, "serve", "status")["coverage"].startswith("fitted from 500 rows")
        rows = np.random.default_rng(9).normal(size=(40, 4))
        told = [asked(server, keys["eve"], row[None]) for row in rows]
        assert {told[0][0], told[-1][0]} == {200, 403}
        assert b"guard.coverage" in told[-1][2]
        again = [asked(server, keys["eve"], rows[:1])[0] for _ in range(3)]
        assert again == [200] * 3, "what was asked before may still be asked"
    finally:
        server.stop()
