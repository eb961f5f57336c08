"""A backup as one uncompressed tar: members in order, and last a signed catalogue of them.

Reading trusts nothing: a member is a regular file under a known top folder, named once, and
its bytes are those the catalogue lists. Nothing is unpacked before all of it was checked,
and every byte is hashed again as it is written. The format is in docs/guide/keys-and-backup.md.
"""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, Refused, Unavailable, VerifyError
from sealwright.core.ports import Progress
from sealwright.core.reading import open_plain
from sealwright.vault import private

CATALOGUE = "backup.json"
TOPS = ("project", "seal", "keys")
_MOST_CATALOGUE_BYTES = 1 << 30
_MOST_NAME = 1024
_STEP_BYTES = 1 << 20


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a backup."""

    name: str
    size: int
    sha256: Digest


def write(
    target: Path,
    sources: Iterable[tuple[str, Path]],
    catalogue: Callable[[list[Member]], bytes],
    progress: Progress,
) -> list[Member]:
    """Write a new backup, whole or not at all, for its owner alone.

    ``catalogue`` turns the members into the signed bytes that go last. Raises: BadInput (the
    file exists), Unavailable (a source is gone, the disk is full).
    """
    if os.path.lexists(target):
        raise BadInput(f"{target} exists already", hint="name a file that does not")
    tmp = target.parent / private.tmp_name()
    members: list[Member] = []
    try:
        fd = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with open(fd, "wb") as sink:
            with tarfile.open(fileobj=sink, mode="w", format=tarfile.PAX_FORMAT) as tar:
                for name, path in sources:
                    members.append(_add_file(tar, check_name(name), path))
                    progress.advance(len(members), 0, "files")
                _add_bytes(tar, CATALOGUE, catalogue(members))
            sink.flush()
            os.fsync(fd)
        os.link(tmp, target, follow_symlinks=False)
        private.sync_dir(target.parent)
    except FileExistsError as error:
        raise BadInput(f"{target} exists already", hint="name a file that does not") from error
    except OSError as error:
        raise Unavailable(
            f"the backup cannot be written: {error.strerror or error}",
            why=f"{error.filename or target}; nothing was left behind",
        ) from error
    finally:
        tmp.unlink(missing_ok=True)
    return members


def survey(path: Path, progress: Progress) -> tuple[dict[str, Member], bytes]:
    """Every member as it really is, and the catalogue's bytes; writes nothing.

    Raises: Refused (an unsafe member), VerifyError (damaged), BadInput (no backup).
    """
    found: dict[str, Member] = {}
    last = b""
    with _opened(path) as tar:
        for info in _infos(tar, path):
            if last:
                raise _unsafe(path, info.name, "it comes after the catalogue")
            if info.name == CATALOGUE:
                if info.size > _MOST_CATALOGUE_BYTES:
                    raise _unsafe(path, info.name, "it is too long")
                last = _content(tar, info).read()
                continue
            if info.name in found:
                raise _unsafe(path, info.name, "it is there twice")
            found[info.name] = _measured(tar, info)
            progress.advance(len(found), 0, "files checked")
    if not last:
        raise VerifyError(
            f"{path} is not a whole backup",
            where=str(path),
            why=f"it ends before {CATALOGUE}",
            rule="backup.truncated",
        )
    return found, last


def compare(path: Path, found: Mapping[str, Member], listed: Iterable[Member]) -> None:
    """Raises: VerifyError (rule ``backup.member-changed``) naming the first that differs."""
    wanted = {member.name: member for member in listed}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) == found.get(name):
            continue
        why = "it was changed"
        if name not in found:
            why = "it is missing"
        elif name not in wanted:
            why = "it was added"
        raise VerifyError(
            f"the backup was changed: {name}",
            where=f"{path}: {name}",
            why=why,
            hint="use another copy of the backup",
            rule="backup.member-changed",
        )


def extract(
    path: Path,
    members: Mapping[str, Member],
    place: Callable[[str], Path | None],
    progress: Progress,
) -> None:
    """Write each member to where ``place`` says (None: nowhere), hashing it once more.

    Files are made new, 0600. Raises: VerifyError, Unavailable (disk full).
    """
    done = 0
    with _opened(path) as tar:
        for info in _infos(tar, path):
            target = place(info.name) if info.name != CATALOGUE else None
            if target is None:
                continue
            member = members.get(info.name)
            if member is None or _written(tar, info, target) != member:
                raise VerifyError(
                    f"the backup changed while it was read: {info.name}",
                    where=f"{path}: {info.name}",
                    rule="backup.member-changed",
                )
            done += 1
            progress.advance(done, len(members), "files restored")


def read(path: Path, members: Mapping[str, Member], names: Iterable[str]) -> dict[str, bytes]:
    """The content of some small members. Raises: VerifyError."""
    wanted = frozenset(names)
    out: dict[str, bytes] = {}
    with _opened(path) as tar:
        for info in _infos(tar, path):
            if info.name in wanted:
                data = _content(tar, info).read()
                out[info.name] = data
                if hashlib.sha256(data).hexdigest() != members[info.name].sha256:
                    raise VerifyError(
                        f"the backup changed while it was read: {info.name}",
                        where=f"{path}: {info.name}",
                        rule="backup.member-changed",
                    )
    return out


def check_name(name: str) -> str:
    """Return ``name`` if a member may be called that. Raises: BadInput."""
    problem = _name_problem(name)
    if problem:
        raise BadInput(f"{name!r} cannot be in a backup", why=problem)
    return name


def _name_problem(name: str) -> str:
    parts = name.split("/")
    if name == CATALOGUE:
        return ""
    if len(name) > _MOST_NAME or any(part in ("", ".", "..") for part in parts):
        return "its path is not a plain one"
    if "\\" in name or any(ord(letter) < 32 for letter in name):
        return "its path has characters that some systems read otherwise"
    if len(parts) < 2 or parts[0] not in TOPS:
        return f"it lies outside {', '.join(TOPS)}"
    return ""


def _infos(tar: tarfile.TarFile, path: Path) -> Iterator[tarfile.TarInfo]:
    while True:
        try:
            info = tar.next()
        except (tarfile.TarError, EOFError, ValueError) as error:
            raise _damaged(path, str(error)) from error
        if info is None:
            return
        if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE) or info.issparse():
            raise _unsafe(path, info.name, "it is not a regular file")
        problem = _name_problem(info.name)
        if problem:
            raise _unsafe(path, info.name, problem)
        yield info
        # tarfile remembers every member; a large store would not fit
        tar.members = []  # type: ignore[attr-defined]


def _content(tar: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    stream = tar.extractfile(info)
    if stream is None:
        raise VerifyError(f"{info.name} has no content", rule="backup.malformed")
    return stream


def _measured(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Member:
    state, size = hashlib.sha256(), 0
    for block in _blocks(tar, info):
        state.update(block)
        size += len(block)
    return Member(info.name, size, state.hexdigest())


def _written(tar: tarfile.TarFile, info: tarfile.TarInfo, target: Path) -> Member:
    private.ensure_dir(target.parent)
    state, size = hashlib.sha256(), 0
    try:
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with open(fd, "wb") as sink:
            for block in _blocks(tar, info):
                state.update(block)
                size += len(block)
                sink.write(block)
            sink.flush()
            os.fsync(fd)
    except OSError as error:
        raise Unavailable(
            f"{target} cannot be written: {error.strerror}", why="nothing was restored"
        ) from error
    return Member(info.name, size, state.hexdigest())


def _blocks(tar: tarfile.TarFile, info: tarfile.TarInfo) -> Iterator[bytes]:
    stream = _content(tar, info)
    left = info.size
    while left:
        try:
            block = stream.read(min(left, _STEP_BYTES))
        except tarfile.TarError as error:
            raise _damaged(Path(info.name), str(error)) from error
        if not block:
            raise _damaged(Path(info.name), "it is cut short")
        left -= len(block)
        yield block


def _add_file(tar: tarfile.TarFile, name: str, path: Path) -> Member:
    with path.open("rb") as source:
        info = _info(name, os.fstat(source.fileno()).st_size)
        hashing = _Hashing(source)
        tar.addfile(info, hashing)
    return Member(name, info.size, hashing.state.hexdigest())


def _add_bytes(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    tar.addfile(_info(name, len(data)), io.BytesIO(data))


def _info(name: str, size: int) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    info.mode = 0o600
    return info


class _Hashing:
    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.state = hashlib.sha256()

    def read(self, count: int = -1) -> bytes:
        data = self._source.read(count)
        self.state.update(data)
        return data


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with open_plain(path) as stream, tarfile.open(fileobj=stream, mode="r:") as tar:
            yield tar
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist") from error
    except tarfile.TarError as error:
        raise BadInput(f"{path} is not a backup", why=str(error)) from error


def _unsafe(path: Path, name: str, why: str) -> Refused:
    return Refused(
        f"the backup has an unsafe member: {name[:200]!r}",
        why=why,
        hint="seal backup makes no such file; use another copy",
        rule="backup.unsafe-member",
        evidence=(str(path),),
    )


def _damaged(path: Path, why: str) -> VerifyError:
    return VerifyError("the backup is damaged", where=str(path), why=why, rule="backup.truncated")
