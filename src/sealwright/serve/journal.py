"""The journal: a line for each request in a file, and once a second a root over them in the log.

A line is written before the answer leaves, so a kill -9 loses none: the next start finds the lines
that no batch covers and puts them under a root of their own, marked ``recovered``. A loss of power
may take the lines of the last second; the leakage ledger has charged for them all the same. While
the log cannot take a root, nobody is answered.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import msgspec

from sealwright.core.clock import stamp
from sealwright.core.digest import Digest
from sealwright.core.errors import SealError
from sealwright.core.ports import Clock, Recorder
from sealwright.serve.evidence import (
    MOST_RECORDS,
    Batch,
    Event,
    Record,
    batch_statement,
    event_statement,
    line_of,
    record_of,
    root_of,
)
from sealwright.serve.recordfile import RecordFile, lines_of
from sealwright.serve.refusals import OutOfService
from sealwright.vault import private

SUFFIX = ".records"
MOST_FILE_BYTES = 64 << 20
MOST_WAITING = 20_000
EVENT_EVERY_MS = 60_000
"""The same denial of the same caller is a statement once in this time; records are all there."""


class Covered(msgspec.Struct, frozen=True):
    """How far the log has roots over a file's lines, and the newest root of all."""

    files: dict[str, int]
    newest: Digest = ""


class About(msgspec.Struct, frozen=True):
    """What every batch says: the model, its digest, the policy, and who serves it."""

    model: str
    model_digest: Digest
    policy: Digest
    actor: str


class Journal:
    """Records of one served model. ``add`` from the event loop alone; one journal a folder."""

    def __init__(
        self,
        folder: Path,
        about: About,
        recorder: Recorder,
        clock: Clock,
        covered: Covered,
        every_s: float = 1.0,
        say: Callable[[str], None] = lambda _line: None,
    ) -> None:
        private.make_dir(folder)
        self._folder = folder
        self._about = about
        self._recorder = recorder
        self._clock = clock
        self._every_s = every_s
        self._say = say
        self._previous = covered.newest
        self._waiting: list[tuple[bytes, Record]] = []
        self._refusals: dict[str, int] = {}
        self.verdicts: dict[str, int] = {}
        """How many requests ended how, since the start."""
        self.turned_away: dict[str, int] = {}
        """How many nobody could be named for, by rule, since the start."""
        self._wake = asyncio.Event()
        self._sealing = asyncio.Lock()
        self._said_at: dict[tuple[str, str], int] = {}
        self._broken = ""
        self._open()

    # -- what the chain calls ---------------------------------------------------------------

    def add(self, record: Record) -> None:
        """Write a record; it outlives this process on return. Raises: Unavailable."""
        if self._broken:
            raise _unavailable(self._broken)
        line = line_of(record)
        try:
            self._file.append(line)
        except (OSError, ValueError) as error:
            raise _unavailable(str(error)) from error
        self.verdicts[record.verdict] = self.verdicts.get(record.verdict, 0) + 1
        self._waiting.append((line, record))
        if len(self._waiting) >= MOST_RECORDS:
            self._wake.set()

    def require(self) -> None:
        """Raises: Unavailable while the log takes no roots, or too many records wait for one."""
        if self._broken or len(self._waiting) >= MOST_WAITING:
            raise _unavailable(self._broken or "too many records wait for a root")

    def count(self, rule: str) -> None:
        """A refusal of somebody nobody can name: counted in the next batch."""
        self._refusals[rule] = self._refusals.get(rule, 0) + 1
        self.turned_away[rule] = self.turned_away.get(rule, 0) + 1

    async def event(self, event: Event, *, again: bool = False) -> int:
        """Record an event, at once; the same one of the same caller again after a minute.

        ``again``: now, too. Returns its log index, -1 where it was said. Raises: OutOfService.
        """
        now = self._clock()
        at, key = int(now.timestamp() * 1000), (event.principal, event.rule + event.what)
        if not again and 0 <= at - self._said_at.get(key, -EVENT_EVERY_MS) < EVENT_EVERY_MS:
            return -1
        self._said_at[key] = at
        statement = event_statement(event, stamp(now), self._about.actor)
        try:
            receipt = await asyncio.to_thread(self._recorder.record, statement)
        except (SealError, OSError) as error:
            self._said_at.pop(key, None)
            raise _unavailable(str(error)) from error
        self._say(f"{event.what}: {event.principal}: {event.rule}: {event.why}")
        return receipt.index

    # -- batches ----------------------------------------------------------------------------

    async def run(self) -> None:
        """Put records under roots until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._every_s):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            await self.flush()

    async def flush(self) -> None:
        """Every record written so far is under a root on return, or the journal is broken.

        A root that is being signed is waited for by whoever comes next, also where the caller
        was cancelled: no record gets two.
        """
        self._flushing = asyncio.ensure_future(self._flush())
        await asyncio.shield(self._flushing)

    async def _flush(self) -> None:
        async with self._sealing:
            # what comes meanwhile is the next flush's: else one would follow on the other for ever
            due, told = len(self._waiting), not self._refusals
            while due or not told:
                part = tuple(self._waiting[: min(due, MOST_RECORDS)])
                refusals, self._refusals = self._refusals, {}
                try:
                    batch = await asyncio.to_thread(self._sealed, part, refusals)
                except (SealError, OSError) as error:
                    for rule, count in refusals.items():
                        self._refusals[rule] = self._refusals.get(rule, 0) + count
                    self._broken = str(error)
                    self._say(f"the log takes no records: {error}")
                    return
                self._broken = ""
                del self._waiting[: len(part)]
                self._next += len(part)
                self._previous = batch.root
                due, told = due - len(part), True
            if self._file.size > MOST_FILE_BYTES:
                self._go_on()

    async def close(self) -> None:
        """Seal what is left, and let go of the file."""
        await self.flush()
        while self._waiting and not self._broken:
            await self.flush()
        self._file.close()

    def recover(self, covered: Covered) -> int:
        """Put under roots what an earlier server left without one; returns how many records.

        Its last line, where it was cut off, is no record: no answer left with it. Blocks.
        """
        count = 0
        for path in sorted(self._folder.glob(f"*{SUFFIX}")):
            if path.name == self._name:
                continue
            first = covered.files.get(path.name, 0)
            lines = list(lines_of(path))[first:]
            for at in range(0, len(lines), MOST_RECORDS):
                part = tuple((line, record_of(line)) for line in lines[at : at + MOST_RECORDS])
                batch = self._batch(path.name, first + at, part, {}, recovered=True)
                self._seal(batch)
                self._previous = batch.root
                count += len(part)
        return count

    def _batch(
        self,
        file: str,
        first: int,
        part: tuple[tuple[bytes, Record], ...],
        refusals: dict[str, int],
        *,
        recovered: bool,
    ) -> Batch:
        about, lines = self._about, tuple(line for line, _ in part)
        return Batch(
            about.model,
            about.model_digest,
            about.policy,
            file,
            first,
            lines,
            tuple(record for _, record in part),
            refusals,
            self._previous,
            root_of(lines).hex(),
            recovered,
        )

    def _sealed(self, part: tuple[tuple[bytes, Record], ...], refusals: dict[str, int]) -> Batch:
        batch = self._batch(self._name, self._next, part, refusals, recovered=False)
        self._file.sync()
        self._seal(batch)
        return batch

    def _seal(self, batch: Batch) -> None:
        self._recorder.record(batch_statement(batch, stamp(self._clock())))

    def _open(self) -> None:
        name = f"{_file_stamp(self._clock())}-{os.urandom(4).hex()}{SUFFIX}"
        self._file, self._name, self._next = RecordFile(self._folder / name), name, 0
        private.sync_dir(self._folder)

    def _go_on(self) -> None:
        """In a file of its own; where none can be made, in the one that is there."""
        full = self._file
        try:
            self._open()
        except OSError as error:
            self._say(f"no new file of records can be made: {error}")
        else:
            full.close()


def _file_stamp(now: datetime) -> str:
    return now.strftime("%Y%m%dT%H%M%S")


def _unavailable(why: str) -> OutOfService:
    return OutOfService(
        "guard.evidence",
        "no evidence of an answer can be kept, so there is none",
        why=why,
        hint="free some space, or look at the log: seal log verify",
    )
