"""The parent's end of the limited child: asks, waits no longer than it may, believes nothing.

The child is kept for the next file and started anew after it died or was stopped.
"""

from __future__ import annotations

import os
import selectors
import subprocess
import sys
import time
from types import TracebackType
from typing import Self

import msgspec

from sealwright.kit.modelfile.child import Answer, Ask
from sealwright.kit.modelfile.handed import Handed
from sealwright.kit.modelfile.limits import LIMITS, Limits
from sealwright.kit.modelfile.policy import Policy
from sealwright.kit.modelfile.report import Unsound
from sealwright.kit.modelfile.trace import Trace

_MOST_ANSWER = 512 << 20


class Box:
    """A child that follows pickles over inert names. One at a time; close it when done."""

    def __init__(self, policy: Policy, limits: Limits = LIMITS) -> None:
        self._policy, self._limits = policy, limits
        self._process: subprocess.Popen[bytes] | None = None
        self._handed: Handed | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the child."""
        process, self._process = self._process, None
        handed, self._handed = self._handed, None
        if handed is not None:
            handed.close()
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe:
                pipe.close()

    def follow(self, data: bytes, *, storages: bool = False) -> Trace:
        """What the C unpickler does. Raises: Unsound."""
        return self._trace("c", data, storages)

    def inline(self, data: bytes) -> Trace:
        """What the Python unpickler does, with joblib's arrays as spans. Raises: Unsound."""
        return self._trace("python", data, False)

    def touched(self, data: bytes) -> Trace | None:
        """What it reaches if it is read as a pickle that it is not; None where the child died."""
        return self._ask("touch", data, False).trace

    def cpu_s(self) -> float:
        """CPU seconds the present child has used; 0 where there is none."""
        if self._process is None or self._process.poll() is not None:
            return 0.0
        with open(f"/proc/{self._process.pid}/schedstat", encoding="ascii") as line:
            return int(line.read().split()[0]) / 1e9

    def _trace(self, view: str, data: bytes, storages: bool) -> Trace:
        answer = self._ask(view, data, storages)
        if answer.trace is None:
            raise Unsound(answer.rule or "pickle.reader", answer.message or "no answer")
        return answer.trace

    def _ask(self, view: str, data: bytes, storages: bool) -> Answer:
        ask = Ask(view, len(data), self._policy.level, self._policy.signed, storages)
        head = msgspec.json.encode(ask)
        request = b"".join((len(head).to_bytes(8, "little"), head))
        try:
            answer = msgspec.json.decode(self._exchange(request, data), type=Answer)
        except (OSError, EOFError) as error:
            self.close()
            return Answer(rule="pickle.budget", message=f"its reader was stopped: {error}")
        except msgspec.DecodeError:
            self.close()
            return Answer(rule="pickle.reader", message="its reader's answer cannot be read")
        return answer

    def _exchange(self, head: bytes, data: bytes) -> bytes:
        process, handed = self._running()
        if process.stdin is None or process.stdout is None:
            raise EOFError("it has no pipes")
        until = time.monotonic() + self._limits.child_s
        handed.put(data)
        _send(process.stdin.fileno(), head, until)
        size = int.from_bytes(_receive(process.stdout.fileno(), 8, until), "little")
        if size > _MOST_ANSWER:
            raise EOFError("it answers without end")
        return _receive(process.stdout.fileno(), size, until)

    def _running(self) -> tuple[subprocess.Popen[bytes], Handed]:
        if self._process is None or self._handed is None or self._process.poll() is not None:
            self.close()
            limits, self._handed = self._limits, Handed()
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-I", "-m", "sealwright.kit.modelfile.child"),
                    *(str(limits.child_bytes), str(limits.child_s * 20), str(self._handed.fd)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(self._handed.fd,),
                env={},
                cwd="/",
                bufsize=0,
            )
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe:
                    os.set_blocking(pipe.fileno(), False)
        return self._process, self._handed


def _wait(fd: int, event: int, until: float) -> None:
    with selectors.DefaultSelector() as selector:
        selector.register(fd, event)
        if not selector.select(max(0.0, until - time.monotonic())):
            raise EOFError("it took too long")


def _send(fd: int, data: bytes, until: float) -> None:
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view[: 1 << 20]) :]
        except BlockingIOError:
            _wait(fd, selectors.EVENT_WRITE, until)


def _receive(fd: int, size: int, until: float) -> bytes:
    got = bytearray()
    while len(got) < size:
        try:
            part = os.read(fd, min(size - len(got), 1 << 20))
        except BlockingIOError:
            _wait(fd, selectors.EVENT_READ, until)
            continue
        if not part:
            raise EOFError("it died")
        got += part
    return bytes(got)
