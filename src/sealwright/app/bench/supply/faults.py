"""What may go wrong with an index, a version or a waiver; after none of it a package may pass.

Each fault happens to a workspace of its own, in which the package would be called vulnerable,
and is judged as ``seal supply audit`` judges.
"""

from __future__ import annotations

import gzip
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import msgspec

from sealwright.app import advising, setup
from sealwright.app.wiring import Workspace
from sealwright.core import clock
from sealwright.core.digest import of_bytes
from sealwright.core.errors import SealError, VerifyError
from sealwright.core.predicates import ADVISORIES
from sealwright.core.records import Artifact, Json, Statement
from sealwright.policy.waivers import Terms
from sealwright.supply import index as indexes
from sealwright.supply.audit import Installed
from sealwright.supply.index import Index
from sealwright.supply.osv import Advisory, Affected, Range

SUBJECT = Artifact("environment", "e" * 64)
FRAIL, SOUND = Installed("frail", "1.0"), Installed("frail", "2.0")


class Outcome(msgspec.Struct, frozen=True):
    """One fault, and whether the package passed after it, which it never may."""

    name: str
    passed: bool


class Broken(msgspec.Struct):
    """What a fault is done to: a workspace, and the package that is then audited."""

    workspace: Workspace
    package: Installed = FRAIL

    @property
    def file(self) -> Path:
        """The index on disk."""
        (found,) = (self.workspace.seal_dir / "advisories").iterdir()
        return found

    def rewrite(self, data: bytes) -> None:
        """Put other bytes in its place."""
        self.file.chmod(0o600)
        self.file.write_bytes(data)


def index(
    workspace: Workspace, days: int = -2, package: str = "frail", opaque: bool = False
) -> Index:
    """An index that calls the package vulnerable, its newest record so many days from now."""
    stamp = clock.stamp(workspace.clock() + timedelta(days=days))
    ranges = () if opaque else (Range((("introduced", "0"), ("fixed", "2.0"))),)
    one = Affected(package, ranges, (), int(opaque))
    return indexes.build([Advisory("PYSEC-1", stamp, (one,))], "bench", "")


def outcomes() -> list[Outcome]:
    """Every fault tried. Raises: VerifyError (the gate does not work where nothing is wrong)."""
    out = []
    with state():
        for name, (sound, fault) in FAULTS.items():
            with tempfile.TemporaryDirectory(prefix="sealwright-bench-") as root:
                workspace, _ = setup.create_workspace(Path(root), "solo", None)
                setup.activate(workspace, "solo")
                broken = Broken(workspace)
                if sound:
                    advising.update(workspace, index(workspace))
                    _control(broken)
                fault(broken)
                out.append(Outcome(name, _passes(broken)))
    return out


@contextmanager
def state() -> Iterator[None]:
    """Keys in a folder that goes away again."""
    before = os.environ.copy()
    with tempfile.TemporaryDirectory(prefix="sealwright-bench-") as folder:
        os.environ["XDG_STATE_HOME"] = folder
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def _passes(broken: Broken) -> bool:
    """As the command's exit code has it; what is refused does not pass."""
    try:
        done = advising.judge(broken.workspace, [broken.package], SUBJECT)
    except (SealError, OSError):
        return False
    return not (done.audit.vulnerable or done.audit.unsure or done.held.rule)


def _control(broken: Broken) -> None:
    """Before the fault the frail one is refused, the sound one passes."""
    sound = Broken(broken.workspace, SOUND)
    if _passes(broken) or not _passes(sound):
        raise VerifyError("the gate does not work where nothing is wrong", rule="bench.control")


def _unsigned(broken: Broken) -> None:
    data = indexes.pack(index(broken.workspace))
    place = broken.workspace.seal_dir / "advisories"
    place.mkdir()
    (place / f"{of_bytes(data)}.json.gz").write_bytes(data)


def _flipped(broken: Broken) -> None:
    data = bytearray(broken.file.read_bytes())
    data[len(data) // 2] ^= 1
    broken.rewrite(bytes(data))


def _another(broken: Broken) -> None:
    broken.rewrite(indexes.pack(index(broken.workspace, package="other")))


def _linked(broken: Broken) -> None:
    other = broken.workspace.root / "other.json.gz"
    other.write_bytes(indexes.pack(index(broken.workspace, package="other")))
    place = broken.file
    place.unlink()
    place.symlink_to(other)


def _put_back(broken: Broken) -> None:
    """A newer index is signed, and the one of before is what lies on disk."""
    before = indexes.pack(index(broken.workspace, package="other"))
    advising.update(broken.workspace, index(broken.workspace, days=-1))
    broken.rewrite(before)


def _signed(change: Callable[[bytes], bytes]) -> Callable[[Broken], None]:
    """Bytes that make no sense, and a statement that names them."""

    def fault(broken: Broken) -> None:
        data = change(broken.file.read_bytes())
        place = broken.file
        place.unlink()
        (place.parent / f"{of_bytes(data)}.json.gz").write_bytes(data)
        said: dict[str, Json] = {"sha256": of_bytes(data), "source": "bench"}
        subject = Artifact("advisories:x", of_bytes(data))
        with broken.workspace.lock():
            broken.workspace.recorder.record(Statement((subject,), ADVISORIES, said))

    return fault


def _version(text: str) -> Callable[[Broken], None]:
    def fault(broken: Broken) -> None:
        broken.package = Installed("frail", text)

    return fault


def _waived(days: int = 30, **change: str) -> Callable[[Broken], None]:
    """A waiver that is not about this package as it is audited."""

    def fault(broken: Broken) -> None:
        now = broken.workspace.clock()
        terms = {
            "vulnerability": "PYSEC-1",
            "package": "frail",
            "versions": "==1.0",
            "until": clock.stamp(now + timedelta(days=days)),
            "justification": "accepted_for_now",
            **change,
        }
        advising.waive(broken.workspace, Terms(**terms), "bench")

    return fault


def _expired(broken: Broken) -> None:
    """A waiver that let it through, and then its time is over."""
    _waived(days=1)(broken)
    if not _passes(broken):
        raise VerifyError("a sound waiver does not count", rule="bench.control")
    now = broken.workspace.clock
    broken.workspace.clock = lambda: now() + timedelta(days=2)


def _ended(broken: Broken) -> None:
    _waived()(broken)
    request = advising.judge(broken.workspace, [FRAIL], SUBJECT).waivers.active[0].request
    advising.end_waiver(broken.workspace, request, "bench")


Fault = Callable[[Broken], None]

FAULTS: Mapping[str, tuple[bool, Fault]] = {
    "no index": (False, lambda broken: None),
    "an index nobody signed": (False, _unsigned),
    "the index is gone": (True, lambda broken: broken.file.unlink()),
    "the index is empty": (True, lambda broken: broken.rewrite(b"")),
    "the index is cut short": (True, lambda broken: broken.rewrite(broken.file.read_bytes()[:-9])),
    "a byte of the index is flipped": (True, _flipped),
    "another index in its place": (True, _another),
    "a link to another index": (True, _linked),
    "an older index put back": (True, _put_back),
    "an index that is too old": (
        True, lambda b: _keep(advising.update(b.workspace, index(b.workspace, days=-700))),
    ),
    "an index of the future": (
        True, lambda b: _keep(advising.update(b.workspace, index(b.workspace, days=300))),
    ),
    "signed, and no gzip": (True, _signed(lambda data: b"not gzip")),
    "signed, with a second stream": (True, _signed(lambda data: data + gzip.compress(b"{}"))),
    "signed, with a field gone": (
        True, _signed(lambda data: gzip.compress(b'{"format": "sealwright advisories v1"}')),
    ),
    "a version nobody can order": (True, _version("from-git")),
    "an advisory that names only commits": (
        True, lambda b: _keep(advising.update(b.workspace, index(b.workspace, opaque=True))),
    ),
    "a waiver of another version": (True, _waived(versions="==1.1")),
    "a waiver of another package": (True, _waived(package="other")),
    "a waiver of another stage": (True, _waived(scope="elsewhere")),
    "a waiver that expired": (True, _expired),
    "a waiver that was ended": (True, _ended),
}  # fmt: skip
"""A name → whether there was a sound index before, and what is done."""


def _keep(_: object) -> None:
    """An update's receipt is of no interest here."""
