"""Where data lies, and how its files are opened: by descriptor, following no link.

The path a person names is resolved once; after that every part of it is opened relative to
the descriptor of the part above with ``O_NOFOLLOW``, so that a link put there meanwhile is
refused instead of followed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import msgspec

from sealwright.core.errors import BadInput

_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEVER = frozenset({".git", ".seal"})


class Location(msgspec.Struct, frozen=True):
    """A resolved place. ``base`` is how versions and rooms know it: relative to the project
    (POSIX), or absolute where ``outside``. ``folder`` is false for a single file."""

    path: Path
    base: str
    outside: bool
    folder: bool

    def files(self) -> tuple[str, ...]:
        """Every regular file's path below a folder, or the file's own name; sorted by bytes.

        Raises: BadInput (a link, a socket or device, a name that is not UTF-8).
        """
        if not self.folder:
            return (check_text(self.path.name),)
        found = [check_text(name) for name in _walk(self.path)]
        return tuple(sorted(found, key=str.encode))

    def at(self, name: str) -> Path:
        """The path of one of :meth:`files`, for messages."""
        return self.path / name if self.folder else self.path

    def relative(self, name: str) -> str:
        """Where a script reads that file: relative to the project, or absolute."""
        if not self.folder:
            return self.base
        return name if self.base == "." else f"{self.base}/{name}"

    def open(self, name: str) -> int:
        """A descriptor on one of :meth:`files`. Raises: BadInput."""
        return open_file(self.at(name), self.relative(name))


def locate(argument: str | Path, project: Path, *, reference: bool) -> Location:
    """Resolve what a person named. Raises: BadInput (missing, looping, outside, special)."""
    given = Path(argument)
    wanted = given if given.is_absolute() else Path.cwd() / given
    path = _resolve(wanted, str(argument))
    root = project.resolve()
    outside = not path.is_relative_to(root)
    if outside and not reference:
        raise BadInput(
            f"{argument} lies outside the project",
            why=f"it is {path}, the project is {root}",
            hint="add --reference to sign it where it is, or copy it into the project",
        )
    inner = path.relative_to(root) if not outside else path
    if not outside and any(part in _NEVER for part in inner.parts):
        raise BadInput(
            f"{argument} lies in a folder that is never data",
            why=".git and .seal hold the project's own history",
            hint="name the folder with the data",
        )
    mode = _stat(path, str(argument)).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise _special(str(argument), mode)
    return Location(path, check_text(inner.as_posix()), outside, stat.S_ISDIR(mode))


def recorded(base: str, outside: bool, folder: bool, project: Path) -> Location:
    """The place a version was recorded at; nothing is looked at yet."""
    path = Path(base) if outside else project.resolve() / base
    return Location(path, base, outside, folder)


def open_file(path: Path, shown: str) -> int:
    """Open a resolved path one part at a time, following no link anywhere.

    Returns a read-only descriptor of a regular file. Raises: BadInput naming ``shown``.
    """
    try:
        fd = os.open(path.anchor, _FOLDER)
        for part in path.parts[1:-1]:
            fd = _step(fd, part, _FOLDER)
        fd = _step(fd, path.name, _FILE)
    except OSError as error:
        raise _cannot_open(shown, error) from error
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        raise _special(shown, mode)
    return fd


def _step(fd: int, part: str, flags: int) -> int:
    try:
        return os.open(part, flags, dir_fd=fd)
    finally:
        os.close(fd)


def check_text(name: str) -> str:
    """``name`` if it can stand in a manifest. Raises: BadInput."""
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise BadInput(
            f"a file name is not UTF-8: {os.fsencode(name)!r}",
            why="names go into the manifest as text",
            hint="rename the file, then add the data again",
        ) from error
    return name


def _walk(folder: Path) -> Iterator[str]:
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        try:
            entries = list(os.scandir(folder / prefix))
        except OSError as error:
            raise _cannot_open(str(folder / prefix), error) from error
        for entry in entries:
            if entry.is_symlink():
                raise _link(Path(entry.path))
            if entry.is_dir(follow_symlinks=False):
                if entry.name not in _NEVER:
                    waiting.append(f"{prefix}{entry.name}/")
            elif entry.is_file(follow_symlinks=False):
                yield prefix + entry.name
            else:
                raise _special(entry.path, entry.stat(follow_symlinks=False).st_mode)


def _resolve(wanted: Path, shown: str) -> Path:
    try:
        return wanted.resolve(strict=True)
    except FileNotFoundError as error:
        near = _nearest(wanted)
        raise BadInput(
            f"{shown} does not exist",
            why=f"{error.filename} is not there",
            hint=f"did you mean {near}?" if near else "check the path",
        ) from error
    except (OSError, RuntimeError) as error:
        if isinstance(error, RuntimeError) or error.errno == errno.ELOOP:
            raise _loop(shown) from error
        raise _cannot_open(shown, error) from error


def _stat(path: Path, shown: str) -> os.stat_result:
    try:
        return path.stat()
    except OSError as error:
        raise _cannot_open(shown, error) from error


def _nearest(wanted: Path) -> str:
    import difflib

    try:
        names = [entry.name for entry in os.scandir(wanted.parent)]
    except OSError:
        return ""
    close = difflib.get_close_matches(wanted.name, names, n=1)
    return str(wanted.parent / close[0]) if close else ""


def _link(path: Path) -> BadInput:
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:
            return _loop(str(path))
    return BadInput(
        f"{path} is a symbolic link",
        why=f"links are not followed: it points to {path.readlink()}, which may change unseen",
        hint="put the file itself there, or add the folder it points to",
    )


def _loop(shown: str) -> BadInput:
    return BadInput(
        f"{shown} is a symbolic link that leads back to itself",
        why="a symlink loop has no content",
        hint=f"remove it: rm {shown}",
    )


def _special(shown: str, mode: int) -> BadInput:
    kinds = (
        (stat.S_ISFIFO, "a named pipe"),
        (stat.S_ISSOCK, "a socket"),
        (stat.S_ISBLK, "a block device"),
        (stat.S_ISCHR, "a character device"),
        (stat.S_ISDIR, "a folder"),
    )
    kind = next((words for test, words in kinds if test(mode)), "not a regular file")
    return BadInput(
        f"{shown} is {kind}",
        why="only regular files have content that can be signed",
        hint="save its content to a file, or move it out of the folder",
    )


def _cannot_open(shown: str, error: OSError) -> BadInput:
    if error.errno in (errno.ELOOP, errno.ENOTDIR):
        return BadInput(
            f"{shown} leads over a symbolic link",
            why="links are not followed below the path that was named",
            hint="put the file itself there",
        )
    hint = f"chmod u+r {shown}" if error.errno == errno.EACCES else "check the path"
    return BadInput(f"{shown} cannot be read", why=error.strerror or str(error), hint=hint)
