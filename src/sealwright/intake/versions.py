"""The versions of every dataset, as the ledger has them."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path

import msgspec

from sealwright.core import predicates, refs
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput, Refused, VerifyError
from sealwright.core.ports import Readable, Store, StoredFile
from sealwright.core.records import Artifact, Recorded
from sealwright.core.sensitivity import Sensitivity
from sealwright.evidence.history import History
from sealwright.intake import location
from sealwright.intake.manifest import MEDIA_TYPE, FileRecord, Kind, Manifest, decode
from sealwright.intake.streams import External, OnDemand


class Change(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Records gained, lost, and changed under the same key (0 where no key is named)."""

    added: int
    removed: int
    edited: int


class Previous(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The version before, as the one after it was signed over it."""

    version: int
    digest: Digest
    root: Digest


class Parent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An artifact that derived data was made from."""

    name: str
    digest: Digest


class Where(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the store keeps a manifest; its SHA-256 is the subject's digest."""

    size: int
    segments: tuple[str, ...]


class Version(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The predicate ``dataset-version/v1``. Older statements have no ``sensitivity``."""

    name: str
    version: int
    kind: Kind
    rows: int
    files: int
    size_bytes: int
    root: Digest
    previous: Previous | None
    change: Change
    inputs: tuple[Parent, ...]
    stage: str
    run: str
    external: bool
    label: str
    key: str
    manifest: Where
    actor: str
    reason: str
    time: str
    sensitivity: Sensitivity = ""


class Dataset(msgspec.Struct, frozen=True):
    """One version of a dataset, read back from a verified statement (log entry ``index``)."""

    ref: str
    name: str
    version: int
    digest: Digest
    root: Digest
    rows: int
    kind: Kind
    label: str
    key: str
    external: bool
    parents: tuple[Artifact, ...]
    files: int
    size_bytes: int
    index: int
    signed: Version

    @classmethod
    def of(cls, signed: Version, digest: Digest, index: int) -> Dataset:
        """The dataset that a statement's predicate describes."""
        return cls(
            ref=f"data:{signed.name}@{signed.version}",
            name=signed.name,
            version=signed.version,
            digest=digest,
            root=signed.root,
            rows=signed.rows,
            kind=signed.kind,
            label=signed.label,
            key=signed.key,
            external=signed.external,
            parents=tuple(Artifact(each.name, each.digest) for each in signed.inputs),
            files=signed.files,
            size_bytes=signed.size_bytes,
            index=index,
            signed=signed,
        )

    @property
    def scope(self) -> str:
        """The store's and the key service's name for it."""
        return scope_of(self.name)

    @property
    def artifact(self) -> Artifact:
        """Name and digest, for statements."""
        return Artifact(self.ref, self.digest, MEDIA_TYPE)


class InputFile(msgspec.Struct, frozen=True):
    """A file for the room. ``relpath`` is relative to the project, or absolute where the data
    lies outside it; ``readable`` yields authenticated bytes or raises."""

    relpath: str
    size: int
    sha256: Digest
    readable: Readable


class Datasets:
    """Every version the ledger knows, checked to be one chain per name."""

    def __init__(self, history: History, store: Store) -> None:
        self._history = history
        self._store = store

    @cached_property
    def _chains(self) -> dict[str, list[Dataset]]:
        chains: dict[str, list[Dataset]] = {}
        for entry in self._history.of_type(predicates.DATASET_VERSION):
            dataset = dataset_of(entry)
            chain = chains.setdefault(dataset.name, [])
            _check_link(dataset, chain[-1] if chain else None)
            chain.append(dataset)
        return chains

    def all(self) -> tuple[Dataset, ...]:
        """Every version in log order. Raises: VerifyError (``data.chain-broken``)."""
        every = [dataset for chain in self._chains.values() for dataset in chain]
        return tuple(sorted(every, key=lambda dataset: dataset.index))

    def versions(self, name: str) -> tuple[Dataset, ...]:
        """The versions of one dataset, oldest first; none if there is no such dataset."""
        return tuple(self._chains.get(name, ()))

    def latest(self, name: str) -> Dataset | None:
        """The newest version of a dataset, or None."""
        chain = self._chains.get(name)
        return chain[-1] if chain else None

    def resolve(self, ref: refs.Ref | str) -> Dataset:
        """The version a reference names. Raises: BadInput (no such dataset or version)."""
        wanted = refs.parse(ref, "data") if isinstance(ref, str) else ref
        if wanted.kind != "data":
            raise BadInput(f"{wanted} is not a dataset", hint="write data:NAME@N")
        chain = self._chains.get(wanted.name)
        if not chain:
            close = difflib.get_close_matches(wanted.name, list(self._chains), n=1)
            raise BadInput(
                f"there is no dataset called {wanted.name!r}",
                why=f"known: {', '.join(sorted(self._chains)) or 'none yet'}",
                hint=f"did you mean data:{close[0]}?"
                if close
                else f"seal data add PATH --name {wanted.name}",
            )
        if wanted.version > len(chain):
            raise BadInput(
                f"data:{wanted.name} has no version {wanted.version}",
                why=f"its newest is {len(chain)}",
                hint=f"seal data log {wanted.name}",
            )
        return chain[wanted.version - 1]

    def manifest(self, dataset: Dataset) -> Manifest:
        """The version's manifest. Raises: VerifyError (changed), Refused (shredded)."""
        return read_manifest(dataset, self._store)

    def segments(self, dataset: Dataset) -> frozenset[str]:
        """Every segment a version needs, its manifest's included."""
        return self.manifest(dataset).segments() | set(dataset.signed.manifest.segments)


def lock_of(scratch: Path, name: str) -> Path:
    """The file whose lock keeps two writers of one dataset, and ``seal gc``, apart."""
    return scratch / f"data-{refs.check_name(name)}.lock"


def scope_of(name: str) -> str:
    """The store's and the key service's name for a dataset."""
    return f"data:{refs.check_name(name)}"


def read_manifest(dataset: Dataset, store: Store) -> Manifest:
    """A version's manifest. Raises: VerifyError (changed), Refused (shredded)."""
    where = dataset.signed.manifest
    stored = StoredFile(dataset.digest, where.size, where.segments)
    try:
        data = store.open(dataset.scope, stored).pread(0, where.size)
        manifest = decode(data, dataset.digest)
    except Refused as error:
        raise about(error, f"{dataset.ref}: the manifest cannot be used") from None
    said = (dataset.root, dataset.rows, dataset.kind, dataset.external)
    if (manifest.root, manifest.rows, manifest.kind, manifest.external) != said:
        raise VerifyError(
            f"{dataset.ref}: manifest and statement disagree",
            where=f"entry {dataset.index}",
            why="root, rows, kind or place differ",
            rule="data.manifest-malformed",
        )
    return manifest


def about(error: Refused, what: str) -> Refused:
    """The same error, saying first what it happened to."""
    error.what = f"{what}: {error.what}"
    error.args = (error.what,)
    return error


def open_files(dataset: Dataset, store: Store, project: Path) -> Iterator[InputFile]:
    """Every file of a version, verified as it is read; read each from its start to its end.

    Stored files come out of the encrypted store; external ones are opened where they lie
    (following no link) and hashed from that descriptor. An external file that is not there,
    or has another length, is refused at once. Raises: VerifyError, BadInput.
    """
    manifest = read_manifest(dataset, store)
    for file in manifest.files:
        opened = partial(open_file, dataset, manifest, file, store, project)
        if manifest.external:
            opened()
        source = OnDemand(opened, file.size)
        yield InputFile(manifest.relative(file.path), file.size, file.sha256, source)


def open_file(
    dataset: Dataset, manifest: Manifest, file: FileRecord, store: Store, project: Path
) -> Readable:
    """One file of a version, verified as it is read. Raises: VerifyError, BadInput."""
    if not manifest.external:
        return store.open(dataset.scope, file.stored())
    place = location.recorded(manifest.base, manifest.outside, manifest.folder, project)
    relpath = manifest.relative(file.path)
    return External(place.open(file.path), relpath, file.size, file.sha256)


def dataset_of(entry: Recorded) -> Dataset:
    """The version a verified log entry records. Raises: VerifyError (it records none)."""
    where = f"entry {entry.index}"
    try:
        signed = msgspec.convert(dict(entry.statement.predicate), Version)
        refs.check_name(signed.name)
        (subject,) = entry.statement.subjects
    except (msgspec.ValidationError, BadInput, ValueError) as error:
        raise VerifyError(
            f"log {where} is not a dataset version",
            where=where,
            why=str(error),
            rule="data.statement-malformed",
        ) from error
    dataset = Dataset.of(signed, subject.digest, entry.index)
    if subject.name != dataset.ref:
        raise VerifyError(
            f"log {where} is about {subject.name} and says {dataset.ref}",
            where=where,
            rule="data.statement-malformed",
        )
    return dataset


def _check_link(dataset: Dataset, before: Dataset | None) -> None:
    """Versions count from 1, and each names the one before it by number, digest and root."""
    expected = Previous(before.version, before.digest, before.root) if before else None
    number = before.version + 1 if before else 1
    if dataset.version == number and dataset.signed.previous == expected:
        return
    raise VerifyError(
        f"{dataset.ref} does not follow the version before it",
        where=f"entry {dataset.index}",
        why=f"version {number} over {before.ref if before else 'nothing'} was due",
        hint="`seal data log` shows the chain; `seal log verify` the ledger",
        rule="data.chain-broken",
    )
