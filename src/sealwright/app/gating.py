"""The gate as the commands use it: facts from this workspace, the decision in its log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from sealwright.app import watching
from sealwright.app.wiring import Workspace
from sealwright.core.records import Artifact, Decision, Json
from sealwright.policy import gatekeeper, gates, policyset
from sealwright.policy.context import Context, RoomFacts, Witnessed
from sealwright.policy.facts import Gate as GateName
from sealwright.policy.gatekeeper import Desk
from sealwright.policy.gates import Judgement
from sealwright.policy.policyset import PolicySet
from sealwright.policy.principals import host_id


class WorkspaceGate:
    """Decides over this workspace's log, records the decision, and refuses when it is no."""

    def __init__(self, workspace: Workspace, reason: str = "", room: RoomFacts | None = None):
        self._workspace = workspace
        self._reason = reason
        self._room = room or RoomFacts()
        self.warnings: list[str] = []

    def __call__(
        self, gate: GateName, subjects: Sequence[Artifact], request: Mapping[str, Json]
    ) -> Decision:
        """Raises: GateDenied, once the denial (and a request for approval) is in the log."""
        workspace = self._workspace
        watching.admit(workspace)
        desk = Desk(
            workspace.history,
            workspace.recorder,
            policies_of(workspace),
            workspace.signer,
        )
        with workspace.lock():
            judgement = gatekeeper.require(gate, subjects, self._context(request), desk)
        decision = judgement.decision
        self.warnings += [w for w in decision.warnings if w not in self.warnings]
        return decision

    def judge(
        self, gate: GateName, subjects: Sequence[Artifact], request: Mapping[str, Json]
    ) -> Judgement:
        """The same decision, recorded nowhere (``seal policy check``)."""
        workspace = self._workspace
        return gates.decide(
            gate, subjects, workspace.history(), self._context(request), policies_of(workspace)
        )

    def _context(self, request: Mapping[str, Json]) -> Context:
        asked = dict(request)
        return msgspec.structs.replace(
            context_of(self._workspace),
            reason=self._reason,
            room=self._room,
            run=str(asked.pop("run", "")),
            params=asked,
        )


def context_of(workspace: Workspace) -> Context:
    """Who asks, when, in which profile; what no caller can say for themselves."""
    return Context(
        now=workspace.clock(),
        principal=workspace.principal,
        profile=workspace.profile,
        trust=workspace.trust,
        host=host_id(),
        witnessed=witnessed_of(workspace),
        key_custody=workspace.kms.custody,
    )


def policies_of(workspace: Workspace) -> PolicySet:
    """The policy set in ``policies/``, of the profile that seal.toml names."""
    return policyset.load(workspace.root / "policies", workspace.profile)


def witnessed_of(workspace: Workspace) -> Witnessed:
    """The best cosignature the log holds. None yet is the refusing default."""
    from sealwright.app import publishing

    return publishing.witnessed(workspace)
