"""The signing keys of a workspace, by role; private keys rest wrapped by the key service.

``signers/ROLE.json`` in the state directory. Roles: ``workspace`` (statements), ``log``
(checkpoints), ``model`` (model signatures), ``principal:NAME`` (approvals).
The format is docs/spec/keys-v1.md.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from sealwright.core.errors import BadInput, Unavailable, VerifyError
from sealwright.core.ports import Kms
from sealwright.vault import private, signers
from sealwright.vault.root import newer_format
from sealwright.vault.signers import AnySigner

FORMAT = 1
WRAPPING_KEY = "keyring"
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

    def __init__(self, state_dir: Path, kms: Kms) -> None:
        self._dir = state_dir / "signers"
        self._kms = kms

    def create(self, role: str, algorithm: str = "ed25519") -> AnySigner:
        """A new key for ``role``. Raises: BadInput (the role has one, or is no role)."""
        path = self._path(role)
        private.make_dir(self._dir)
        self._kms.create(WRAPPING_KEY)
        signer = signers.generate(algorithm)
        try:
            private.create(path, self._sealed(role, signer))
        except FileExistsError as error:
            raise BadInput(
                f"the role {role} has a signing key already",
                why="what it signed would lose its signer; nothing was changed",
            ) from error
        return signer

    def rotate(self, role: str) -> AnySigner:
        """A new key of the same kind; the old one is kept beside it, out of use.

        The trust file must say from which log index the new key is good.
        Raises: Unavailable (the role has no key).
        """
        old = self._read(role)
        private.check_label(old.key_id, "a key")
        retired = self._dir / f"{role}.{old.key_id[:16]}.retired"
        private.replace(retired, msgspec.json.encode(old))
        signer = signers.generate(old.algorithm)
        private.replace(self._path(role), self._sealed(role, signer))
        return signer

    def signer(self, role: str) -> AnySigner:
        """The role's key. Raises: Unavailable (it has none), VerifyError (its file changed)."""
        record = self._read(role)
        pem = self._kms.unwrap(WRAPPING_KEY, record.wrapped, _context(role, record.algorithm))
        signer = signers.from_private_pem(record.algorithm, pem)
        if signer.key_id != record.key_id or signer.public_pem().decode() != record.public:
            raise _changed(self._path(role), "its public half is not that of its private half")
        return signer

    def public_pem(self, role: str) -> bytes:
        """The public half, without unlocking anything. Raises: Unavailable, VerifyError."""
        return self._read(role).public.encode()

    def roles(self) -> tuple[str, ...]:
        """The roles that have a key, sorted."""
        return tuple(sorted(p.name.removesuffix(".json") for p in self._dir.glob("[!.]*.json")))

    def _sealed(self, role: str, signer: AnySigner) -> bytes:
        context = _context(role, signer.algorithm)
        record = SignerRecord(
            format=FORMAT,
            role=role,
            algorithm=signer.algorithm,
            key_id=signer.key_id,
            public=signer.public_pem().decode(),
            wrapped=self._kms.wrap(WRAPPING_KEY, signer.private_pem(), context),
        )
        return msgspec.json.encode(record)

    def _path(self, role: str) -> Path:
        kind, colon, name = role.partition(":")
        if role not in _ROLES and not (kind == "principal" and colon and name):
            raise BadInput(
                f"{role!r} is no signing role", why=f"known: {', '.join(_ROLES)}, principal:NAME"
            )
        return self._dir / f"{private.check_label(role, 'a signing key')}.json"

    def _read(self, role: str) -> SignerRecord:
        path = self._path(role)
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


class _Stamp(msgspec.Struct, frozen=True):
    format: int


def _context(role: str, algorithm: str) -> bytes:
    return f"sealwright signer v1 {role} {algorithm}".encode()


def _changed(path: Path, why: str) -> VerifyError:
    return VerifyError(
        "a signing key's file is not what it was", where=str(path), why=why, rule="keys.changed"
    )
