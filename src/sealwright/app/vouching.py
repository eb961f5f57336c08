"""Verifying a validation or test set: somebody looks it over and signs that with their own key.

Whether they are independent of who added it and who trains is the gate's question, not theirs.
"""

from __future__ import annotations

from typing import Any

import msgspec

from sealwright.app import accessing, contracts, gating
from sealwright.app.wiring import Workspace
from sealwright.core import clock, predicates
from sealwright.core.errors import BadInput, Refused
from sealwright.core.records import Statement
from sealwright.intake.versions import Dataset
from sealwright.policy import approvals, datafacts


class Vouched(msgspec.Struct, frozen=True):
    """A verification: the log entries it rests on, and whether the adder made it."""

    ref: str
    checks: tuple[int, ...]
    own: bool
    index: int


def vouch(workspace: Workspace, dataset: Dataset, reason: str) -> Vouched:
    """Verify a version that is held out in some split.

    Raises: BadInput (no reason, nothing it was compared with), Refused (it leaks, or breaks the
    form of its contract: there is nothing to vouch for), GateDenied (``access.*``).
    """
    if not reason.strip():
        raise BadInput(
            "a verification says what was looked at",
            hint=f"seal data vouch {dataset.ref} --reason '...'",
        )
    accessing.require(workspace, "inspect", [dataset.artifact], reason=reason)
    checks = _checks(workspace, dataset)
    account = gating.context_of(workspace).account
    with workspace.lock():
        now = workspace.clock()
        asked = approvals.ask(
            datafacts.VERIFY, [dataset.artifact], {"checks": list(checks)}, account, reason, now
        )
        workspace.recorder.record(asked)
        request = approvals.request_of(asked.predicate, workspace.log.size() - 1)
        workspace.recorder.record(
            approvals.approve(request, workspace.signer, account, reason, now)
        )
        predicate: dict[str, Any] = {
            "request": request.digest,
            "checks": list(checks),
            "actor": account.name,
            "reason": reason,
            "time": clock.stamp(now),
        }
        receipt = workspace.recorder.record(
            Statement((dataset.artifact,), predicates.VERIFICATION, predicate)
        )
    return Vouched(dataset.ref, checks, account.name == dataset.signed.actor, receipt.index)


def _checks(workspace: Workspace, dataset: Dataset) -> tuple[int, ...]:
    """The statements somebody vouches on: its splits, and its contract where it has one."""
    history = workspace.history()
    splits = datafacts.newest_splits(history, dataset.digest)
    held_out = [
        split
        for split in splits
        if any(s.digest == dataset.digest and s.role in datafacts.HELD_OUT for s in split.sides)
    ]
    if not held_out:
        raise BadInput(
            f"{dataset.ref} is the held-out side of no split that was checked",
            why="what is vouched for is a set that was shown to be apart from training data",
            hint=f"seal data splits TRAIN {dataset.name}",
        )
    leaking = next((split for split in held_out if split.leaks), None)
    if leaking is not None:
        raise Refused(
            f"{dataset.ref} is not apart from its training data",
            why=f"{leaking.leaks:,} records leak",
            rule="split.leaks",
            evidence=(f"entry {leaking.index}",),
            hint="seal data splits says which; take them out and add it again",
        )
    found = [split.index for split in held_out]
    checked = contracts.check(workspace, dataset)
    if checked is not None:
        if checked.structural:
            raise Refused(
                f"{dataset.ref} breaks the form of its contract",
                why="; ".join(checked.lines()[:3]),
                rule="contract.form",
                hint=f"seal data contract check {dataset.name}",
            )
        found.append(checked.index)
    return tuple(found)
