"""The code a run used, as a list of files with their digests (docs/spec/run-v1.md).

``take`` reads every file once and keeps no content; ``contents`` reads them again and hands on
only bytes that still have the digest the snapshot names.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

import msgspec

from sealwright.core import digest
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, VerifyError
from sealwright.core.records import Json
from sealwright.evidence import jcs
from sealwright.train import spec, tree, withheld
from sealwright.train.withheld import Withheld

FORMAT = "sealwright.snapshot/v1"
Mode = Literal["file", "exec", "link"]


class CodeFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of the tree. For a ``link``, ``link`` is its target and ``sha256`` the target's."""

    path: str
    mode: Mode
    size: int
    sha256: Digest
    link: str = ""


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A path whose bytes are not the commit's: git blob id before, SHA-256 after, or empty."""

    path: str
    before: str
    after: str


class Snapshot(msgspec.Struct, frozen=True):
    """A project's code at one moment. ``digest`` covers ``files`` and nothing else.

    ``source`` is how the files were found; ``withheld`` what was left out, and by which rule.
    """

    root: Path
    files: tuple[CodeFile, ...]
    withheld: tuple[Withheld, ...] = ()
    source: Literal["git", "walk", "store"] = "walk"
    commit: str = ""
    changes: tuple[Change, ...] = ()

    @property
    def digest(self) -> Digest:
        """SHA-256 of :meth:`manifest`."""
        return digest.of_bytes(self.manifest())

    @property
    def dirty(self) -> bool:
        """Does the tree differ from ``commit``?"""
        return bool(self.changes)

    @property
    def diff(self) -> Digest | Literal[""]:
        """SHA-256 over the canonical list of changes; empty without a commit or a change."""
        if not self.commit or not self.changes:
            return ""
        rows: Json = [{"path": c.path, "before": c.before, "after": c.after} for c in self.changes]
        return digest.of_bytes(jcs.canonical(rows))

    @property
    def size_bytes(self) -> int:
        """All files together."""
        return sum(file.size for file in self.files)

    def manifest(self) -> bytes:
        """The canonical JSON whose digest names the code."""
        return manifest_of(self.files)

    def contents(self) -> Iterator[tuple[CodeFile, bytes]]:
        """Every file with its bytes (none for a link), exactly as they were when taken.

        Raises: VerifyError (``snapshot.changed``) when a file is not what was hashed.
        """
        for file in self.files:
            yield file, self.read(file)

    def read(self, file: CodeFile) -> bytes:
        """The bytes of one file. Raises: VerifyError (``snapshot.changed``)."""
        try:
            seen = _look(self.root, file.path)
        except OSError as error:
            raise _changed(file.path, f"it can no longer be read: {error.strerror}") from error
        if seen is None or (seen[0].mode, seen[0].sha256) != (file.mode, file.sha256):
            raise _changed(file.path, "its content is no longer what was hashed")
        return b"" if file.mode == "link" else seen[1]


def room_files(code: Iterable[tuple[CodeFile, bytes]]) -> tuple[spec.CodeFile, ...]:
    """``contents()`` in the room's terms."""
    return tuple(
        spec.CodeFile(file.path, _STAT_MODES[file.mode], content or os.fsencode(file.link))
        for file, content in code
    )


def manifest_of(files: Iterable[CodeFile]) -> bytes:
    """The canonical JSON of a list of files."""
    return jcs.canonical({"format": FORMAT, "files": [_row(file) for file in files]})


def files_of(manifest: bytes) -> tuple[CodeFile, ...]:
    """Read a manifest back. Raises: VerifyError (malformed, or a path that leaves the tree)."""
    document = jcs.parse(manifest)
    try:
        read = msgspec.convert(document, _Manifest)
        files = tuple(_file(row) for row in read.files)
    except (msgspec.ValidationError, ValueError) as error:
        raise VerifyError(
            "a code manifest is malformed", why=str(error), rule="snapshot.malformed"
        ) from error
    paths = [file.path for file in files]
    if paths != sorted(set(paths)) or manifest_of(files) != manifest:
        raise VerifyError(
            "a code manifest is malformed",
            why="another format, paths that are not sorted and unique, or fields too many",
            rule="snapshot.malformed",
        )
    links = {file.path for file in files if file.mode == "link"}
    for file in files:
        if not _stays_inside(file) or links & set(map(str, PurePosixPath(file.path).parents)):
            raise VerifyError(
                f"a code manifest names {file.path}",
                where=file.path,
                why="it leads out of the tree",
                rule="snapshot.escape",
            )
    return files


def take(
    project: Path,
    declared: Collection[str] = (),
    *,
    keep: Collection[str] = (),
) -> Snapshot:
    """Hash the code under ``project``.

    ``declared`` holds the relative paths (files or directories) of data sets: never code.
    ``keep`` holds glob patterns of files that are code though they look like data; what looks
    like a credential stays out whatever ``keep`` says.

    Raises: BadInput (no such directory), Unavailable (git cannot read the repository).
    """
    root = Path(os.path.normpath(project.absolute()))
    if not root.is_dir():
        raise BadInput(f"{project} is not a directory")
    with_git = tree.is_repository(root)
    head = tree.head(root) if with_git else None
    sorting = _Sorting(
        root,
        frozenset(os.path.normpath(name) for name in declared),
        tuple(keep),
        head.hash_name if head else "sha1",
    )
    for raw in tree.tracked_and_untracked(root) if with_git else tree.walked(root):
        sorting.add(raw)
    sorting.withhold_many_images()
    return Snapshot(
        root=root,
        files=tuple(sorting.files[path] for path in sorted(sorting.files)),
        withheld=tuple(sorted(sorting.withheld)),
        source="git" if with_git else "walk",
        commit=head.commit if head else "",
        changes=tuple(_changes(head, sorting)) if head else (),
    )


class _Sorting:
    """Sorts a project's paths into code and what is withheld."""

    def __init__(
        self, root: Path, declared: frozenset[str], keep: tuple[str, ...], hash_name: str
    ) -> None:
        self._root = root
        self._declared = declared
        self._keep = keep
        self._hash_name = hash_name
        self.files: dict[str, CodeFile] = {}
        self.blobs: dict[str, str] = {}
        self.withheld: list[Withheld] = []

    def add(self, raw: bytes) -> None:
        try:
            path = raw.decode("utf-8")
        except UnicodeDecodeError:
            name = raw.decode("utf-8", "backslashreplace")
            self.withheld.append(Withheld(name, "snapshot.name", "its name is not UTF-8"))
            return
        if self.is_declared(path):
            return
        try:
            facts = (self._root / path).lstat()
        except FileNotFoundError:
            return
        except OSError as error:
            why = f"it cannot be read: {error.strerror}"
            self.withheld.append(Withheld(path, "snapshot.unreadable", why))
            return
        try:
            refused = self._take(path, facts)
        except OSError as error:
            refused = ("snapshot.unreadable", f"it cannot be read: {error.strerror}")
        if refused:
            self.withheld.append(Withheld(path, *refused, facts.st_size))

    def is_declared(self, path: str) -> bool:
        parents = (path, *map(str, PurePosixPath(path).parents))
        return any(parent in self._declared for parent in parents)

    def _take(self, path: str, facts: os.stat_result) -> tuple[str, str] | None:
        if refused := withheld.by_place(path):
            return refused
        is_file = stat.S_ISREG(facts.st_mode)
        if is_file and not any(fnmatchcase(path, pattern) for pattern in self._keep):
            if refused := withheld.by_size_and_kind(path, facts.st_size):
                return refused
        seen = _look(self._root, path)
        if seen is None:
            if stat.S_ISLNK(facts.st_mode):
                return "snapshot.link", "a link that leads out of the project, or nowhere"
            return "snapshot.special", "neither a file nor a link, or a directory nobody may list"
        file, content = seen
        if is_file and (refused := withheld.by_content(path, content[:4096])):
            return refused
        self.files[path] = file
        self.blobs[path] = _blob_id(self._hash_name, content)
        return None

    def withhold_many_images(self) -> None:
        images = [
            path
            for path in self.files
            if withheld.is_image(path) and not any(fnmatchcase(path, kept) for kept in self._keep)
        ]
        if len(images) <= withheld.MOST_IMAGES:
            return
        why = f"one of {len(images)} images: so many are data, and they are not declared"
        for path in images:
            size = self.files.pop(path).size
            self.withheld.append(Withheld(path, "snapshot.data", why, size))


def _look(root: Path, path: str) -> tuple[CodeFile, bytes] | None:
    """The file at ``path`` as it is now, with its bytes; None for what cannot enter a room."""
    here = root / path
    facts = here.lstat()
    if stat.S_ISLNK(facts.st_mode):
        target = here.readlink()
        inside = _inside(root, here, target)
        if inside is None:
            return None
        content = os.fsencode(target)
        return CodeFile(path, "link", 0, digest.of_bytes(os.fsencode(inside)), inside), content
    if not stat.S_ISREG(facts.st_mode):
        return None
    fd = os.open(here, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(fd, "rb") as stream:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return None
        content = stream.read()
    mode: Mode = "exec" if facts.st_mode & stat.S_IXUSR else "file"
    return CodeFile(path, mode, len(content), digest.of_bytes(content)), content


def _inside(root: Path, link: Path, target: Path) -> str | None:
    """The link's target relative to the link; None when it leaves the project or dangles."""
    real_root = root.resolve()
    try:
        end = link.resolve(strict=True)
    except (OSError, RuntimeError):
        return None
    if not end.is_relative_to(real_root) or withheld.by_place(str(end.relative_to(real_root))):
        return None
    if not target.is_absolute():
        return str(target)
    return os.path.relpath(end, link.parent.resolve())


def _changes(head: tree.Head, sorting: _Sorting) -> Iterator[Change]:
    left_out = {one.path for one in sorting.withheld}
    for path in sorted(head.blobs.keys() | sorting.files.keys()):
        file = sorting.files.get(path)
        mode, blob = head.blobs.get(path, ("", ""))
        if file is None:
            if path not in left_out and not sorting.is_declared(path):
                yield Change(path, blob, "")
        elif any(path.startswith(f"{nested}/") for nested in head.nested):
            continue
        elif (sorting.blobs[path], file.mode) != (blob, _MODES.get(mode)):
            yield Change(path, blob, file.sha256)


_STAT_MODES: dict[Mode, int] = {
    "file": stat.S_IFREG | 0o644,
    "exec": stat.S_IFREG | 0o755,
    "link": stat.S_IFLNK | 0o777,
}
_MODES: dict[str, Mode] = {"100644": "file", "100755": "exec", "120000": "link"}


def _blob_id(hash_name: str, content: bytes) -> str:
    """git's name for these bytes (gitformat: ``blob SIZE NUL content``)."""
    state = hashlib.new(hash_name, b"blob %d\0" % len(content), usedforsecurity=False)
    state.update(content)
    return state.hexdigest()


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    files: list[_Row]


class _Row(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    path: str
    mode: Mode
    size: Annotated[int, msgspec.Meta(ge=0)] = 0
    sha256: Annotated[str, msgspec.Meta(pattern="^([0-9a-f]{64})?$")] = ""
    link: str = ""


def _file(row: _Row) -> CodeFile:
    if row.mode == "link":
        return CodeFile(row.path, "link", 0, digest.of_bytes(os.fsencode(row.link)), row.link)
    return CodeFile(row.path, row.mode, row.size, row.sha256)


def _stays_inside(file: CodeFile) -> bool:
    """Is the path relative and plain, and does a link end below the root?"""
    path = PurePosixPath(file.path)
    if path.is_absolute() or ".." in path.parts or str(path) != file.path or "\0" in file.path:
        return False
    if file.mode != "link":
        return True
    end = os.path.normpath(path.parent / file.link)
    return not PurePosixPath(end).is_absolute() and end.split("/")[0] != ".."


def _row(file: CodeFile) -> dict[str, Json]:
    row: dict[str, Json] = {"path": file.path, "mode": file.mode}
    if file.mode == "link":
        return row | {"link": file.link}
    return row | {"size": file.size, "sha256": file.sha256}


def _changed(path: str, why: str) -> VerifyError:
    return VerifyError(
        f"{path} changed while the run was being prepared",
        where=path,
        why=why,
        hint="let nothing write to the project's code, and run again",
        rule="snapshot.changed",
    )
