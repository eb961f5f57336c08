"""The chain: admit → decode → check → reserve → call → filter → settle → evidence.

Two halves, so that the call may lie in between, in our worker, behind a proxy, or at the other end
of an Envoy stream: :meth:`Guard.before` ends with the reservation, :meth:`Guard.after` with the
reply. A reply exists only once what it releases was settled and its record was written, so no
answer is uncounted; a call that failed is settled at nothing. Spec: docs/spec/guard-v1.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any, Protocol

import msgspec

from sealwright.core.digest import Digest
from sealwright.core.errors import Refused, SealError, Unavailable
from sealwright.serve.bounds import ONE_BIT
from sealwright.serve.callers import NO_SUCH, Admitted, Callers, stranger
from sealwright.serve.evidence import FORMAT, Event, InputKey, Record, Verdict
from sealwright.serve.interface import (
    RUNGS,
    Allowance,
    Ask,
    Balance,
    Caller,
    Fidelity,
    Ledger,
    Reservation,
    Rung,
)
from sealwright.serve.messages import Reply, Request
from sealwright.serve.names import random_names
from sealwright.serve.outputs import FIDELITIES, lower
from sealwright.serve.refusals import out_of_service, refused, rule_of
from sealwright.serve.routes import Match

THROTTLED = 4
"""What a request costs of the rate while its group is throttled."""
AT_ONCE = frozenset(
    {"guard.budget", "guard.model-budget", "guard.coverage", "guard.blocked", "guard.step-up"}
)
"""Refusals that are statements by themselves, at once."""


class Question(msgspec.Struct, frozen=True, gc=False):
    """A decoded request: how many rows, the bytes that name its input, and what the mount needs."""

    rows: int
    named: bytes
    body: Any


class Released(msgspec.Struct, frozen=True, gc=False):
    """What is to leave: the reply, the bits it can tell, the cells it touched.

    ``broken``: the rule by which its rest does not come; ``tripped``: which tripwire was in it.
    """

    reply: Reply
    mbits: int
    cells: Sequence[int] = ()
    anomaly_mbits: int = 0
    broken: str = ""
    tripped: str = ""


class Mount(Protocol):
    """What the chain stands in front of, and the protocol it is asked in."""

    def decode(self, request: Request, match: Match) -> Question:
        """Strictly. Raises: Refused (``guard.body``, ``guard.input``, ``guard.rows``, …)."""
        ...

    def check(self, question: Question, fidelity: Fidelity) -> int:
        """The most millibits an answer can release. Raises: Refused (``guard.fidelity``)."""
        ...

    async def call(self, question: Question) -> Any:
        """Raises: Refused (``guard.answer``), Unavailable (gone, hung, nonsense)."""
        ...

    def release(self, question: Question, answer: Any, caller: Caller, to: Fidelity) -> Released:
        """What of ``answer`` leaves. Raises: Unavailable (nonsense)."""
        ...


class Journal(Protocol):
    """Where records go: ``serve.journal``."""

    def add(self, record: Record) -> None:
        """Written on return: it outlives this process. Raises: Unavailable."""
        ...

    async def event(self, event: Event, *, again: bool = False) -> int:
        """In the log on return; its index. Raises: Unavailable."""
        ...


class Standing(Protocol):
    """Whether the model may be served at this moment: revoked, out of lease, stopping."""

    def require(self) -> None:
        """Raises: Refused (``guard.withdrawn``, ``guard.lease``), Unavailable."""
        ...


class Offer(msgspec.Struct, frozen=True):
    """What is served, by whose word: the model version, the policy, who may learn how much."""

    ref: str
    digest: Digest
    policy: Digest
    profile: str
    external: Allowance
    internal: Allowance


class Pending(msgspec.Struct, gc=False):
    """Between the halves: reserved, and not yet settled."""

    request: Request
    admitted: Admitted
    question: Question
    input: Digest
    reservation: Reservation
    fidelity: Fidelity
    settled: bool = False


class Guard:
    """The chain in front of one mount."""

    def __init__(
        self,
        offer: Offer,
        mount: Mount,
        callers: Callers,
        ledger: Ledger,
        journal: Journal,
        standing: Standing,
        inputs: InputKey,
    ) -> None:
        self.offer = offer
        self.mount = mount
        self._callers = callers
        self._ledger = ledger
        self._journal = journal
        self._standing = standing
        self._inputs = inputs
        self._balances: dict[str, Balance] = {}
        self._names = random_names(8)
        self._granted: dict[tuple[bool, int], Allowance] = {}
        self._profiles: dict[Fidelity, tuple[str, tuple[bytes, bytes]]] = {}
        for each in FIDELITIES:
            said = f"{offer.profile}/{each}"
            self._profiles[each] = (said, (b"seal-profile", said.encode()))

    async def answer(self, request: Request, match: Match) -> Reply:
        """The whole chain. Raises: Refused, Unavailable; both are recorded by then."""
        pending = await self.before(request, match)
        try:
            found = await self.mount.call(pending.question)
        except BaseException as error:
            await self.failed(pending, error)
            raise
        return await self.after(pending, found)

    async def admit(self, request: Request) -> Admitted:
        """Who asks. A honey key is an event at once. Raises: Refused."""
        admitted = self._callers.admit(request)
        if admitted.honey:
            raise await self._tripped(admitted.caller.principal)
        return admitted

    async def _tripped(self, name: str) -> Refused:
        await self._event("tripwire", name, name, "guard.unknown-caller", "a honey key was used")
        return stranger(NO_SUCH)

    async def before(self, request: Request, match: Match) -> Pending:
        """admit → decode → check → reserve. Raises: Refused, Unavailable."""
        admitted = self._callers.admit(request)
        if admitted.honey:
            raise await self._tripped(admitted.caller.principal)
        question: Question | None = None
        named = ""
        try:
            self._standing.require()
            question = self.mount.decode(request, match)
            named = self._inputs.of(question.named)
            allowance, ask = self._asked(admitted, question, request.at_ms)
            try:
                reservation = await self._ledger.reserve(ask, allowance)
            except Unavailable as error:
                raise out_of_service("guard.ledger", error) from error
            rung, fidelity = reservation.balance.rung, admitted.caller.fidelity
            if rung in _DEGRADED:
                fidelity = lower(fidelity, "label")
        except SealError as error:
            await self._denied(request, admitted, question, named, error)
            raise
        pending = Pending(request, admitted, question, named, reservation, fidelity)
        if rung == "step-up" and admitted.caller.how == "key":
            stopped = refused(
                "guard.step-up",
                "sign in again to go on",
                why="what this group asks looks unlike its past",
                hint="ask with a token: seal access login; or appeal: seal serve thaw GROUP",
            )
            await self.failed(pending, stopped)
            raise stopped
        return pending

    async def after(self, pending: Pending, found: Any) -> Reply:
        """filter → settle → evidence; a canary is an event at once.

        Raises: Unavailable (nothing leaves then).
        """
        caller, balance = pending.admitted.caller, pending.reservation.balance
        try:
            out = self.mount.release(pending.question, found, caller, pending.fidelity)
        except BaseException as error:
            await self.failed(pending, error)
            raise
        pending.settled = True
        try:
            settled = await self._ledger.settle(
                pending.reservation, out.mbits, out.cells, out.anomaly_mbits
            )
        except SealError as error:
            raise await self._unsettled(pending, error) from error
        self._balances[caller.principal] = settled
        verdict: Verdict = "broken" if out.broken else "answered"
        body = out.reply.body
        record = self._record(pending, verdict, out.mbits, out.broken, balance.rung, body)
        self._journal.add(record)
        if out.tripped:
            name, why = caller.principal, "a canary was in an answer"
            await self._event("canary", name, settled.group, out.tripped, why, record.id)
        reply = out.reply
        shown = (
            self._profiles[pending.fidelity][1],
            (b"seal-left-bits", b"%d" % (settled.left_mbits // 1000)),
            _SHOWN_RUNG[settled.rung],
            (b"seal-record", record.id.encode()),
        )
        return Reply(reply.status, reply.body, reply.headers + shown, reply.close, reply.stream)

    async def _unsettled(self, pending: Pending, error: SealError) -> SealError:
        """The ledger did not let the answer go: recorded, with what the refusal itself tells."""
        if isinstance(error, Unavailable):
            error = out_of_service("guard.ledger", error)
        rule = rule_of(error)
        told = ONE_BIT if rule == "guard.coverage" else 0
        verdict: Verdict = "refused" if isinstance(error, Refused) else "failed"
        record = self._record(pending, verdict, told, rule, pending.reservation.balance.rung, b"")
        self._journal.add(record)
        if rule in AT_ONCE:
            await self._event_of(pending.admitted.caller, rule, error.why or error.what, record.id)
        return error

    async def failed(self, pending: Pending, error: BaseException) -> None:
        """The call gave nothing: settled at nothing, and recorded."""
        if pending.settled:
            return
        try:
            await self._settled_at_nothing(pending)
        finally:  # a ledger that is gone keeps the reservation; the record is written all the same
            await self._told_of(pending, error)

    async def _told_of(self, pending: Pending, error: BaseException) -> None:
        rule = rule_of(error) if isinstance(error, SealError) else "guard.fault"
        verdict: Verdict = "refused" if isinstance(error, Refused) else "failed"
        rung = pending.reservation.balance.rung
        self._journal.add(self._record(pending, verdict, 0, rule, rung, b""))
        if rule in AT_ONCE:
            await self._event_of(pending.admitted.caller, rule, str(error))

    def balance(self, principal: str) -> Balance | None:
        """Where a caller stood when they were last answered."""
        return self._balances.get(principal)

    def _asked(self, admitted: Admitted, question: Question, at_ms: int) -> tuple[Allowance, Ask]:
        """What is asked of the ledger. Raises: Refused (``guard.fidelity``)."""
        caller, offer = admitted.caller, self.offer
        known = self._balances.get(caller.principal)
        weight = THROTTLED if known is not None and known.rung == "throttle" else 1
        mbits = self.mount.check(question, caller.fidelity)
        allowance = offer.internal if caller.internal else offer.external
        if admitted.budget_bits:
            allowance = self._grant(caller.internal, admitted.budget_bits)
        return allowance, Ask(offer.ref, caller.principal, mbits, at_ms, weight)

    async def _settled_at_nothing(self, pending: Pending) -> None:
        """The call gave nothing."""
        pending.settled = True
        try:
            await self._ledger.settle(pending.reservation, 0, (), 0)
        except Unavailable as error:
            raise out_of_service("guard.ledger", error) from error

    def _grant(self, internal: bool, budget_bits: int) -> Allowance:
        """The same one every time: the ledger knows it again."""
        granted = self._granted.get((internal, budget_bits))
        if granted is None:
            allowance = self.offer.internal if internal else self.offer.external
            granted = msgspec.structs.replace(allowance, group_mbits=budget_bits * 1000)
            self._granted[internal, budget_bits] = granted
        return granted

    async def _denied(
        self,
        request: Request,
        admitted: Admitted,
        question: Question | None,
        named: Digest,
        error: SealError,
    ) -> None:
        rule, caller = rule_of(error), admitted.caller
        record = Record(
            answer="",
            format=FORMAT,
            how=caller.how,
            id=next(self._names),
            input=named,
            mbits=0,
            model=self.offer.ref,
            model_digest=self.offer.digest,
            policy=self.offer.policy,
            principal=caller.principal,
            profile=self.offer.profile,
            rows=question.rows if question else 0,
            rule=rule,
            rung="",
            time_ms=request.at_ms,
            verdict="refused" if not isinstance(error, Unavailable) else "failed",
        )
        self._journal.add(record)
        if rule in AT_ONCE:
            await self._event_of(caller, rule, error.why or error.what, record.id)

    async def _event_of(self, caller: Caller, rule: str, why: str, record: str = "") -> None:
        known = self._balances.get(caller.principal)
        what = "block" if rule == "guard.blocked" else "denial"
        await self._event(
            what, caller.principal, known.group if known else caller.principal, rule, why, record
        )

    async def _event(
        self, what: str, principal: str, group: str, rule: str, why: str, record: str = ""
    ) -> None:
        known = self._balances.get(principal)
        await self._journal.event(
            Event(
                what=what,
                model=self.offer.ref,
                model_digest=self.offer.digest,
                principal=principal,
                group=group,
                rung=known.rung if known else "observe",
                rule=rule,
                why=why[:300],
                record=record,
            )
        )

    def _record(
        self, pending: Pending, verdict: Verdict, mbits: int, rule: str, rung: str, body: bytes
    ) -> Record:
        caller, offer = pending.admitted.caller, self.offer
        return Record(  # by position: half the time of names, in the order of the format
            hashlib.sha256(body).hexdigest() if body else "",
            FORMAT,
            caller.how,
            next(self._names),
            pending.input,
            mbits,
            offer.ref,
            offer.digest,
            offer.policy,
            caller.principal,
            self._profiles[pending.fidelity][0],
            pending.question.rows,
            rule,
            rung,
            pending.request.at_ms,
            verdict,
        )


_DEGRADED: frozenset[Rung] = frozenset(RUNGS[RUNGS.index("degrade") :])
_SHOWN_RUNG: dict[Rung, tuple[bytes, bytes]] = {one: (b"seal-rung", one.encode()) for one in RUNGS}
