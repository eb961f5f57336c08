"""A run that uses far more than its stage did before, or everything for nothing, is told."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from sealwright.train import compute
from sealwright.train.spec import GIB, Usage

from .rooms import has_cgroup, hear, needs_room

USUAL = tuple(Usage(60_000 + i, 100_000 + i, GIB, 4) for i in range(3))
MINER = """
import hashlib, os, time
end = time.monotonic() + 2
for _ in range(len(os.sched_getaffinity(0)) - 1):
    if os.fork() == 0:
        break
while time.monotonic() < end:
    for _ in range(1000):
        hashlib.sha256(b'nonce').digest()
"""
TRAINER = MINER + "\nopen(f'model-{os.getpid()}', 'wb').write(bytes(50_000))\n"


def judge(usage: Usage, earlier: tuple[Usage, ...] = USUAL, written: int = 1 << 20) -> list[str]:
    found = compute.findings(usage, earlier, cores=4, written_bytes=written)
    assert {one.rule for one in found} <= {compute.RULE}
    return [one.message for one in found]


@pytest.mark.parametrize(
    ("usage", "word"),
    [
        (Usage(60_000, 450_000, GIB, 4), "CPU"),
        (Usage(300_000, 100_000, GIB, 4), "300000 ms"),
        (Usage(60_000, 100_000, 5 * GIB, 4), "bytes"),
        (Usage(60_000, 100_000, GIB, 64), "processes"),
    ],
)
def test_each_measure_far_above_the_usual_is_a_spike(usage: Usage, word: str) -> None:
    (message,) = judge(usage)
    assert word in message


def test_a_run_like_the_others_is_none() -> None:
    assert judge(Usage(80_000, 130_000, 2 * GIB, 6)) == []


def test_a_short_run_is_none_however_much_shorter_the_others_were() -> None:
    short = (Usage(100, 80, 1 << 20, 1),)
    assert judge(Usage(20_000, 30_000, GIB // 2, 20), short) == []


def test_a_first_run_and_measures_nobody_took_are_none() -> None:
    assert judge(Usage(9_000_000, 9_000_000, 9 * GIB, 900), ()) == []
    assert judge(Usage(60_000, 100_000, 9 * GIB, 900), (Usage(60_000, 100_000, 0, 0),)) == []


def test_all_cores_busy_for_nothing_needs_no_history() -> None:
    assert judge(Usage(100_000, 390_000, GIB, 4), (), written=100)
    assert judge(Usage(100_000, 390_000, GIB, 4), (), written=1 << 20) == []
    assert judge(Usage(100_000, 100_000, GIB, 4), (), written=100) == []
    assert judge(Usage(9_000, 36_000, GIB, 4), (), written=100) == []


@needs_room
@pytest.mark.skipif(not has_cgroup, reason="CPU time of the whole room needs a cgroup")
def test_a_real_miner_is_told_from_a_real_training_by_what_comes_of_it(tmp_path: Path) -> None:
    for script, told in ((MINER, True), (TRAINER, False)):
        result, _ = hear(tmp_path, script)
        assert result.status == "ok"
        written = sum(one.size for one in result.outputs)
        idle = msgspec.structs.replace(result.usage, wall_ms=result.usage.cpu_ms)  # this one is not
        found = compute.findings(idle, (), cores=1, written_bytes=written, pinned_from_ms=500)
        assert bool(found) is told
