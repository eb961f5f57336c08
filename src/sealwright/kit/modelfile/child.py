"""The limited child: unpicklers over inert names, with nothing worth taking and little to spend.

It is started with an empty environment, three pipes and the memory that the pickle is handed over
in, sets its own limits before it reads a byte, and answers one request at a time: eight bytes of
length, then the request; the answer likewise. What it says is judged by the parent,
and believed nowhere alone.
"""

from __future__ import annotations

import gc
import resource
import sys
from typing import Any, BinaryIO

import msgspec

from sealwright.kit.modelfile import inline, unpicklers
from sealwright.kit.modelfile.handed import mapped
from sealwright.kit.modelfile.policy import Level, Signed, policy_of
from sealwright.kit.modelfile.report import Unsound
from sealwright.kit.modelfile.trace import Trace

SWEEP = 200


class Ask(msgspec.Struct, frozen=True):
    """What to do with the ``size`` bytes handed over. ``view``: ``c``, ``python`` or ``touch``."""

    view: str
    size: int
    level: Level = "framework"
    signed: tuple[Signed, ...] = ()
    storages: bool = False


class Answer(msgspec.Struct, frozen=True):
    """What a view saw, or the rule and message it stopped with."""

    trace: Trace | None = None
    rule: str = ""
    message: str = ""


def main() -> None:
    """Serve requests from stdin until it closes."""
    memory, cpu, handed = (int(word) for word in sys.argv[1:4])
    walls(memory, cpu)
    gc.freeze()
    gc.disable()  # a pickle makes no cycles that outlive it; what is left is swept between two
    stdin, stdout = sys.stdin.buffer, sys.stdout.buffer
    decoder, served = msgspec.json.Decoder(Ask), 0
    while head := stdin.read(8):
        ask = decoder.decode(_exactly(stdin, int.from_bytes(head, "little")))
        answer = msgspec.json.encode(_answered(ask, mapped(handed, ask.size)))
        stdout.write(len(answer).to_bytes(8, "little") + answer)
        stdout.flush()
        served += 1
        if served % SWEEP == 0 or ask.size > 1 << 20:
            gc.collect()


def walls(memory_bytes: int, cpu_s: int) -> None:
    """No more memory, files, processes or time than these; no core dump, no new privileges."""
    limits = {
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_CPU: cpu_s,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NOFILE: 8,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_NPROC: 0,
    }
    for what, most in limits.items():
        _, hard = resource.getrlimit(what)
        value = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (value, value))


def _answered(ask: Ask, body: memoryview) -> Answer:
    policy = policy_of(ask.level, ask.signed)
    try:
        if ask.view == "touch":
            return Answer(trace=unpicklers.touched(body, policy))
        if ask.view == "python":
            return Answer(trace=inline.inline(body, policy))
        return Answer(trace=unpicklers.follow(body, policy, storages=ask.storages))
    except Unsound as error:
        return Answer(rule=error.found.rule, message=error.found.message)
    except MemoryError:
        return Answer(rule="pickle.budget", message="it wants more memory than it may have")
    except RecursionError:
        return Answer(rule="pickle.budget", message="it nests too deep")
    except Exception as error:  # whatever hostile bytes make an unpickler raise
        return Answer(rule="pickle.reader", message=f"{type(error).__name__}: {str(error)[:200]}")


def _exactly(stream: BinaryIO, size: int) -> bytes:
    data: Any = stream.read(size)
    if len(data) != size:
        raise SystemExit(2)
    return bytes(data)


if __name__ == "__main__":
    main()
