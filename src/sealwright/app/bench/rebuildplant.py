"""Projects and archives with one planted cause each, for which two builds of them differ."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

PYPROJECT = """\
[build-system]
requires = []
build-backend = "pack"
backend-path = ["."]

[project]
name = "planted"
version = "1.0"
"""

_BACKEND = """\
import concurrent.futures, getpass, locale, os, time, uuid, zipfile

def built():
    made = []
    @built@
    return made

def date(path):
    return @date@

def mode(path):
    return @mode@

def listed():
    return @listed@

def build_wheel(folder, config_settings=None, metadata_directory=None):
    name = "planted-1.0-py3-none-any.whl"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        def put(path, text, at="pyproject.toml"):
            entry = zipfile.ZipInfo(path, date(at))
            entry.external_attr = mode(at) << 16
            wheel.writestr(entry, text)
        for path in listed():
            with open(os.path.join("planted", path)) as stream:
                put("planted/" + path, stream.read(), os.path.join("planted", path))
        for number, text in enumerate(built()):
            put(f"planted/_built{number}.py", text)
        put("planted-1.0.dist-info/METADATA", "Name: planted\\nVersion: 1.0\\n")
        put("planted-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nGenerator: pack 1\\n")
        put("planted-1.0.dist-info/RECORD", "planted-1.0.dist-info/RECORD,,\\n")
    return name
"""

_SOUND = {
    "built": 'made.append("VERSION = 1\\n")',
    "date": "(2020, 1, 1, 0, 0, 0)",
    "mode": "0o100644",
    "listed": 'sorted(os.listdir("planted"))',
}

_THREADED = """\
done = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for number in range(6):
            pool.submit(done.append, number)
    made.append(f"PARTS = {done}\\n")"""

PROJECTS: Mapping[str, Mapping[str, str]] = {
    "timestamps": {"built": 'made.append(f"BUILT = {int(time.time())}\\n")'},
    "file-order": {"listed": 'os.listdir("planted")'},
    "build-path": {"built": 'made.append(f"ROOT = {os.getcwd()!r}\\n")'},
    "random": {"built": 'made.append(f"BUILD = {uuid.uuid4().hex!r}\\n")'},
    "threads": {"built": _THREADED},
    "hash-seed": {
        "built": 'made.append(f"WORDS = { {word for word in dir(os)} }\\n")',
    },
    "timezone": {"date": 'time.localtime(int(os.environ["SOURCE_DATE_EPOCH"]))[:6]'},
    "locale": {"built": 'made.append(f"LOCALE = {locale.setlocale(locale.LC_ALL, str())!r}\\n")'},
    "permissions": {"mode": "os.stat(path).st_mode"},
    "user": {"built": 'made.append(f"BY = {getpass.getuser()!r}\\n")'},
}
"""A cause → what of a sound backend is replaced, so that two builds differ by it alone."""


def together() -> dict[str, str]:
    """Every cause at once."""
    one: dict[str, str] = {}
    for change in PROJECTS.values():
        for part, text in change.items():
            one[part] = f"{one[part]}\n    {text}" if part in one else text
    return one


def project(root: Path, change: Mapping[str, str] | None = None) -> Path:
    """Write a project folder, sound but for ``change``."""
    (root / "planted").mkdir(parents=True)
    (root / "pyproject.toml").write_text(PYPROJECT)
    text = _BACKEND
    for part, what in {**_SOUND, **(change or {})}.items():
        text = text.replace(f"@{part}@", what)
    (root / "pack.py").write_text(text)
    for name in ("__init__", "model", "data", "serve"):
        (root / "planted" / f"{name}.py").write_text(f"NAME = {name!r}\n")
    return root


class Packed(msgspec.Struct, frozen=True):
    """How an archive is written."""

    date: tuple[int, int, int, int, int, int] = (2020, 1, 1, 0, 0, 0)
    epoch: int = 1_577_836_800
    reversed: bool = False
    mode: int = 0o644
    owner: str = "root"
    level: int = 9
    method: int = zipfile.ZIP_DEFLATED
    text: str = "VALUE = 1\n"
    tool: str = "1.0"


CHANGED: Mapping[str, tuple[str, Packed]] = {
    "the times of a zip's entries": ("timestamps", Packed(date=(2026, 11, 25, 10, 30, 2))),
    "the times of a tar's entries": ("timestamps", Packed(epoch=1_790_000_000)),
    "a date in a file": ("timestamps", Packed(text="VALUE = 1\n# made 2026-11-25T10:30:02Z\n")),
    "the order of entries": ("file-order", Packed(reversed=True)),
    "a folder in a file": ("build-path", Packed(text="ROOT = '/home/ben/x/planted'\n")),
    "a random name in a file": ("random", Packed(text=f"BUILD = '{'0f9e8d7c' * 4}'\n")),
    "a set in a file": ("hash-seed", Packed(text="S = {'c', 'a', 'b'}\n")),
    "the tool's version": ("tool-versions", Packed(tool="84.2.1")),
    "the modes": ("permissions", Packed(mode=0o600)),
    "the owner": ("user", Packed(owner="ben")),
    "the zone of a time": ("timezone", Packed(text="AT = '10:30 +1130'\n")),
    "the level of compression": ("compression", Packed(level=1)),
    "no compression": ("compression", Packed(method=zipfile.ZIP_STORED)),
}
"""What is changed → the cause that must be named."""

BEFORE: Mapping[str, str] = {
    "a date in a file": "VALUE = 1\n# made 2026-11-24T08:00:00Z\n",
    "a folder in a file": "ROOT = '/home/ana/planted'\n",
    "a random name in a file": f"BUILD = '{'a1b2c3d4' * 4}'\n",
    "a set in a file": "S = {'a', 'b', 'c'}\n",
    "the zone of a time": "AT = '10:30 +0000'\n",
}
"""What the file holds on the other side."""

IN_TAR = frozenset({"the times of a tar's entries", "the owner"})
"""Written as tar.gz; the others as a wheel."""


def pair(name: str) -> tuple[bytes, bytes]:
    """Two archives that differ by what ``name`` says."""
    _, after = CHANGED[name]
    before = Packed(text=BEFORE.get(name, Packed().text))
    write: Callable[[Packed], bytes] = layer if name in IN_TAR else wheel
    return write(before), write(after)


def _files(plan: Packed) -> list[tuple[str, bytes]]:
    long = b"".join(b"line %d of many\n" % (n * n % 977) for n in range(900))
    files = [
        ("planted/__init__.py", plan.text.encode()),
        ("planted/table.txt", long),
        (
            "planted-1.0.dist-info/WHEEL",
            f"Wheel-Version: 1.0\nGenerator: pack ({plan.tool})\n".encode(),
        ),
    ]
    return files[::-1] if plan.reversed else files


def wheel(plan: Packed) -> bytes:
    """A zip as wheels are."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for path, data in _files(plan):
            entry = zipfile.ZipInfo(path, plan.date)
            entry.external_attr = (0o100000 | plan.mode) << 16
            archive.writestr(entry, data, plan.method, plan.level)
    return out.getvalue()


def layer(plan: Packed) -> bytes:
    """A tar.gz as layers are."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path, data in _files(plan):
            entry = tarfile.TarInfo(path)
            entry.size, entry.mtime, entry.mode = len(data), plan.epoch, plan.mode
            entry.uname = entry.gname = plan.owner
            archive.addfile(entry, io.BytesIO(data))
    return gzip.compress(out.getvalue(), plan.level, mtime=0)
