"""Byte budgets hold at the read: what would go beyond one is refused before a byte leaves."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from access_house import ROWS, Office

from sealwright.app.metering import Meter, MeteredStore
from sealwright.core.errors import Refused
from sealwright.core.ports import StoredFile
from sealwright.core.predicates import ACCESS, CONTAINMENT, EXPORT, READ, READ_SETTLED
from sealwright.core.records import Artifact, Recorded, Statement
from sealwright.evidence.history import Head, History
from sealwright.policy import settlements
from sealwright.watch import events, reserved
from sealwright.watch.rules import Limits, State

SIZE = len(ROWS.encode())


def _watch(office: Office, text: str) -> None:
    path = office.root / "seal.toml"
    path.write_text(re.sub(r"\n\[watch\][^[]*", "", path.read_text()) + f"\n[watch]\n{text}\n")


def _reads(office: Office) -> int:
    return len(office.history().of_type(READ))


@pytest.mark.parametrize("limit", ["bytes_per_hour", "bytes_per_day", "artifact_bytes_per_day"])
def test_the_read_that_would_pass_a_limit_is_refused_and_nothing_was_read(
    office: Office, limit: str
) -> None:
    office.add()
    office.granted("view")
    _watch(office, f'{limit} = "{2 * SIZE}"')
    assert [office.read()[0] for _ in range(2)] == [0, 0]
    out = office.tmp / "rows.csv"
    error = office.refused("eli", "data", "read", "train", "--out", str(out))
    assert error["rule"] == "access.over-budget"
    assert f"{3 * SIZE:,} where {2 * SIZE:,} is the limit" in error["why"]
    assert not out.exists()
    assert _reads(office) == 2
    assert office.history().of_type(CONTAINMENT), "whoever tried is held, as after a breach"
    rows = office.ok("aude", "access", "audit")["decisions"]
    assert {row["replayed"] for row in rows} == {True}


def test_counts_and_windows_hold_before_too(office: Office) -> None:
    office.add()
    office.granted("view")
    _watch(office, "reads_per_day = 1")
    assert office.read()[0] == 0
    assert office.refused("eli", "data", "read", "train")["rule"] == "access.over-budget"
    assert _reads(office) == 1


def test_alone_in_solo_a_limit_somebody_set_holds_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    office = Office(tmp_path, monkeypatch, capsys)
    office.open("solo", ())
    office.add("olga")
    _watch(office, f'bytes_per_hour = "{SIZE}"')
    assert office.read("olga")[0] == 0
    assert office.refused("olga", "data", "read", "train")["rule"] == "access.over-budget"
    assert office.history().of_type(ACCESS)[-1].statement.predicate["alone"] is False


def test_without_automatic_limits_only_count(office: Office) -> None:
    office.add()
    office.granted("view")
    _watch(office, f'automatic = false\nbytes_per_hour = "{SIZE}"')
    assert [office.read()[0] for _ in range(3)] == [0, 0, 0]


def test_a_read_cut_short_gives_back_what_it_did_not_take(office: Office) -> None:
    office.add()
    office.granted("view", "--bytes", str(SIZE))
    views = office.root / "policies" / "access" / "data.toml"
    views.write_text('[[view]]\ndata = "train"\nroles = ["*"]\ncolumns = {gone = "drop"}\n')
    for who in ("rita", "aude"):
        office.seal("olga", "policy", "activate", "--reason", "views")
        asked = office.ok("olga", "access", "list")["requests"][0]["request"]
        office.approve(who, asked)
    office.ok("olga", "policy", "activate", "--reason", "views")
    assert office.refused("eli", "data", "read", "train")["rule"] == "access.view-column"
    (told,) = office.history().of_type(READ_SETTLED)
    assert (told.statement.predicate["reserved_bytes"], told.statement.predicate["size_bytes"]) == (
        SIZE,
        0,
    )
    (grant,) = office.ok("eli", "access", "list")["grants"]
    assert grant["used_bytes"] == 0


def test_parallel_readers_do_not_overrun_a_grant(office: Office) -> None:
    office.add()
    office.granted("view", "--bytes", str(3 * SIZE))
    env = {**os.environ, "SEAL_PRINCIPAL": "eli"}
    command = [sys.executable, "-m", "sealwright", "data", "read", "train", "--out"]
    outs = [office.tmp / f"rows-{number}.csv" for number in range(6)]
    running = [
        subprocess.Popen([*command, str(out)], env=env, stderr=subprocess.PIPE) for out in outs
    ]
    told = [one.communicate()[1].decode() for one in running]
    codes = [one.returncode for one in running]
    assert sorted(codes) == [0, 0, 0, 1, 1, 1], told
    assert sum(out.exists() for out in outs) == 3
    (grant,) = office.ok("eli", "access", "list")["grants"]
    assert grant["used_bytes"] == 3 * SIZE


def test_a_settlement_never_takes_back_more_than_was_reserved_nor_twice() -> None:
    def entry(index: int, kind: str, **predicate: object) -> Recorded:
        said = Statement((), kind, {"actor": "eli", "time": "2026-11-23T12:00:00Z", **predicate})  # type: ignore[dict-item]
        return Recorded(index, "", "", said)

    def taken(*more: Recorded) -> dict[int, int]:
        entries = (entry(0, READ, size_bytes=100), *more)
        return settlements.settled(History(b"", Head(len(entries), ""), entries))

    assert taken(entry(1, READ_SETTLED, entry=0, size_bytes=40)) == {0: 40}
    for odd in (
        {"entry": 0, "size_bytes": 101},
        {"entry": 0, "size_bytes": -1},
        {"entry": 1, "size_bytes": 0},
        {"entry": True, "size_bytes": 0},
        {"entry": 0, "size_bytes": "0"},
        {"entry": 0, "size_bytes": 0, "actor": "ana"},
        {"size_bytes": 0},
    ):
        assert taken(entry(1, READ_SETTLED, **odd)) == {}, odd
    twice = (entry(n, READ_SETTLED, entry=0, size_bytes=n) for n in (9, 8))
    first, second = twice
    assert taken(Recorded(1, "", "", first.statement), Recorded(2, "", "", second.statement)) == {
        0: 9
    }


class _File:
    size = 100

    def pread(self, offset: int, length: int) -> bytes:
        return bytes(self.size)[offset : offset + length]


class _Store:
    def open(self, scope: str, file: StoredFile) -> _File:
        return _File()


def test_a_stream_stops_at_its_budget_and_bytes_read_again_are_not_new() -> None:
    meter = Meter(150)
    store = MeteredStore(_Store(), meter)  # type: ignore[arg-type]
    one, other = (store.open("data:x", None) for _ in range(2))  # type: ignore[arg-type]
    assert len(one.pread(0, 60)) == 60
    assert len(one.pread(30, 70)) == 70
    assert len(one.pread(0, 500)) == 100
    assert meter.taken == 100
    assert len(other.pread(0, 50)) == 50
    with pytest.raises(Refused) as refused:
        other.pread(40, 20)
    assert refused.value.rule == "access.budget-spent"
    assert meter.taken == 150


def test_an_export_is_counted_when_it_is_allowed_and_given_back_when_the_gate_refuses(
    office: Office,
) -> None:
    def entry(index: int, kind: str, **predicate: object) -> Recorded:
        office.later(seconds=1)
        time = office.now.strftime("%Y-%m-%dT%H:%M:%SZ")
        said = Statement(
            (settlements_subject,),
            kind,
            {"actor": "max", "time": time, **predicate},  # type: ignore[dict-item]
        )
        return Recorded(index, "", "", said)

    settlements_subject = Artifact("model:m@1", "ab" * 32)
    entries = (
        entry(0, READ, action="export", size_bytes=7, allowed=True),
        entry(1, READ_SETTLED, entry=0, size_bytes=0),
        entry(2, READ, action="export", size_bytes=7, allowed=True),
        entry(3, EXPORT),
        entry(4, EXPORT),
    )
    drawn = list(events.drawn(History(b"", Head(5, ""), entries)))
    state = State()
    assert [b for e in drawn for b in reserved.feed(state, e, Limits())] == []
    assert state.counters.of("max").total("exports", drawn[-1].time, 24) == 2
    assert [(e.action, e.count) for e in drawn] == [
        ("export", 1),
        ("unexport", 1),
        ("export", 1),
        ("export", 1),
    ]
