from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwright.core import settings
from sealwright.core.errors import BadInput
from sealwright.train import observe, opened
from sealwright.train.opened import Event

from .projects import write

SCRIPT = """
import os, socket, subprocess, sys
import helper
rows = open("data/train.csv").read()
try:
    open("data/absent.csv")
except FileNotFoundError:
    pass
open({outside!r}).read()
open(".env").read()
os.makedirs("out", exist_ok=True)
with open("out/model.tmp", "w") as sink:
    sink.write("weights")
os.rename("out/model.tmp", "out/model.joblib")
open("out/model.joblib").read()
link = socket.socket()
link.settimeout(5)
link.connect(("127.0.0.1", {port}))
subprocess.run([sys.executable, "-c", "open('data/second.csv').read()"], check=True)
print("trained")
sys.exit(3)
"""


@pytest.fixture
def port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def project(tmp_path: Path, port: int) -> Path:
    outside = write(tmp_path / "elsewhere", {"more.csv": "x"}) / "more.csv"
    return write(
        tmp_path / "p",
        {
            "train.py": SCRIPT.format(outside=str(outside), port=port),
            "helper.py": "x = 1",
            "unused.csv": "x",
            ".env": "TOKEN=1",
            "data/train.csv": "a,label\n1,2\n",
            "data/second.csv": "a,b\n1,2\n",
        },
    )


@pytest.fixture(params=get_args(observe.Method))
def method(request: pytest.FixtureRequest) -> observe.Method:
    if request.param == "strace" and not can_trace():
        pytest.skip("strace is not here, or may not trace")
    chosen: observe.Method = request.param
    return chosen


def can_trace() -> bool:
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], check=False).returncode == 0


def test_everything_a_script_opens_is_named(
    project: Path, port: int, method: observe.Method, capfd: pytest.CaptureFixture[str]
) -> None:
    seen = observe.observe([sys.executable, "train.py"], project, method=method)
    assert seen.exit_code == 3
    assert seen.data == ("data/second.csv", "data/train.csv")
    assert seen.data_outside == (str(project.parent / "elsewhere/more.csv"),)
    assert seen.written == ("out/model.joblib",)
    assert seen.model == "out/model.joblib"
    assert seen.secrets == (".env",)
    assert seen.network == (f"127.0.0.1:{port}",)
    assert seen.missing == ("data/absent.csv",)
    assert {"train.py", "helper.py"} >= set(seen.code) > set()
    assert "trained" in capfd.readouterr().out


def test_the_proposal_parses_and_names_what_was_read(project: Path, method: observe.Method) -> None:
    seen = observe.observe([sys.executable, "train.py"], project, method=method)
    proposed = settings.parse(seen.proposal.encode())
    assert {name: (one.path, one.label) for name, one in proposed.data.items()} == {
        "train": ("data/train.csv", "label"),
        "second": ("data/second.csv", ""),
    }
    assert proposed.stage["train"].cmd == [sys.executable, "train.py"]
    assert proposed.stage["train"].model == "out/model.joblib"


def test_nothing_but_what_the_command_writes_is_changed(
    project: Path, method: observe.Method
) -> None:
    before = {path for path in project.rglob("*") if "__pycache__" not in path.parts}
    observe.observe([sys.executable, "train.py"], project, method=method)
    after = {path for path in project.rglob("*") if "__pycache__" not in path.parts}
    assert after - before == {project / "out", project / "out/model.joblib"}


def test_the_answer_says_what_it_cannot_see(project: Path) -> None:
    seen = observe.observe([sys.executable, "train.py"], project, method="python")
    assert any("only what Python itself opens" in note for note in seen.notes)
    assert any("outside the room" in note for note in seen.notes)
    assert any("ended with 3" in note for note in seen.notes)


def test_the_users_own_sitecustomize_still_runs(tmp_path: Path) -> None:
    own = write(tmp_path / "site", {"sitecustomize.py": "import builtins; builtins.mark = 7"})
    project = write(tmp_path / "p", {"train.py": "import sys; sys.exit(mark)"})
    seen = observe.observe(
        [sys.executable, "train.py"],
        project,
        {"PATH": "/usr/bin", "PYTHONPATH": str(own)},
        method="python",
    )
    assert seen.exit_code == 7


def test_output_can_be_sent_elsewhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], method: observe.Method
) -> None:
    write(tmp_path, {"train.py": "print('hello')"})
    observe.observe([sys.executable, "train.py"], tmp_path, stdout=2, method=method)
    said = capfd.readouterr()
    assert (said.out, "hello" in said.err) == ("", True)


def test_a_missing_program_is_refused_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(BadInput):
        observe.observe(["pythn", "train.py"], tmp_path)


def test_lines_name_every_group_and_cut_long_ones(project: Path) -> None:
    seen = observe.observe([sys.executable, "train.py"], project, method="python")
    text = "\n".join(seen.lines())
    for title in ("reads data:", "writes:", "looks like a secret:", "over the network:"):
        assert title in text
    write(project, {f"data/many/{number}.csv": "a" for number in range(30)})
    write(
        project,
        {
            "train.py": "import pathlib\n"
            "[path.read_text() for path in pathlib.Path('data/many').iterdir()]"
        },
    )
    many = observe.observe([sys.executable, "train.py"], project, method="python")
    assert "  … and 10 more" in many.lines()
    assert 'path = "data/many"' in many.proposal


CASES = [
    (
        'openat(AT_FDCWD</p>, "data/a.csv", O_RDONLY|O_CLOEXEC) = 3</p/data/a.csv>',
        Event("read", "/p/data/a.csv"),
    ),
    (
        'openat(AT_FDCWD</p>, "l\\303\\274.txt", O_WRONLY|O_CREAT|O_TRUNC, 0666)'
        " = 3</p/l\\303\\274.txt>",
        Event("write", "/p/lü.txt"),
    ),
    ('openat(5</p/d>, "x \\"q\\"", O_RDWR) = 3</p/d/x \\"q\\">', Event("write", '/p/d/x "q"')),
    (
        'openat(AT_FDCWD</p>, "gone.csv", O_RDONLY) = -1 ENOENT (No such file or directory)',
        Event("missing", "/p/gone.csv"),
    ),
    ('creat("/p/x", 0644) = 3</p/x>', Event("write", "/p/x")),
    ('rename("/p/a", "/p/b") = 0', Event("write", "/p/b")),
    ('renameat(AT_FDCWD</p>, "a", AT_FDCWD</p>, "b") = 0', Event("write", "/p/b")),
    ('execve("/bin/ls", ["ls"], 0x7f /* 3 vars */) = 0', Event("run", "/bin/ls")),
    (
        "connect(4<socket:[1]>, {sa_family=AF_INET, sin_port=htons(443), "
        'sin_addr=inet_addr("192.0.2.1")}, 16) = -1 EINPROGRESS (Operation now in progress)',
        Event("network", "192.0.2.1:443"),
    ),
    (
        "connect(3<socket:[1]>, {sa_family=AF_INET6, sin6_port=htons(80), sin6_flowinfo=htonl(0), "
        'inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28) = 0',
        Event("network", "[2001:db8::1]:80"),
    ),
]


@pytest.mark.parametrize(("line", "event"), CASES)
def test_a_trace_line_is_read(line: str, event: Event) -> None:
    assert list(opened.events([line + "\n"])) == [event]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "+++ exited with 0 +++",
        "--- SIGCHLD {si_signo=SIGCHLD} ---",
        'openat(AT_FDCWD</p>, "d", O_RDONLY|O_DIRECTORY) = 3</p/d>',
        'openat(AT_FDCWD</p>, "x", O_RDONLY <unfinished ...>) = ?',
        'connect(4, {sa_family=AF_UNIX, sun_path="/run/x"}, 110) = -1 ENOENT (No such file)',
        'execve("/bin/no", ["no"], 0x7f) = -1 ENOENT (No such file or directory)',
    ],
)
def test_a_trace_line_that_means_nothing_is_passed_over(line: str) -> None:
    assert list(opened.events([line])) == []


@given(st.text(max_size=200))
def test_no_trace_line_breaks_the_reader(noise: str) -> None:
    for line in (noise, f'openat(AT_FDCWD<{noise}>, "{noise}", O_RDONLY) = 3<{noise}>'):
        assert all(isinstance(event, Event) for event in opened.events([line]))
