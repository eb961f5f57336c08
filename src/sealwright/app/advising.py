"""The vulnerability gate of a workspace: its index, its waivers, and what an audit of it says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

import msgspec

from sealwright.adapters.durable import write_durably
from sealwright.app import accessing
from sealwright.app.wiring import Workspace
from sealwright.core import clock
from sealwright.core.digest import Digest, of_bytes
from sealwright.core.errors import BadInput, Refused
from sealwright.core.predicates import ADVISORIES, AUDIT
from sealwright.core.reading import small_file
from sealwright.core.records import Artifact, Json, Receipt, Statement
from sealwright.evidence.history import History
from sealwright.policy import approvals, waivers
from sealwright.policy.approvals import Book, Request
from sealwright.policy.waivers import Standing, Terms
from sealwright.supply import audit as audits
from sealwright.supply import index as indexes
from sealwright.supply.audit import Audit, Installed
from sealwright.supply.index import Index
from sealwright.supply.osv import normal
from sealwright.supply.reach import Reached
from sealwright.train.environment import Environment

_FOLDER = "advisories"
_UPDATE = "seal supply advisories update --from DIR|ZIP|URL"


class Held(msgspec.Struct, frozen=True):
    """The index as the log has it, or why there is none to use. ``rule`` is empty when usable."""

    index: Index | None
    sha256: Digest
    age_days: int
    rule: str = ""
    why: str = ""


class Audited(msgspec.Struct, frozen=True):
    """One audit, what it was made from, and where its statement landed."""

    audit: Audit
    held: Held
    subject: Artifact
    waivers: Standing
    receipt: Receipt | None = None


def update(workspace: Workspace, index: Index) -> tuple[Digest, Receipt]:
    """Keep ``index`` and say so in the log, which is what makes it the one that counts."""
    data = indexes.pack(index)
    sha256 = of_bytes(data)
    folder = workspace.seal_dir / _FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    with workspace.lock():
        write_durably(folder / f"{sha256}.json.gz", data)
        said: dict[str, Json] = {
            "sha256": sha256,
            "source": index.source,
            "attribution": index.attribution,
            "newest": index.newest,
            "advisories": len(index.advisories),
            "packages": len(index.by_package),
            "skipped": len(index.skipped),
            "exploited": len(index.exploited),
            "actor": workspace.principal.name,
            "time": clock.stamp(workspace.clock()),
        }
        subject = Artifact(f"advisories:{index.newest[:10]}", sha256)
        receipt = workspace.recorder.record(Statement((subject,), ADVISORIES, said))
    for old in folder.glob("*.json.gz"):
        if old.name != f"{sha256}.json.gz":
            old.unlink(missing_ok=True)
    return sha256, receipt


def held(workspace: Workspace, history: History, now: datetime) -> Held:
    """The index last signed, read again and held against its digest and its age."""
    signed = [entry.statement.subjects[0].digest for entry in history.of_type(ADVISORIES)]
    folder = workspace.seal_dir / _FOLDER
    if not signed:
        if folder.is_dir() and any(folder.iterdir()):
            return Held(None, "", 0, "supply.index-unsigned", "no statement names this index")
        return Held(None, "", 0, "supply.index-missing", "there is no index of advisories")
    sha256 = signed[-1]
    try:
        data = small_file(folder / f"{sha256}.json.gz", indexes.MOST_BYTES)
    except (FileNotFoundError, BadInput):
        return Held(None, sha256, 0, "supply.index-missing", "the signed index is not on disk")
    try:
        index = indexes.unpack(data, sha256)
        age = index.age_days(now)
    except Refused as error:
        return Held(None, sha256, 0, error.rule, error.why)
    limit = workspace.settings.supply.advisories_days
    if age > limit:
        why = f"its newest record is {age} days old, and {limit} are allowed"
        return Held(index, sha256, age, "supply.index-stale", why)
    return Held(index, sha256, age)


def packages_of(environment: Environment, reached: Mapping[str, Reached]) -> tuple[Installed, ...]:
    """The distributions of an environment, and whether the code reaches each."""
    return tuple(
        Installed(one.name, one.version, reached.get(normal(one.name), "unknown"))
        for one in environment.identity.packages
        if not one.name.startswith("path:")
    )


def judge(
    workspace: Workspace, packages: Sequence[Installed], subject: Artifact, scope: str = ""
) -> Audited:
    """Hold ``packages`` against index and waivers; recorded nowhere.

    ``scope`` is the stage that would use them. Where there is no usable index every package
    is unknown.
    """
    history, now = workspace.history(), workspace.clock()
    found = held(workspace, history, now)
    book = Book(history, workspace.trust)
    standing = waivers.standing(history, book, now, workspace.profile)
    if found.index is None:
        done = audits.nothing_known(packages, found.why)
    else:
        done = audits.audit(packages, found.index, standing.active, scope)
    return Audited(done, found, subject, standing)


def audit(
    workspace: Workspace, packages: Sequence[Installed], subject: Artifact, scope: str = ""
) -> Audited:
    """As :func:`judge`; the answer is a statement."""
    with workspace.lock():
        done = judge(workspace, packages, subject, scope)
        receipt = workspace.recorder.record(_statement(workspace, done, scope))
    return msgspec.structs.replace(done, receipt=receipt)


def _statement(workspace: Workspace, audited: Audited, scope: str) -> Statement:
    done, found = audited.audit, audited.held
    hits: list[Json] = [
        {
            "package": hit.package,
            "version": hit.version,
            "id": hit.id,
            "state": hit.state,
            "rank": hit.rank,
            "imported": hit.imported,
            "fixed": hit.fixed,
            "waiver": hit.waiver,
        }
        for hit in done.hits[:200]
    ]
    said: dict[str, Json] = {
        "index": {"sha256": found.sha256, "age_days": found.age_days, "rule": found.rule},
        "scope": scope,
        "hits": hits,
        "counts": dict(audits.metrics(done)),
        "profile": workspace.profile,
        "actor": workspace.principal.name,
        "time": clock.stamp(workspace.clock()),
    }
    return Statement((audited.subject,), AUDIT, said)


def waive(workspace: Workspace, terms: Terms, reason: str) -> Request:
    """Ask for a waiver, signed with one's own key: in solo that is enough.

    Raises: BadInput, GateDenied (a principal who may not modify the project).
    """
    if not reason.strip():
        raise BadInput("a waiver says why", hint="repeat it with --reason '...'")
    waivers.check(terms, workspace.clock())
    if terms.versions:
        audits.specifier(terms.versions)
    with workspace.lock():
        project = accessing.whole_project(workspace)
        accessing.require(workspace, "modify", [project], reason=reason)
        return accessing.signed(
            workspace, waivers.ACTION, [terms.artifact], terms.jsonable(), reason
        )


def end_waiver(workspace: Workspace, text: str, reason: str) -> Request:
    """End a waiver before its time. Raises: BadInput (there is no such waiver, no reason)."""
    if not reason.strip():
        raise BadInput("ending a waiver says why", hint="repeat it with --reason '...'")
    with workspace.lock():
        request = approvals.find(workspace.history(), text)
        if request.action != waivers.ACTION:
            raise BadInput(f"{text} is no waiver", hint="seal supply waive --list")
        name = workspace.principal.name
        workspace.recorder.record(waivers.end(request, name, reason, workspace.clock()))
    return request


def mend_index() -> str:
    """The line that brings an index."""
    return _UPDATE
