"""One replica of the budget bench: clients that ask one ledger, and a file of what left.

A process of its own, so that it can be killed; its arguments are ``main``'s. An answer is
written to the file only after its settlement returned, as it would leave only then.
"""

from __future__ import annotations

import asyncio
import os
import random
import struct
import sys

from sealwright.adapters.redis_line import RedisLine
from sealwright.core.errors import Refused, Unavailable
from sealwright.serve.interface import CELL_BITS, Allowance, Ask

CLIENTS = 22
GROUPS = 8
ORIGIN = "sealwright.local/bench"
RESERVED = 1000
RECORD = struct.Struct("<BBxxI")
"""Released or refused, the group, millibits: one for each request that was answered at all."""


def allowance(total: int) -> Allowance:
    """Less than ``total`` requests would take, so that both caps are pressed on."""
    model = total * RESERVED * 4 // 10
    return Allowance(model * 11 // 10 // GROUPS, model, 0, 1_000_000, 1_000_000)


async def serve(redis_url: str, postgres_url: str, out: int, number: int, total: int) -> None:
    """Ask until somebody ends the process."""
    from sealwright.adapters.budget_redis import RedisLedger

    ledger = await RedisLedger.open(redis_url, postgres_url, ORIGIN, timeout_s=30.0)
    allowed = allowance(total)

    async def client(at: int) -> None:
        draw = random.Random(number * CLIENTS + at)  # noqa: S311 - a load, not a secret
        group = (number * CLIENTS + at) % GROUPS
        while True:
            released = draw.randrange(600, RESERVED + 1)
            try:
                held = await ledger.reserve(Ask("m", f"p{group}", RESERVED, 0), allowed)
                await ledger.settle(held, released, [draw.randrange(1 << CELL_BITS)])
            except Unavailable:
                await asyncio.sleep(0.05)
            except Refused as error:
                # a reservation that a new epoch ended was charged and no answer left
                if error.rule != "guard.reservation":
                    os.write(out, RECORD.pack(0, group, 0))
            else:
                os.write(out, RECORD.pack(1, group, released))

    await asyncio.gather(*map(client, range(CLIENTS)))


async def naive(redis_url: str, _: str, out: int, number: int, total: int) -> None:
    """The yardstick: look what is spent, answer, then count."""
    line = RedisLine(redis_url, None, 30.0)
    allowed = allowance(total)

    async def client(at: int) -> None:
        draw = random.Random(number * CLIENTS + at)  # noqa: S311 - a load, not a secret
        group = (number * CLIENTS + at) % GROUPS
        while True:
            released = draw.randrange(600, RESERVED + 1)
            own = int(await line.call("GET", f"naive:{group}") or 0)
            everybody = int(await line.call("GET", "naive") or 0)
            if own + released > allowed.group_mbits or everybody + released > allowed.model_mbits:
                os.write(out, RECORD.pack(0, group, 0))
                continue
            await line.call("INCRBY", f"naive:{group}", released)
            await line.call("INCRBY", "naive", released)
            os.write(out, RECORD.pack(1, group, released))

    await asyncio.gather(*map(client, range(CLIENTS)))


def main() -> None:
    """Read the arguments and ask."""
    mode, redis_url, postgres_url, path, number, total = sys.argv[1:]
    out = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    work = {"serve": serve, "naive": naive}[mode]
    asyncio.run(work(redis_url, postgres_url, out, int(number), int(total)))


if __name__ == "__main__":
    main()
