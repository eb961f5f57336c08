"""A new version of the trust root: signed by the present workspace key, stated in the log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sealwright.adapters.durable import write_durably
from sealwright.app import wiring
from sealwright.core import clock
from sealwright.core import predicates as p
from sealwright.core.records import Artifact, Receipt, Statement
from sealwright.evidence import trust as trusts
from sealwright.evidence.trust import Trust, TrustKey

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace


def extend(workspace: Workspace, keys: Sequence[TrustKey], reason: str) -> tuple[Trust, Receipt]:
    """Replace the trust root's list of keys by ``keys``; returns the new root and its entry.

    Raises: BadInput (a key was dropped or altered), VerifyError, Unavailable.
    """
    directory = workspace.seal_dir / "trust"
    with workspace.lock():
        chain = wiring.trust_chain(directory)
        signer = workspace.keyring.signer("workspace")
        envelope = trusts.next_version(chain, keys, signer)
        new = trusts.load([*chain, envelope], workspace.trust.fingerprint)
        receipt = workspace.recorder.record(_statement(workspace, new, reason))
        # last, so that no version is in force that the log does not state
        write_durably(directory / f"{new.version}.json", envelope)
    workspace.__dict__.pop("trust", None)
    return new, receipt


def _statement(workspace: Workspace, new: Trust, reason: str) -> Statement:
    before = {(key.role, key.key_id) for key in workspace.trust.keys}
    added = [key for key in new.keys if (key.role, key.key_id) not in before]
    return Statement(
        (Artifact(f"trust:{new.version}", new.digest),),
        p.TRUST,
        {
            "version": new.version,
            "trust": new.digest,
            "previous": workspace.trust.digest,
            "added": [{"role": k.role, "name": k.name, "key_id": k.key_id} for k in added],
            "actor": workspace.principal.name,
            "reason": reason,
            "time": clock.stamp(workspace.clock()),
        },
    )
