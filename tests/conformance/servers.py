"""Redis and PostgreSQL for the tests: one of each for a process, or fresh ones; skips without."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from functools import cache
from pathlib import Path

import pytest

from sealwright.app.bench.guard.servers import Postgres, Redis, missing


def fresh_redis() -> Redis:
    """A server of this test's own, not started."""
    return Redis(_folder())


def fresh_postgres() -> Postgres:
    """A cluster of this test's own, not started."""
    return Postgres(_folder())


@cache
def shared_redis() -> Redis:
    """One for all tests of this process that only flush it."""
    server = fresh_redis()
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


def _folder() -> Path:
    if why := missing():
        pytest.skip(why)
    for library, extra in (("redis", "redis"), ("psycopg", "postgres")):
        pytest.importorskip(library, reason=f"needs the extra {extra}")
    # near the root: a Unix socket's path is short, and another uid has to reach it
    folder = Path(tempfile.mkdtemp(prefix="seal-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
