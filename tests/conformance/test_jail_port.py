"""What every jail must hold back, pushed against for real. A new adapter joins ``ADAPTERS``."""

from __future__ import annotations

import json
import os
import socket

import pytest

from sealwright.adapters.runner_room import RoomJail
from sealwright.core.digest import of_bytes
from sealwright.core.errors import BadInput, Refused, VerifyError
from sealwright.core.ports import JailBounds, JailInput
from sealwright.train import primitives

_MISSING = [one.name for one in primitives.survey() if one.required and not one.present]
pytestmark = pytest.mark.skipif(bool(_MISSING), reason=f"no sandbox here: {_MISSING}")

MODULES = {
    "count": """
import json, sys, pathlib
import numpy
read = {p: pathlib.Path(p).read_bytes().decode() for p in sys.argv[1:]}
pathlib.Path("out/deep").mkdir(parents=True)
pathlib.Path("out/deep/read.json").write_text(json.dumps(read))
print("progress 1 2 half way", file=sys.stderr, flush=True)
print("done", file=sys.stderr)
""",
    "escape": """
import json, os, pathlib, socket, sys
def attempt(what):
    try:
        return "got " + repr(what())
    except Exception as error:
        return "refused " + type(error).__name__
secret, project, host, port = sys.argv[1:]
out = {
    "keys": attempt(lambda: pathlib.Path(secret).read_text()),
    "project": attempt(lambda: os.listdir(project)),
    "host": attempt(lambda: socket.create_connection((host, int(port)), 3)),
    "far": attempt(lambda: socket.create_connection(("192.0.2.1", 443), 3)),
    "change": attempt(lambda: open("given.txt", "w").write("x")),
    "package": attempt(lambda: open(os.path.join(os.path.dirname(__file__), "x"), "w")),
    "variables": sorted(name for name in os.environ if name.startswith(("SEAL", "XDG", "SECRET"))),
    "processes": [p for p in os.listdir("/proc") if p.isdigit() and int(p) > 64],
}
pathlib.Path("out.json").write_text(json.dumps(out))
""",
    "crash": "raise ValueError('no \\x1b[31mpicture\\u202e')",
    "sleep": "import time; time.sleep(600)",
    "hog": "held = bytearray(900 << 20)\nfor at in range(0, len(held), 4096): held[at] = 1",
    "flood": "open('big', 'wb').write(bytes(64 << 20))",
    "link": "import os; os.symlink('/etc/passwd', 'report.json')",
    "hidden": "open('.bashrc', 'w').write('x')",
    "trap": "import stolen",
}


class Bytes:
    """A readable over bytes, as the vault's readers look."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.size = len(data)

    def pread(self, offset: int, count: int) -> bytes:
        return self.data[offset : offset + count]


def room(tmp_path, isolation="standard"):
    package = tmp_path / "modules" / "jailed"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for name, text in MODULES.items():
        (package / f"{name}.py").write_text(text)
    around = {"PATH": os.defpath, "PYTHONPATH": f".{os.pathsep}{package.parent}", "SEAL_X": "1"}
    scratch = tmp_path / "state" / "rooms"
    scratch.mkdir(0o700, parents=True)
    heard: list[str] = []
    jail = RoomJail(scratch, isolation, package="jailed", variables=around, heard=heard.append)
    return jail, heard


ADAPTERS = {"room": room}


@pytest.fixture(params=ADAPTERS)
def jailed(request, tmp_path):
    return ADAPTERS[request.param](tmp_path)


@pytest.fixture
def jail(jailed):
    return jailed[0]


SMALL = JailBounds(memory_bytes=1 << 30, wall_s=60, output_bytes=8 << 20)


def given(path, data: bytes, sha256=None):
    return JailInput(path, len(data), Bytes(data), of_bytes(data) if sha256 is None else sha256)


def test_a_module_reads_its_inputs_and_what_it_writes_comes_out(jailed):
    jail, heard = jailed
    inputs = [given("a.txt", b"one"), given("below/b.txt", b"two")]
    done = jail.run("jailed.count", ["a.txt", "below/b.txt"], inputs, SMALL)
    assert list(done.outputs) == ["out/deep/read.json"]
    assert json.loads(done.outputs["out/deep/read.json"]) == {"a.txt": "one", "below/b.txt": "two"}
    assert done.said.strip() == "done"
    assert heard == ["1 2 half way"]


def test_nothing_of_the_workspace_is_within_reach(jail, tmp_path):
    secret = tmp_path / "state" / "root.key"
    secret.write_text("the root key")
    with socket.create_server(("127.0.0.1", 0)) as server:
        host, port = server.getsockname()
        socket.create_connection((host, port), 5).close()
        arguments = [str(secret), str(tmp_path / "state"), host, str(port)]
        done = jail.run("jailed.escape", arguments, [given("given.txt", b"x")], SMALL)
    found = json.loads(done.outputs["out.json"])
    assert {name: found.pop(name) for name in ("variables", "processes")} == {
        "variables": [],
        "processes": [],
    }
    assert all(word.startswith("refused ") for word in found.values()), found


def test_an_input_that_is_called_like_a_module_is_never_imported(jail):
    ran = b"open('ran', 'w')"
    inputs = [given("stolen.py", ran), given("json.py", ran), given("numpy.py", ran)]
    with pytest.raises(Refused, match="exit code 1") as refused:
        jail.run("jailed.trap", [], inputs, SMALL)
    assert "No module named 'stolen'" in refused.value.why
    assert list(jail.run("jailed.count", [], inputs, SMALL).outputs) == ["out/deep/read.json"]


def test_an_input_whose_bytes_are_not_the_signed_ones_is_refused(jail):
    with pytest.raises(VerifyError):
        jail.run("jailed.count", [], [given("a.txt", b"one", of_bytes(b"other"))], SMALL)


@pytest.mark.parametrize(
    ("module", "rule", "bounds"),
    [
        ("crash", "jail.failed", {}),
        ("nowhere", "jail.failed", {}),
        ("sleep", "jail.timeout", {"wall_s": 1}),
        ("flood", "jail.output-full", {"output_bytes": 1 << 20}),
        ("hog", "jail.memory", {"memory_bytes": 256 << 20}),
        ("link", "jail.output", {}),
        ("hidden", "jail.output", {}),
    ],
)
def test_a_module_that_does_not_end_well_is_refused(jail, module, rule, bounds):
    limits = JailBounds(
        **({"memory_bytes": 1 << 30, "wall_s": 60, "output_bytes": 8 << 20} | bounds)
    )
    with pytest.raises(Refused) as refused:
        jail.run(f"jailed.{module}", [], [], limits)
    known = {rule, "jail.failed"} if module == "hog" else {rule}  # without a cgroup it just fails
    assert refused.value.rule in known, refused.value.lines()


def test_what_a_module_says_steers_no_terminal(jail):
    with pytest.raises(Refused) as refused:
        jail.run("jailed.crash", [], [], SMALL)
    assert "\x1b" not in refused.value.why
    assert "\u202e" not in refused.value.why


def test_only_modules_of_ones_own_are_run(jail):
    for module in ("os", "jailed2.count", "", "json.jailed"):
        with pytest.raises(BadInput):
            jail.run(module, [], [], SMALL)


def test_without_a_sandbox_nothing_is_opened(jail, monkeypatch):
    missing = Refused("bubblewrap is missing", rule="room.missing-primitive", hint="install it")

    def none() -> None:
        raise missing

    monkeypatch.setattr(primitives, "bubblewrap", none)
    with pytest.raises(Refused) as refused:
        jail.run("jailed.count", [], [given("a.txt", b"x")], SMALL)
    assert refused.value.rule == "jail.no-sandbox"
    assert refused.value.hint == "install it"
