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
    assert "1 groups have asked before" in told["why"]
