"""``python -m sealwright.supply.rebuildheld SURROUNDINGS OUT``: one wheel, by PEP 517, here.

What a build asks about the world is answered as the surroundings say: the clock, the order of a
listing, random numbers, threads. It changes this process alone; what a backend starts is not held.
"""

from __future__ import annotations

import concurrent.futures
import datetime
import importlib
import os
import platform
import random
import socket
import sys
import tarfile
import threading
import time
import tomllib
import uuid
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from sealwright.supply.rebuildplan import Surroundings

_HELD = 1_700_000_000.0
_LATER_S = 400 * 86_400 + 12_345
_STEP_S = 0.02
_STEPS = 8
_JOIN_S = 10.0


def main(arguments: list[str]) -> int:
    """Exit 0 with a wheel in ``OUT``."""
    around = msgspec.json.decode(arguments[0], type=Surroundings)
    _answer(around)
    project = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))
    system = project.get("build-system") or {}
    here = str(Path.cwd())
    sys.path[:0] = [str(Path(here) / part) for part in system.get("backend-path", ())]
    name, _, inner = system.get("build-backend", "setuptools.build_meta:__legacy__").partition(":")
    backend: Any = importlib.import_module(name)
    for part in filter(None, inner.split(".")):
        backend = getattr(backend, part)
    sys.argv = ["build"]
    backend.build_wheel(arguments[1])
    return 0


def _answer(around: Surroundings) -> None:
    _listings(around)
    _threads(around)
    _names(around)
    if around.held:
        _randomness(around.seed)
    if around.held or around.later:
        _clock(around)


def _set(module: Any, name: str, value: Any) -> None:
    setattr(module, name, value)


def _clock(around: Surroundings) -> None:
    """A clock that stands, or one that goes and is months late."""
    real, began = time.time, time.time()
    ahead = _LATER_S if around.later else 0

    def now() -> float:
        return (_HELD if around.held else real()) + ahead

    def at(function: Callable[..., Any]) -> Callable[..., Any]:
        return lambda seconds=None: function(now() if seconds is None else seconds)

    localtime, gmtime, strftime = time.localtime, time.gmtime, time.strftime
    _set(time, "time", now)
    _set(time, "time_ns", lambda: int(now() * 1e9))
    _set(time, "localtime", at(localtime))
    _set(time, "gmtime", at(gmtime))
    _set(time, "ctime", at(time.ctime))
    _set(time, "asctime", lambda t=None, f=time.asctime: f(localtime(now()) if t is None else t))
    _set(time, "strftime", lambda f, t=None: strftime(f, localtime(now()) if t is None else t))
    _dates(now)

    def written(seconds: float) -> float:
        return now() if seconds >= began - 2 else seconds

    from_file, gettarinfo = zipfile.ZipInfo.from_file, tarfile.TarFile.gettarinfo

    def zipped(filename: Any, *more: Any, **named: Any) -> zipfile.ZipInfo:
        entry = from_file(filename, *more, **named)
        seconds = Path(filename).stat().st_mtime
        if written(seconds) != seconds:
            entry.date_time = localtime(now())[:6]
        return entry

    def tarred(self: tarfile.TarFile, *more: Any, **named: Any) -> Any:
        entry = gettarinfo(self, *more, **named)
        entry.mtime = written(entry.mtime)
        return entry

    _set(zipfile.ZipInfo, "from_file", staticmethod(zipped))
    _set(tarfile.TarFile, "gettarinfo", tarred)


def _dates(now: Callable[[], float]) -> None:
    plain, day = datetime.datetime, datetime.date

    class Kind(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, plain)

    class Datetime(datetime.datetime, metaclass=Kind):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return plain.fromtimestamp(now(), tz)

        @classmethod
        def utcnow(cls) -> Any:
            return plain.fromtimestamp(now(), datetime.UTC).replace(tzinfo=None)

        @classmethod
        def today(cls) -> Any:
            return plain.fromtimestamp(now())

    class Day(type):
        def __instancecheck__(cls, value: object) -> bool:
            return isinstance(value, day)

    class Date(datetime.date, metaclass=Day):
        @classmethod
        def today(cls) -> Any:
            return day.fromtimestamp(now())

    _set(datetime, "datetime", Datetime)
    _set(datetime, "date", Date)


def _listings(around: Surroundings) -> None:
    """Names come sorted, or the other way round: one file system's order is no other's."""
    listdir, scandir = os.listdir, os.scandir

    class Listed:
        def __init__(self, path: Any) -> None:
            with scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name, reverse=around.reversed)
            self._entries = iter(entries)

        def __iter__(self) -> Iterator[Any]:
            return self._entries

        def __next__(self) -> Any:
            return next(self._entries)

        def __enter__(self) -> Listed:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

        def close(self) -> None:
            """Nothing is open any more."""

    _set(os, "listdir", lambda path=".": sorted(listdir(path), reverse=around.reversed))
    _set(os, "scandir", lambda path=".": Listed(path))


def _randomness(seed: int) -> None:
    source = random.Random(seed)  # noqa: S311 - the build shall get the same ones again
    random.seed(seed)
    _set(os, "urandom", source.randbytes)
    _set(random, "_urandom", source.randbytes)
    _set(random.SystemRandom, "random", lambda _: source.random())
    _set(random.SystemRandom, "getrandbits", lambda _, k: source.getrandbits(k))
    _set(random.SystemRandom, "randbytes", lambda _, n: source.randbytes(n))
    _set(uuid, "uuid4", lambda: uuid.UUID(bytes=source.randbytes(16), version=4))
    _set(uuid, "uuid1", lambda *_: uuid.UUID(bytes=source.randbytes(16), version=1))
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed)


def _threads(around: Surroundings) -> None:
    """One after the other, or many of which the first begun ends last."""
    if around.threads == "free":
        return
    serial = around.threads == "serial"
    count = 1 if serial else 7
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(count)
    _set(os, "cpu_count", lambda: count)
    if hasattr(os, "process_cpu_count"):
        _set(os, "process_cpu_count", lambda: count)
    _set(os, "sched_getaffinity", lambda _: set(range(count)))
    begun = [0]

    def delay() -> float:
        begun[0] += 1
        return max(0.0, _STEP_S * (_STEPS - begun[0]))

    _pool(serial, delay)
    _plain_threads(serial, delay)


def _pool(serial: bool, delay: Callable[[], float]) -> None:
    pool = concurrent.futures.ThreadPoolExecutor
    begin, submit = pool.__init__, pool.submit

    def sized(self: Any, max_workers: Any = None, *more: Any, **named: Any) -> None:
        begin(self, 1 if serial else _STEPS, *more, **named)

    def submitted(self: Any, function: Any, /, *more: Any, **named: Any) -> Any:
        wait = 0.0 if serial else delay()

        def late() -> Any:
            time.sleep(wait)
            return function(*more, **named)

        return submit(self, late)

    _set(pool, "__init__", sized)
    _set(pool, "submit", submitted)


def _plain_threads(serial: bool, delay: Callable[[], float]) -> None:
    start, run = threading.Thread.start, threading.Thread.run

    def started(self: threading.Thread) -> None:
        worker = getattr(getattr(self, "_target", None), "__module__", "") or ""
        if worker.startswith("concurrent.futures") or self.daemon:
            start(self)
        elif serial:
            start(self)
            self.join(_JOIN_S)
        else:
            wait = delay()

            def late() -> None:
                time.sleep(wait)
                run(self)

            _set(self, "run", late)
            start(self)

    _set(threading.Thread, "start", started)


def _names(around: Surroundings) -> None:
    """A host of another name, where somebody else builds."""
    host = f"host-of-{around.user}"
    told = os.uname()
    _set(os, "uname", lambda: os.uname_result((told[0], host, *told[2:])))
    _set(socket, "gethostname", lambda: host)
    _set(platform, "node", lambda: host)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
