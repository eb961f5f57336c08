"""Records and their roots: none is lost to a kill, none leaves while the log takes nothing."""

import asyncio
import resource
import subprocess
import sys
import tempfile
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from serve_house import DIGEST, MODEL, Log

from sealwright.core.errors import UnknownSigner, VerifyError
from sealwright.core.predicates import GUARD_BATCH, GUARD_EVENT
from sealwright.evidence import merkle
from sealwright.serve import proof
from sealwright.serve.evidence import FORMAT, Event, Record, line_of, record_of, root_of
from sealwright.serve.journal import About, Covered, Journal
from sealwright.serve.recordfile import STEP_BYTES, lines_of
from sealwright.serve.refusals import OutOfService

ABOUT = About(MODEL, DIGEST, DIGEST, "ada")


def record(at=0, **more):
    told = {
        "answer": DIGEST,
        "format": FORMAT,
        "how": "key",
        "id": f"{at:016x}",
        "input": DIGEST,
        "mbits": 9966,
        "model": MODEL,
        "model_digest": DIGEST,
        "policy": DIGEST,
        "principal": "key:acme",
        "profile": "multiclass/top1",
        "rows": 1,
        "rule": "",
        "rung": "observe",
        "time_ms": at,
        "verdict": "answered",
    }
    return Record(**(told | more))


def event(**more):
    told = {"what": "denial", "principal": "key:acme", "group": "acme", "rung": "observe"}
    told |= {"rule": "guard.budget", "why": "spent", "model": MODEL, "model_digest": DIGEST}
    return Event(**(told | more))


class Clock:
    def __init__(self):
        self.now = datetime(2026, 11, 26, tzinfo=UTC)

    def __call__(self):
        return self.now


def journal(folder, log, clock=None, covered=None):
    return Journal(folder / "records", ABOUT, log, clock or Clock(), covered or Covered({}))


def test_every_record_is_under_a_root_and_the_batches_are_a_chain(tmp_path):
    log = Log()

    async def scene():
        made = journal(tmp_path, log)
        for at in range(2500):
            made.add(record(at))
        made.count("guard.unknown-caller")
        await made.close()

    asyncio.run(scene())
    batches = [one for one in log.statements if one.predicate_type == GUARD_BATCH]
    assert [one.predicate["count"] for one in batches] == [1000, 1000, 500]
    assert [one.predicate["first"] for one in batches] == [0, 1000, 2000]
    (path,) = (tmp_path / "records").iterdir()
    lines = list(lines_of(path))
    roots = [root_of(lines[at : at + 1000]).hex() for at in (0, 1000, 2000)]
    assert [one.subjects[0].digest for one in batches] == roots
    assert [one.predicate["previous"] for one in batches] == ["", *roots[:2]]
    assert batches[0].predicate["unnamed"] == {"guard.unknown-caller": 1}
    assert batches[0].predicate["mbits"] == 9_966_000
    assert oct(path.stat().st_mode)[-3:] == "600"


def test_what_comes_while_a_root_is_signed_waits_for_the_next(tmp_path):
    class Busy(Log):
        def record(self, statement):
            for _ in range(3):
                made.add(record(next(times)))
            made.count("guard.unknown-caller")
            return super().record(statement)

    log, times = Busy(), iter(range(1, 100))

    async def scene():
        nonlocal made
        made = journal(tmp_path, log)
        made.add(record())
        await made.flush()
        assert [one.predicate["count"] for one in log.statements] == [1]
        await made.flush()
        Busy.record = Log.record
        await made.close()

    made = None
    asyncio.run(scene())
    assert [one.predicate["count"] for one in log.statements] == [1, 3, 3]
    assert [one.predicate["unnamed"] for one in log.statements] == [
        {},
        {"guard.unknown-caller": 1},
        {"guard.unknown-caller": 1},
    ]


def test_what_a_killed_server_wrote_gets_a_root_later_and_a_torn_line_none(tmp_path):
    log = Log()

    async def killed():
        made = journal(tmp_path, log)
        for at in range(5):
            made.add(record(at))
        torn = made._file
        torn._map[torn.size : torn.size + 40] = line_of(record(5))[:40]

    asyncio.run(killed())
    assert log.statements == []

    async def later():
        made = journal(tmp_path, log)
        assert made.recover(Covered({})) == 5
        await made.close()

    asyncio.run(later())
    (batch,) = log.statements
    assert (batch.predicate["count"], batch.predicate["recovered"]) == (5, True)

    async def again():
        made = journal(tmp_path, log)
        covered = Covered({batch.predicate["file"]: 5}, batch.subjects[0].digest)
        assert made.recover(covered) == 0
        await made.close()

    asyncio.run(again())
    assert len(log.statements) == 1


def test_while_the_log_takes_nothing_nothing_is_answered_and_then_it_goes_on(tmp_path):
    log = Log()

    async def scene():
        made = journal(tmp_path, log)
        made.add(record(0))
        log.broken = True
        await made.flush()
        for ask in (made.require, lambda: made.add(record(1))):
            with pytest.raises(OutOfService) as out:
                ask()
            assert out.value.rule == "guard.evidence"
        log.broken = False
        await made.flush()
        made.require()
        made.add(record(1))
        await made.close()

    asyncio.run(scene())
    assert sum(one.predicate["count"] for one in log.statements) == 2


def test_a_full_disk_is_no_answer(tmp_path):
    log = Log()

    async def scene():
        made, wrote = journal(tmp_path, log), 0
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (STEP_BYTES, before[1]))
        try:
            with pytest.raises(OutOfService, match="no evidence"):
                for at in range(STEP_BYTES // len(line_of(record())) + 1):
                    made.add(record(at))
                    wrote += 1
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        made.add(record(wrote))
        await made.close()
        return wrote + 1

    wrote = asyncio.run(scene())
    (path,) = (tmp_path / "records").iterdir()
    assert [record_of(line) for line in lines_of(path)] == [record(at) for at in range(wrote)]
    assert sum(one.predicate["count"] for one in log.statements) == wrote


def test_a_closed_journal_takes_no_record(tmp_path):
    async def scene():
        made = journal(tmp_path, Log())
        await made.close()
        with pytest.raises(OutOfService, match="no evidence"):
            made.add(record())

    asyncio.run(scene())


def test_a_full_file_of_records_is_followed_by_another(tmp_path, monkeypatch):
    log = Log()
    monkeypatch.setattr("sealwright.serve.journal.MOST_FILE_BYTES", 1_000)

    async def scene():
        made = journal(tmp_path, log)
        for at in range(7):
            made.add(record(at))
            await made.flush()
        await made.close()

    asyncio.run(scene())
    files = [list(lines_of(path)) for path in (tmp_path / "records").iterdir()]
    assert sorted(map(len, files)) == [1, 2, 2, 2]
    assert sorted(line for each in files for line in each) == [line_of(record(n)) for n in range(7)]
    assert len({(one.predicate["file"], one.predicate["first"]) for one in log.statements}) == 7


def test_where_no_other_file_can_be_made_records_go_on_in_the_full_one(tmp_path, monkeypatch):
    log = Log()
    monkeypatch.setattr("sealwright.serve.journal.MOST_FILE_BYTES", 1_000)

    async def scene():
        made = journal(tmp_path, log)
        for at in range(3):
            made.add(record(at))
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (STEP_BYTES // 2, before[1]))
        try:
            await made.flush()
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        made.add(record(3))
        await made.close()

    asyncio.run(scene())
    paths = sorted((tmp_path / "records").iterdir(), key=lambda path: path.stat().st_size)
    assert [line for path in paths for line in lines_of(path)] == [
        line_of(record(at)) for at in range(4)
    ]
    assert [one.predicate["count"] for one in log.statements] == [3, 1]


def test_every_line_of_which_somebody_heard_outlives_a_kill(tmp_path):
    writes = (
        "import itertools, os, sys, pathlib\n"
        "from sealwright.serve.recordfile import RecordFile\n"
        "file = RecordFile(pathlib.Path(sys.argv[1]))\n"
        "for at in itertools.count():\n"
        "    file.append(b'%0400d' % at)\n"
        "    os.write(1, b'.')\n"
    )
    words = [sys.executable, "-c", writes, str(tmp_path / "lines")]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as child:
        heard = 0
        while heard < STEP_BYTES // 400 + 100:
            heard += len(child.stdout.read1())
        child.kill()
        heard += len(child.stdout.read())
    found = list(map(int, lines_of(tmp_path / "lines")))
    assert found == list(range(len(found)))
    assert heard <= len(found) <= heard + 1


@given(st.lists(st.binary(min_size=1, max_size=40)), st.data())
def test_a_file_that_ends_anywhere_is_read_up_to_its_last_whole_line(given_, data):
    lines = [line.replace(b"\n", b"n").replace(b"\0", b"0") for line in given_]
    whole = b"".join(line + b"\n" for line in lines)
    cut = data.draw(st.integers(0, len(whole)))
    hole = data.draw(st.integers(cut, len(whole)))
    torn = whole[:cut] + bytes(hole - cut) + whole[hole:] + bytes(100)
    with tempfile.NamedTemporaryFile() as file:
        Path(file.name).write_bytes(torn)
        found = list(lines_of(Path(file.name)))
    assert found == lines[: whole[:cut].count(b"\n") if hole > cut else len(lines)]


def test_the_same_denial_is_a_statement_once_a_minute(tmp_path):
    log, clock = Log(), Clock()

    async def scene():
        made = journal(tmp_path, log, clock)
        first = await made.event(event())
        again = await made.event(event())
        other = await made.event(event(principal="key:other"))
        clock.now += timedelta(minutes=1, seconds=1)
        later = await made.event(event())
        await made.close()
        return first, again, other, later

    assert asyncio.run(scene()) == (0, -1, 1, 2)
    assert {one.predicate_type for one in log.statements} == {GUARD_EVENT}


def test_an_event_that_the_log_does_not_take_is_said_again(tmp_path):
    log = Log()

    async def scene():
        made = journal(tmp_path, log)
        log.broken = True
        with pytest.raises(OutOfService):
            await made.event(event())
        log.broken = False
        assert await made.event(event()) == 0

    asyncio.run(scene())


@given(st.binary(max_size=200))
def test_no_bytes_but_a_records_own_are_a_record(data):
    line = line_of(record())
    for other in (data, line + b" ", line.replace(b'"rows":1', b'"rows": 1'), line[:-1]):
        with pytest.raises(VerifyError):
            record_of(other)
    assert record_of(line) == record()


class House:
    """A real log, so that proofs are real."""

    def __init__(self, folder):
        from sealwright.adapters.db_sqlite import SqliteLog
        from sealwright.evidence import trust as trusts
        from sealwright.evidence.recorder import SigningRecorder
        from sealwright.vault.signers import Ed25519Signer

        origin, workspace, key = (
            "sealwright.local/w0123456789abcdef",
            *(Ed25519Signer.generate() for _ in range(2)),
        )
        keys = [
            trusts.key_of(workspace, "workspace", "workspace"),
            trusts.key_of(key, "log", origin),
        ]
        self.chain = [trusts.first("w0123456789abcdef", origin, keys, workspace)]
        self.trust = trusts.load(self.chain, None)
        self.log = SqliteLog.create(folder / "ledger.db", origin, key)
        self.recorder = SigningRecorder(self.log, workspace)

    def proof(self, lines, place, index):
        entry = next(iter(self.log.entries(index, index + 1)))
        return proof.made(lines, place, entry, self.log.checkpoint(), self.log.hash_at, self.chain)


def test_any_record_of_a_batch_is_proven_from_one_file_and_no_other_is(tmp_path):
    house = House(tmp_path)

    async def scene():
        made = journal(tmp_path, house.recorder)
        for at in range(7):
            made.add(record(at))
        index = await made.event(event())
        await made.close()
        return index

    denied = asyncio.run(scene())
    (path,) = (tmp_path / "records").iterdir()
    lines, pin = list(lines_of(path)), house.trust.fingerprint
    for place in range(7):
        data = house.proof(lines, place, 1)
        assert data.startswith(proof.MARK)
        assert proof.verify(data, pin).record == record(place)
    shown = proof.verify(house.proof([], 0, denied), pin)
    assert shown.record is None
    assert shown.recorded.statement.predicate["rule"] == "guard.budget"
    data = house.proof(lines, 3, 1)
    with pytest.raises(UnknownSigner):
        proof.verify(data, None)
    with pytest.raises(UnknownSigner):
        proof.verify(data, "0" * 64)
    told = msgspec.json.decode(data)
    import base64

    other = base64.b64encode(line_of(record(3, mbits=1))).decode()
    for change in (
        {"record": other},
        {"place": 4},
        {"path": told["path"][:-1]},
        {"entry": base64.b64encode(b"{}").decode()},
        {"proof": base64.b64encode(b"x").decode()},
        {"trust": []},
        {"more": 1},
        {"record": ""},
    ):
        with pytest.raises(VerifyError):
            proof.verify(msgspec.json.encode(told | change), pin)


def test_a_root_is_what_rfc_6962_says():
    lines = [line_of(record(at)) for at in range(3)]
    leaves = [merkle.leaf_hash(line) for line in lines]
    left = merkle.node_hash(leaves[0], leaves[1])
    assert root_of(lines) == merkle.node_hash(left, leaves[2])


def test_a_root_that_is_being_signed_while_the_journal_stops_is_not_signed_twice(tmp_path):
    class Slow(Log):
        def record(self, statement):
            begun.set()
            go.wait(5)
            return super().record(statement)

    begun, go, log = threading.Event(), threading.Event(), Slow()

    async def scene():
        made = Journal(tmp_path / "records", ABOUT, log, Clock(), Covered({}), every_s=0.001)
        made.add(record(1))
        running = asyncio.create_task(made.run())
        await asyncio.to_thread(begun.wait, 5)
        running.cancel()
        closing = asyncio.create_task(made.close())
        await asyncio.sleep(0.01)
        go.set()
        await closing

    asyncio.run(scene())
    assert [one.predicate["count"] for one in log.statements] == [1]
