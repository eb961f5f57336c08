"""What a script in a room can see, reach and change: each wall is pushed against for real."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from sealwright.core.errors import Refused
from sealwright.train.room import run_room
from sealwright.train.spec import CodeFile

from .rooms import PYTHON, Bytes, hear, interpreter_trees, make_spec, needs_room, room_input

pytestmark = needs_room

PROBES = r"""
import ctypes, errno, json, os, platform, socket, subprocess, sys, threading

def attempt(work):
    try:
        return ["done", repr(work())[:200]]
    except BaseException as error:
        return ["refused", f"{type(error).__name__}: {error}"[:200]]

libc = ctypes.CDLL(None, use_errno=True)
ARM = platform.machine() == "aarch64"

def call(x86, arm, *args):
    if libc.syscall(ctypes.c_long(arm if ARM else x86), *args) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

def loopback():
    server = socket.create_server(("127.0.0.1", 0))
    client = socket.create_connection(server.getsockname(), timeout=5)
    server.accept()[0].sendall(b"hi")
    return client.recv(2)

def connect(address):
    return socket.create_connection(address, timeout=3)

def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        return s.sendto(b"x", ("192.0.2.1", 53))

def write(path):
    with open(path, "w") as f:
        return f.write("x")

def new_user_namespace():
    call(272, 97, 0x10000000)

def clone_user_namespace():
    pid = libc.syscall(ctypes.c_long(220 if ARM else 56), 0x10000000 | 17, 0, 0, 0, 0)
    if pid == 0:
        os._exit(0)
    if pid < 0:
        raise OSError(ctypes.get_errno(), "clone")
    os.waitpid(pid, 0)

facts = {
    "cwd": os.getcwd(), "files": sorted(os.listdir(".")), "root": sorted(os.listdir("/")),
    "env": dict(os.environ), "home": os.path.expanduser("~"),
    "home_files": os.listdir(os.path.expanduser("~")),
    "fds": sorted(int(n) for n in os.listdir("/proc/self/fd")
                  if os.path.exists(f"/proc/self/fd/{n}")),
    "pids": sorted(int(n) for n in os.listdir("/proc") if n.isdigit()),
    "hostname": socket.gethostname(), "caps": open("/proc/self/status").read(),
    "etc": sorted(os.listdir("/etc")), "interfaces": [n for _, n in socket.if_nameindex()],
    "init_environ": open("/proc/1/environ").read(), "input": open("data/in.txt").read(),
    "tty": attempt(lambda: os.open("/dev/tty", os.O_RDWR)),
    "stdin": sys.stdin.read(),
}
facts["tries"] = {name: attempt(work) for name, work in {
    "loopback": loopback,
    "tcp": lambda: connect(("192.0.2.1", 80)),
    "host_port": lambda: connect(("127.0.0.1", HOST_PORT)),
    "dns": lambda: socket.getaddrinfo("example.com", 80),
    "udp": udp,
    "abstract_socket": lambda: socket.socket(socket.AF_UNIX).connect("\0" + HOST_SOCKET),
    "ssh_key": lambda: open(os.path.expanduser("~/.ssh/id_ed25519")).read(),
    "host_secret": lambda: open(SECRET).read(),
    "cat_secret": lambda: subprocess.run(["cat", SECRET], check=True, capture_output=True),
    "shadow": lambda: open("/etc/shadow").read(),
    "write_input": lambda: write("data/in.txt"),
    "chmod_input": lambda: os.chmod("data/in.txt", 0o666),
    "remove_input": lambda: os.unlink("data/in.txt"),
    "write_beside_input": lambda: write("data/cache.txt"),
    "write_interpreter": lambda: write(os.path.join(sys.prefix, "x.txt")),
    "write_usr": lambda: write("/usr/x.txt"),
    "write_etc": lambda: write("/etc/x.txt"),
    "write_root": lambda: write("/x.txt"),
    "write_dev": lambda: write("/dev/x.txt"),
    "write_parent": lambda: write("../x.txt"),
    "write_tmp": lambda: write("/tmp/x.txt"),
    "write_home": lambda: write(os.path.expanduser("~/x.txt")),
    "write_project": lambda: write("out.txt"),
    "sysctl": lambda: os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY),
    "sysrq": lambda: os.open("/proc/sysrq-trigger", os.O_WRONLY),
    "io_uring": lambda: call(425, 425, 1, ctypes.create_string_buffer(120)),
    "userfaultfd": lambda: call(323, 282, 1),
    "ptrace": lambda: call(101, 117, 0, 0, 0, 0),
    "bpf": lambda: call(321, 280, 0, 0, 0),
    "perf": lambda: call(298, 241, 0, 0, 0, -1, 0),
    "keyring": lambda: call(250, 219, 0, -3, 0),
    "add_key": lambda: call(248, 217, b"user", b"x", b"y", 1, -3),
    "mount": lambda: call(165, 40, b"none", b"/tmp", b"tmpfs", 0, 0),
    "unshare": new_user_namespace,
    "clone": clone_user_namespace,
    "setns": lambda: call(308, 268, 0, 0),
    "vsock": lambda: socket.socket(40, socket.SOCK_STREAM),
    "packet": lambda: socket.socket(17, socket.SOCK_RAW),
    "audit_netlink": lambda: socket.socket(16, socket.SOCK_RAW, 9),
    "route_netlink": lambda: socket.socket(16, socket.SOCK_RAW, 0),
    "kill_host": lambda: os.kill(HOST_PID, 0),
    "thread": lambda: (lambda t: (t.start(), t.join()))(threading.Thread(target=print)),
}.items()}
print(json.dumps(facts))
"""

OPEN = (
    "loopback",
    "write_tmp",
    "write_home",
    "write_project",
    "write_beside_input",
    "write_parent",  # the project is under /tmp here, and /tmp is the room's own
    "route_netlink",
    "thread",
)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Any:
    base = tmp_path_factory.mktemp("walls")
    secret = base / "secret.txt"
    secret.write_text("host secret")
    abstract = f"sealwright-test-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        socket.socket(socket.AF_UNIX) as unix,
    ):
        unix.bind("\0" + abstract)
        unix.listen()
        head = f"HOST_PORT = {server.getsockname()[1]}\nHOST_SOCKET = {abstract!r}\n"
        head += f"SECRET = {str(secret)!r}\nHOST_PID = {os.getpid()}\n"
        leak = os.open(secret, os.O_RDONLY)
        os.set_inheritable(leak, True)
        try:
            result, heard = hear(
                base,
                head + PROBES,
                inputs=(room_input("data/in.txt", b"declared"),),
                env={"DECLARED": "yes"},
            )
        finally:
            os.close(leak)
    assert result.status == "ok", heard.err
    return json.loads(heard.out.splitlines()[-1]) | {"base": str(base), "result": result}


def test_the_script_sees_its_project_at_the_same_path_and_only_what_was_declared(
    seen: Any,
) -> None:
    assert seen["cwd"] == f"{seen['base']}/project"
    assert seen["files"] == ["data", "train.py"]
    assert seen["input"] == "declared"
    assert seen["stdin"] == ""


def test_the_environment_is_cleared_but_for_what_is_declared(
    seen: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = {"DECLARED", "HOME", "LANG", "LOGNAME", "PATH", "PWD", "USER"}
    assert set(seen["env"]) - {"LC_CTYPE"} == allowed | {"PYTHONHASHSEED", "PYTHONUNBUFFERED"}
    assert seen["env"]["DECLARED"] == "yes"
    assert seen["env"]["PYTHONHASHSEED"] == "0"
    assert seen["init_environ"] == ""


def test_home_is_private_and_empty(seen: Any) -> None:
    assert seen["home"] == seen["env"]["HOME"] == "/home/room"
    assert seen["home_files"] == []


def test_no_descriptor_is_inherited_but_the_three_standard_ones(seen: Any) -> None:
    assert seen["fds"] == [0, 1, 2]


def test_no_process_of_the_host_is_visible(seen: Any) -> None:
    assert max(seen["pids"]) < 20


def test_there_is_no_terminal(seen: Any) -> None:
    assert seen["tty"][0] == "refused"


def test_only_loopback_exists(seen: Any) -> None:
    assert seen["interfaces"] == ["lo"]
    assert seen["hostname"] == "room"


def test_no_capability_is_left_and_the_filter_is_on(seen: Any) -> None:
    status = dict(line.split(":\t", 1) for line in seen["caps"].splitlines() if ":\t" in line)
    for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[name], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"


def test_etc_holds_no_secret_of_the_host(seen: Any) -> None:
    assert not {"shadow", "ssh", "ssl", "sudoers", "resolv.conf"} & set(seen["etc"])


def test_what_must_work_works(seen: Any) -> None:
    refused = {name: seen["tries"][name] for name in OPEN if seen["tries"][name][0] != "done"}
    assert not refused


def test_everything_else_is_refused(seen: Any) -> None:
    open_walls = {n: t for n, t in seen["tries"].items() if n not in OPEN and t[0] == "done"}
    assert not open_walls


def test_nothing_written_in_the_room_reaches_the_host_by_itself(seen: Any) -> None:
    base = Path(seen["base"])
    assert sorted(path.name for path in base.iterdir()) == ["project", "scratch", "secret.txt"]
    assert list((base / "project").iterdir()) == []
    assert not Path("/tmp/x.txt").exists()


def test_the_facts_say_what_held(seen: Any) -> None:
    facts = seen["result"].facts
    assert all(isinstance(value, int | str | bool) for value in facts.values())
    assert facts["network"] == "none"
    assert facts["plaintext_on_disk"] is False
    assert facts["rung"].startswith("bwrap+seccomp+")
    assert len(facts["seccomp"]) == 64


def test_nothing_is_left_in_the_scratch_folder(seen: Any) -> None:
    assert list((Path(seen["base"]) / "scratch").iterdir()) == []


def test_a_folder_with_many_inputs_is_mounted_whole_and_read_only(tmp_path: Path) -> None:
    script = """
import os, json
names = sorted(os.listdir("images/cat"))
text = open("images/cat/7.txt").read()
def refused(path):
    try: open(path, "w")
    except OSError as error: return error.errno
print(json.dumps([len(names), text, refused("images/cat/7.txt"), refused("images/cat/new.txt"),
                  open("images/cat/labels.py").read()]))
"""
    inputs = tuple(room_input(f"images/cat/{i}.txt", b"%d" % i) for i in range(200))
    code = (
        CodeFile("train.py", 0o100644, script.encode()),
        CodeFile("images/cat/labels.py", 0o100644, b"x = 1\n"),
    )
    result, heard = hear(tmp_path, inputs=inputs, code=code)
    assert json.loads(heard.out) == [201, "7", 30, 30, "x = 1\n"]  # 30: read-only file system
    assert result.outputs == ()
    assert result.removed == ()


def test_inputs_that_do_not_fit_in_memory_go_through_a_private_folder_and_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sealwright.train.limits.available_memory", lambda: 4096)
    script = "import os; print(open('data/in.txt').read(), os.path.ismount('data/in.txt'))"
    result, heard = hear(tmp_path, script, inputs=(room_input("data/in.txt", b"declared"),))
    assert heard.out == "declared False\n" or heard.out == "declared True\n"
    assert result.facts["plaintext_on_disk"] is True
    assert list((tmp_path / "scratch").iterdir()) == []


def test_an_input_whose_bytes_are_not_what_was_signed_stops_the_run(tmp_path: Path) -> None:
    spec = make_spec(tmp_path, "open('ran', 'w')", inputs=(room_input("d.txt", b"x", "0" * 64),))
    with pytest.raises(Refused) as refused:
        run_room(spec)
    assert refused.value.rule == "room.input-changed"
    assert list((tmp_path / "scratch").iterdir()) == []


def test_an_input_that_ends_early_stops_the_run(tmp_path: Path) -> None:
    class Short(Bytes):
        def pread(self, offset: int, count: int) -> bytes:
            return b""

    item = room_input("d.txt", b"1234")
    spec = make_spec(tmp_path, inputs=(type(item)("d.txt", 4, Short(b"1234")),))
    with pytest.raises(Refused, match="ended early"):
        run_room(spec)


def test_a_tree_with_a_listening_socket_is_not_bound(tmp_path: Path) -> None:
    tree = tmp_path / "package"
    tree.mkdir()
    with socket.socket(socket.AF_UNIX) as service:
        service.bind(str(tree / "agent.sock"))
        service.listen()
        with pytest.raises(Refused) as refused:
            run_room(make_spec(tmp_path, read_only=(*interpreter_trees(), tree)))
    assert refused.value.rule == "room.socket-in-bind"


def test_a_tree_that_holds_the_keys_or_the_home_folder_is_not_bound(tmp_path: Path) -> None:
    for tree in (tmp_path, Path.home(), Path("/")):
        with pytest.raises(Refused) as refused:
            run_room(make_spec(tmp_path, read_only=(tree,)))
        assert refused.value.rule == "room.bind-too-wide"


@pytest.mark.parametrize("kind", ["fifo", "socket", "link"])
def test_code_that_is_no_regular_file_does_not_get_in(tmp_path: Path, kind: str) -> None:
    special = tmp_path / "special"
    with socket.socket(socket.AF_UNIX) as service:
        if kind == "fifo":
            os.mkfifo(special)
        elif kind == "socket":
            service.bind(str(special))
        else:
            special.symlink_to("/etc/passwd")
        spec = make_spec(tmp_path, code=(CodeFile("s", 0o100644, special),))
        with pytest.raises((Refused, OSError)):
            run_room(spec)


def test_editable_sources_elsewhere_can_be_imported(tmp_path: Path) -> None:
    package = tmp_path / "elsewhere" / "mypackage"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("answer = 42\n")
    _, heard = hear(
        tmp_path,
        "import mypackage; print(mypackage.answer)",
        read_only=(*interpreter_trees(), package.parent),
        env={"PYTHONPATH": str(package.parent)},
    )
    assert heard.out == "42\n"


def test_links_in_the_project_keep_working_inside(tmp_path: Path) -> None:
    code = (
        CodeFile("train.py", 0o100644, b"print(open('alias.txt').read())"),
        CodeFile("real.txt", 0o100644, b"text"),
        CodeFile("alias.txt", 0o120777, b"real.txt"),
    )
    result, heard = hear(tmp_path, code=code)
    assert heard.out == "text\n"
    assert result.outputs == () and result.findings == ()


def test_executables_in_the_project_stay_executable(tmp_path: Path) -> None:
    code = (CodeFile("go", 0o100755, b"#!/bin/sh\necho ran\n"),)
    _, heard = hear(tmp_path, code=code, argv=("./go",))
    assert heard.out == "ran\n"


def test_forked_workers_and_shared_memory_work(tmp_path: Path) -> None:
    script = """
import multiprocessing as mp
from multiprocessing import shared_memory
def work(i): return i * i
if __name__ == "__main__":
    for method in ("fork", "spawn", "forkserver"):
        with mp.get_context(method).Pool(2) as pool:
            assert pool.map(work, range(5)) == [0, 1, 4, 9, 16]
    block = shared_memory.SharedMemory(create=True, size=1000)
    block.close(); block.unlink()
    print("fine")
"""
    result, heard = hear(tmp_path, script)
    assert (result.status, heard.out) == ("ok", "fine\n"), heard.err


def test_joblib_workers_run_inside(tmp_path: Path) -> None:
    pytest.importorskip("joblib")
    script = """
import numpy
from joblib import Parallel, delayed
from math import sqrt
big = numpy.zeros(2_000_000)
print(sum(Parallel(n_jobs=2)(delayed(sqrt)(i * i) for i in range(10))),
      Parallel(n_jobs=2)(delayed(numpy.sum)(big) for _ in range(2)))
"""
    result, heard = hear(tmp_path, script)
    assert (result.status, heard.err) == ("ok", "")
    assert heard.out.startswith("45.0")


def test_torch_dataloader_workers_run_inside(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    script = """
import torch
from torch.utils.data import DataLoader, TensorDataset
data = TensorDataset(torch.arange(64.0).reshape(64, 1))
print(sum(batch.sum().item() for (batch,) in DataLoader(data, batch_size=8, num_workers=2)))
"""
    limits = make_spec(tmp_path).limits
    result, heard = hear(tmp_path, script, limits=type(limits)(wall_s=120))
    assert (result.status, heard.out) == ("ok", "2016.0\n"), heard.err


def test_the_interpreter_may_be_reached_by_its_bare_name(tmp_path: Path) -> None:
    name = Path(PYTHON).name
    path = f"{Path(PYTHON).parent}:/usr/bin"
    _, heard = hear(tmp_path, "print('by name')", argv=(name, "train.py"), env={"PATH": path})
    assert heard.out == "by name\n"


def test_an_environment_inside_the_project_is_there_and_read_only(tmp_path: Path) -> None:
    site = tmp_path / "project/.venv/lib"
    site.mkdir(parents=True)
    (site / "inside.py").write_text("answer = 42\n")
    script = """
import inside
print(inside.answer)
try: open(".venv/lib/x", "w")
except OSError as error: print(error.errno)
"""
    result, heard = hear(
        tmp_path,
        script,
        read_only=(*interpreter_trees(), tmp_path / "project/.venv"),
        env={"PYTHONPATH": str(site)},
    )
    assert heard.out == "42\n30\n", heard.err
    assert result.outputs == ()


def test_a_project_reached_through_a_link_is_at_both_paths(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "project").symlink_to(tmp_path / "real")
    script = f"open('x', 'w').write('1'); print(open({str(tmp_path / 'real/x')!r}).read())"
    result, heard = hear(tmp_path, script)
    assert heard.out == "1\n", heard.err
    assert [output.relpath for output in result.outputs] == ["x"]


def test_an_accelerator_that_was_asked_for_is_bound_or_told_to_be_absent(tmp_path: Path) -> None:
    result, heard = hear(tmp_path, "import os; print(os.listdir('/dev'))", gpu="auto")
    assert result.status == "ok", heard.err
    if result.facts["gpu"] == "absent":
        assert "gpu" not in str(result.facts["rung"])
        assert "nvidia0" not in heard.out
    else:
        assert str(result.facts["rung"]).endswith("+gpu")
