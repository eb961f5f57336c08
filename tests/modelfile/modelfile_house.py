"""One scanner for a test, and its words."""

import contextlib
import os
from pathlib import Path

import pytest

from sealwright.kit.modelfile.policy import policy_of
from sealwright.kit.modelfile.scan import Scanner
from sealwright.kit.modelfile.source import Bytes

ROOT = Path(__file__).resolve().parents[2]
SHARED = Path(os.environ.get("SEAL_SHARED_DATA", ROOT.parent / "shared" / "data"))


def shared(name: str) -> Path:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not in the shared data folder (SEAL_SHARED_DATA)")
    return path


class House:
    """``look(data)`` is a verdict; ``rules(data)`` the ids of its findings."""

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner

    def look(self, data: bytes):
        return self._scanner.scan(Bytes(data))

    def word(self, data: bytes) -> str:
        return self.look(data).verdict

    def rules(self, data: bytes) -> list[str]:
        return [found.rule for found in self.look(data).findings]


@contextlib.contextmanager
def house(level="framework", signed=()):
    with Scanner(policy_of(level, signed)) as scanner:
        yield House(scanner)
