"""Every probe, for real: outside it must succeed, inside the strict room it must not."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from sealwright.core.errors import BadInput
from sealwright.train import landlock, measured
from sealwright.train.measured import Measured, Rung
from sealwright.train.probes import suite
from sealwright.train.probes.suite import Tried

from .rooms import needs_room

USER = 65534
CHANNELS = {"stdout", "stdout-flood", "timing"}
SYSTEM_PYTHON = f"/usr/bin/python{sys.version_info.major}.{sys.version_info.minor}"
probed = [
    needs_room,
    pytest.mark.skipif(landlock.abi() < landlock.OLDEST, reason="no Landlock of ABI 3 or later"),
]
DRIVER = """
import json, sys
from pathlib import Path
import msgspec
from sealwright.train.probes import suite
tried = suite.run(Path(sys.argv[1]), lambda what: None, ("strict",))
print(json.dumps(msgspec.to_builtins(tried)))
"""


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Not below /tmp or /var/tmp, which every room has its own of."""
    where = "/var" if os.getuid() == 0 else Path.home()
    made = Path(tempfile.mkdtemp(prefix="sealwright-test-", dir=where))
    made.chmod(0o777)
    yield made
    shutil.rmtree(made)


def check(tried: list[Tried], at_least: int) -> None:
    fired = [one for one in tried if one.verdicts["strict"] != "no-control"]
    leaked = {one.name: one.details for one in fired if one.verdicts["strict"] == "leaked"}
    assert not leaked
    assert {one.name for one in fired if one.verdicts["strict"] == "bounded"} == CHANNELS
    assert len(fired) >= at_least, [one.name for one in tried if one not in fired]


class TestThisUser:
    pytestmark = probed

    def test_nothing_leaks_at_strict_but_the_bounded_channels(self, folder: Path) -> None:
        steps: list[str] = []
        tried = suite.run(folder, steps.append, ("strict",))
        check(tried, 60)
        assert steps == ["outside the room", "inside: strict"]
        assert "SEALWRIGHT_CANARY" not in os.environ
        assert not list(Path("/dev/shm").glob("sealwright-canary-*"))
        assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.getuid() != 0, reason="the other test runs as a plain user already")
@pytest.mark.skipif(not shutil.which("setpriv"), reason="no setpriv")
@pytest.mark.skipif(not Path(SYSTEM_PYTHON).exists(), reason=f"no {SYSTEM_PYTHON} for everyone")
class TestAPlainUser:
    pytestmark = probed

    def test_nothing_leaks_at_strict_but_the_bounded_channels(self, folder: Path) -> None:
        origins = [importlib.util.find_spec(name) for name in ("sealwright", "msgspec")]
        path = ":".join(str(Path(one.origin).parents[1]) for one in origins if one and one.origin)
        command = ["setpriv", f"--reuid={USER}", f"--regid={USER}", "--clear-groups", "env", "-i"]
        command += [f"PYTHONPATH={path}", "PATH=/usr/bin:/bin", f"HOME={folder}"]
        command += [SYSTEM_PYTHON, "-c", DRIVER, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr
        check(msgspec.convert(json.loads(done.stdout), list[Tried]), 60)


def tried(group: str, since: str = "standard", verdict: str = "leaked") -> Tried:
    verdicts: Any = {"standard": verdict, "strict": verdict}
    return Tried("x", group, "to get out", since, "it worked", verdicts, {})


@pytest.mark.parametrize(
    ("group", "rung"),
    [("network", 0), ("files", 0), ("processes", 1), ("kernel", 1), ("resources", 2)],
)
def test_one_leak_lowers_the_rung_to_what_its_group_allows(group: str, rung: int) -> None:
    found = measured.of([tried(group)], "strict", grouped=True)
    assert (found.promised, found.measured, found.leaked) == (4, rung, ("x",))


def test_what_only_strict_promises_to_hold_costs_standard_nothing() -> None:
    leak = [tried("kernel", since="strict")]
    assert measured.of(leak, "standard", grouped=True).measured == 3
    assert measured.of(leak, "standard", grouped=True).leaked == ("x",)
    assert measured.of(leak, "strict", grouped=True).measured == 1


def test_a_probe_whose_control_failed_is_no_evidence() -> None:
    found = measured.of([tried("network", verdict="no-control")], "strict", grouped=False)
    assert (found.measured, found.counted, found.held) == (3, 0, 0)


def _measurement(machine: dict[str, str]) -> Measured:
    rung = Rung(promised=4, measured=2, counted=9, held=8, leaked=("fork-bomb",), bounded=())
    return Measured(machine, "2026-01-01T00:00:00Z", {"strict": rung})


@needs_room
def test_a_measurement_counts_until_the_machine_changes(tmp_path: Path) -> None:
    path = measured.save(_measurement(measured.machine()), tmp_path)
    assert path.stat().st_mode & 0o777 == 0o600
    found = measured.load(tmp_path)
    assert found is not None
    assert found.rungs["strict"].measured == 2
    assert len(found.digest) == 64
    measured.save(_measurement(measured.machine() | {"kernel": "another"}), tmp_path)
    assert measured.load(tmp_path) is None


def test_no_measurement_is_none_and_a_broken_one_is_an_error(tmp_path: Path) -> None:
    assert measured.load(tmp_path) is None
    (tmp_path / measured.FILE).write_text("{")
    with pytest.raises(BadInput):
        measured.load(tmp_path)


def test_there_are_more_than_a_hundred_probes_each_with_its_group_and_its_words() -> None:
    probes = suite.ALL.values()
    assert len(probes) > 100
    assert {one.group for one in probes} == set(suite.GROUPS)
    assert len({one.tries for one in probes}) == len(probes)
    assert {one.name for one in probes if one.bounded} == CHANNELS
