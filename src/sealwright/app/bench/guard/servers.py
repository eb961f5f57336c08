"""Redis and PostgreSQL as processes of our own, on sockets in a temporary folder."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sealwright.core.errors import Unavailable

START_S = 60
BINARIES = (*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/bin"))


def missing() -> str:
    """Why they cannot be started here; empty where they can."""
    if shutil.which("redis-server") is None or shutil.which("redis-cli") is None:
        return "needs Redis: apt-get install redis-server"
    if shutil.which("psql") is None or not any((at / "initdb").exists() for at in BINARIES):
        return "needs PostgreSQL: apt-get install postgresql"
    return ""


class Redis:
    """One server in memory; ``start`` after ``kill`` is a restart with what the folder keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        """Start, and wait until it answers. Raises: Unavailable."""
        words = ["--port", "0", "--unixsocket", str(self.socket), "--save", "", *options]
        self._process = _started(["redis-server", *words, "--dir", str(self.folder)])
        _wait_for(lambda: self.cli("PING") == "PONG", "redis-server")

    def cli(self, *words: str) -> str:
        """What ``redis-cli`` says."""
        done = subprocess.run(
            ["redis-cli", "-s", str(self.socket), *words],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip()

    def kill(self) -> None:
        """``kill -9``."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


class Postgres:
    """One cluster, under a uid that is not root's; without fsync, which its own tests cover."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._bin = next(at for at in BINARIES if (at / "initdb").exists())
        self._process: subprocess.Popen[bytes] | None = None
        self._as: dict[str, Any] = {}
        if os.getuid() == 0:
            other = pwd.getpwnam("nobody")
            self._as = {"user": other.pw_uid, "group": other.pw_gid, "extra_groups": []}
            os.chown(folder, other.pw_uid, other.pw_gid)
        made = ["-D", str(folder / "data"), "-U", "seal", "--no-sync", "-A", "trust"]
        subprocess.run(
            [str(self._bin / "initdb"), *made, "-E", "UTF8", "--locale=C"],
            check=True,
            capture_output=True,
            cwd=folder,
            **self._as,
        )

    def start(self) -> None:
        """Start, and wait until it answers. Raises: Unavailable."""
        words = ["-D", str(self.folder / "data"), "-k", str(self.folder), "-c", "fsync=off"]
        command = [str(self._bin / "postgres"), *words, "-c", "listen_addresses="]
        self._process = _started(command, cwd=self.folder, **self._as)
        _wait_for(self._answers, "postgres")

    def sql(self, statement: str, database: str = "postgres") -> str:
        """What ``psql`` says."""
        done = subprocess.run(
            ["psql", "-h", str(self.folder), "-U", "seal", "-d", database, "-Atc", statement],
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def database(self, name: str) -> str:
        """A fresh database's address."""
        self.sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        self.sql(f"CREATE DATABASE {name}")
        return f"postgresql://seal@/{name}?host={self.folder}"

    def kill(self) -> None:
        """Immediate shutdown: a crash of the server and of all that serve its connections."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def _answers(self) -> bool:
        words = ["-h", str(self.folder), "-q"]
        return subprocess.run([str(self._bin / "pg_isready"), *words], check=False).returncode == 0


def _started(command: list[str], **how: Any) -> subprocess.Popen[bytes]:
    quiet = subprocess.DEVNULL
    return subprocess.Popen(command, stdout=quiet, stderr=quiet, **how)


def _wait_for(ready: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + START_S
    while not ready():
        if time.monotonic() > until:
            raise Unavailable(f"{what} did not start within {START_S} s")
        time.sleep(0.02)
