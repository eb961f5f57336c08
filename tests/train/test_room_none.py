"""--isolation none: the same bookkeeping without walls, and it says so."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import msgspec

from sealwright.train.spec import CodeFile

from .rooms import PYTHON, SMALL, hear, make_spec, play, room_input, wait_until


def test_the_script_works_on_a_private_copy_and_evidence_says_unisolated(tmp_path: Path) -> None:
    script = "import os; print(open('in.txt').read()); open('out.txt', 'w').write('x')"
    result, heard = hear(
        tmp_path, script, isolation="none", inputs=(room_input("in.txt", b"declared"),)
    )
    assert (result.status, heard.out) == ("ok", "declared\n"), heard.err
    assert result.facts["rung"] == "unisolated"
    assert result.facts["plaintext_on_disk"] is True
    assert result.facts["network"] == "host"
    assert [output.relpath for output in result.outputs] == ["out.txt"]
    assert list((tmp_path / "project").iterdir()) == []
    assert list((tmp_path / "scratch").iterdir()) == []


def test_outputs_can_be_written_back_after_the_copy_is_gone(tmp_path: Path) -> None:
    script = "open('out.txt', 'w').write('weights')"
    spec = make_spec(tmp_path)
    with play(tmp_path, script, isolation="none") as result:
        result.write_back(spec.project)
    assert (spec.project / "out.txt").read_text() == "weights"
    assert list((tmp_path / "scratch").iterdir()) == []


def test_time_is_limited(tmp_path: Path) -> None:
    limits = msgspec.structs.replace(SMALL, wall_s=1)
    result, _ = hear(tmp_path, "import time; time.sleep(600)", isolation="none", limits=limits)
    assert result.status == "timeout"


def test_a_background_process_that_keeps_the_pipe_does_not_hold_the_run_up(
    tmp_path: Path,
) -> None:
    script = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid)
"""
    result, heard = hear(tmp_path, script, isolation="none")
    assert result.status == "ok"
    assert wait_until(lambda: not Path(f"/proc/{int(heard.out)}/cwd").exists())


def test_a_daemon_that_left_the_group_does_not_hold_the_run_up(tmp_path: Path) -> None:
    script = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"],
                         start_new_session=True)
print(child.pid)
"""
    result, heard = hear(tmp_path, script, isolation="none")
    assert result.status == "ok"
    os.kill(int(heard.out), signal.SIGKILL)


def test_a_failure_names_the_undeclared_file(tmp_path: Path) -> None:
    spec = make_spec(tmp_path)
    (spec.project / "extra.csv").write_text("a")
    result, _ = hear(tmp_path, "open('extra.csv')", isolation="none")
    assert (result.status, result.exit_code) == ("failed", 1)
    assert result.missing_opens == ("extra.csv",)


def test_a_declared_input_wins_over_code_at_its_path(tmp_path: Path) -> None:
    code = (
        CodeFile("train.py", 0o100644, b"print(open('in.txt').read())"),
        CodeFile("in.txt", 0o100644, b"code"),
    )
    for isolation in ("none", "standard"):
        _, heard = hear(
            tmp_path, code=code, isolation=isolation, inputs=(room_input("in.txt", b"input"),)
        )
        assert heard.out == "input\n"


def test_a_script_that_locks_its_folder_away_cannot_stay_on_disk(tmp_path: Path) -> None:
    script = "import os; os.makedirs('a/b'); os.chmod('a/b', 0); os.chmod('a', 0)"
    result, _ = hear(tmp_path, script, isolation="none", argv=(PYTHON, "train.py"))
    assert result.status == "ok"
    assert list((tmp_path / "scratch").iterdir()) == []
