"""``seal run --observe``: run a command as the user would, outside any room, and say what it opens.

With strace every process is seen; without it an audit hook sees what Python itself opens, and
the answer says so. Nothing is recorded and no setting is changed; the command's own outputs
land where it writes them, as always.
"""

from __future__ import annotations

import ast
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, Literal

import msgspec

from sealwright.core.errors import BadInput, Unavailable
from sealwright.core.records import Json
from sealwright.train import environment, guess, opened, snapshot, tree, withheld
from sealwright.train.guess import DataGuess, Guess
from sealwright.train.opened import Event

Method = Literal["strace", "python"]

_MACHINE = (
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/proc",
    "/sys",
    "/dev",
    "/run",
    "/etc",
)
_PRIVATE = (
    ".ssh", ".aws", ".gnupg", ".kube", ".azure", ".docker", ".netrc", ".pypirc", ".pgpass",
    ".git-credentials", ".config/gcloud", ".config/gh", ".huggingface/token", ".kaggle",
    ".cache/huggingface/token", ".local/share/keyrings", ".mozilla", ".config/google-chrome",
)  # fmt: skip
_MOST_ENTRIES = 200_000
_PASSWORDS = ("/etc/shadow", "/etc/gshadow", "/etc/sudoers")


class Observation(msgspec.Struct, frozen=True):
    """What one run opened. Paths in the project are relative, all others absolute.

    ``data`` was read and is no code; ``data_outside`` lies outside the project, where no room
    can show it; ``secrets`` look like credentials; ``network`` holds the addresses called.
    ``proposal`` is the text of a seal.toml.
    """

    exit_code: int
    method: Method
    code: tuple[str, ...]
    data: tuple[str, ...]
    data_outside: tuple[str, ...]
    written: tuple[str, ...]
    written_outside: tuple[str, ...]
    secrets: tuple[str, ...]
    network: tuple[str, ...]
    missing: tuple[str, ...]
    model: str
    proposal: str
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """What a person reads before the proposal."""
        groups = (
            ("code", self.code),
            ("reads data", self.data),
            ("reads data outside the project", self.data_outside),
            ("writes", self.written),
            ("writes outside the project", self.written_outside),
            ("opens what looks like a secret", self.secrets),
            ("calls over the network", self.network),
            ("looked for, and did not find", self.missing),
        )
        out = [line for title, members in groups for line in _listed(title, members)]
        return out + [f"note: {note}" for note in self.notes]

    def to_json(self) -> dict[str, Json]:
        """The same for programs."""
        plain: dict[str, Json] = msgspec.to_builtins(self)
        return {key: [*text] if isinstance(text, tuple) else text for key, text in plain.items()}


def observe(
    argv: Sequence[str],
    project: Path,
    variables: Mapping[str, str] | None = None,
    *,
    stdout: IO[bytes] | int | None = None,
    method: Method | None = None,
) -> Observation:
    """Run ``argv`` in ``project`` unsandboxed and watch it. ``stdout`` as for subprocess.

    Raises: BadInput (no such program), Unavailable (strace is there and may not trace).
    """
    root = Path(os.path.normpath(project.absolute()))
    around = dict(os.environ if variables is None else variables)
    found = environment.describe(argv, root, around)
    code = snapshot.take(root)
    before = frozenset(os.fsdecode(raw) for raw in islice(tree.walked(root), _MOST_ENTRIES))
    chosen: Method = method or ("strace" if shutil.which("strace") else "python")
    with tempfile.TemporaryDirectory(prefix="seal-observe-") as folder:
        watch = _with_strace if chosen == "strace" else _with_python
        exit_code, seen = watch(found.argv, root, around, Path(folder), stdout)
    sorted_out = _Sorted(root, found.binds, frozenset(file.path for file in code.files), before)
    for event in seen:
        sorted_out.add(event)
    return _observation(exit_code, chosen, list(argv), root, sorted_out)


def _with_strace(
    argv: Sequence[str],
    root: Path,
    around: dict[str, str],
    folder: Path,
    stdout: IO[bytes] | int | None,
) -> tuple[int, list[Event]]:
    trace = folder / "trace"
    watcher = [
        "strace",
        "-f",
        "-ff",
        *_fast_option(),
        "-qq",
        "-y",
        "-s",
        "4096",
        "-e",
        "signal=none",
    ]
    watcher += ["-e", f"trace={opened.CALLS}", "-o", str(trace), "--", *argv]
    exit_code = _run(watcher, root, around, stdout)
    traces = sorted(folder.glob("trace.*"))
    if not traces:
        raise Unavailable(
            "strace could not follow the command",
            why="this machine does not let one process trace another",
            hint="sysctl kernel.yama.ptrace_scope=1, or uninstall strace to watch Python alone",
        )
    seen: dict[Event, None] = {}
    for path in traces:
        with path.open(encoding="utf-8", errors="surrogateescape") as lines:
            seen.update(dict.fromkeys(opened.events(lines)))
    return exit_code, list(seen)


def _fast_option() -> list[str]:
    """strace 5.3 and later can let the calls nobody asked for pass without a stop."""
    said = subprocess.run(["strace", "--help"], capture_output=True, text=True, check=False)
    return ["--seccomp-bpf"] if "--seccomp-bpf" in said.stdout else []


def _with_python(
    argv: Sequence[str],
    root: Path,
    around: dict[str, str],
    folder: Path,
    stdout: IO[bytes] | int | None,
) -> tuple[int, list[Event]]:
    log = folder / "log"
    log.touch()
    hook = folder / "hook"
    hook.mkdir()
    shutil.copyfile(Path(__file__).with_name("audit_hook.py"), hook / "sitecustomize.py")
    path = os.pathsep.join(filter(None, (str(hook), around.get("PYTHONPATH", ""))))
    extra = {"PYTHONPATH": path, "SEALWRIGHT_OBSERVE": str(log)}
    exit_code = _run(argv, root, around | extra, stdout)
    seen: dict[Event, None] = {}
    for line in log.read_text("utf-8", "surrogateescape").splitlines():
        kind, _, what = line.partition(" ")
        text = ast.literal_eval(what)
        if not Path(text).is_relative_to(folder):
            seen[msgspec.convert({"kind": kind, "what": text}, Event)] = None
    return exit_code, list(seen)


def _run(
    argv: Sequence[str], root: Path, around: dict[str, str], stdout: IO[bytes] | int | None
) -> int:
    try:
        return subprocess.run(argv, cwd=root, env=around, stdout=stdout, check=False).returncode
    except OSError as error:
        raise BadInput(f"{argv[0]} cannot be started", why=str(error)) from error


class _Sorted:
    """Sorts what was opened by what it means. ``before`` are the project's files as they were."""

    def __init__(
        self, root: Path, binds: Sequence[str], code: frozenset[str], before: frozenset[str]
    ) -> None:
        self._root = root
        self._code_paths = code
        self._before = before
        self._packages = [Path(bind) for bind in binds]
        self._home = Path.home()
        self.code: set[str] = set()
        self.read: set[str] = set()
        self.written: set[str] = set()
        self.secrets: set[str] = set()
        self.network: set[str] = set()
        self.missing: set[str] = set()

    def add(self, event: Event) -> None:
        if event.kind == "network":
            self.network.add(event.what)
            return
        path = Path(os.path.normpath(self._root / event.what))
        inside = path.is_relative_to(self._root)
        name = str(path.relative_to(self._root)) if inside else str(path)
        if self._is_machinery(path, inside) and str(path) not in _PASSWORDS:
            return
        if self._is_secret(path):
            self.secrets.add(name)
        elif event.kind == "write" and path.is_file():
            self.written.add(name)
        elif event.kind == "missing" and inside and not path.exists():
            if path.suffix.lower() in withheld.DATA_SUFFIXES:
                self.missing.add(name)
        elif event.kind == "read" and name in self._code_paths:
            self.code.add(name)
        elif event.kind == "read" and path.is_file():
            self.read.add(name)

    def data(self) -> list[str]:
        """Files of the project that were there before, were read, and are no code."""
        return sorted(name for name in self.read if name in self._before)

    def data_outside(self) -> list[str]:
        """Files elsewhere that were read and that the run did not write itself."""
        return sorted(name for name in self.read - self.written if name.startswith("/"))

    def _is_secret(self, path: Path) -> bool:
        if str(path) in _PASSWORDS:
            return True
        if not path.exists():
            return False
        private = any(path.is_relative_to(self._home / place) for place in _PRIVATE)
        return private or withheld.is_key_name(path.name)

    def _is_machinery(self, path: Path, inside: bool) -> bool:
        """Interpreter, packages, caches, the system's files: nobody's data."""
        if {"__pycache__", ".git", ".seal"} & set(path.parts):
            return True
        if any(path.is_relative_to(folder) for folder in self._packages):
            return True
        return not inside and any(path.is_relative_to(folder) for folder in _MACHINE)


def _observation(
    exit_code: int, method: Method, argv: list[str], root: Path, seen: _Sorted
) -> Observation:
    inside = sorted(name for name in seen.written if not name.startswith("/"))
    data = seen.data()
    model = guess.guess_model(inside)
    sets = tuple(guess.data_guesses(root, data, "it was read"))
    proposal = guess.settings_text(
        Guess(
            root=str(root),
            script="",
            command=tuple(argv),
            frameworks=(),
            data=sets,
            model=model.path if model else "",
            name=guess.name_of(root),
            reasons=(),
        )
    )
    outside = tuple(seen.data_outside())
    return Observation(
        exit_code=exit_code,
        method=method,
        code=tuple(sorted(seen.code)),
        data=tuple(data),
        data_outside=outside,
        written=tuple(inside),
        written_outside=tuple(sorted(name for name in seen.written if name.startswith("/"))),
        secrets=tuple(sorted(seen.secrets)),
        network=tuple(sorted(seen.network)),
        missing=tuple(sorted(seen.missing)),
        model=model.path if model else "",
        proposal=proposal,
        notes=tuple(_notes(method, exit_code, sets, outside, seen)),
    )


def _notes(
    method: Method,
    exit_code: int,
    sets: Iterable[DataGuess],
    outside: Sequence[str],
    seen: _Sorted,
) -> Iterator[str]:
    yield "this ran outside the room: nothing was held back, nothing was recorded"
    if method == "python":
        yield "only what Python itself opens was seen; install strace to see every process"
    if exit_code:
        yield f"the command ended with {exit_code}, so it may open more than this"
    if outside:
        yield "data outside the project: copy or link it in, for a room shows the project alone"
    if seen.network:
        yield "the room has no network: fetch first, then declare what was fetched as data"
    if seen.secrets:
        yield "the room shows no credentials: a script that needs one will fail there"
    for one in sets:
        yield f"{one.path}: seal data add {one.path} --name {one.name}" + (
            f" --label {one.label}" if one.label else ""
        )


def _listed(title: str, members: Sequence[str]) -> list[str]:
    if not members:
        return []
    shown = [f"  {name}" for name in members[:20]]
    return [
        f"{title}:",
        *shown,
        *([f"  … and {len(members) - 20} more"] if len(members) > 20 else []),
    ]
