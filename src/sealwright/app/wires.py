"""What is armed: kept in the log as keyed commitments, told by who has the workspace's keys."""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from sealwright.core import clock, refs
from sealwright.core.predicates import CANARY, DATASET_VERSION
from sealwright.core.records import Recorded
from sealwright.evidence.history import History

if TYPE_CHECKING:
    from sealwright.app.wiring import Workspace

_KEY = "workspace"
_LABEL = b"sealwright canary v1"


def armed(workspace: Workspace, history: History) -> dict[str, int]:
    """Digest of every version that is a canary, and since when, in seconds since 1970.

    Where nothing was ever armed no key is asked for. Raises: Unavailable (the key service).
    """
    since_of = standing(history)
    if not since_of:
        return {}
    secret, found = key(workspace), dict[str, int]()
    for name, digests in datasets(history).items():
        since = since_of.get(commitment(secret, name))
        if since is not None:
            found.update(dict.fromkeys(digests, since))
    return found


def standing(history: History) -> dict[str, int]:
    """What is armed, by commitment, and since when."""
    found: dict[str, int] = {}
    for entry in history.of_type(CANARY):
        (subject,) = entry.statement.subjects
        change = entry.statement.predicate.get("change")
        if change == "armed":
            found[subject.digest] = _time(entry)
        elif change == "disarmed":
            found.pop(subject.digest, None)
    return found


def datasets(history: History) -> dict[str, set[str]]:
    """The digests of every dataset's versions, by name."""
    found: dict[str, set[str]] = {}
    for entry in history.of_type(DATASET_VERSION):
        for subject in entry.statement.subjects:
            name = refs.parse(subject.name).name
            found.setdefault(name, set()).add(subject.digest)
    return found


def commitment(secret: bytes, name: str) -> str:
    """What stands for a dataset's name in the log; ``secret`` is :func:`key`'s."""
    return hmac.digest(secret, b"name\0" + name.encode(), hashlib.sha256).hex()


def key(workspace: Workspace) -> bytes:
    """The key of commitments and marks."""
    workspace.kms.create(_KEY)
    return workspace.kms.derive(_KEY, _LABEL)


def _time(entry: Recorded) -> int:
    return int(clock.parse(str(entry.statement.predicate["time"])).timestamp())
