"""The environment a command runs in, as seen from outside before it starts.

``describe`` finds the program, its interpreter, every package and every directory the room has
to show; ``Environment.recheck`` looks again right before the start. Two environments with equal
``digest`` run the same interpreter with the same packages on the same kind of machine, wherever
they are installed.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from sealwright.core import digest
from sealwright.core.digest import Digest
from sealwright.core.errors import VerifyError
from sealwright.core.records import Json
from sealwright.evidence import jcs
from sealwright.train import interpreter as interpreters
from sealwright.train import packages, shown, snapshot
from sealwright.train.interpreter import Interpreter, Program
from sealwright.train.packages import Package

FORMAT = "sealwright.environment/v1"

_LOCKS = (
    "requirements*.txt", "requirements/*.txt", "constraints*.txt", "uv.lock", "poetry.lock",
    "pdm.lock", "Pipfile.lock", "pixi.lock", "pylock*.toml", "conda-lock.yml", "environment.yml",
    "environment.yaml",
)  # fmt: skip


class Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True, order=True):
    """A file of the project that pins or names packages."""

    path: str
    sha256: Digest


class Identity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What makes two environments the same. No path is part of it.

    ``interpreter`` covers the executable, and its shared library where it has one; it is the
    program itself where no Python is involved.
    """

    interpreter: Digest
    version: str
    implementation: str
    packages: tuple[Package, ...]
    system: str
    machine: str
    libc: str

    @property
    def digest(self) -> Digest:
        """SHA-256 over the canonical JSON of this record."""
        return digest.of_bytes(jcs.canonical(msgspec.to_builtins(self)))

    @property
    def packages_digest(self) -> Digest:
        """SHA-256 over the canonical JSON of the package list."""
        return digest.of_bytes(jcs.canonical(msgspec.to_builtins(self.packages)))


class Environment(msgspec.Struct, frozen=True):
    """A described environment.

    ``argv`` is the command with ``argv[0]`` resolved. ``binds`` are the absolute paths the room
    shows read-only besides the system's own, at the same place. ``variables`` are those the
    room must set. ``facts`` are recorded and not compared. ``notes`` are for the user.
    """

    argv: tuple[str, ...]
    program: Program
    interpreter: Interpreter | None
    identity: Identity
    binds: tuple[str, ...] = ()
    variables: Mapping[str, str] = msgspec.field(default_factory=dict)
    locks: tuple[Lock, ...] = ()
    facts: Mapping[str, str] = msgspec.field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def digest(self) -> Digest:
        """SHA-256 over the canonical JSON of ``identity``."""
        return self.identity.digest

    @property
    def interpreter_digest(self) -> Digest:
        """The interpreter's (or the program's) own digest."""
        return self.identity.interpreter

    @property
    def packages_digest(self) -> Digest:
        """SHA-256 over the canonical JSON of the package list."""
        return self.identity.packages_digest

    @property
    def lock_digest(self) -> Digest | None:
        """The lock file's digest, or of the list of them; None without any."""
        if len(self.locks) > 1:
            return digest.of_bytes(jcs.canonical(msgspec.to_builtins(self.locks)))
        return self.locks[0].sha256 if self.locks else None

    def to_bytes(self) -> bytes:
        """The canonical JSON that is kept with the run: identity, locks and facts."""
        document: dict[str, Json] = {
            "format": FORMAT,
            "identity": msgspec.to_builtins(self.identity),
            "locks": msgspec.to_builtins(self.locks),
            "facts": dict(self.facts),
        }
        return jcs.canonical(document)

    def recheck(self) -> None:
        """Hash program and interpreter again. Raises: VerifyError (``environment.changed``)."""
        was = [(self.program.path, self.program.sha256)]
        if self.interpreter:
            was.append((self.interpreter.real, self.interpreter.sha256))
        for path, sha256 in was:
            try:
                same = digest.of_file(Path(path).resolve()) == sha256
            except OSError:
                same = False
            if not same:
                raise VerifyError(
                    f"{path} changed while the run was being prepared",
                    where=path,
                    why="its digest is not the one that was pinned",
                    hint="finish installing, and run again",
                    rule="environment.changed",
                )


def identity_from_bytes(data: bytes) -> Identity:
    """Read back what :meth:`Environment.to_bytes` wrote. Raises: VerifyError."""
    document = jcs.parse(data)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise VerifyError("not an environment record", rule="environment.malformed")
    try:
        return msgspec.convert(document.get("identity"), Identity)
    except msgspec.ValidationError as error:
        raise VerifyError(
            "an environment record is malformed", why=str(error), rule="environment.malformed"
        ) from error


def describe(
    argv: Sequence[str],
    project: Path,
    variables: Mapping[str, str] | None = None,
    kept: Mapping[Path, bytes] | None = None,
) -> Environment:
    """Find out what ``argv`` would run in ``project``, started from a shell with ``variables``.

    ``kept`` holds code of a past run, which counts instead of what lies at its path now.

    Raises: BadInput (no such program), Unavailable (an interpreter that does not answer).
    """
    root = Path(os.path.normpath(project.absolute()))
    around = dict(os.environ if variables is None else variables)
    program = interpreters.find(argv, root, around, kept)
    python = (
        interpreters.inspect(Path(program.interpreter_path), root, around)
        if program.interpreter_path
        else None
    )
    site_paths = _sites(python) if python else []
    installed = packages.read(site_paths, Path(python.prefix) if python else None)
    trees = list(_outside(installed, around, root, python))
    identity = Identity(
        interpreter=_interpreter_digest(python) if python else program.sha256,
        version=python.version if python else "",
        implementation=python.implementation if python else "",
        packages=_packages(installed, trees),
        system=platform.system(),
        machine=platform.machine(),
        libc=_libc(),
    )
    visible = shown.binds(program, python, [path for _, path in trees], root)
    return Environment(
        argv=(program.path, *argv[1:]),
        program=program,
        interpreter=python,
        identity=identity,
        binds=visible,
        variables=shown.variables(python, visible, around, root),
        locks=tuple(locks(root)),
        facts=_facts(installed),
        notes=tuple(_notes(program, python, installed, around, root)),
    )


def _sites(python: Interpreter) -> list[Path]:
    sites = [*python.sites, python.user_site]
    return [Path(site) for site in sites if site]


def _outside(
    installed: packages.Installed, around: Mapping[str, str], root: Path, python: Interpreter | None
) -> Iterator[tuple[str, Path]]:
    """``(name, path)`` of the code that is imported from neither project nor environment."""
    inside: list[Path] = (
        [root, *(Path(p) for p in (python.prefix, python.base, python.stdlib))] if python else []
    )
    named = [(name, path) for name, paths in installed.editable for path in paths]
    named += [(f"path:{path.name}", path) for path in installed.paths]
    for text in around.get("PYTHONPATH", "").split(os.pathsep) if python else ():
        if text and (root / text).exists():
            path = Path(os.path.normpath(root / text))
            named.append((f"path:{path.name}", path))
    seen = set()
    for name, path in named:
        if shown.too_wide(path, root):
            continue
        if path not in seen and not any(path.is_relative_to(folder) for folder in inside):
            seen.add(path)
            yield name, path


def _packages(
    installed: packages.Installed, trees: Sequence[tuple[str, Path]]
) -> tuple[Package, ...]:
    """The package list; what is imported from a source tree counts by that tree's files."""
    by_name = {package.name: package for package in installed.packages}
    for name, _ in installed.editable:
        if name in by_name and by_name[name].by == "record":
            package = by_name[name]
            seal = digest.of_bytes(f"{package.name} {package.version}".encode())
            by_name[name] = Package(package.name, package.version, seal, "metadata")
    for name, path in trees:
        before = by_name.get(name)
        seal = _tree_digest(path)
        if before and before.by == "tree":
            seal = digest.of_bytes(f"{before.sha256} {seal}".encode())
        by_name[name] = Package(name, before.version if before else "", seal, "tree")
    return tuple(by_name[name] for name in sorted(by_name))


def _tree_digest(path: Path) -> Digest:
    return snapshot.take(path).digest if path.is_dir() else digest.of_file(path)


def _interpreter_digest(python: Interpreter) -> Digest:
    """The executable's digest, joined with its shared library's where it is a mere stub."""
    libraries = sorted(Path(python.base).glob("lib/libpython3*.so.*"))
    if not libraries:
        return python.sha256
    both = [python.sha256, *(digest.of_file(library.resolve()) for library in libraries)]
    return digest.of_bytes("".join(both).encode())


def locks(root: Path) -> Iterator[Lock]:
    """The files of a project that pin or name packages, by path."""
    found = {path for pattern in _LOCKS for path in root.glob(pattern)}
    for path in sorted(found):
        if path.is_file() and not path.is_symlink():
            yield Lock(str(path.relative_to(root)), digest.of_file(path))


def _facts(installed: packages.Installed) -> dict[str, str]:
    return {
        "kernel": platform.release(),
        "cpu": _cpu(),
        "blas": ", ".join(installed.blas),
        "starts": ", ".join(installed.starts),
    }


def _notes(
    program: Program,
    python: Interpreter | None,
    installed: packages.Installed,
    around: Mapping[str, str],
    root: Path,
) -> Iterator[str]:
    name = Path(program.path).name
    if name in ("uv", "poetry", "pipenv", "pdm", "hatch", "conda", "mamba", "rye", "pixi"):
        yield f"{name} may want the network, and the room has none: give the environment's python"
    if python is None:
        yield f"no Python stands behind {program.path}: its packages are not part of the evidence"
    if around.get("LD_LIBRARY_PATH"):
        yield "LD_LIBRARY_PATH is not carried into the room"
    wide = [*installed.paths, *map(Path, around.get("PYTHONPATH", "").split(os.pathsep))]
    for path in wide:
        if path.is_absolute() and shown.too_wide(path, root):
            yield f"{path} is on the module search path and holds the project or your home: hidden"
    missing = [name for name, paths in installed.editable if not all(p.exists() for p in paths)]
    for name in missing:
        yield f"{name} is installed in editable mode from a directory that is gone"


def _libc() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (ValueError, OSError):
        return " ".join(platform.libc_ver()).strip() or platform.mac_ver()[0]


def _cpu() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as rows:
            for row in rows:
                if row.startswith("model name"):
                    return row.partition(":")[2].strip()
    except FileNotFoundError:
        return platform.processor()
    return platform.processor()
