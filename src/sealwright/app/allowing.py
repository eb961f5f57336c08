"""Classes of a team's own that model files may hold: signed by the source that defines them."""

from __future__ import annotations

import re
from pathlib import Path

from sealwright.app.wiring import Workspace
from sealwright.core.clock import stamp
from sealwright.core.digest import of_file
from sealwright.core.errors import BadInput, Refused
from sealwright.core.predicates import MODEL_CLASS
from sealwright.core.records import Artifact, Statement
from sealwright.evidence.history import History
from sealwright.kit.modelfile.policy import Signed, policy_of

_NAME = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)+", re.ASCII)


def allow(workspace: Workspace, name: str, source: str, reason: str, *, end: bool = False) -> int:
    """Sign ``module.Class`` as defined by ``source``, or ``end`` that; returns the log index.

    Raises: BadInput (no such name, no source in the project, no reason), Refused
    (``supply.allow-alone``: the profile wants two people; ``supply.allow-library``).
    """
    if not _NAME.fullmatch(name) or not reason:
        raise BadInput(
            f"{name!r} cannot be allowed",
            why="module.Class and a reason wanted",
            hint="seal supply allow fraudkit.net.Net --source src/fraudkit/net.py --reason '...'",
        )
    module, _, kind = name.rpartition(".")
    if workspace.profile != "solo" and not end:
        raise Refused(
            f"{name} was not allowed",
            why=f"profile {workspace.profile} wants two people for it, which is not built yet",
            hint="save weights: torch.save(model.state_dict(), …) or safetensors",
            rule="supply.allow-alone",
        )
    if policy_of("framework").knows(module):
        raise Refused(
            f"{name} was not allowed",
            why="what is left out of a library's table is left out on purpose",
            rule="supply.allow-library",
        )
    path = _inside(workspace, source)
    statement = Statement(
        (Artifact(f"class:{name}", of_file(path)),),
        MODEL_CLASS,
        {
            "module": module,
            "name": kind,
            "source": path.relative_to(workspace.root.resolve()).as_posix(),
            "allowed": not end,
            "actor": workspace.principal.name,
            "reason": reason,
            "time": stamp(workspace.clock()),
        },
    )
    return workspace.recorder.record(statement).index


def signed(history: History, root: Path) -> tuple[Signed, ...]:
    """The classes that count now: last allowed, and their source is still what was signed."""
    last: dict[tuple[str, str], tuple[bool, str, str]] = {}
    for entry in history.of_type(MODEL_CLASS):
        given, subject = entry.statement.predicate, entry.statement.subjects[0]
        pair = (str(given.get("module", "")), str(given.get("name", "")))
        last[pair] = (given.get("allowed") is True, str(given.get("source", "")), subject.digest)
    return tuple(
        Signed(module, name, digest)
        for (module, name), (allowed, source, digest) in sorted(last.items())
        if allowed and _digest(root / source) == digest
    )


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
