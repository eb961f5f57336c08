"""A person's own home: their key, sealed by their passphrase, outside every workspace.

``$XDG_STATE_HOME/sealwright-people/NAME/`` has the layout of a key service's directory
(docs/spec/keys-v1.md) with one signing role, ``principal:NAME``.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sealwright.adapters.keyring_file import Keyring
from sealwright.adapters.kms_file import FileKms
from sealwright.app import wiring
from sealwright.core import refs
from sealwright.core.errors import BadInput, Unavailable
from sealwright.evidence.keys import PublicKey, load_public
from sealwright.vault import private
from sealwright.vault.custody import HeldSigner

_PUBLIC = "public.pem"


def home_of(name: str) -> Path:
    """Where ``name`` keeps their own key on this machine. Raises: BadInput."""
    return wiring.state_home().with_name("sealwright-people") / refs.check_name(name)


def public_of(name: str) -> PublicKey | None:
    """The public half, without unlocking anything; None where there is no home."""
    try:
        return load_public(private.read(home_of(name) / _PUBLIC))
    except FileNotFoundError:
        return None


def make(name: str, passphrase: str | None) -> tuple[HeldSigner, str]:
    """A home, its key, and the recovery key to be shown once; None keeps a 0600 key file.

    Raises: BadInput (there is one, or an empty passphrase), Refused, Unavailable.
    """
    home = home_of(name)
    if (home / _PUBLIC).exists():
        raise BadInput(f"{name} has a key already on this machine", hint="seal access key")
    if passphrase == "":
        raise BadInput("an empty passphrase protects nothing")
    if (home / "root.json").exists():  # cut off before the key was whole: nobody knows it yet
        for path in (home / "root.json", home / "root.key", *(home / "signers").glob("*")):
            path.unlink(missing_ok=True)
    kms, recovery = FileKms.initialize(home, passphrase)
    signer = Keyring(home, kms).create(f"principal:{name}")
    private.create(home / _PUBLIC, signer.public_pem())
    return signer, recovery


def unlock(name: str, ask: Callable[[], str] | None = None) -> HeldSigner:
    """The person's own key. Raises: Unavailable (none, or nobody to ask), Refused, VerifyError."""
    home = home_of(name)
    if public_of(name) is None:
        raise Unavailable(
            f"{name} has no key of their own on this machine",
            why=f"looked in {home}",
            hint="seal access key makes one; seal access login --invite FILE joins a workspace",
        )
    kms = FileKms.open(home, ask or wiring.person_asker())
    return Keyring(home, kms).signer(f"principal:{name}")


class OwnSigner:
    """A person's own key that is unlocked when it first has to sign, and not before."""

    def __init__(self, name: str, public: PublicKey) -> None:
        self._name = name
        self._public = public
        self._signer: HeldSigner | None = None

    @property
    def key_id(self) -> str:
        """As the port says."""
        return self._public.key_id

    def sign(self, message: bytes) -> bytes:
        """As the port says. Raises also: Unavailable, Refused (wrong passphrase)."""
        if self._signer is None:
            self._signer = unlock(self._name)
        return self._signer.sign(message)

    def public_pem(self) -> bytes:
        """As the port says."""
        return self._public.pem
