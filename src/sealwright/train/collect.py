"""Taking out of a room what the script wrote, once nothing in it runs any more.

The project copy is walked by descriptor; no link, mount or ``..`` is ever crossed. Only
regular files come out; anything else is a finding. Opening is always relative to the copy,
and what is copied is hashed again and must be what was listed.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from sealwright.core import digest
from sealwright.core.digest import Digest
from sealwright.core.errors import Refused, Unavailable, VerifyError
from sealwright.core.records import Finding
from sealwright.train import kernel
from sealwright.train.fill import Laid
from sealwright.train.mounts import InputMount
from sealwright.train.partial import nameless
from sealwright.train.spec import Change, Left, OutputFile

IGNORED_FOLDERS = frozenset({"__pycache__", ".git", ".seal"})
CONTROL_FILES = frozenset({"seal.toml", "policies"})
_KINDS = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}
_FOLDER = os.O_RDONLY | os.O_DIRECTORY
_FINDINGS_AT_MOST = 100
_LEFT_BEHIND = digest.of_bytes(b"")


def is_control(relpath: str) -> bool:
    """Whether a file decides what runs next: settings, policies, anything hidden.

    A script that may write those could take the walls down for the run after it.
    """
    parts = Path(relpath).parts
    return parts[0] in CONTROL_FILES or any(part.startswith(".") for part in parts)


class WorkTree:
    """The project copy after a run. Holds the room's memory until ``close``."""

    def __init__(
        self,
        work: int,
        laid: Laid,
        mounts: Sequence[InputMount],
        release: Callable[[], None] | None = None,
    ) -> None:
        self._work = work
        self._release = release
        self._laid = laid
        self._covered = frozenset(mount.relpath for mount in mounts)
        self._findings: list[Finding] = []
        self.left = self._survey()

    def open(self, output: OutputFile) -> BinaryIO:
        """The bytes of an output. Raises: OSError."""
        return open(kernel.open_beneath(self._work, output.relpath, os.O_RDONLY), "rb")

    def write_back(self, project: Path, outputs: Sequence[OutputFile] | None = None) -> None:
        """Copy outputs (all, by default) into ``project``, each whole or not at all.

        Folders are made as needed; a link in the way is never followed: a linked folder
        refuses, a linked file is replaced. Raises: Refused, Unavailable (the disk is too
        full; nothing was written), VerifyError, OSError.
        """
        chosen = self.left.outputs if outputs is None else outputs
        top = os.open(project, _FOLDER | os.O_CLOEXEC)
        try:
            _check_space(top, chosen)
            for output in chosen:
                folder = _make_folders(top, output.relpath)
                try:
                    self._copy(output, folder)
                finally:
                    os.close(folder)
        finally:
            os.close(top)

    def close(self) -> None:
        """Let go of the room's memory, which the kernel frees, or of what ``release`` frees."""
        if self._work >= 0:
            os.close(self._work)
            self._work = -1
            if self._release is not None:
                self._release()

    def _survey(self) -> Left:
        seen: set[str] = set()
        outputs = []
        for relpath, status in sorted(self._walk()):
            seen.add(relpath)
            output = self._judge(relpath, status)
            if output is not None:
                outputs.append(output)
        known = (set(self._laid.code) | set(self._laid.links)) - seen
        removed = sorted(path for path in known if not self._is_covered(path))
        return Left(tuple(outputs), tuple(removed), tuple(self._findings))

    def _walk(self) -> Iterator[tuple[str, os.stat_result]]:
        """Everything below that is no folder; a stack, because a script may nest deeply."""
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            try:
                fd = kernel.open_beneath(self._work, folder.rstrip("/") or ".", _FOLDER)
            except OSError as error:
                self._find("room.output-unreadable", folder, f"cannot be read: {error.strerror}")
                continue
            try:
                for relpath, status in self._list(fd, folder):
                    if stat.S_ISDIR(status.st_mode):
                        waiting.append(f"{relpath}/")
                    else:
                        yield relpath, status
            finally:
                os.close(fd)

    def _list(self, fd: int, folder: str) -> Iterator[tuple[str, os.stat_result]]:
        """What counts in one folder: no input, no cache, no name that is not text."""
        with os.scandir(fd) as entries:
            for entry in entries:
                relpath = folder + entry.name
                status = os.stat(entry.name, dir_fd=fd, follow_symlinks=False)
                if relpath in self._covered or status.st_ino in self._laid.placeholders:
                    continue
                if not _is_text(entry.name):
                    self._find("room.output-name", relpath, "has a name that is not UTF-8")
                elif not (stat.S_ISDIR(status.st_mode) and entry.name in IGNORED_FOLDERS):
                    yield relpath, status

    def _judge(self, relpath: str, status: os.stat_result) -> OutputFile | None:
        kind = stat.S_IFMT(status.st_mode)
        if kind != stat.S_IFREG:
            if not (kind == stat.S_IFLNK and self._is_known_link(relpath)):
                self._find("room.output-special", relpath, f"is {_KINDS.get(kind, 'no file')}")
            return None
        try:
            fd = kernel.open_beneath(self._work, relpath, os.O_RDONLY)
        except OSError as error:
            self._find("room.output-unreadable", relpath, f"cannot be read: {error.strerror}")
            return None
        with open(fd, "rb", buffering=0) as stream:
            sha256 = digest.of_stream(stream)
        before = self._laid.code.get(relpath)
        if before == sha256:
            return None
        if is_control(relpath):
            self._find("room.output-control", relpath, "steers Sealwright or other tools")
            return None
        change: Change = "new"
        if before is not None:
            change = "changed"
            self._note_changed_code(relpath, sha256)
        return OutputFile(relpath, status.st_size, sha256, bool(status.st_mode & 0o100), change)

    def _note_changed_code(self, relpath: str, sha256: Digest) -> None:
        if len(self._findings) < _FINDINGS_AT_MOST:
            message = f"the script changed {relpath}, which is part of the code it was started from"
            hint = f"compare it with your own before you run it: git diff {relpath}"
            self._findings.append(Finding("room.code-changed", "info", sha256, message, hint))

    def _is_known_link(self, relpath: str) -> bool:
        target = self._laid.links.get(relpath)
        return target is not None and os.readlink(relpath, dir_fd=self._work) == target

    def _is_covered(self, path: str) -> bool:
        return any(path == top or path.startswith(f"{top}/") for top in self._covered)

    def _find(self, rule: str, relpath: str, what: str) -> None:
        if len(self._findings) < _FINDINGS_AT_MOST:
            shown = relpath.encode(errors="backslashreplace").decode()
            message = f"{shown} {what}; it was left in the room"
            hint = "write a regular file with a UTF-8 name instead"
            self._findings.append(Finding(rule, "medium", _LEFT_BEHIND, message, hint))

    def _copy(self, output: OutputFile, folder: int) -> None:
        name = output.relpath.rpartition("/")[2]
        with nameless(folder) as partial, self.open(output) as source:
            _copy_checked(source, partial.fd, output)
            os.fchmod(partial.fd, 0o755 if output.executable else 0o644)
            os.fsync(partial.fd)
            try:
                partial.name_it(name)
            except IsADirectoryError as error:
                raise Refused(
                    f"{output.relpath} was not written back: a folder has that name already",
                    hint=f"move {output.relpath} away, or have the script write elsewhere",
                    rule="room.output-in-the-way",
                ) from error


def _check_space(top: int, outputs: Sequence[OutputFile]) -> None:
    disk = os.fstatvfs(top)
    free = disk.f_bavail * disk.f_frsize
    wanted = sum(output.size for output in outputs)
    if wanted > free:
        raise Unavailable(
            f"the outputs need {wanted} bytes, and the disk has {free}",
            why="nothing was written",
            hint="make room, then run it again",
        )


def _copy_checked(source: BinaryIO, target: int, output: OutputFile) -> None:
    state = hashlib.sha256()
    while chunk := source.read(digest.CHUNK_BYTES):
        state.update(chunk)
        view = memoryview(chunk)
        while view:
            view = view[os.write(target, view) :]
    if state.hexdigest() != output.sha256:
        raise VerifyError(
            f"{output.relpath} changed while it was collected",
            where=output.relpath,
            hint="run it again",
            rule="room.output-changed",
        )


def _make_folders(top: int, relpath: str) -> int:
    """A descriptor of the folder that ``relpath`` goes into, made step by step."""
    here = os.dup(top)
    walked = ""
    for name in relpath.split("/")[:-1]:
        walked += f"{name}/"
        try:
            try:
                os.mkdir(name, 0o777, dir_fd=here)
            except FileExistsError:
                pass
            below = os.open(name, _FOLDER | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=here)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            raise Refused(
                f"{relpath} was not written back: {walked} is a link or a file in your project",
                why="outputs never go through a link, which could lead anywhere",
                hint=f"remove {walked} or have the script write elsewhere",
                rule="room.output-through-link",
            ) from error
        finally:
            os.close(here)
        here = below
    return here


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
