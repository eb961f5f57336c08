"""Which key service a workspace asks, and which certificates it shows; no keys in a file here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sealwright.adapters.keyring_file import Keyring
from sealwright.adapters.tls import TlsFiles
from sealwright.core.ports import KeyService
from sealwright.core.settings import Settings
from sealwright.evidence.trust import Trust


def elsewhere(
    settings: Settings,
    root: Path,
    state_dir: Path,
    principal: str,
    pin: Callable[[], str] | None,
) -> KeyService:
    """The key service that ``[keys] kms`` names. Raises: BadInput, Unavailable, Refused."""
    from sealwright.adapters import kms_client

    spec, workspace = settings.keys.kms, state_dir.name
    if spec.startswith(kms_client.PREFIX):
        address = kms_client.parse_service(spec)
        files = tls_files(settings, root)
        return kms_client.KmsClient(address, workspace, files, principal=principal)
    from sealwright.adapters.kms_pkcs11 import Pkcs11Kms

    return Pkcs11Kms.open(spec, workspace, state_dir / "lock", pin)


def tls_files(settings: Settings, root: Path) -> TlsFiles | None:
    """The certificates that ``[tls] folder`` names, relative to the project."""
    named = settings.tls.folder
    if not named:
        return None
    return TlsFiles(root / Path(named).expanduser(), settings.tls.minimum)


def finish(keyring: Keyring, trust: Trust) -> None:
    """Put signing keys in force that the trust root already names, after a rotation was killed.

    One that it does not name stays aside, for the rotation to go on with.
    """
    for role in keyring.pending():
        prepared = keyring.prepare(role).key_id
        if any(key.key_id == prepared and key.last_index is None for key in trust.keys):
            keyring.promote(role)
