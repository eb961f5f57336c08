"""The jail over the sealed room: one of our own modules, its inputs, and nothing else.

Inside it sees the interpreter and the installed packages, read-only, and its inputs in the
working folder ``/jail``. It has no network, no keys, no home. A file of an input's name is
never imported: the working folder is not on the module path.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

from sealwright.core.errors import BadInput, Refused, VerifyError
from sealwright.core.ports import JailBounds, Jailed, JailInput
from sealwright.train import environment
from sealwright.train.environment import Environment
from sealwright.train.outcome import RoomResult
from sealwright.train.room import run_room
from sealwright.train.spec import MIB, Channel, Limits, RoomInput, RoomSpec

INSIDE = Path("/jail")
_FILES_AT_MOST = 10_000
_SAID_BYTES = 8192
_LINE_BYTES = 200
_PROGRESS = b"progress "
_SHOWN_CHARACTERS = 600
_PROCESSES = 256
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
"""The same sums in the same order on every machine, and no core spun on for a busy neighbour."""
_READABLE = frozenset({"\n", "\t"})

Listener = Callable[[str], None]
"""Gets the rest of each line that begins with ``progress``: untrusted text."""

_ENDINGS: dict[str, tuple[str, str, str]] = {
    "timeout": ("jail.timeout", "ran over its time", "give it longer, or less to read"),
    "out-of-memory": ("jail.memory", "ran out of its memory", "give it less to read at once"),
    "too-many-processes": ("jail.processes", "started too many processes", "seal doctor"),
    "output-full": ("jail.output-full", "wrote more than it may", "give it less to read"),
}


class RoomJail:
    """The port ``Jail``. ``package`` is the only one whose modules it runs."""

    def __init__(
        self,
        scratch: Path,
        isolation: Literal["strict", "standard"] = "standard",
        *,
        package: str = "sealwright",
        variables: Mapping[str, str] | None = None,
        heard: Listener | None = None,
    ) -> None:
        self._scratch = scratch
        self._isolation = isolation
        self._package = package
        self._around = dict(os.environ if variables is None else variables)
        self._heard = heard

    def run(
        self,
        module: str,
        arguments: Sequence[str],
        inputs: Sequence[JailInput],
        bounds: JailBounds,
    ) -> Jailed:
        """Raises: Refused (``jail.*``), VerifyError (an input's bytes), BadInput."""
        if module.partition(".")[0] != self._package:
            raise BadInput(f"{module} is not one of {self._package}'s own modules")
        ears = _Ears(self._heard)
        try:
            with run_room(self._spec(module, arguments, inputs, bounds), ears) as result:
                _refuse_bad_end(module, result, ears.said)
                return Jailed(
                    outputs=_outputs(module, result, bounds),
                    said=ears.said,
                    cpu_ms=result.usage.cpu_ms,
                    peak_bytes=result.usage.peak_bytes,
                )
        except Refused as refused:
            if refused.rule.startswith("room.") and not isinstance(refused, VerifyError):
                raise Refused(
                    f"{module} was not started: {refused.what}",
                    why=refused.why or "a file nobody trusts is only opened in a sandbox",
                    hint=refused.hint or "seal doctor",
                    rule="jail.no-sandbox",
                    evidence=(refused.rule,),
                ) from refused
            raise

    @cached_property
    def _environment(self) -> Environment:
        around = dict(self._around)
        # a relative folder would be one of the jail's, where the inputs lie
        paths = around.pop("PYTHONPATH", "").split(os.pathsep)
        if absolute := [path for path in paths if Path(path).is_absolute()]:
            around["PYTHONPATH"] = os.pathsep.join(absolute)
        return environment.describe((sys.executable, "-P", "-m"), INSIDE, around)

    def _spec(
        self,
        module: str,
        arguments: Sequence[str],
        inputs: Sequence[JailInput],
        bounds: JailBounds,
    ) -> RoomSpec:
        here = self._environment
        here.recheck()
        return RoomSpec(
            argv=(*here.argv, module, *arguments),
            project=INSIDE,
            scratch=self._scratch,
            inputs=tuple(RoomInput(i.path, i.size, i.readable, i.sha256) for i in inputs),
            env={**here.variables, **_ONE_THREAD},
            read_only=tuple(Path(path) for path in here.binds),
            limits=Limits(
                memory_bytes=bounds.memory_bytes,
                processes=_PROCESSES,
                wall_s=bounds.wall_s,
                output_bytes=bounds.output_bytes,
                output_files=_FILES_AT_MOST,
                log_bytes=MIB,
            ),
            isolation=self._isolation,
        )


class _Ears:
    """Keeps the end of what was said, but for lines of progress, which are handed on."""

    def __init__(self, heard: Listener | None) -> None:
        self._heard = heard
        self._tail = b""
        self._lines: dict[Channel, bytes] = {"stdout": b"", "stderr": b""}

    def __call__(self, channel: Channel, data: bytes) -> None:
        *lines, rest = (self._lines[channel] + data).split(b"\n")
        self._lines[channel] = rest[-_SAID_BYTES:]
        for line in lines:
            if not line.startswith(_PROGRESS):
                self._tail = (self._tail + line + b"\n")[-_SAID_BYTES:]
            elif self._heard is not None:
                self._heard(_readable(line.removeprefix(_PROGRESS)[:_LINE_BYTES]))

    @property
    def said(self) -> str:
        """The end of it without anything that steers a terminal."""
        return _readable((self._tail + b"".join(self._lines.values()))[-_SAID_BYTES:])


def _readable(data: bytes) -> str:
    text = data.decode("utf-8", "replace")
    return "".join(c if c.isprintable() or c in _READABLE else "\ufffd" for c in text)


def _refuse_bad_end(module: str, result: RoomResult, said: str) -> None:
    if result.status == "ok":
        return
    if result.status == "interrupted":
        raise KeyboardInterrupt
    if result.status in _ENDINGS:
        rule, what, hint = _ENDINGS[result.status]
        raise Refused(f"{module} {what}", why=_last(said), hint=hint, rule=rule)
    raise Refused(
        f"{module} failed with exit code {result.exit_code}",
        why=_last(said) or "it said nothing",
        hint="seal doctor",
        rule="jail.failed",
    )


def _last(said: str) -> str:
    return said.strip()[-_SHOWN_CHARACTERS:]


def _outputs(module: str, result: RoomResult, bounds: JailBounds) -> dict[str, bytes]:
    """Plain files only: one that left a link, a pipe or a hidden file is not believed."""
    odd = [one for one in result.findings if one.rule.startswith("room.output-")]
    if odd:
        raise Refused(
            f"{module} left what is no plain file: {odd[0].message}",
            why="our own modules write regular files; something else acted in its place",
            hint="look at what it was given",
            rule="jail.output",
        )
    if sum(one.size for one in result.outputs) > bounds.output_bytes:
        raise Refused(f"{module} wrote more than it may", rule="jail.output-full")
    found: dict[str, bytes] = {}
    for one in result.outputs:
        with result.open(one) as stream:
            found[one.relpath] = stream.read(one.size + 1)[: one.size]
    return found
