"""Requests and approvals: a person signs, with their own key, the digest of what was asked.

Spec: ``docs/spec/predicates.md`` (request, approval). The request's digest covers the action,
the subjects' digests, the parameters, who asked, where and when, so an approval of one
request says nothing about another.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from datetime import datetime, timedelta
from typing import Any

import msgspec

from sealwright.core import clock
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, SealError, VerifyError
from sealwright.core.ports import Signer
from sealwright.core.predicates import APPROVAL, REQUEST
from sealwright.core.records import Artifact, Json, Recorded, Statement
from sealwright.evidence import dsse, jcs
from sealwright.evidence.history import History
from sealwright.evidence.keys import load_public
from sealwright.evidence.trust import Trust
from sealwright.policy.principals import Account, People, is_key_of

PAYLOAD_TYPE = "application/vnd.sealwright.approval+json"
MEDIA_TYPE = "application/vnd.sealwright.request+json"
VALID_FOR = timedelta(days=7)
CLOCK_SKEW = timedelta(minutes=5)
ESTABLISHED = "self-asserted"
ACTIONS = (
    "train",
    "register",
    "promote",
    "export",
    "serve",
    "readmit",
    "policy.activate",
    "containment.release",
    "quarantine.release",
    "access.grant",
    "access.member",
    "access.review",
    "access.team",
    "access.destroy",
    "access.egress",
    "supply.waive",
    "supply.allow",
    "data.verify",
)


class Request(msgspec.Struct, frozen=True):
    """A recorded request. ``digest`` is the SHA-256 of its canonical predicate."""

    digest: Digest
    action: str
    subjects: tuple[Artifact, ...]
    params: Mapping[str, Json]
    requester: Account
    reason: str
    time: str
    index: int


class Approval(msgspec.Struct, frozen=True):
    """An approval whose signature holds. Only :func:`verify` makes these."""

    request: Digest
    approver: Account
    reason: str
    time: str
    index: int
    self_approved: bool


def ask(
    action: str,
    subjects: Sequence[Artifact],
    params: Mapping[str, Json],
    requester: Account,
    reason: str,
    now: datetime,
) -> Statement:
    """The statement that asks. Raises: BadInput (no subject, an action nobody knows)."""
    if action not in ACTIONS:
        raise BadInput(f"nobody can ask for {action!r}", why=f"known: {', '.join(ACTIONS)}")
    if not subjects:
        raise BadInput("a request is about at least one artifact")
    predicate: dict[str, Json] = {
        "action": action,
        "subjects": _listed(subjects),
        "params": dict(params),
        "requester": requester.name,
        "key_id": requester.key_id,
        "uid": requester.uid,
        "host": requester.host,
        "reason": reason,
        "time": clock.stamp(now),
    }
    return Statement(tuple(subjects), REQUEST, predicate)


def digest_of(predicate: Mapping[str, Json]) -> Digest:
    """What an approval signs: SHA-256 over the canonical request."""
    return of_bytes(jcs.canonical(predicate))


def requests(history: History) -> dict[Digest, Request]:
    """Every well-formed request, oldest first."""
    out: dict[Digest, Request] = {}
    for entry in history.of_type(REQUEST):
        try:
            request = _request(entry)
        except BadInput:
            continue  # a request nobody can read is a request nobody can approve
        out[request.digest] = request
    return out


def request_of(predicate: Mapping[str, Any], index: int = 0) -> Request:
    """A request from its predicate. Raises: BadInput (it is none)."""
    try:
        account = msgspec.convert(
            {
                "name": predicate["requester"],
                "key_id": predicate["key_id"],
                "uid": predicate["uid"],
                "host": predicate["host"],
            },
            Account,
        )
        subjects = msgspec.convert(predicate["subjects"], tuple[Artifact, ...])
        clock.parse(predicate["time"])
        return Request(
            digest_of(predicate),
            str(predicate["action"]),
            subjects,
            dict(predicate["params"]),
            account,
            str(predicate["reason"]),
            predicate["time"],
            index,
        )
    except (KeyError, TypeError, ValueError, msgspec.ValidationError) as error:
        raise BadInput("not a request", why=repr(error)[:200]) from error


def find(history: History, text: str) -> Request:
    """The request whose digest starts with ``text`` (at least 8 characters). Raises: BadInput."""
    wanted = text.removeprefix("request:")
    found = [r for d, r in requests(history).items() if len(wanted) >= 8 and d.startswith(wanted)]
    if len(found) != 1:
        raise BadInput(
            f"{text!r} names {'no request' if not found else f'{len(found)} requests'}",
            hint="seal access list",
        )
    return found[0]


def approve(
    request: Request, signer: Signer, approver: Account, reason: str, now: datetime
) -> Statement:
    """The statement that approves, signed inside by the approver's own key.

    Raises: BadInput (no reason, or the key is not the approver's).
    """
    if not reason.strip():
        raise BadInput("an approval says why", hint="repeat it with --reason '...'")
    if signer.key_id != approver.key_id:
        raise BadInput(f"the key at hand is not {approver.name}'s")
    said: dict[str, Json] = {
        "request": request.digest,
        "action": request.action,
        "subjects": _listed(request.subjects),
        "approver": approver.name,
        "key_id": approver.key_id,
        "uid": approver.uid,
        "host": approver.host,
        "established": ESTABLISHED,
        "reason": reason,
        "time": clock.stamp(now),
    }
    signed = jcs.canonical(said)
    signature = signer.sign(dsse.pae(PAYLOAD_TYPE, signed))
    predicate: dict[str, Json] = {
        **{key: said[key] for key in _REPEATED},
        "pem": signer.public_pem().decode("ascii"),
        "self_approved": _same(approver, request.requester),
        "signed": base64.b64encode(signed).decode("ascii"),
        "signature": base64.b64encode(signature).decode("ascii"),
    }
    return Statement((subject_of(request),), APPROVAL, predicate)


def subject_of(request: Request) -> Artifact:
    """A request as approvals name it."""
    return Artifact(f"request:{request.digest}", request.digest, MEDIA_TYPE)


def verify(entry: Recorded, known: Mapping[Digest, Request], trust: Trust | None) -> Approval:
    """An approval, checked against its request and the trust root.

    Raises: VerifyError, rule ``approval.*`` (an edited or replayed approval, a signature
    that does not hold, a key that is not the approver's, an approval of a later request).
    """
    where = f"entry {entry.index}"
    predicate: Mapping[str, Any] = entry.statement.predicate
    try:
        signed = base64.b64decode(str(predicate["signed"]), validate=True)
        signature = base64.b64decode(str(predicate["signature"]), validate=True)
        public = load_public(str(predicate["pem"]).encode())
        said: Any = jcs.parse(signed)
        repeated = {key: said[key] for key in _REPEATED}
        account = Account(said["approver"], said["key_id"], said["uid"], said["host"])
    except (KeyError, TypeError, binascii.Error, ValueError, SealError) as error:
        raise _bad(where, "approval.malformed", str(error)) from error
    if any(predicate.get(key) != value for key, value in repeated.items()):
        raise _bad(where, "approval.edited", "it does not repeat what was signed")
    if public.key_id != account.key_id or public.algorithm != "ed25519":
        raise _bad(where, "approval.edited", "its key is not the one it names")
    try:
        public.verify(dsse.pae(PAYLOAD_TYPE, signed), signature)
    except VerifyError as error:
        raise _bad(where, "approval.signature", error.why) from error
    if not is_key_of(trust, account.name, account.key_id, entry.index):
        raise _bad(
            where, "approval.unknown-key", f"the trust root lists no such key of {account.name}"
        )
    request = _approved(entry, said, known, where)
    _in_time(request.time, said["time"], where)
    return Approval(
        request.digest,
        account,
        said["reason"],
        said["time"],
        entry.index,
        _same(account, request.requester),
    )


class Tally(msgspec.Struct, frozen=True):
    """Who approved: people that count, whether the asker did, and why others do not count."""

    people: tuple[str, ...]
    self_approved: bool
    ignored: tuple[str, ...]


class Book:
    """Every request and approval of a history, verified once."""

    def __init__(self, history: History, trust: Trust | None) -> None:
        self.trust = trust
        self.requests = requests(history)
        self.approvals: dict[Digest, list[Approval]] = {}
        self.refused: dict[Digest, list[str]] = {}
        self.people = People()
        for request in self.requests.values():
            self.people.meet(request.requester)
        for entry in history.of_type(APPROVAL):
            try:
                approval = verify(entry, self.requests, trust)
            except VerifyError as error:
                subject = entry.statement.subjects[0].digest
                self.refused.setdefault(subject, []).append(f"entry {entry.index}: {error.why}")
                continue
            self.approvals.setdefault(approval.request, []).append(approval)
            self.people.meet(approval.approver)

    def apart(self) -> Book:
        """The same book for one decision, which meets people of its own."""
        other = copy(self)
        other.people = self.people.apart()
        return other

    def matching(
        self, action: str, subjects: Iterable[Digest], params: Mapping[str, Json]
    ) -> Request | None:
        """The newest request for exactly this."""
        wanted = frozenset(subjects)
        fits = [
            request
            for request in self.requests.values()
            if request.action == action
            and frozenset(s.digest for s in request.subjects) == wanted
            and request.params == params
        ]
        return fits[-1] if fits else None

    def tally(
        self,
        request: Request,
        excluded: Sequence[Account],
        now: datetime | None,
        *,
        before: int,
        since: int = 0,
        objection: Callable[[Approval], str] | None = None,
    ) -> Tally:
        """Count people, towards refusal. Log entries from ``since`` to ``before`` count.

        ``now`` None is for approvals that do not expire; ``objection`` says why one does not
        count, and nothing where it does.
        """
        barred = {self.people.person(account) for account in (*excluded, request.requester)}
        counted: dict[tuple[str, str], str] = {}
        self_approved = False
        ignored = list(self.refused.get(request.digest, ()))
        for approval in self.approvals.get(request.digest, ()):
            label = f"entry {approval.index}: {approval.approver.name}"
            person = self.people.person(approval.approver)
            if not since <= approval.index < before:
                ignored.append(f"{label} approved at another time")
            elif now is not None and not _fresh(approval.time, now):
                ignored.append(f"{label}'s approval has expired")
            elif objection is not None and (why := objection(approval)):
                ignored.append(f"entry {approval.index}: {why}")
            elif person == self.people.person(request.requester) and approval.reason.strip():
                self_approved = True
            elif person in barred:
                ignored.append(f"{label} asks, trained it, or is the same person as one who does")
            elif not approval.approver.known:
                ignored.append(f"{label} approved from an unknown account")
            else:
                counted.setdefault(person, approval.approver.name)
        return Tally(tuple(sorted(counted.values())), self_approved, tuple(ignored))


_REPEATED = ("request", "approver", "key_id", "uid", "host", "established", "reason", "time")


def _request(entry: Recorded) -> Request:
    request = request_of(entry.statement.predicate, entry.index)
    if _listed(request.subjects) != _listed(entry.statement.subjects):
        raise BadInput("a request is about other artifacts than it says")
    return request


def _approved(entry: Recorded, said: Any, known: Mapping[Digest, Request], where: str) -> Request:
    subjects = entry.statement.subjects
    request = known.get(said["request"])
    if request is None or len(subjects) != 1 or subjects[0].digest != request.digest:
        raise _bad(where, "approval.replayed", "it approves another request than it stands under")
    if said.get("action") != request.action or said.get("subjects") != _listed(request.subjects):
        raise _bad(where, "approval.replayed", "it approves something else than was asked")
    if entry.index <= request.index:
        raise _bad(where, "approval.replayed", "it is older than the request")
    return request


def _in_time(asked: str, approved: str, where: str) -> None:
    try:
        early = clock.parse(approved) + CLOCK_SKEW < clock.parse(asked)
    except (BadInput, TypeError) as error:
        raise _bad(where, "approval.malformed", str(error)) from error
    if early:
        raise _bad(where, "approval.replayed", "it is older than the request")


def _fresh(time: str, now: datetime) -> bool:
    age = now - clock.parse(time)
    return -CLOCK_SKEW <= age <= VALID_FOR


def _same(one: Account, other: Account) -> bool:
    people = People([one, other])
    return people.person(one) == people.person(other)


def _listed(subjects: Iterable[Artifact]) -> list[Json]:
    return [{"name": subject.name, "digest": subject.digest} for subject in subjects]


def _bad(where: str, rule: str, why: str) -> VerifyError:
    return VerifyError("an approval does not hold", where=where, why=why, rule=rule)
