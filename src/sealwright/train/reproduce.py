"""Was a run reproduced? Compares what it made with what a second run made. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Literal

import msgspec

from sealwright.core.digest import Digest
from sealwright.train.environment import Identity

Outcome = Literal["identical", "different", "unavailable"]

_CAUSES = {
    ".ipynb": "an executed notebook holds the times its cells ran",
    ".zip": "zip archives hold modification times",
    ".npz": "npz archives hold modification times",
    ".gz": "gzip headers hold a modification time",
    ".log": "logs hold times",
    ".h5": "HDF5 files can hold modification times",
    ".keras": "keras archives hold the time of saving",
}


class Difference(msgspec.Struct, frozen=True, forbid_unknown_fields=True, order=True):
    """One output that differs; ``before`` or ``after`` is empty where it is missing."""

    path: str
    kind: Literal["changed", "missing", "extra"]
    before: str
    after: str
    cause: str = ""


class Comparison(msgspec.Struct, frozen=True):
    """``outcome`` and what decided it: differing outputs, or what the environment lacks."""

    outcome: Outcome
    differences: tuple[Difference, ...] = ()
    lacking: tuple[str, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 identical, 1 different, 2 environment unavailable."""
        return {"identical": 0, "different": 1, "unavailable": 2}[self.outcome]

    def lines(self) -> list[str]:
        """What a person reads, one difference a line."""
        if self.outcome == "unavailable":
            return [f"environment unavailable: {what}" for what in self.lacking]
        return [
            f"{one.path}: {one.kind}" + (f" ({one.cause})" if one.cause else "")
            for one in self.differences
        ] or ["identical"]


def compare(original: Mapping[str, Digest], again: Mapping[str, Digest]) -> Comparison:
    """Compare outputs by path and digest. Two empty sets are no reproduction: different."""
    found = [
        Difference(path, *_kind(original.get(path, ""), again.get(path, "")), _cause(path))
        for path in sorted(original.keys() | again.keys())
        if original.get(path) != again.get(path)
    ]
    if not original:
        found.append(Difference("(outputs)", "missing", "", "", "the original run made nothing"))
    return Comparison("different" if found else "identical", tuple(found))


def unavailable(recorded: Identity, now: Identity) -> Comparison | None:
    """None when the run's environment is here; otherwise what it lacks, by name and version.

    Sealwright itself may be newer than it was: it watches the run and is no part of it.
    """
    recorded, now = _without_us(recorded), _without_us(now)
    if recorded == now:
        return None
    lacking = []
    for what, before, after in (
        ("system", recorded.system, now.system),
        ("machine", recorded.machine, now.machine),
        ("C library", recorded.libc, now.libc),
        ("Python", recorded.version, now.version),
        ("implementation", recorded.implementation, now.implementation),
    ):
        if before != after:
            lacking.append(f"{what} was {before or 'none'}, here it is {after or 'none'}")
    if recorded.interpreter != now.interpreter and recorded.version == now.version:
        lacking.append(f"Python {now.version or 'none'} is another build of the interpreter")
    return Comparison("unavailable", lacking=(*lacking, *_packages(recorded, now)))


def _without_us(identity: Identity) -> Identity:
    others = tuple(package for package in identity.packages if package.name != "sealwright")
    return msgspec.structs.replace(identity, packages=others)


def _packages(recorded: Identity, now: Identity) -> list[str]:
    before = {package.name: package for package in recorded.packages}
    after = {package.name: package for package in now.packages}
    out = []
    for name in sorted(before.keys() | after.keys()):
        was, is_now = before.get(name), after.get(name)
        if was == is_now:
            continue
        if is_now is None and was is not None:
            out.append(f"{name} {was.version} is not installed here")
        elif was is None and is_now is not None:
            out.append(f"{name} {is_now.version} is installed here and was not then")
        elif was and is_now and was.version != is_now.version:
            out.append(f"{name} was {was.version}, here it is {is_now.version}")
        elif is_now:
            out.append(f"{name} {is_now.version} has other files than it had then")
    return out


def _kind(before: str, after: str) -> tuple[Literal["changed", "missing", "extra"], str, str]:
    if not after:
        return "missing", before, after
    return ("changed" if before else "extra"), before, after


def _cause(path: str) -> str:
    """The usual reason why a file of this kind differs between two equal runs, if there is one."""
    return _CAUSES.get(PurePosixPath(path).suffix.lower(), "")
