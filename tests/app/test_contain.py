"""Held back by a statement, from the command line: every step, its inverse, and its end."""

import json
import os
import re
import signal
import time
from datetime import UTC, datetime, timedelta

import pytest
from app_house import needs_room

from sealwright.app import containing, wiring
from sealwright.core import clock
from sealwright.core.errors import BadInput

SLOW = "import time, pathlib\npathlib.Path('model.json').write_text('{}')\ntime.sleep(60)\n"
QUICK = (
    "import pathlib, sys\npathlib.Path('model.json').write_text(open('data/train.csv').read())\n"
)
RUN = ("run", "--model", "model.json", "--name", "fraud", "--", "python")
pytestmark = needs_room


def workspace():
    return wiring.open_workspace()


def settings(project, text):
    path = project.root / "seal.toml"
    path.write_text(re.sub(r"\n\[watch\][^[]*", "", path.read_text()) + f"\n[watch]\n{text}\n")


def me():
    return workspace().principal.name


def held(project):
    return [(o["step"], o["target"]) for o in project.ok("contain", "list")["containments"]]


def denied(project, *words):
    code, body, _ = project.seal(*words)
    assert code == 1, body
    return body["error"]


@pytest.mark.parametrize(
    ("word", "target", "step", "inverse"),
    [
        ("throttle", "ana", "throttle", "unthrottle"),
        ("revoke-tokens", "ana", "revoke-tokens", "readmit-tokens"),
        ("kill", "r1", "kill-run", "run-again"),
        ("freeze", "data:train@1", "freeze-artifact", "thaw-artifact"),
        ("quarantine", "ana", "quarantine-principal", "readmit-principal"),
    ],
)
def test_a_step_taken_twice_is_one_statement_and_its_release_is_too(
    project, word, target, step, inverse
):
    first = project.ok("contain", word, target, "--reason", "looking", "--for", "2h")
    assert (first["step"], first["new"], first["automatic"]) == (step, True, False)
    size = workspace().log.size()
    again = project.ok("contain", word, target, "--reason", "looking")
    assert (again["id"], again["new"]) == (first["id"], False)
    assert workspace().log.size() == size
    undone = project.ok("contain", "release", first["id"][:12], "--reason", "fine")
    assert (undone["undoes"], undone["new"]) == (inverse, True)
    assert held(project) == []
    assert project.ok("contain", "release", first["id"], "--reason", "fine")["new"] is False
    shown = project.ok("contain", "list", "--all")["containments"]
    assert [one["state"] for one in shown] == ["released"]


def test_a_quarantine_denies_and_its_release_gives_back_exactly_what_was(project):
    project.write("train.py", QUICK)
    project.ok(*RUN, "train.py")
    one = project.ok("contain", "quarantine", me(), "--reason", "who is this")
    error = denied(project, *RUN, "train.py")
    assert "quarantined" in error["rule"]
    assert "seal contain list" in error["hint"]
    assert denied(project, "model", "promote", "fraud@1", "prod", "--reason", "x")["rule"]
    project.ok("contain", "release", one["id"], "--reason", "it was me")
    project.ok(*RUN, "train.py")
    project.ok("model", "promote", "fraud@1", "prod", "--reason", "good")


def test_frozen_data_stops_what_was_made_from_it(project):
    project.write("train.py", QUICK)
    project.ok(*RUN, "train.py")
    one = project.ok("contain", "freeze", "train@1", "--reason", "poisoned?")
    promote = ("model", "promote", "fraud@1", "prod", "--reason", "x")
    assert "frozen" in denied(project, *promote)["rule"]
    project.ok("contain", "release", one["id"], "--reason", "clean")
    project.ok(*promote)


def test_a_containment_ends_by_itself_and_a_clock_set_back_does_not_end_it(project, monkeypatch):
    project.ok("contain", "quarantine", me(), "--reason", "for an hour", "--for", "1h")
    project.write("train.py", QUICK)
    now = datetime.now(UTC)
    for hours, expected in ((-2, 1), (0, 1), (2, 0)):
        monkeypatch.setattr(clock, "now", lambda hours=hours: now + timedelta(hours=hours))
        body = project.ok("contain", "list")
        assert len(body["containments"]) == expected, hours


def test_a_step_taken_under_a_clock_set_back_lasts_from_the_newest_entry_on(project, monkeypatch):
    now = datetime.now(UTC)
    monkeypatch.setattr(clock, "now", lambda: now - timedelta(days=3))
    project.ok("contain", "quarantine", "ana", "--reason", "x", "--for", "1h")
    monkeypatch.setattr(clock, "now", lambda: now)
    assert held(project) == [("quarantine-principal", "principal:ana")]


def test_a_bulk_pull_is_contained_and_the_next_access_refused(project):
    project.write("train.py", QUICK)
    project.ok(*RUN, "train.py")
    settings(project, "exports_per_day = 3")
    start = time.monotonic()
    taken, error = 0, None
    for number in range(10):
        code, body, _ = project.seal("model", "export", "fraud@1", f"loot{number}.tar")
        if code:
            error = body["error"]
            break
        taken += 1
    assert time.monotonic() - start < 10
    assert taken == 3  # the one that would go too far is refused before a byte leaves
    assert error["rule"] == "access.over-budget"
    assert "quarantined" in denied(project, "model", "export", "fraud@1", "more.tar")["rule"]
    assert ("quarantine-principal", f"principal:{me()}") in held(project)
    assert ("freeze-artifact", "model:fraud@1") in held(project)
    assert ("revoke-tokens", f"principal:{me()}") in held(project)
    automatic = project.ok("contain", "list")["containments"]
    assert all(one["automatic"] and one["rule"] == "watch.exports-day" for one in automatic)
    for one in automatic:
        project.ok("contain", "release", one["id"], "--reason", "the nightly mirror")
    project.ok("model", "export", "fraud@1", "again.tar")  # not held against them twice
    assert held(project) == []


def test_what_was_pulled_by_a_command_that_was_cut_off_is_seen_by_the_next(project, monkeypatch):
    project.write("train.py", QUICK)
    project.ok(*RUN, "train.py")
    settings(project, "exports_per_day = 1")
    project.ok("model", "export", "fraud@1", "a.tar")
    from sealwright.app import watching

    with monkeypatch.context() as patch:
        patch.setattr(watching, "evaluate", lambda workspace, history: [])
        patch.setattr(watching, "would_pass", lambda *asked: ())
        project.ok("model", "export", "fraud@1", "b.tar")
    assert held(project) == []
    assert "quarantined" in denied(project, "model", "export", "fraud@1", "c.tar")["rule"]


def test_the_memory_of_the_watch_is_made_again_from_the_log(project):
    project.write("train.py", QUICK)
    project.ok(*RUN, "train.py")
    settings(project, "exports_per_day = 2")
    project.ok("model", "export", "fraud@1", "a.tar")
    for damage in (b"", b"junk", None):
        path = project.state / "sealwright" / workspace().id / "watch.bin"
        if damage is None:
            path.unlink()
        else:
            path.write_bytes(damage)
        project.ok("data", "add", "data/train.csv", "--name", "train", "--reason", "more")
    project.ok("model", "export", "fraud@1", "b.tar")
    assert held(project) == []
    assert denied(project, "model", "export", "fraud@1", "c.tar")["rule"] == "access.over-budget"
    assert len(held(project)) == 3


def test_without_automatic_nobody_is_held(project):
    project.write("train.py", QUICK)
    project.ok(*RUN, "train.py")
    settings(project, "exports_per_day = 1\nautomatic = false")
    for number in range(3):
        project.ok("model", "export", "fraud@1", f"{number}.tar")
    assert held(project) == []


def test_a_throttled_principal_waits_and_is_not_refused(project, monkeypatch):
    project.write("train.py", QUICK)
    project.ok(*RUN, "train.py")
    waits = []
    monkeypatch.setattr(containing.time, "sleep", waits.append)
    project.ok("contain", "throttle", me(), "--reason", "slower")
    project.ok("model", "promote", "fraud@1", "prod", "--reason", "x")
    assert max(waits) == 5


def test_a_live_run_is_killed_and_the_log_says_how_it_ended(project):
    project.write("slow.py", SLOW)
    child = project.spawn(*RUN, "slow.py")
    try:
        run = _live(project)
        start = time.monotonic()
        project.ok("contain", "kill", run, "--reason", "it reads too much")
        ended = time.monotonic()
        child.wait(10)
        assert ended - start < 10
        # a busy machine may not let it say so within its second: then the next run says it
        project.write("quick.py", SLOW.replace("60", "0"))
        project.ok(*RUN, "quick.py")
        closed = [one for one in project.statements() if one["type"] == "closed"]
        assert len(closed) == 1
    finally:
        child.kill()
        child.communicate()


def test_a_run_that_ignores_the_request_is_killed(project):
    project.write("slow.py", SLOW)
    child = project.spawn(
        *RUN, "slow.py", preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)
    )
    try:
        run = _live(project)
        assert containing.kill(workspace(), run)
        assert child.wait(10) == -signal.SIGKILL
        assert not containing.kill(workspace(), run)
    finally:
        child.kill()
        child.communicate()


def test_killing_a_run_that_is_not_there_signals_nobody(project):
    path = workspace().run_lock("r1")
    path.write_text(f"{os.getpid()}\n")
    assert containing.kill(workspace(), "r1") is False


def test_an_edited_containment_is_refused_with_the_whole_log(project):
    import sqlite3

    project.ok("contain", "quarantine", "ana", "--reason", "x")
    db = sqlite3.connect(project.root / ".seal" / "ledger.db")
    tables = [row[0] for row in db.execute("select name from sqlite_master where type='table'")]
    db.close()
    assert tables
    ledger = project.root / ".seal" / "ledger.db"
    for path in (ledger, ledger.with_name("ledger.db-wal")):
        if path.exists():
            raw = path.read_bytes()
            path.write_bytes(_edited(raw))
    assert denied(project, "contain", "list")["rule"].startswith("log.")


@pytest.mark.parametrize("span", ["0s", "31d"])
def test_a_containment_without_an_end_is_refused(project, span):
    code, body, _ = project.seal("contain", "quarantine", "ana", "--reason", "x", "--for", span)
    assert code == 2, body
    assert held(project) == []


def test_a_short_id_names_no_containment(project):
    project.ok("contain", "quarantine", "ana", "--reason", "x")
    now = workspace()
    with pytest.raises(BadInput, match="no containment"):
        containing.find(containing.holds(now, now.history()), "")


def test_a_person_on_a_laptop_meets_none_of_it(project):
    project.ok("run", "--model", "model.json", "--name", "fraud", "--", "python", "train.py")
    project.ok("model", "export", "fraud@1", "a.tar")
    kinds = {one["type"] for one in project.statements()}
    assert not kinds & {"containment", "release"}


def _live(project) -> str:
    """The id of the run that is alive, once it is."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for path in (project.root / ".seal" / "tmp").glob("run-*.lock"):
            begun = any(
                entry.statement.predicate.get("run") in path.name
                for entry in workspace().history().of_type(containing.INTENT)
            )
            if begun and path.read_text().strip():
                time.sleep(0.3)
                return path.name.removeprefix("run-").removesuffix(".lock")
        time.sleep(0.05)
    raise AssertionError("no run began")


def _edited(raw: bytes) -> bytes:
    """One character of the newest envelope's payload changed, in place."""
    place = raw.rfind(b'"payload":"')
    assert place >= 0 or b"payload" not in raw
    if place < 0:
        return raw
    at = place + 200
    swap = b"A" if raw[at : at + 1] != b"A" else b"B"
    return raw[:at] + swap + raw[at + 1 :]


def test_the_json_of_a_containment_is_stable(project):
    body = project.ok("contain", "quarantine", "ana", "--reason", "x")
    assert sorted(body) == [
        "actor", "automatic", "digest", "id", "index", "new", "notes", "reason", "rule", "state",
        "step", "target", "time", "until",
    ]  # fmt: skip
    listed = project.ok("contain", "list")
    assert sorted(listed) == ["containments", "refused", "unreadable"]
    assert json.dumps(listed)


BURN = "import time\nend = time.process_time() + 1.5\nwhile time.process_time() < end: pass\n"


def test_too_much_computing_is_slowed_down_and_not_stopped(project):
    project.write("burn.py", BURN + "open('model.json', 'w').write('{}')\n")
    settings(project, 'compute_per_day = "1s"\nthrottle = "0s"')
    project.ok(*RUN, "burn.py")
    assert held(project) == [("throttle", f"principal:{me()}")]
    project.ok(*RUN, "burn.py")
    assert held(project) == [("throttle", f"principal:{me()}")]


def test_what_the_watch_remembers_is_of_this_log_and_up_to_date(project):
    from sealwright.app import watching

    project.write("train.py", QUICK)
    project.ok(*RUN, "train.py")
    now = workspace()
    history = now.history()
    kept = watching.load(now, history)
    assert (kept.size, kept.last) == (history.size, history.entries[-1].digest)
    tally = kept.state.counters.principals[me()]
    assert sum(cell.reads for cell in tally.hours.values()) == 1
    size = project.ok("data", "list")["datasets"][0]["size_bytes"]
    assert sum(cell.size_bytes for cell in tally.hours.values()) == size
