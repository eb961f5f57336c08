"""Drawing facts/v1 from a verified history and a request. Pure; ``docs/spec/facts-v1.md``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from sealwright.core import clock
from sealwright.core.digest import Digest
from sealwright.core.errors import BadInput
from sealwright.core.predicates import DATASET_VERSION, DECISION, MODEL_VERSION
from sealwright.core.records import Artifact
from sealwright.evidence.history import History
from sealwright.evidence.lineage import inputs_of
from sealwright.policy import datafacts, facts, runs, served
from sealwright.policy.approvals import Request, Tally
from sealwright.policy.context import Context
from sealwright.policy.facts import NEVER, Facts, Gate
from sealwright.policy.factsheet import Value
from sealwright.policy.historyread import read_of
from sealwright.policy.policyset import PolicySet
from sealwright.policy.principals import Account
from sealwright.policy.runs import Run, Step

_NOT_DATA = frozenset({"plan", "code", "config", "environment", "interpreter", "packages"})
_FINISHED = frozenset({"promote", "export", "serve"})


class Drawn(msgspec.Struct, frozen=True):
    """The facts, the request they answer to (if somebody asked), and what did not count.

    ``readmit`` is the request to readmit exactly ``looser``.
    """

    facts: Facts
    request: Request | None
    looser: tuple[Artifact, ...]
    readmit: Request | None
    notes: tuple[str, ...]


def draw(
    gate: Gate,
    subjects: Sequence[Artifact],
    history: History,
    context: Context,
    active: PolicySet,
) -> Drawn:
    """Every fact of facts/v1 for one decision. Raises: BadInput (a fact out of range)."""
    ledger = _Ledger(history, context, active)
    digests = [subject.digest for subject in subjects]
    data = ledger.data_of(gate, subjects)
    made = [] if gate == "train" else ledger.runs_of(digests, data, gate)
    request = ledger.book.matching(gate, digests, context.params)
    tally = ledger.approvals(request, made)
    looser = ledger.looser(digests if gate in _FINISHED else [], data, made)
    read = ledger.read_by_runs(gate, subjects, data, made)
    values: dict[str, Value] = {
        "subjects": len(set(digests)),
        **_request_facts(context, active, history.size),
        **_data_facts(data, digests, ledger),
        **_held_facts(context, digests, data, ledger),
        **ledger.screened.facts(read),
        **ledger.drifted(gate, read, data, digests),
        **ledger.extracted.facts(gate, context, digests),
        **ledger.replayed.facts(gate, context, digests),
        **served.facts(gate, subjects, context.params),
        **ledger.supplied.facts(_steps(gate, context, made), [] if gate == "train" else digests),
        **_run_facts(gate, context, made),
        **_approval_facts(tally),
        **ledger.about_data(gate, data, made),
        "missing": tuple(_missing(gate, digests, made, history)),
        "policy_active": ledger.is_active(active),
        "evidence_looser": len(looser),
        "readmit_approvals": ledger.readmitted(looser),
    }
    notes = (*tally.ignored, *ledger.timeline.refused)
    readmit = ledger.book.matching("readmit", [a.digest for a in looser], {}) if looser else None
    return Drawn(facts.of(values), request, tuple(looser), readmit, notes)


class _Ledger:
    """What several facts share in one decision. People met in it are met in no other."""

    def __init__(self, history: History, context: Context, active: PolicySet) -> None:
        read = read_of(history, context.trust)
        self.history = history
        self.context = context
        self.active = active
        self.graph = read.graph
        self.book = read.book.apart()
        self.members = read.members
        self.timeline = read.timeline
        self.holds = read.holds
        self.standing = read.standing
        self.screened = read.screened
        self.supplied = read.supplied
        self.extracted = read.extracted
        self.replayed = read.replayed
        self.drifts = read.drifts
        self.revoked = self.standing.revoked.keys()
        self.versions = read.versions
        self.sensitivity = read.sensitivity

    def is_active(self, active: PolicySet) -> bool:
        newest = self.timeline.newest
        return newest is not None and newest.digest == active.digest

    def data_of(self, gate: Gate, subjects: Sequence[Artifact]) -> list[Artifact]:
        """The dataset versions behind the subjects: themselves at ``train``."""
        found = {
            a.digest: a for s in subjects for a in self.graph.ancestors(s.digest) if self._data(a)
        }
        if gate == "train":
            found.update({s.digest: s for s in subjects if s.name not in _NOT_DATA})
        return list(found.values())

    def read_by_runs(
        self,
        gate: Gate,
        subjects: Sequence[Artifact],
        data: Sequence[Artifact],
        made: Sequence[Run],
    ) -> list[Digest]:
        """Of ``data``, what the runs behind the subjects read or, at ``train``, one will."""
        read = {subject.digest for subject in subjects} if gate == "train" else set()
        for run in made:
            if run.index >= 0:
                read |= {used.digest for used in inputs_of(self.history.entries[run.index])}
        return [a.digest for a in data if a.digest in read]

    def _data(self, artifact: Artifact) -> bool:
        return artifact.name.startswith("data:") or artifact.digest in self.versions

    def runs_of(self, digests: Sequence[Digest], data: Sequence[Artifact], gate: Gate) -> list[Run]:
        """The run that made each subject, and those that made the data it was made from."""
        named = self.context.run if gate == "register" else ""
        made: dict[Step, list[Digest]] = {}
        for digest in digests:
            made.setdefault(runs.makers(self.history, digest, named), []).append(digest)
        for artifact in data:
            entry = self.versions.get(artifact.digest)
            step = runs.step_of_dataset(entry) if entry else None
            if step:
                made.setdefault(step, [])
        return [runs.read(step, self.history, makes) for step, makes in made.items()]

    def approvals(self, request: Request | None, made: Sequence[Run]) -> Tally:
        if request is None:
            return Tally((), False, ())
        trainers = [Account(run.actor, "") for run in made if run.actor]
        excluded = [self.context.account, *trainers]
        return self.book.tally(
            request,
            excluded,
            self.context.now,
            before=self.history.size,
            objection=self.members.objection(request.action),
        )

    def about_data(
        self, gate: Gate, data: Sequence[Artifact], made: Sequence[Run]
    ) -> Mapping[str, Value]:
        """Contracts, splits and verifications; whoever trains or trained verifies for nobody."""
        involved = [Account(run.actor, "") for run in made if run.actor]
        if gate == "train":
            involved.append(self.context.account)
        return datafacts.draw(
            datafacts.Known(
                data, self.versions, self.history, self.book, involved, self.context.now
            )
        )

    def drifted(
        self,
        gate: Gate,
        read: Sequence[Digest],
        data: Sequence[Artifact],
        digests: Sequence[Digest],
    ) -> Mapping[str, Value]:
        """What comparisons say of the data; at ``train`` there is no model yet."""
        added = {digest: entry.index for digest, entry in self.versions.items()}
        models = [] if gate == "train" else digests
        return self.drifts.facts(
            read,
            [one.digest for one in data],
            models,
            added,
            lambda digest: self.standing.of(digest) == "active",
        )

    def looser(
        self, digests: Sequence[Digest], data: Sequence[Artifact], made: Sequence[Run]
    ) -> list[Artifact]:
        """What rests on evidence made under a looser profile than the active one."""
        rank = self.active.rank
        out = {a.digest: a for a in data if self._rank_of(a.digest) < rank}
        subjects = [self.graph.artifact(d) or Artifact("model", d) for d in digests]
        out.update({a.digest: a for a in subjects if self._rank_of(a.digest) < rank})
        for run in made:
            if run.index >= 0 and self._run_rank(run) < rank:
                output = self.history.entries[run.index].statement.subjects[0]
                out.setdefault(output.digest, output)
        return list(out.values())

    def _rank_of(self, digest: Digest) -> int:
        """The profile under which the artifact was taken in or registered.

        What never was has no evidence to be loose: ``inputs_unknown`` and ``missing`` say so.
        """
        kinds = (DATASET_VERSION, MODEL_VERSION)
        entries = [e for e in self.history.about(digest) if e.statement.predicate_type in kinds]
        return self.timeline.rank_at(entries[-1].index) if entries else NEVER

    def _run_rank(self, run: Run) -> int:
        """The looser of the profile the run names and the one in force when it was recorded."""
        said = facts.PROFILES.index(run.profile) if run.profile in facts.PROFILES else 0
        return min(said, self.timeline.rank_at(run.index))

    def readmitted(self, looser: Iterable[Artifact]) -> int:
        """The fewest people who readmitted one of ``looser`` since the profile is as strict."""
        since = self.timeline.since(self.active.rank)
        fewest = NEVER
        for artifact in looser:
            best = 0
            for request in self.book.requests.values():
                if request.action == "readmit" and any(
                    subject.digest == artifact.digest for subject in request.subjects
                ):
                    tally = self.book.tally(
                        request,
                        [],
                        None,
                        before=self.history.size,
                        since=since,
                        objection=self.members.objection("readmit"),
                    )
                    best = max(best, len(tally.people))
            fewest = min(fewest, best)
        return fewest


def _request_facts(context: Context, active: PolicySet, size: int) -> Mapping[str, Value]:
    custody = context.key_custody
    return {
        **witness_facts(context, size),
        "profile": active.rank,
        "profile_matches": context.profile == active.profile,
        "reason_given": bool(context.reason.strip()),
        "key_custody": facts.CUSTODIES.index(custody) if custody in facts.CUSTODIES else 0,
    }


def witness_facts(context: Context, size: int) -> Mapping[str, Value]:
    """How far away, how far behind a log of ``size`` and how long ago the witness was."""
    separation = context.witnessed.separation
    witness = facts.SEPARATIONS.index(separation) if separation in facts.SEPARATIONS else 0
    return {
        "witness": witness,
        "witness_lag": max(0, size - context.witnessed.size) if witness else NEVER,
        "witness_age_s": _age_s(context) if witness else NEVER,
    }


def _age_s(context: Context) -> int:
    """Seconds since the cosignature; one from the future is as good as none."""
    try:
        age = (context.now - clock.parse(context.witnessed.time)).total_seconds()
    except BadInput:
        return NEVER
    return NEVER if age < -300 else max(0, int(age) + 1)


def _data_facts(
    data: Sequence[Artifact], digests: Sequence[Digest], ledger: _Ledger
) -> Mapping[str, Value]:
    known = [ledger.versions[a.digest] for a in data if a.digest in ledger.versions]
    ancestors = {a.digest for d in digests for a in ledger.graph.ancestors(d)}
    return {
        "inputs": len(data),
        "inputs_signed": len(known),
        "inputs_unknown": len(data) - len(known),
        "inputs_external": sum(e.statement.predicate.get("external") is not False for e in known),
        "inputs_revoked": sum(ledger.standing.of(a.digest) != "active" for a in data),
        "sensitivity": max((ledger.sensitivity.get(a.digest, 2) for a in data), default=0),
        "model_blocked": any(digest in ledger.revoked for digest in digests),
        "revoked_ancestors": len(ancestors & ledger.revoked),
    }


def _held_facts(
    context: Context, digests: Sequence[Digest], data: Sequence[Artifact], ledger: _Ledger
) -> Mapping[str, Value]:
    """A clock set back makes a containment last longer; nothing makes it shorter."""
    behind = {a.digest for d in digests for a in ledger.graph.ancestors(d)}
    behind |= {*digests, *(a.digest for a in data)}
    return {
        "principal_quarantined": ledger.holds.quarantined(context.account, context.now),
        "artifact_frozen": ledger.holds.frozen(behind, context.now),
    }


def _steps(gate: Gate, context: Context, made: Sequence[Run]) -> list[Step]:
    """The stages whose supply chain a gate is about: at ``train`` the one that would run."""
    if gate == "train":
        return [Step(context.run, str(context.params.get("stage", "")))]
    return [run.step for run in made]


def _run_facts(gate: Gate, context: Context, made: Sequence[Run]) -> Mapping[str, Value]:
    room = context.room
    if gate == "train":
        return {
            "run_status": "none",
            "isolation_rung": room.rung,
            "unisolated": room.isolation in runs.NO_ROOM or room.rung < 1,
            "network_none": room.network_none,
            "egress_granted": room.network_none or room.egress_granted,
            "plaintext_on_disk": room.plaintext_on_disk,
            "code_dirty": False,
            "room_missing": room.missing,
        }
    worst = next((run.status for run in made if run.status != "ok"), "ok")
    return {
        "run_status": worst if made else "none",
        "isolation_rung": min((run.rung for run in made), default=0),
        "unisolated": not made or any(run.unisolated for run in made),
        "network_none": bool(made) and all(run.network_none for run in made),
        "egress_granted": bool(made)
        and all(run.network_none or run.egress_granted for run in made),
        "plaintext_on_disk": not made or any(run.plaintext_on_disk for run in made),
        "code_dirty": not made or any(run.code_dirty for run in made),
        "room_missing": (),
    }


def _approval_facts(tally: Tally) -> Mapping[str, Value]:
    return {
        "approvals": len(tally.people),
        "approvals_ignored": len(tally.ignored),
        "approvers": tally.people,
        "self_approved": tally.self_approved,
    }


def _missing(
    gate: Gate, digests: Sequence[Digest], made: Sequence[Run], history: History
) -> Iterable[str]:
    """Statements the gate rests on and did not find."""
    for run in made:
        yield from run.missing
    if gate not in _FINISHED:
        return
    for digest in digests:
        about = history.about(digest)
        if not any(e.statement.predicate_type == MODEL_VERSION for e in about):
            yield "model-version"
        if not any(
            e.statement.predicate_type == DECISION
            and e.statement.predicate.get("gate") == "register"
            and e.statement.predicate.get("allowed") is True
            for e in about
        ):
            yield "decision:register"
