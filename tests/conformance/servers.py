"""Redis and PostgreSQL as processes of the tests' own, on sockets in temporary folders."""

from __future__ import annotations

import atexit
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from functools import cache
from pathlib import Path

import pytest

BINARIES = (*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True), Path("/usr/bin"))


class Redis:
    """One server; ``start`` after ``stop`` is a restart with what ``data`` keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}"
        self.process: subprocess.Popen | None = None

    def start(self, *options: str) -> None:
        words = ["--port", "0", "--unixsocket", str(self.socket), "--save", "", *options]
        self.process = subprocess.Popen(
            ["redis-server", *words, "--dir", str(self.folder)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_for(lambda: self.cli("PING") == "PONG", "redis-server")

    def cli(self, *words: str) -> str:
        done = subprocess.run(
            ["redis-cli", "-s", str(self.socket), *words],
            capture_output=True,
            text=True,
            check=False,
        )
        return done.stdout.strip()

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


class Postgres:
    """One cluster, under a uid that is not root's; a database for each test that asks."""

    def __init__(self, binaries: Path, folder: Path) -> None:
        self.binaries = binaries
        self.folder = folder
        self.process: subprocess.Popen | None = None
        self.drop = {}
        if os.getuid() == 0:
            other = pwd.getpwnam("nobody")
            self.drop = {"user": other.pw_uid, "group": other.pw_gid, "extra_groups": []}
            os.chown(folder, other.pw_uid, other.pw_gid)
        made = [str(binaries / "initdb"), "-D", str(folder / "data"), "-U", "seal", "--no-sync"]
        subprocess.run(
            [*made, "-A", "trust", "-E", "UTF8", "--locale=C"],
            check=True,
            capture_output=True,
            cwd=folder,
            **self.drop,
        )

    def start(self) -> None:
        words = ["-D", str(self.folder / "data"), "-k", str(self.folder), "-c", "fsync=off"]
        self.process = subprocess.Popen(
            [str(self.binaries / "postgres"), *words, "-c", "listen_addresses="],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self.folder,
            **self.drop,
        )
        wait_for(self.answers, "postgres")

    def answers(self) -> bool:
        words = ["-h", str(self.folder), "-q"]
        done = subprocess.run([str(self.binaries / "pg_isready"), *words], check=False)
        return done.returncode == 0

    def sql(self, statement: str, database: str = "postgres") -> str:
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
        """As a crash of the server and all that serve its connections."""
        if self.process is not None:
            self.process.send_signal(3)  # SIGQUIT: immediate shutdown
            self.process.wait()
            self.process = None


def wait_for(ready, what: str) -> None:
    until = time.monotonic() + 30
    while not ready():
        if time.monotonic() > until:
            raise RuntimeError(f"{what} did not start")
        time.sleep(0.02)


def fresh_redis(folder: Path) -> Redis:
    """A server of this test's own, not started. Skips where Redis is not installed."""
    if shutil.which("redis-server") is None or shutil.which("redis-cli") is None:
        pytest.skip("needs Redis: apt-get install redis-server")
    pytest.importorskip("redis", reason="needs the extra redis")
    return Redis(folder)


def binaries_of_postgres() -> Path:
    pytest.importorskip("psycopg", reason="needs the extra postgres")
    found = next((each for each in BINARIES if (each / "initdb").exists()), None)
    if found is None or shutil.which("psql") is None:
        pytest.skip("needs PostgreSQL: apt-get install postgresql")
    return found


def fresh_postgres() -> Postgres:
    """A cluster of this test's own, not started."""
    binaries = binaries_of_postgres()
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Postgres(binaries, folder)


@cache
def shared_redis() -> Redis:
    """One for all tests of this process that only flush it."""
    folder = Path(tempfile.mkdtemp(prefix="redis-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    server = fresh_redis(folder)
    server.start()
    atexit.register(server.kill)
    return server


@cache
def shared_postgres() -> Postgres:
    """One for all tests of this process."""
    server = fresh_postgres()
    server.start()
    atexit.register(server.kill)
    return server
