"""What a history says to every decision, read once for as long as the history is held."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from sealwright.core.digest import Digest
from sealwright.core.predicates import DATASET_VERSION
from sealwright.core.sensitivity import grade
from sealwright.evidence.classified import confirmed
from sealwright.evidence.history import History
from sealwright.evidence.lineage import Graph
from sealwright.evidence.standing import Standing
from sealwright.evidence.trust import Trust
from sealwright.policy.activation import Timeline, timeline
from sealwright.policy.approvals import Book
from sealwright.policy.containment import Holds
from sealwright.policy.drifted import Drifts
from sealwright.policy.extracted import Extracted
from sealwright.policy.replayed import Replayed
from sealwright.policy.roles import members_of
from sealwright.policy.screened import Screened
from sealwright.policy.supplied import Supplied


class Read:
    """What a history says to everybody: read once, for as long as the history is held."""

    def __init__(self, history: History, trust: Trust | None) -> None:
        self.trust = trust
        self.graph = Graph.of(history)
        self.book = Book(history, trust)
        self.members = members_of(history, self.book)
        self.timeline: Timeline = timeline(history, self.book)
        self.holds = Holds(history, self.book, self.timeline)
        self.standing = Standing(history, self.graph)
        self.screened = Screened(history, self.book, self.timeline)
        self.supplied = Supplied(history)
        self.extracted = Extracted(history)
        self.replayed = Replayed(history)
        self.drifts = Drifts(history)
        self.versions = {
            subject.digest: entry
            for entry in history.of_type(DATASET_VERSION)
            for subject in entry.statement.subjects
        }
        self.sensitivity = _sensitivities(history)


def _sensitivities(history: History) -> dict[Digest, int]:
    """The highest that was ever said of the same bytes, or confirmed for them, by digest."""
    found: dict[Digest, int] = {}
    for entry in history.of_type(DATASET_VERSION):
        said = grade(entry.statement.predicate.get("sensitivity", ""))
        for subject in entry.statement.subjects:
            found[subject.digest] = max(said, found.get(subject.digest, 0))
    for digest, level in confirmed(history).items():
        found[digest] = max(grade(level), found.get(digest, 0))
    return found


_READ: WeakKeyDictionary[History, Read] = WeakKeyDictionary()


def read_of(history: History, trust: Trust | None) -> Read:
    """A history never changes, so what was read of it holds while the trust is the same."""
    known = _READ.get(history)
    if known is None or known.trust is not trust:
        known = _READ[history] = Read(history, trust)
    return known
