"""Making a workspace: keys in the state directory, log and store in the project.

The project's ``.seal`` appears in one rename, last, so that a crash leaves no half of one.
"""

from __future__ import annotations

import os
import secrets
import shutil
from pathlib import Path

import msgspec

from sealwright.adapters.db_sqlite import SqliteLog
from sealwright.adapters.keyring_file import Keyring
from sealwright.adapters.kms_file import FileKms
from sealwright.app import wiring
from sealwright.core import clock
from sealwright.core import predicates as p
from sealwright.core.errors import BadInput
from sealwright.core.ports import KeyService
from sealwright.core.records import Artifact, Statement
from sealwright.core.settings import KeysSettings, Profile, Settings
from sealwright.evidence import trust as trusts
from sealwright.evidence.recorder import SigningRecorder
from sealwright.vault import private


def create_workspace(
    root: Path, profile: Profile, passphrase: str | None, token: str = ""
) -> tuple[wiring.Workspace, str]:
    """A new workspace in ``root`` and the recovery key, to be shown once.

    ``token`` (``pkcs11:…``) keeps the keys in a PKCS#11 token; then there is no recovery key.

    Raises: BadInput (there is one already), Unavailable.
    """
    seal_dir = root / wiring.SEAL_DIR
    if seal_dir.exists():
        raise BadInput(f"{root} has a workspace already", hint="seal doctor says how it is")
    identity = f"w{secrets.token_hex(8)}"
    record = wiring.WorkspaceRecord(wiring.FORMAT, identity, f"sealwright.local/{identity}")
    state_dir = wiring.state_home() / identity
    scratch = root / f"{wiring.SEAL_DIR}.new-{identity}"
    state_dir.parent.mkdir(parents=True, exist_ok=True)
    try:
        recovery = ""
        if token:
            keyring = Keyring(state_dir, _in_token(root, state_dir, token))
        else:
            kms, recovery = FileKms.initialize(state_dir, passphrase)
            keyring = Keyring(state_dir, kms)
        _fill(scratch, record, keyring, state_dir, profile)
        scratch.rename(seal_dir)
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        shutil.rmtree(state_dir, ignore_errors=True)
        raise
    return wiring.Workspace(root, record), recovery


def activate(workspace: wiring.Workspace, profile: Profile) -> None:
    """Write the shipped policies and put them in force: the first activation needs nobody else."""
    from sealwright.app.gating import context_of, policies_of
    from sealwright.policy import activation, policyset, policytests
    from sealwright.policy.approvals import Book

    policies = workspace.root / "policies"
    policyset.write(policies, profile)
    policytests.write_starter(policies)
    history = workspace.history()
    context = context_of(workspace)
    statement = activation.activate(
        policies_of(workspace),
        history,
        Book(history, workspace.trust),
        context.account,
        f"the policies that come with the {profile} profile",
        context.now,
        policytests.run(policies, policies_of(workspace)).jsonable(),
    )
    workspace.recorder.record(statement)


def _in_token(root: Path, state_dir: Path, token: str) -> KeyService:
    from sealwright.app import choosing

    private.make_dir(state_dir)
    settings = Settings(keys=KeysSettings(kms=token))
    name = wiring.principal_name()
    return choosing.elsewhere(settings, root, state_dir, name, wiring.pin_asker())


def _fill(
    scratch: Path,
    record: wiring.WorkspaceRecord,
    keyring: Keyring,
    state_dir: Path,
    profile: Profile,
) -> None:
    scratch.mkdir(mode=0o700)
    (scratch / ".gitignore").write_text("*\n")
    for part in ("trust", "store", "tmp"):
        (scratch / part).mkdir(mode=0o700)
    who = wiring.principal_name()
    signers = {
        "workspace": keyring.create("workspace"),
        "log": keyring.create("log"),
        "model": keyring.create("model", "ecdsa-p256"),
        f"principal:{who}": keyring.create(f"principal:{who}"),
    }
    keys = [
        trusts.key_of(signers["workspace"], "workspace", record.id),
        trusts.key_of(signers["log"], "log", record.origin),
        trusts.key_of(signers["model"], "model", record.id),
        trusts.key_of(signers[f"principal:{who}"], "principal", who),
    ]
    envelope = trusts.first(record.id, record.origin, keys, signers["workspace"])
    trust = trusts.load([envelope], None)
    (scratch / "trust" / "1.json").write_bytes(envelope)
    private.create(state_dir / "trust.pin", trust.fingerprint.encode() + b"\n")
    log = SqliteLog.create(scratch / "ledger.db", record.origin, signers["log"])
    SigningRecorder(log, signers["workspace"]).record(
        Statement(
            (Artifact(f"workspace:{record.id}", trust.fingerprint),),
            p.WORKSPACE,
            {
                "workspace": record.id,
                "origin": record.origin,
                "profile": profile,
                "trust": trust.fingerprint,
                "actor": who,
                "uid": os.getuid(),
                "time": clock.stamp(clock.now()),
            },
        )
    )
    log.close()
    (scratch / "workspace.json").write_bytes(msgspec.json.encode(record))
