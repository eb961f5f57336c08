"""Restoring a backup: everything is checked first, then the log goes on under a new origin.

The new log starts with the old one's entries, byte for byte, so that every version, decision
and index stays what it was. The next entry is the continuation: it names the old origin, its
size and its root, which anybody can recompute from the entries before it. The old log's
checkpoints and tiles are kept in ``.seal/past/N``.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from sealwright.adapters import backup_tar
from sealwright.adapters.backup_tar import Member
from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.adapters.keyring_file import Keyring
from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.tiles_dir import TileLog
from sealwright.app import wiring
from sealwright.app.backups import PAYLOAD_TYPE, TYPE, Catalogue
from sealwright.app.wiring import SEAL_DIR, WorkspaceRecord
from sealwright.core import clock
from sealwright.core import predicates as p
from sealwright.core.digest import of_file
from sealwright.core.errors import BadInput, Refused, Unavailable, VerifyError
from sealwright.core.ports import Progress
from sealwright.core.records import Artifact, Statement
from sealwright.evidence import dsse, jcs
from sealwright.evidence import trust as trusts
from sealwright.evidence.history import Head, History
from sealwright.evidence.keys import PublicKey, load_public
from sealwright.evidence.recorder import SigningRecorder
from sealwright.evidence.trust import Trust
from sealwright.vault import private

_BATCH = 256
_TRUST = "seal/trust/"


class Plan(msgspec.Struct, frozen=True):
    """A backup that was checked from end to end, and what it holds."""

    file: Path
    members: dict[str, Member]
    catalogue: Catalogue
    chain: tuple[bytes, ...]
    trust: Trust
    signer: str


class Restored(msgspec.Struct, frozen=True):
    """What came of it. ``unseen`` counts entries this machine had seen that are not in it."""

    workspace: wiring.Workspace
    continuation: int
    origin_before: str
    unseen: int
    recovery_key: str


def check(file: Path, pin: str | None, progress: Progress) -> Plan:
    """Read all of a backup and verify it; writes nothing.

    ``pin`` is the trust fingerprint, where one is known. Raises: VerifyError, Refused
    (unsafe members), UnknownSigner, BadInput.
    """
    members, envelope = backup_tar.survey(file, progress)
    names = [name for name in members if name.startswith(_TRUST)]
    parts = backup_tar.read(file, members, names)
    chain = tuple(parts[name] for name in sorted(names, key=_version))
    trust = trusts.load(chain, pin)
    known = {key.key_id: key for each in trust.keys if (key := _workspace_key(each))}
    verified = dsse.verify(envelope, known, PAYLOAD_TYPE)
    try:
        catalogue = msgspec.convert(jcs.parse(verified.payload), Catalogue, strict=True)
    except msgspec.ValidationError as error:
        raise VerifyError(
            "the backup's catalogue is malformed", why=str(error), rule="backup.malformed"
        ) from error
    if catalogue.kind != TYPE:
        raise Unavailable(
            f"the backup is of a kind this version does not read: {catalogue.kind[:80]}",
            hint="pip install --upgrade sealwright",
        )
    if (catalogue.workspace, catalogue.origin) != (trust.workspace, trust.origin):
        raise VerifyError("the backup mixes two workspaces", rule="backup.malformed")
    backup_tar.compare(file, members, catalogue.members)
    return Plan(file, members, catalogue, chain, trust, verified.key_ids[0])


def restore(
    plan: Plan,
    root: Path,
    *,
    reason: str,
    recovery: Callable[[], str] | None,
    progress: Progress,
) -> Restored:
    """Put a checked backup into ``root``, which has no workspace.

    ``recovery`` asks for the recovery key, where the keys are to be opened by it. A crash
    leaves either nothing but ``.seal.new-…`` or all of it. Raises: BadInput (a workspace or
    other files are there), Unavailable (no keys), Refused, VerifyError.
    """
    _check_target(plan, root)
    _check_pin(plan)
    scratch = root / f"{SEAL_DIR}.new-{plan.catalogue.workspace}"
    shutil.rmtree(scratch, ignore_errors=True)
    with _keys(plan, scratch, recovery, progress) as keys:
        number = _next_number(plan, keys.directory)
        backup_tar.extract(plan.file, plan.members, _placer(scratch, number), progress)
        past = scratch / "past" / str(number)
        history = History.read(TileLog(past), plan.trust, _seen(plan, keys.directory))
        if history.head != Head(plan.catalogue.size, plan.catalogue.root):
            raise VerifyError("the backup's log is not the one it says", rule="backup.malformed")
        unseen = _unseen(plan, keys.directory)
        head, index = _continue(plan, scratch, past, keys, number, _why(reason, unseen))
        _project_files(plan, root, progress)
        keys.install(number, head)
        scratch.rename(root / SEAL_DIR)
        private.sync_dir(root)
    ws = wiring.open_workspace(root)
    return Restored(ws, index, plan.trust.origin, unseen, keys.recovery_key)


class _Keys:
    """The keys a restore works with: this machine's own, or those from the backup."""

    def __init__(self, directory: Path, home: Path, kms: FileKms, recovery_key: str) -> None:
        self.directory = directory
        self.home = home
        self.keyring = Keyring(directory, kms)
        self.recovery_key = recovery_key

    def install(self, number: int, head: Head) -> None:
        private.replace(self.directory / "origin", f"{number}\n".encode())
        private.replace(self.directory / "anchor.json", msgspec.json.encode(head))
        if self.directory != self.home:
            private.ensure_dir(self.home.parent)
            self.directory.rename(self.home)
            private.sync_dir(self.home.parent)


@contextmanager
def _keys(
    plan: Plan, scratch: Path, recovery: Callable[[], str] | None, progress: Progress
) -> Iterator[_Keys]:
    home = wiring.state_home() / plan.catalogue.workspace
    directory = home
    try:
        if not (home / "root.json").exists():
            if not plan.catalogue.keys:
                raise Unavailable(
                    f"the keys of {plan.catalogue.workspace} are neither here nor in the backup",
                    why=f"looked in {home}; without them the store cannot be read by anybody",
                    hint="bring that directory over from the old machine, or use a backup made "
                    "with seal backup --with-keys",
                )
            directory = home.parent / f".new-{plan.catalogue.workspace}"
            shutil.rmtree(directory, ignore_errors=True)
            private.make_dir(directory)
            backup_tar.extract(plan.file, plan.members, _key_placer(directory), progress)
        yield _open_keys(plan, directory, home, recovery)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        if directory != home:
            shutil.rmtree(directory, ignore_errors=True)
        raise


def _open_keys(
    plan: Plan, directory: Path, home: Path, recovery: Callable[[], str] | None
) -> _Keys:
    fresh = ""
    if recovery is not None:
        kms, fresh = FileKms.recover(directory, recovery(), wiring.passphrase())
    else:
        kms = FileKms.open(directory, wiring.passphrase_asker())
    keys = _Keys(directory, home, kms, fresh)
    if keys.keyring.signer("workspace").key_id != plan.signer:
        raise Refused(
            "the backup was signed by a workspace key that is not in use",
            why="the keys here were rotated since, or are not those of the backup",
            hint="use a newer backup, or the keys that belong to this one",
            rule="backup.other-key",
        )
    return keys


def _continue(
    plan: Plan, scratch: Path, past: Path, keys: _Keys, number: int, reason: str
) -> tuple[Head, int]:
    """The new log: the old entries, the continuation, the trust root that names the origin."""
    base = plan.trust.origin.split("/")[:2]
    origin = "/".join([*base, str(number)])
    signer = keys.keyring.signer("workspace")
    envelope = trusts.next_version(plan.chain, plan.trust.keys, signer, origin)
    trust = trusts.load([*plan.chain, envelope], plan.trust.fingerprint)
    log = SqliteLog.create(scratch / "ledger.db", origin, keys.keyring.signer("log"))
    batch: list[bytes] = []
    for entry in TileLog(past).entries():
        batch.append(entry.body)
        if len(batch) == _BATCH:
            log.append(batch)
            batch = []
    if batch:
        log.append(batch)
    recorder = SigningRecorder(log, signer)
    index = recorder.record(_continuation(plan, reason)).index
    recorder.record(_trusted(plan, trust, reason))
    (scratch / "trust" / f"{trust.version}.json").write_bytes(envelope)
    record = WorkspaceRecord(wiring.FORMAT, plan.trust.workspace, origin)
    (scratch / "workspace.json").write_bytes(msgspec.json.encode(record))
    (scratch / ".gitignore").write_text("*\n")
    private.ensure_dir(scratch / "tmp")
    private.ensure_dir(scratch / "store")
    head = History.read(log, trust).head
    log.close()
    return head, index


def _continuation(plan: Plan, reason: str) -> Statement:
    return Statement(
        (Artifact(f"log:{plan.trust.origin}", plan.catalogue.root),),
        p.CONTINUATION,
        {
            "origin_before": plan.trust.origin,
            "size_before": plan.catalogue.size,
            "root_before": plan.catalogue.root,
            "reason": reason,
            "actor": wiring.principal_name(),
            "time": clock.stamp(clock.now()),
        },
    )


def _trusted(plan: Plan, trust: Trust, reason: str) -> Statement:
    return Statement(
        (Artifact(f"trust:{trust.version}", trust.digest),),
        p.TRUST,
        {
            "version": trust.version,
            "trust": trust.digest,
            "previous": plan.trust.digest,
            "added": [],
            "actor": wiring.principal_name(),
            "reason": reason,
            "time": clock.stamp(clock.now()),
        },
    )


def _check_pin(plan: Plan) -> None:
    """Raises: UnknownSigner (this machine pinned another trust root for the workspace)."""
    try:
        pin = private.read(wiring.state_home() / plan.catalogue.workspace / "trust.pin")
    except FileNotFoundError:
        return
    plan.trust.check_pin(pin.decode().strip())


def _check_target(plan: Plan, root: Path) -> None:
    if (root / SEAL_DIR).exists():
        raise BadInput(
            f"{root} has a workspace already", hint="restore into an empty directory, then compare"
        )
    for name, member in plan.members.items():
        top, _, rest = name.partition("/")
        path = root / rest
        if top != "project" or not path.exists():
            continue
        if not path.is_file() or path.is_symlink() or of_file(path) != member.sha256:
            raise BadInput(
                f"{path} is there and differs from the one in the backup",
                hint="move it away, or restore into an empty directory",
            )


def _project_files(plan: Plan, root: Path, progress: Progress) -> None:
    def place(name: str) -> Path | None:
        top, _, rest = name.partition("/")
        return root / rest if top == "project" and not (root / rest).exists() else None

    backup_tar.extract(plan.file, plan.members, place, progress)


def _placer(scratch: Path, number: int) -> Callable[[str], Path | None]:
    def place(name: str) -> Path | None:
        top, _, rest = name.partition("/")
        if top != "seal" or rest == "workspace.json":
            return None
        if rest.startswith("log/"):
            return scratch / "past" / str(number) / rest.removeprefix("log/")
        return scratch / rest

    return place


def _key_placer(directory: Path) -> Callable[[str], Path | None]:
    def place(name: str) -> Path | None:
        top, _, rest = name.partition("/")
        return directory / rest if top == "keys" else None

    return place


def _next_number(plan: Plan, state: Path) -> int:
    """One more than any origin of this workspace that the backup or this machine knows."""
    return max(_number(plan.trust.origin), _known_number(state)) + 1


def _number(origin: str) -> int:
    """``sealwright.local/w…/2`` is 2, the first origin 0."""
    last = origin.split("/")[2:]
    return int(last[0]) if last and last[0].isdecimal() else 0


def _known_number(state: Path) -> int:
    try:
        return int(private.read(state / "origin"))
    except FileNotFoundError:
        return 0


def _anchor(plan: Plan, state: Path) -> Head | None:
    """How far this machine saw the very log that the backup holds; None where it did not."""
    if _known_number(state) != _number(plan.trust.origin):
        return None
    try:
        return msgspec.json.decode(private.read(state / "anchor.json"), type=Head)
    except FileNotFoundError:
        return None


def _seen(plan: Plan, state: Path) -> Head | None:
    anchor = _anchor(plan, state)
    return anchor if anchor is not None and anchor.size <= plan.catalogue.size else None


def _unseen(plan: Plan, state: Path) -> int:
    anchor = _anchor(plan, state)
    return max(0, anchor.size - plan.catalogue.size) if anchor is not None else 0


def _why(reason: str, unseen: int) -> str:
    lost = f"; {unseen} later entries that this machine had seen are not in it" if unseen else ""
    return f"{reason or 'restored from a backup'}{lost}"


def _version(name: str) -> int:
    stem = name.removeprefix(_TRUST).removesuffix(".json")
    if not stem.isdecimal():
        raise VerifyError(f"{name} is no trust file", where=name, rule="backup.malformed")
    return int(stem)


def _workspace_key(key: trusts.TrustKey) -> PublicKey | None:
    return load_public(key.pem.encode()) if key.role == "workspace" else None
