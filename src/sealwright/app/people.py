"""A person's own home: their key, sealed by their passphrase, outside every workspace.

``$XDG_STATE_HOME/sealwright-people/NAME/`` has the layout of a key service's directory
(docs/spec/keys-v1.md) with one signing role, ``principal:NAME``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sealwright.adapters.keyring_file import Keyring
from sealwright.adapters.kms_file import FileKms
from sealwright.core.errors import BadInput, Unavailable
from sealwright.evidence.keys import PublicKey, load_public
from sealwright.vault import private
from sealwright.vault.custody import HeldSigner


class Home:
    """Where ``name`` keeps their own key on this machine; ``ask`` returns their passphrase."""

    def __init__(self, path: Path, name: str, ask: Callable[[], str] | None) -> None:
        self.path = path
        self.name = name
        self._ask = ask
        self._public = path / "public.pem"

    def public(self) -> PublicKey | None:
        """The public half, without unlocking anything; None where there is no key."""
        try:
            return load_public(private.read(self._public))
        except FileNotFoundError:
            return None

    def make(self, passphrase: str | None) -> tuple[HeldSigner, str]:
        """A key, and the recovery key to be shown once; None keeps a 0600 key file.

        Raises: BadInput (there is a key, or an empty passphrase), Refused, Unavailable.
        """
        if self._public.exists():
            raise BadInput(f"{self.name} has a key already on this machine", hint="seal access key")
        if passphrase == "":
            raise BadInput("an empty passphrase protects nothing")
        self._forget_half_made()
        kms, recovery = FileKms.initialize(self.path, passphrase)
        signer = Keyring(self.path, kms).create(f"principal:{self.name}")
        private.create(self._public, signer.public_pem())
        return signer, recovery

    def unlock(self) -> HeldSigner:
        """The key. Raises: Unavailable (none, or nobody to ask), Refused, VerifyError."""
        if self.public() is None:
            raise Unavailable(
                f"{self.name} has no key of their own on this machine",
                why=f"looked in {self.path}",
                hint="seal access key makes one; seal access login --invite FILE joins a workspace",
            )
        kms = FileKms.open(self.path, self._ask)
        return Keyring(self.path, kms).signer(f"principal:{self.name}")

    def _forget_half_made(self) -> None:
        """What a crash left before the public half was written: nobody knows that key yet."""
        left = (self.path / "root.json", self.path / "root.key", *self.path.glob("signers/*"))
        for path in left:
            path.unlink(missing_ok=True)


class OwnSigner:
    """A person's own key that is unlocked when it first has to sign, and not before."""

    def __init__(self, home: Home, public: PublicKey) -> None:
        self._home = home
        self._public = public
        self._signer: HeldSigner | None = None

    @property
    def key_id(self) -> str:
        """As the port says."""
        return self._public.key_id

    def sign(self, message: bytes) -> bytes:
        """As the port says. Raises also: Unavailable, Refused (wrong passphrase)."""
        if self._signer is None:
            self._signer = self._home.unlock()
        return self._signer.sign(message)

    def public_pem(self) -> bytes:
        """As the port says."""
        return self._public.pem
