"""The encrypted store in a directory: ``SCOPE/ab/ab….seg``, one file a segment.

A stream is cut into slices of at most 64 MiB. A slice's name is keyed, so that equal slices
of one scope are kept once and nobody without the key can test a guess about their content.
A segment is written under a temporary name and appears whole or not at all; a crash leaves
nothing but temporary files, which ``seal gc`` removes. Implements ``core.ports.Store``.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
import os
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import BinaryIO

from sealwright.adapters import store_journal
from sealwright.adapters.store_names import Namer
from sealwright.core.errors import BadInput, Refused, Unavailable, VerifyError
from sealwright.core.locking import directory
from sealwright.core.ports import Kms, StoredFile
from sealwright.vault import container, private, wrapping

SLICE_BYTES = container.MOST_BYTES
_READ_BYTES = 1 << 20
_MOST_OPEN = 32
_ID = re.compile(r"[0-9a-f]{64}")
_SUFFIX = ".seg"
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_REOPEN_S = 0.5
"""How long an unwrapped segment key serves before the key service is asked again."""


class LocalStore:
    """Encrypted files under ``folder``. Safe for several processes and threads at once."""

    def __init__(self, folder: Path, kms: Kms) -> None:
        self._dir = folder
        self.tmp = folder / "tmp"
        self._kms = kms
        self._buffers = threading.local()

    def put(self, scope: str, source: BinaryIO) -> StoredFile:
        """See ``core.ports.Store``. One pass; at most 64 MiB of plaintext is in memory.

        Raises: Unavailable (disk full; nothing half-written is left), BadInput (scope name).
        """
        self._prepare(scope)
        namer = Namer(self._kms, scope)
        whole, size = hashlib.sha256(), 0
        segments: list[str] = []
        while True:
            content = self._fill(source, whole)
            if content.nbytes == 0 and segments:
                break
            size += content.nbytes
            segment = namer.name(content)
            if not self._holds(scope, segment):
                self.write_segment(scope, segment, content)
            segments.append(segment)
            if content.nbytes < SLICE_BYTES:
                break
        return StoredFile(whole.hexdigest(), size, tuple(segments))

    def open(self, scope: str, file: StoredFile) -> StoredReader:
        """See ``core.ports.Store``. What is missing shows now, what was changed when it is read."""
        for segment in file.segments:
            if not self.path(scope, segment).exists():
                raise _missing(scope, segment)
        return StoredReader(self, scope, file)

    def segments(self, scope: str) -> frozenset[str]:
        """See ``core.ports.Store``."""
        found = self._scope_dir(scope).glob(f"[0-9a-f][0-9a-f]/*{_SUFFIX}")
        return frozenset(path.name.removesuffix(_SUFFIX) for path in found)

    def scopes(self) -> tuple[str, ...]:
        """Every scope that has a directory here, sorted."""
        if not self._dir.is_dir():
            return ()
        names = (path.name for path in self._dir.iterdir() if path.is_dir())
        return tuple(sorted(name for name in names if name != self.tmp.name))

    def facts(self, scope: str, segment: str) -> os.stat_result | None:
        """Size and age of a stored segment, or None where it is not held."""
        try:
            return self.path(scope, segment).lstat()
        except FileNotFoundError:
            return None

    def leftovers(self) -> tuple[Path, ...]:
        """Temporary files of writers that are gone."""
        found = self.tmp.glob(f"{private.TMP_PREFIX}*") if self.tmp.is_dir() else ()
        return tuple(sorted(path for path in found if not private.is_writer_alive(path)))

    def shred(self, scope: str, segments: Sequence[str]) -> int:
        """See ``core.ports.Store``. The wrapped key is overwritten, then the file unlinked."""
        count = 0
        for segment in segments:
            path = self.path(scope, segment)
            if path.exists():
                _shred_file(path)
                count += 1
        return count

    def open_segment(self, scope: str, segment: str) -> OpenSegment:
        """One verified segment. Raises: Refused (not here), VerifyError (changed)."""
        path = self.path(scope, segment)
        try:
            fd = os.open(path, _READ)
        except FileNotFoundError as error:
            raise _missing(scope, segment) from error
        where = f"{scope}/{segment}"
        try:
            return OpenSegment(fd, self._kms, scope, segment, where)
        except VerifyError as error:
            # power failed while its key was wrapped anew: the journal has the whole of it
            if error.rule != "store.key-changed" or not store_journal.replay(path, self.tmp):
                raise
        return OpenSegment(os.open(path, _READ), self._kms, scope, segment, where)

    def _holds(self, scope: str, segment: str) -> bool:
        """Whether a whole, unchanged segment is there; it counts as new for ``seal gc``."""
        path = self.path(scope, segment)
        if not path.exists():
            return False
        try:
            found = self.open_segment(scope, segment)
            found.check()
            os.utime(path)
        except (VerifyError, Refused, FileNotFoundError):
            # written again: adding the data anew is how a damaged store is mended
            return False
        found.close()
        return True

    def write_segment(self, scope: str, segment: str, content: memoryview) -> None:
        """Encrypt one slice under a fresh key; whole on disk on return. Raises: Unavailable."""
        key = wrapping.new_key()
        path = self.path(scope, segment)
        with _fault_is_unavailable(scope):
            private.ensure_dir(path.parent)
            private.ensure_dir(self.tmp)
        with _fault_is_unavailable(scope), self.writing(scope):
            wrapped = self._kms.wrap(scope, key, segment_context(scope, segment))
            header = container.new_header(scope, bytes.fromhex(segment), wrapped, content.nbytes)
            tmp = self.tmp / private.tmp_name()
            try:
                _write_all(tmp, header.file_bytes, container.encrypt(header, key, content))
                tmp.replace(path)
                private.sync_dir(path.parent)
            finally:
                tmp.unlink(missing_ok=True)

    def writing(self, scope: str, *, alone: bool = False) -> AbstractContextManager[None]:
        """Held from wrapping a segment's key until the segment is in place."""
        return directory(self._scope_dir(scope), alone=alone)

    def _fill(self, source: BinaryIO, whole: hashlib._Hash) -> memoryview:
        """The next slice, hashed while it is warm."""
        buffer = self._buffer()
        used = 0
        while used < SLICE_BYTES:
            window = buffer[used : min(used + _READ_BYTES, SLICE_BYTES)]
            count = _read_into(source, window)
            if count == 0:
                break
            whole.update(window[:count])
            used += count
        return buffer[:used]

    def _buffer(self) -> memoryview:
        # an anonymous map costs only the pages that are touched, so small files stay cheap
        if not hasattr(self._buffers, "view"):
            self._buffers.view = memoryview(mmap.mmap(-1, SLICE_BYTES))
        view: memoryview = self._buffers.view
        return view

    def _prepare(self, scope: str) -> None:
        path = self._scope_dir(scope)
        with _fault_is_unavailable(scope):
            private.ensure_dir(path)
        self._kms.create(scope)

    def _scope_dir(self, scope: str) -> Path:
        private.check_label(scope, "a scope")
        if scope == self.tmp.name:
            raise BadInput(f"{scope!r} cannot name a scope", why="the store uses that word")
        return self._dir / scope

    def path(self, scope: str, segment: str) -> Path:
        """The file of a segment. Raises: BadInput."""
        if not _ID.fullmatch(segment):
            raise BadInput(f"not a segment id: {segment!r}", why="64 lowercase hex wanted")
        return self._scope_dir(scope) / segment[:2] / f"{segment}{_SUFFIX}"


class OpenSegment(container.SegmentReader):
    """A segment reader that owns its descriptor."""

    def __init__(self, fd: int, kms: Kms, scope: str, segment: str, where: str) -> None:
        self._own = fd
        try:
            header = container.read_header(fd, where)
            if header.key_name != scope or header.segment_id.hex() != segment:
                raise VerifyError(
                    "a stored segment is not the one its name says",
                    where=where,
                    why=f"it says {header.key_name}/{header.segment_id.hex()}",
                    rule="store.segment-swapped",
                )
            key = _unwrap(kms, header, where)
            super().__init__(fd, header, key, where)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the descriptor; closing twice is fine."""
        if self._own >= 0:
            os.close(self._own)
            self._own = -1

    def __del__(self) -> None:
        self.close()


class StoredReader:
    """Random access to a stored file's plaintext across its segments. Safe for threads."""

    def __init__(self, store: LocalStore, scope: str, file: StoredFile) -> None:
        self._store = store
        self._scope = scope
        self._file = file
        self._opened: dict[int, tuple[OpenSegment, float]] = {}
        if len(file.segments) != max(1, -(-file.size // SLICE_BYTES)):
            raise VerifyError(
                "a stored file does not have the segments its length asks for",
                where=file.sha256,
                rule="store.length-changed",
            )

    @property
    def size(self) -> int:
        """Length in bytes."""
        return self._file.size

    def pread(self, offset: int, count: int) -> bytes:
        """See ``core.ports.Readable``."""
        count = max(0, min(count, self.size - offset))
        if offset < 0 or count == 0:
            return b""
        index, skip = divmod(offset, SLICE_BYTES)
        if skip + count <= SLICE_BYTES:
            return self._segment(index).pread(skip, count)
        out = bytearray(count)
        self.pread_into(offset, memoryview(out))
        return bytes(out)

    def pread_into(self, offset: int, out: memoryview) -> int:
        """Fill ``out`` from ``offset``, as far as there is plaintext; returns how far."""
        count = max(0, min(len(out), self.size - offset))
        done = 0
        while done < count:
            index, skip = divmod(offset + done, SLICE_BYTES)
            take = min(count - done, SLICE_BYTES - skip)
            done += self._segment(index).pread_into(skip, out[done : done + take])
        return count

    def close(self) -> None:
        """Close every segment's descriptor."""
        while self._opened:
            self._opened.popitem()[1][0].close()

    def _segment(self, index: int) -> OpenSegment:
        found, since = self._opened.get(index, (None, 0.0))
        # a key that was disabled or destroyed stops readers that are under way, too
        if found is None or time.monotonic() - since > _REOPEN_S:
            segment = self._file.segments[index]
            found = self._store.open_segment(self._scope, segment)
            want = min(SLICE_BYTES, self.size - index * SLICE_BYTES)
            if found.size != want:
                raise VerifyError(
                    "a stored segment has another length than its file says",
                    where=f"{self._scope}/{segment}",
                    why=f"{found.size} bytes, not {want}",
                    rule="store.length-changed",
                )
            # dropped, not closed: another thread may be reading it; it closes when let go
            while len(self._opened) >= _MOST_OPEN:
                self._opened.pop(next(iter(self._opened)), None)
            self._opened.pop(index, None)
            self._opened[index] = (found, time.monotonic())
        return found


def segment_context(scope: str, segment: str) -> bytes:
    """What a segment's wrapped key is bound to."""
    return f"sealwright segment v1 {scope} {segment}".encode()


def _unwrap(kms: Kms, header: container.Header, where: str) -> bytes:
    context = segment_context(header.key_name, header.segment_id.hex())
    try:
        return kms.unwrap(header.key_name, header.wrapped, context)
    except VerifyError as error:
        raise VerifyError(
            "a stored segment's key does not open",
            where=where,
            why="the wrapped key was changed, or the segment was put there by another workspace",
            rule="store.key-changed",
        ) from error


def _missing(scope: str, segment: str) -> Refused:
    return Refused(
        f"a segment of {scope} is not in the store",
        why="it was shredded, or the store is incomplete",
        hint="seal restore from a backup, or add the data again",
        rule="store.segment-missing",
        evidence=(segment,),
    )


def _read_into(source: BinaryIO, window: memoryview) -> int:
    readinto = getattr(source, "readinto", None)
    if readinto is not None:
        count = readinto(window)
        if count is None:
            raise BadInput("a source that does not wait for its data cannot be stored")
        return int(count)
    data = source.read(len(window))
    window[: len(data)] = data
    return len(data)


def _write_all(path: Path, size: int, blocks: Iterator[memoryview]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    fd = os.open(path, flags, 0o600)
    try:
        _reserve(fd, size)
        for block in blocks:
            done = 0
            while done < len(block):
                done += os.write(fd, block[done:])
        os.fsync(fd)
    finally:
        os.close(fd)


def _reserve(fd: int, size: int) -> None:
    # a full disk shows before anything is written, and ext4 spends a third of the CPU
    reserve = getattr(os, "posix_fallocate", None)
    if reserve is None:
        return
    try:
        reserve(fd, 0, size)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
            raise


def _shred_file(path: Path) -> None:
    # the wrapped key lies in the header; without it the rest is noise
    private.overwrite(path, container.MOST_HEADER_BYTES)
    private.remove(path)


@contextmanager
def _fault_is_unavailable(scope: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
        raise Unavailable(
            f"{scope} cannot be stored: {error.strerror}",
            why="nothing half-written was left behind",
            hint="free some space (seal gc --yes), then run the same command again" if full else "",
        ) from error
