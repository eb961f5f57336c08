"""Classes of a team's own that model files may hold: signed by the source that defines them."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from sealwright.app import accessing
from sealwright.app.wiring import Workspace
from sealwright.core.clock import stamp
from sealwright.core.digest import Digest, of_file
from sealwright.core.errors import BadInput, Refused
from sealwright.core.predicates import MODEL_CLASS
from sealwright.core.records import Artifact, Json, Recorded, Statement
from sealwright.evidence.history import History
from sealwright.kit.modelfile.policy import Signed, policy_of
from sealwright.policy.approvals import Book
from sealwright.policy.roles import members_of

ACTION = "supply.allow"


class Allowed(msgspec.Struct, frozen=True):
    """Where the statement landed, and the request that others approve; empty in solo."""

    index: int
    request: Digest


_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)


def allow(
    workspace: Workspace, name: str, source: str, reason: str, *, end: bool = False
) -> Allowed:
    """Sign ``module.Class`` as defined by ``source``, or ``end`` that; what was left in the log.

    Outside solo it counts once another person approved the request that this leaves.
    Raises: BadInput (no such name, no source in the project, no reason), Refused
    (``supply.allow-library``), GateDenied.
    """
    if not _NAME.fullmatch(name) or not reason:
        raise BadInput(
            f"{name!r} cannot be allowed",
            why="module.Class and a reason wanted",
            hint="seal supply allow fraudkit.net.Net --source src/fraudkit/net.py --reason '...'",
        )
    module, _, kind = name.rpartition(".")
    if policy_of("framework").knows(module):
        raise Refused(
            f"{name} was not allowed",
            why="what is left out of a library's table is left out on purpose",
            rule="supply.allow-library",
        )
    path = _inside(workspace, source)
    subject = Artifact(f"class:{name}", of_file(path))
    shown = path.relative_to(workspace.root.resolve()).as_posix()
    with workspace.lock():
        project = accessing.whole_project(workspace)
        accessing.require(workspace, "modify", [project], reason=reason)
        asked = ""
        if workspace.profile != "solo" and not end:
            terms: dict[str, Json] = {"module": module, "name": kind, "source": shown}
            asked = accessing.signed(workspace, ACTION, [subject], terms, reason).digest
        said: dict[str, Json] = {
            "module": module,
            "name": kind,
            "source": shown,
            "allowed": not end,
            "request": asked,
            "actor": workspace.principal.name,
            "reason": reason,
            "time": stamp(workspace.clock()),
        }
        index = workspace.recorder.record(Statement((subject,), MODEL_CLASS, said)).index
    return Allowed(index, asked)


def signed(workspace: Workspace) -> tuple[Signed, ...]:
    """The classes that count now: last allowed, approved where the profile wants that, and their
    source is still what was signed."""
    history = workspace.history()
    book = Book(history, workspace.trust)
    last: dict[tuple[str, str], tuple[str, str]] = {}
    for entry in history.of_type(MODEL_CLASS):
        given, subject = entry.statement.predicate, entry.statement.subjects[0]
        pair = (str(given.get("module", "")), str(given.get("name", "")))
        last.pop(pair, None)
        if given.get("allowed") is True and _counts(workspace, history, book, entry):
            last[pair] = (str(given.get("source", "")), subject.digest)
    return tuple(
        Signed(module, name, digest)
        for (module, name), (source, digest) in sorted(last.items())
        if _digest(workspace.root / source) == digest
    )


def _counts(workspace: Workspace, history: History, book: Book, entry: Recorded) -> bool:
    """Whether enough people stand behind an allowance; in solo whoever signed it does."""
    if workspace.profile == "solo":
        return True
    given, subject = entry.statement.predicate, entry.statement.subjects[0]
    request = book.requests.get(str(given.get("request", "")))
    terms = {key: given.get(key) for key in ("module", "name", "source")}
    if request is None or request.action != ACTION or dict(request.params) != terms:
        return False
    if [one.digest for one in request.subjects] != [subject.digest]:
        return False
    objection = members_of(history, book).objection(ACTION)
    return bool(book.tally(request, [], None, before=history.size, objection=objection).people)


def _digest(path: Path) -> str:
    try:
        return of_file(path)
    except OSError:
        return ""


def _inside(workspace: Workspace, source: str) -> Path:
    path = (Path.cwd() / source).resolve()
    if not path.is_file() or not path.is_relative_to(workspace.root.resolve()):
        raise BadInput(f"{source} is no file of this project", hint="--source FILE")
    return path
