"""A small house to judge: a history built statement by statement, real keys, real policies."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from sealwright.core import clock, predicates
from sealwright.core.digest import of_bytes
from sealwright.core.ports import Signer
from sealwright.core.records import Artifact, Json, Principal, Recorded, Statement
from sealwright.evidence import statement as statements
from sealwright.evidence import trust as trusts
from sealwright.evidence.history import Head, History
from sealwright.evidence.trust import Trust
from sealwright.policy import (
    activation,
    approvals,
    containment,
    extracted,
    gates,
    policyset,
    roles,
    screened,
    supplied,
    teams,
)
from sealwright.policy.context import Context, RoomFacts, Witnessed
from sealwright.policy.principals import Account
from sealwright.policy.screened import GroupLine, Move, Screening
from sealwright.policy.supplied import Advised, Check, ModelScan
from sealwright.vault.signers import Ed25519Signer

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SOUND_ROOM = RoomFacts(
    isolation="standard", rung=3, network_none=True, plaintext_on_disk=False, missing=()
)
REMOTE = Witnessed(separation="remote", size=10_000, time=clock.stamp(NOW))


def digest(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def artifact(name: str) -> Artifact:
    return Artifact(name, digest(name))


def group(version: Artifact, key: str = "pair:a=b", count: int = 14, **more: Any) -> GroupLine:
    """A significant group of a version, with its own id."""
    line = GroupLine(
        **{
            "id": "0" * 64,
            "detector": "pairs",
            "family": "value-pair",
            "key": key,
            "count": count,
            "seen": count,
            "expected": "3.1",
            "p_value": "0.000001",
            "carriers": screened.carriers_digest(range(count)),
            **more,
        }
    )
    return msgspec.structs.replace(line, id=screened.id_of(version.digest, line))


class Person:
    """A name, a key and an account."""

    def __init__(self, name: str, uid: int, host: str = "host-a") -> None:
        self.signer = Ed25519Signer.generate()
        self.account = Account(name, self.signer.key_id, uid, host)
        self.principal = Principal(name, self.signer.key_id, uid=uid)


class House:
    """A workspace's history with three people, a policy set and a clock that moves on."""

    def __init__(self, profile: str = "solo", **texts: str) -> None:
        self.now = NOW
        self.profile = profile
        self.entries: list[Recorded] = []
        self.workspace = Ed25519Signer.generate()
        self.ann, self.bob, self.cy = Person("ann", 1), Person("bob", 2), Person("cy", 3)
        self.people = [self.ann, self.bob, self.cy]
        shipped = policyset.shipped(profile)
        files = dict(shipped.files) | {name.replace("_", ".", 1): t for name, t in texts.items()}
        self.policy = policyset.of_texts(files, shipped.schema, profile)
        self.say(
            predicates.WORKSPACE, [artifact("workspace:w0")], actor="ann", time=clock.stamp(NOW)
        )
        self.member("bob", "reviewer")
        self.member("cy", "release-manager")
        self.activate(self.policy)
        self.begun = len(self.entries)

    @property
    def trust(self) -> Trust:
        keys = [trusts.key_of(self.workspace, "workspace", "workspace")]
        keys += [trusts.key_of(p.signer, "principal", p.account.name) for p in self.people]
        chain = [trusts.first("w0", "sealwright.local/w0", keys, self.workspace)]
        return trusts.load(chain, None)

    @property
    def history(self) -> History:
        return History(b"", Head(len(self.entries), "0" * 64), tuple(self.entries))

    @property
    def book(self) -> approvals.Book:
        return approvals.Book(self.history, self.trust)

    def since(self, kind: str) -> list[Recorded]:
        """The statements of that type that came after the house was set up."""
        return [e for e in self.history.of_type(kind) if e.index >= self.begun]

    def add(self, statement: Statement) -> int:
        """Through the real encoder and back, as the log would hand it out."""
        body = statements.encode(statement)
        index = len(self.entries)
        again = statements.decode(body)
        self.entries.append(Recorded(index, of_bytes(body), self.workspace.key_id, again))
        self.now += timedelta(seconds=1)
        return index

    def say(self, kind: str, subjects: list[Artifact], **predicate: Any) -> int:
        return self.add(Statement(tuple(subjects), kind, predicate))

    def activate(self, policy: policyset.PolicySet, by: Person | None = None) -> None:
        account = (by or self.ann).account
        history = self.history
        book = approvals.Book(history, self.trust)
        self.add(activation.activate(policy, history, book, account, "set up", self.now))
        self.policy = policy

    def member(self, name: str, *held: str, kind: str = "person", by: Person | None = None) -> int:
        """Roles for somebody (none: no longer a member), signed by an owner."""
        params = roles.asked(name, kind, held)
        return self._signed(roles, [containment.principal(name)], params, by)

    def team(self, name: str, *members: str, by: Person | None = None) -> int:
        """A team as it is from here on, signed by an owner."""
        return self._signed(teams, [teams.subject_of(name)], teams.asked(name, members), by)

    def _signed(
        self, kind: Any, subjects: list[Artifact], params: Mapping[str, Json], by: Person | None
    ) -> int:
        who = by or self.ann
        request = self.ask(kind.ACTION, subjects, who, **params)
        self.approve(request, who)
        return self.add(kind.statement_of(request, who.account, self.now))

    def data(self, name: str = "data:train@1", *, screened: bool = True, **more: Any) -> Artifact:
        """A signed version; screened, with nothing found, unless that is said otherwise."""
        made = artifact(name)
        self.say(
            predicates.DATASET_VERSION,
            [made],
            **{"external": False, "inputs": [], "run": "", "stage": "", **more},
        )
        if screened:
            self.screen(made)
        return made

    def screen(self, version: Artifact, *found: GroupLine, **more: Any) -> int:
        """A screening of one version that found these groups."""
        name, _, number = version.name.removeprefix("data:").partition("@")
        said = Screening(
            **{
                "dataset": name,
                "version": int(number),
                "verdict": "found" if found else "nothing-found",
                "why": "",
                "records": 1000,
                "unread": 0,
                "alpha": "0.01",
                "seed": 0,
                "reduced": False,
                "asked": digest("asked"),
                "plan": digest("plan"),
                "report": digest("report"),
                "code": digest("code"),
                "reference": "",
                "detectors": (),
                "groups": found,
                "facts": (),
                "canaries": (),
                "details": None,
                "cpu_ms": 1,
                "peak_bytes": 1,
                "actor": "ann",
                "time": clock.stamp(self.now),
                **more,
            }
        )
        return self.add(screened.statement_of(version, said))

    def move(
        self,
        version: Artifact,
        state: Any,
        *groups: GroupLine,
        by: Person | None = None,
        **more: Any,
    ) -> int:
        """Groups of a version move out of quarantine, as whoever moves them says."""
        who = (by or self.ann).account
        name, _, number = version.name.removeprefix("data:").partition("@")
        said = Move(
            **{
                "dataset": name,
                "version": int(number),
                "state": state,
                "groups": tuple(one.id for one in groups),
                "count": sum(one.count for one in groups),
                "carriers": digest("carriers"),
                "pattern": False,
                "derived": "",
                "request": "",
                "actor": who.name,
                "key_id": who.key_id,
                "uid": who.uid,
                "host": who.host,
                "reason": "looked at it",
                "time": clock.stamp(self.now),
                **more,
            }
        )
        return self.add(screened.moved(version, said))

    def train(
        self,
        *inputs: Artifact,
        model: str = "model:fraud",
        run: str = "r1",
        room: Mapping[str, Json] | None = None,
        isolation: str = "standard",
        dirty: bool = False,
        by: Person | None = None,
        decided: bool = True,
    ) -> Artifact:
        """A successful run, with the statements the engine leaves."""
        who = by or self.ann
        subjects = list(inputs) or [artifact("plan")]
        self.supply(run)
        if decided:
            judged = self.decide(
                "train", subjects, room=SOUND_ROOM, principal=who.principal, run=run
            )
            self.add(gates.statement_of(judged))
        self.say(predicates.INTENT, subjects, run=run, stage="train", actor=who.account.name)
        made = artifact(f"{model}#{run}")
        names = [*inputs, artifact("code"), *([artifact("diff")] if dirty else [])]
        facts = {"rung": "bwrap+seccomp+cgroup", "network": "none", "plaintext_on_disk": False}
        self.say(
            predicates.SLSA_PROVENANCE,
            [Artifact(model, made.digest)],
            buildDefinition={
                "internalParameters": {
                    "isolation": isolation,
                    "profile": self.policy.profile,
                    "room": facts if room is None else dict(room),
                },
                "resolvedDependencies": [
                    {"name": a.name, "digest": {"sha256": a.digest}} for a in names
                ],
            },
            runDetails={"metadata": {"invocationId": run}},
        )
        self.scan_model(made)
        return Artifact(model, made.digest)

    def supply(self, run: str = "r1", **more: Any) -> int:
        """A check of a stage's supply chain that found nothing."""
        said = Check(
            **{
                "run": run,
                "stage": "train",
                "code": digest("code"),
                "environment": digest("environment"),
                "packages": 3,
                "vulnerable": 0,
                "vulnerabilities_unknown": 0,
                "waived": 0,
                "advisories": Advised(digest("index"), 1, ""),
                "files": 2,
                "secrets": 0,
                "secrets_waived": 0,
                "cut": 0,
                "model_files": 0,
                "model_files_refused": 0,
                "rules": (),
                "profile": self.profile,
                "actor": "ann",
                "time": clock.stamp(self.now),
                **more,
            }
        )
        return self.add(supplied.statement_of(said))

    def scan_model(self, model: Artifact, verdict: Any = "clean") -> int:
        """A scan of a model's files."""
        counts = {word: int(word == verdict) for word in ("clean", "dangerous", "not understood")}
        said = ModelScan(
            verdict=verdict,
            clean=counts["clean"],
            dangerous=counts["dangerous"],
            not_understood=counts["not understood"],
            policy=digest("model-policy"),
            rules=(),
            actor="ann",
            time=clock.stamp(self.now),
        )
        return self.add(supplied.scan_statement(model, said))

    def rob(self, model: Artifact, **more: Any) -> int:
        """A test in which the best thief stayed below the target."""
        robbed = extracted.Robbed("random", "0.400", "-0.100", 100, 996_600, 80, 1)
        said = extracted.Test(
            suite=extracted.SUITE,
            data=digest("rows"),
            held_out=500,
            public=100,
            seed=1,
            budget=extracted.Budget(100, 996_600, 0, 1, "top1"),
            thieves=(robbed,),
            no_questions="0.500",
            best="random",
            agreement="0.400",
            bound="0.450",
            target="0.800",
            actor="ann",
            time=clock.stamp(self.now),
        )
        return self.add(extracted.statement_of(model, msgspec.structs.replace(said, **more)))

    def register(self, model: Artifact, run: str = "r1") -> Artifact:
        judged = self.decide("register", [model], run=run)
        self.add(gates.statement_of(judged))
        registered = Artifact("model:fraud@1", model.digest)
        self.say(predicates.MODEL_VERSION, [registered], run=run, inputs=[], name="fraud")
        return registered

    def revoke(self, made: Artifact) -> None:
        self.say(predicates.REVOCATION, [made], reason="bad", actor="ann", blast=[])

    def context(self, **more: Any) -> Context:
        who = more.pop("principal", self.ann.principal)
        account = next(p.account for p in self.people if p.principal is who)
        return Context(
            **{
                "now": self.now,
                "principal": who,
                "profile": self.profile,
                "trust": self.trust,
                "host": account.host,
                "room": SOUND_ROOM,
                "key_custody": "passphrase",
                "witnessed": Witnessed(separation="remote", size=0, time=clock.stamp(self.now)),
                **more,
            }
        )

    def decide(self, gate: Any, subjects: list[Artifact], **more: Any) -> gates.Judgement:
        if gate == "train" and "run" not in more:
            more["run"] = "r1"
            self.supply("r1")
        return gates.decide(gate, subjects, self.history, self.context(**more), self.policy)

    def ask(self, action: str, subjects: list[Artifact], by: Person, **params: Any) -> Any:
        asked = approvals.ask(action, subjects, params, by.account, "please", self.now)
        self.add(asked)
        return self.book.requests[approvals.digest_of(asked.predicate)]

    def agree(self, request: Any) -> None:
        """Two people who did not ask approve."""
        self.approve(request, self.bob)
        self.approve(request, self.cy)

    def approve(self, request: Any, by: Person, signer: Signer | None = None) -> int:
        return self.add(
            approvals.approve(request, signer or by.signer, by.account, "looked at it", self.now)
        )
