"""Which program a command runs, and which Python interpreter stands behind it.

Resolved as a shell would, without importing anything of the user's: an interpreter is asked
about itself with ``-I -S``, so that no ``.pth`` file, ``sitecustomize`` or package runs. One
that lies in the project is not started at all, only read.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path

import msgspec

from sealwright.core import digest
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, Unavailable

_PYTHON_NAME = re.compile(r"(python|pypy)(\d+(\.\d+)*)?t?")
_SHIM = re.compile(rb'exec "?([^"\s]*/(?:pyenv|asdf))"? ')
_PROBE = """
import json, os, site, sys
print(json.dumps({
    "version": ".".join(map(str, sys.version_info[:3])), "level": sys.version_info[3],
    "implementation": sys.implementation.name, "tag": sys.implementation.cache_tag or "",
    "base": sys.base_prefix, "stdlib": os.path.dirname(os.__file__),
    "sites": site.getsitepackages(PREFIXES or None), "user": site.getusersitepackages()}))
"""
_PROBE_TIMEOUT_S = 20
_HEAD_BYTES = 4096


class Interpreter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A Python interpreter. ``path`` is what is started, ``real`` the file it leads to.

    ``prefix`` is the virtual or conda environment, ``base`` the installation beneath it;
    ``sites`` the package directories in the order of ``sys.path``.
    """

    path: str
    real: str
    sha256: Digest
    version: str
    implementation: str
    prefix: str
    base: str
    stdlib: str
    sites: tuple[str, ...] = ()
    user_site: str = ""


class Program(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What ``argv[0]`` is. ``interpreter_path`` is the Python it runs under, or empty."""

    path: str
    sha256: Digest
    interpreter_path: str = ""


def find(
    argv: Sequence[str],
    project: Path,
    variables: Mapping[str, str],
    kept: Mapping[Path, bytes] | None = None,
) -> Program:
    """Resolve ``argv[0]`` in ``project`` with the PATH of ``variables``.

    ``kept`` holds files that count instead of what lies at their path now.

    Raises: BadInput (no such program, or a shim nobody can see through).
    """
    if not argv:
        raise BadInput("no command", hint="seal run -- python train.py")
    if kept and "/" in argv[0]:
        path = _in_project(argv[0], project)
        if path in kept:
            behind = _behind(kept[path], project, variables)
            return Program(str(path), digest.of_bytes(kept[path]), behind)
    path = _locate(argv[0], project, variables)
    try:
        path = _through_shim(path, variables)
        found = _digest(path)
    except PermissionError as error:
        raise BadInput(
            f"{path} cannot be read, so nobody could say later what ran",
            why=str(error),
            hint=f"ls -l {path}",
        ) from error
    if _is_python(path):
        return Program(str(path), found, str(path))
    with path.open("rb") as stream:
        return Program(str(path), found, _behind(stream.read(_HEAD_BYTES), project, variables))


def _behind(head: bytes, project: Path, variables: Mapping[str, str]) -> str:
    """The Python that a program's first lines name, else the one it would find; empty for none."""
    behind = _shebang(head, project, variables)
    if behind is None:
        companion = shutil.which("python", path=variables.get("PATH", os.defpath)) or shutil.which(
            "python3", path=variables.get("PATH", os.defpath)
        )
        behind = _through_shim(Path(companion), variables) if companion else None
    return str(behind) if behind else ""


def inspect(path: Path, project: Path, variables: Mapping[str, str]) -> Interpreter:
    """Describe the interpreter at ``path``. Raises: Unavailable (it does not answer)."""
    real = path.resolve()
    prefix, config = _virtual_environment(path)
    shared = config.get("include-system-site-packages", "false").lower() == "true"
    if real.is_relative_to(project.resolve()):
        facts = _read_off(real, prefix or real.parent.parent, config)
    else:
        facts = _ask(real if prefix else path, [str(prefix)] if prefix else [])
    base = Path(str(facts["base"]))
    sites = list(facts["sites"])
    user = str(facts["user"]) if not prefix or shared else ""
    if prefix and shared:
        sites += _ask(real, [])["sites"]
    return Interpreter(
        path=str(path),
        real=str(real),
        sha256=_digest(real),
        version=str(facts["version"]),
        implementation=str(facts["implementation"]),
        prefix=str(prefix or base),
        base=str(base),
        stdlib=str(facts["stdlib"]),
        sites=tuple(site for site in dict.fromkeys(sites) if Path(site).is_dir()),
        user_site=user if user and Path(user).is_dir() else "",
    )


def _digest(path: Path) -> Digest:
    real = path.resolve()
    facts = real.stat()
    return _hashed(str(real), facts.st_ino, facts.st_size, facts.st_mtime_ns)


@lru_cache(maxsize=4)
def _hashed(real: str, *_stat: int) -> Digest:
    """Program and interpreter are often one file; it is hashed once a description."""
    return digest.of_file(real)


def _in_project(name: str, project: Path) -> Path:
    return Path(os.path.normpath(project / Path(name).expanduser()))


def _locate(name: str, project: Path, variables: Mapping[str, str]) -> Path:
    if "/" in name:
        path = _in_project(name, project)
        if not path.exists():
            raise BadInput(f"{name}: no such file", why=f"looked for {path}")
        if path.is_dir() or not os.access(path, os.X_OK):
            raise BadInput(
                f"{name} is not a program", hint=f"seal run -- python {shlex.quote(name)}"
            )
        return path
    search = variables.get("PATH", os.defpath)
    found = shutil.which(name, path=search)
    if found is None:
        other = "python3" if name == "python" else "python"
        other_is_there = name in ("python", "python3") and shutil.which(other, path=search)
        hint = f"seal run -- {other} …" if other_is_there else f"install {name}, or give its path"
        raise BadInput(f"{name}: command not found", why=f"PATH is {search}", hint=hint)
    return Path(os.path.normpath(project / found))


def _is_python(path: Path) -> bool:
    """Is it a Python by name and a program by content? (A script called python is not.)"""
    if not _PYTHON_NAME.fullmatch(path.name):
        return False
    with path.open("rb") as stream:
        return stream.read(2) != b"#!"


def _shebang(head: bytes, project: Path, variables: Mapping[str, str]) -> Path | None:
    """The Python that a script's first lines name, in any of the forms pip and conda write."""
    lines = head[:_HEAD_BYTES].split(b"\n")
    if not lines[0].startswith(b"#!"):
        return None
    words = _words(os.fsdecode(lines[0][2:]))
    if len(words) == 1 and words[0] == "/bin/sh" and len(lines) > 1:
        second = os.fsdecode(lines[1])
        if second.startswith("'''exec' "):
            words = _words(second[len("'''exec' ") :])
    if words and Path(words[0]).name == "env":
        words = [word for word in words[1:] if not word.startswith("-") and "=" not in word]
    if not words or not _PYTHON_NAME.fullmatch(Path(words[0]).name):
        return None
    return _through_shim(_locate(words[0], project, variables), variables)


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError:
        return line.split()


def _through_shim(path: Path, variables: Mapping[str, str]) -> Path:
    """pyenv and asdf put a shell script where the program is expected; ask them for the program."""
    with path.open("rb") as stream:
        start = stream.read(2048)
    match = _SHIM.search(start) if start.startswith(b"#!") and path.parent.name == "shims" else None
    if not match:
        return path
    asked = subprocess.run(
        [os.fsdecode(match[1]), "which", path.name],
        env=dict(variables),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_PROBE_TIMEOUT_S,
        check=False,
    )
    answer = Path(asked.stdout.strip())
    if asked.returncode != 0 or not answer.is_file():
        raise BadInput(
            f"{path} is a shim, and the program behind it is not known",
            why=(asked.stderr or asked.stdout).strip()[-300:],
            hint="give the interpreter's own path",
        )
    return answer


def _virtual_environment(path: Path) -> tuple[Path | None, dict[str, str]]:
    """The venv that ``path`` starts (PEP 405), and its pyvenv.cfg."""
    for folder in (path.parent, path.parent.parent):
        config = folder / "pyvenv.cfg"
        if config.is_file():
            rows = (line.partition("=") for line in config.read_text("utf-8").splitlines())
            return folder, {key.strip().lower(): value.strip() for key, _, value in rows}
    return None, {}


def _ask(python: Path, prefixes: list[str]) -> dict[str, list[str] | str]:
    try:
        answer = subprocess.run(
            [str(python), "-I", "-S", "-c", _PROBE.replace("PREFIXES", repr(prefixes))],
            env={"LC_ALL": "C", "HOME": os.environ.get("HOME", "/")},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PROBE_TIMEOUT_S,
            check=True,
        )
        facts: dict[str, list[str] | str] = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise Unavailable(
            f"{python} does not say what it is",
            why=str(error)[:300],
            hint=f"{python} -I -c 'import sys; print(sys.version)'",
        ) from error
    return facts


def _read_off(real: Path, prefix: Path, config: dict[str, str]) -> dict[str, list[str] | str]:
    """The same facts from files alone, for an interpreter that lies in the project."""
    libraries = sorted(prefix.glob("lib/python3.*/site-packages"))
    if not libraries:
        raise Unavailable(
            f"{real} lies in the project and does not look like an environment",
            why=f"there is no lib/python3.*/site-packages in {prefix}",
            hint="give the path of an installed interpreter, or make a venv from one",
        )
    version = config.get("version") or config.get("version_info", "")
    for record in prefix.glob("conda-meta/python-3.*.json"):
        version = record.name.split("-")[1]
    base = Path(config["home"]).parent if "home" in config else prefix
    return {
        "version": ".".join(version.split(".")[:3]) or libraries[0].parent.name[len("python") :],
        "implementation": "cpython",
        "base": str(base),
        "stdlib": str(base / "lib" / libraries[0].parent.name),
        "sites": [str(libraries[0])],
        "user": "",
    }
