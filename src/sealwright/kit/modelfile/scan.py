"""The scan as one pure function: bytes and a policy in, a verdict out. Also the loader's check."""

from __future__ import annotations

from sealwright.core.ports import Readable
from sealwright.kit.modelfile.boxed import Box
from sealwright.kit.modelfile.limits import LIMITS, Limits
from sealwright.kit.modelfile.policy import Policy
from sealwright.kit.modelfile.report import Found, Verdict, settled
from sealwright.kit.modelfile.source import Bytes
from sealwright.kit.modelfile.walk import Walk


class Scanner:
    """Looks at files one after the other, with one limited child between them."""

    def __init__(self, policy: Policy, limits: Limits = LIMITS) -> None:
        self.policy, self._limits = policy, limits
        self._box = Box(policy, limits)

    def __enter__(self) -> Scanner:
        return self

    def __exit__(self, *error: object) -> None:
        self._box.close()

    def child_cpu_s(self) -> float:
        """CPU seconds of the limited child."""
        return self._box.cpu_s()

    def scan(self, source: Readable) -> Verdict:
        """Never raises for what the bytes are; a fault while reading is a finding."""
        walk = Walk(self.policy, self._box, self._limits)
        try:
            format_ = walk.look(source)
        except OSError as error:
            walk.add(Found("file.fault", error.strerror or "it cannot be read"))
            format_ = ""
        return settled(walk.found, format_, self.policy.digest)


def scan(source: Readable | bytes, policy: Policy, limits: Limits = LIMITS) -> Verdict:
    """One file on its own."""
    with Scanner(policy, limits) as scanner:
        return scanner.scan(Bytes(source) if isinstance(source, bytes) else source)
