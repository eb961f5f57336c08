"""The signing keys of a workspace, by role; private keys rest wrapped by the key service.

``signers/ROLE.json`` in the state directory. Roles: ``workspace`` (statements), ``log``
(checkpoints), ``model`` (model signatures), ``principal:NAME`` (approvals). While a role
changes hands its next key lies in ``ROLE.next``. Where a key service signs on our behalf
(``vault.custody.Custodian``), the private half is never in this process.
The format is docs/spec/keys-v1.md.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import msgspec

from sealwright.core.errors import BadInput, Unavailable, VerifyError
from sealwright.core.ports import KeyService, Kms
from sealwright.vault import custody, private, signers
from sealwright.vault.custody import Custodian, HeldSigner
from sealwright.vault.root import newer_format
from sealwright.vault.signers import Algorithm

FORMAT = 1
_ROLES = ("workspace", "log", "model")


class SignerRecord(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A signing key at rest: the public half in the clear, the private half wrapped."""

    format: int
    role: str
    algorithm: str
    key_id: str
    public: str
    wrapped: bytes


class Keyring:
    """Creates and hands out signers. Safe for several processes at once."""

    def __init__(self, state_dir: Path, kms: Kms, custodian: Custodian | None = None) -> None:
        self._dir = state_dir / "signers"
        self._custodian = custodian or custody.InProcess(kms)

    def create(self, role: str, algorithm: str = "ed25519") -> HeldSigner:
        """A new key for ``role``. Raises: BadInput (the role has one, or is no role)."""
        path = self._path(role)
        private.make_dir(self._dir)
        record = self._new(role, algorithm)
        try:
            private.create(path, msgspec.json.encode(record))
        except FileExistsError as error:
            raise BadInput(
                f"the role {role} has a signing key already",
                why="what it signed would lose its signer; nothing was changed",
            ) from error
        return self._signer(record)

    def prepare(self, role: str) -> HeldSigner:
        """The key that is to follow the role's present one, of the same kind; made once.

        Nothing signs with it before :meth:`promote`. Raises: Unavailable (the role has no key).
        """
        algorithm = self._read(role).algorithm
        path = self._next(role)
        if not path.exists():
            private.replace(path, msgspec.json.encode(self._new(role, algorithm)))
        return self._signer(self._read(role, path))

    def promote(self, role: str) -> HeldSigner:
        """Put the prepared key in the present one's place, which is kept beside it, out of use.

        The trust file must say from which log index the new key is good. Raises: Unavailable.
        """
        if not self._next(role).exists():
            return self.signer(role)
        old, new = self._read(role), self._read(role, self._next(role))
        private.check_label(old.key_id, "a key")
        if old.key_id != new.key_id:
            retired = self._dir / f"{role}.{old.key_id[:16]}.retired"
            private.replace(retired, msgspec.json.encode(old))
            private.replace(self._path(role), msgspec.json.encode(new))
        with suppress(FileNotFoundError):
            private.remove(self._next(role))
        return self._signer(new)

    def rotate(self, role: str) -> HeldSigner:
        """Prepare and promote in one. Raises: Unavailable (the role has no key)."""
        self.prepare(role)
        return self.promote(role)

    def pending(self) -> tuple[str, ...]:
        """The roles that a next key was prepared for, sorted."""
        return tuple(sorted(p.name.removesuffix(".next") for p in self._dir.glob("[!.]*.next")))

    def signer(self, role: str) -> HeldSigner:
        """The role's key. Raises: Unavailable (it has none), VerifyError (its file changed)."""
        record = self._read(role)
        signer = self._signer(record)
        if signer.key_id != record.key_id or signer.public_pem().decode() != record.public:
            raise _changed(self._path(role), "its public half is not that of its private half")
        return signer

    def following(self, role: str) -> Following:
        """A signer that is the role's key each time it signs, whoever rotated it meanwhile."""
        return Following(self, role)

    def stamp(self, role: str) -> tuple[int, int]:
        """Changes when the role's key does."""
        try:
            facts = self._path(role).lstat()
        except FileNotFoundError:
            return (0, 0)
        return (facts.st_ino, facts.st_mtime_ns)

    def rewrap(self, kms: KeyService) -> int:
        """Put every private key under the newest wrapping key; how many were not. Resumable."""
        changed = 0
        for path in sorted(self._dir.glob("[!.]*.*")):
            if path.suffix not in (".json", ".next", ".retired"):
                continue
            role = path.name.removesuffix(path.suffix)
            if path.suffix == ".retired":
                role = role.rpartition(".")[0]
            record = self._read(role, path)
            context = custody.context_of(role, record.algorithm)
            wrapped = kms.rewrap(custody.WRAPPING_KEY, record.wrapped, context)
            if wrapped != record.wrapped:
                fresh = msgspec.structs.replace(record, wrapped=wrapped)
                private.replace(path, msgspec.json.encode(fresh))
                changed += 1
        return changed

    def public_pem(self, role: str) -> bytes:
        """The public half, without unlocking anything. Raises: Unavailable, VerifyError."""
        return self._read(role).public.encode()

    def roles(self) -> tuple[str, ...]:
        """The roles that have a key, sorted."""
        return tuple(sorted(p.name.removesuffix(".json") for p in self._dir.glob("[!.]*.json")))

    def _new(self, role: str, algorithm: str) -> SignerRecord:
        made = self._custodian.make(role, algorithm)
        key_id = signers.key_id_of(made.public)
        return SignerRecord(FORMAT, role, algorithm, key_id, made.public.decode(), made.wrapped)

    def _signer(self, record: SignerRecord) -> HeldSigner:
        public = record.public.encode()
        return self._custodian.signer(record.role, record.algorithm, record.wrapped, public)

    def _next(self, role: str) -> Path:
        path = self._path(role)
        return path.with_name(f"{role}.next")

    def _path(self, role: str) -> Path:
        kind, colon, name = role.partition(":")
        if role not in _ROLES and not (kind == "principal" and colon and name):
            raise BadInput(
                f"{role!r} is no signing role", why=f"known: {', '.join(_ROLES)}, principal:NAME"
            )
        return self._dir / f"{private.check_label(role, 'a signing key')}.json"

    def _read(self, role: str, path: Path | None = None) -> SignerRecord:
        path = path or self._path(role)
        try:
            data = private.read(path)
        except FileNotFoundError as error:
            raise Unavailable(
                f"there is no signing key for {role}", why=f"looked in {self._dir}"
            ) from error
        try:
            found = msgspec.json.decode(data, type=_Stamp).format
            if found > FORMAT:
                raise newer_format(f"the signing key of {role}", found)
            record = msgspec.json.decode(data, type=SignerRecord)
        except msgspec.DecodeError as error:
            raise _changed(path, str(error)) from error
        if record.format != FORMAT or msgspec.json.encode(record) != data:
            raise _changed(path, "it is not written the one way it is written")
        if record.role != role:
            raise _changed(path, f"it holds the key of {record.role}")
        return record


class Following:
    """See :meth:`Keyring.following`."""

    def __init__(self, keyring: Keyring, role: str) -> None:
        self._keyring = keyring
        self._role = role
        self._stamp = keyring.stamp(role)
        self._held = keyring.signer(role)

    @property
    def algorithm(self) -> Algorithm:
        """What the present key signs with."""
        return self._now().algorithm

    @property
    def key_id(self) -> str:
        """The present key's id."""
        return self._now().key_id

    def sign(self, message: bytes) -> bytes:
        """Signed by the present key."""
        return self._now().sign(message)

    def public_pem(self) -> bytes:
        """The present public key."""
        return self._now().public_pem()

    def _now(self) -> HeldSigner:
        stamp = self._keyring.stamp(self._role)
        if stamp != self._stamp:
            self._held, self._stamp = self._keyring.signer(self._role), stamp
        return self._held


class _Stamp(msgspec.Struct, frozen=True):
    format: int


def _changed(path: Path, why: str) -> VerifyError:
    return VerifyError(
        "a signing key's file is not what it was", where=str(path), why=why, rule="keys.changed"
    )
