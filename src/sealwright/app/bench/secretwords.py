"""What secrets and look-alikes are planted in: words, hosts, file names and harmless lines."""

from __future__ import annotations

from random import Random

import msgspec

_WORDS = (
    "amber basin cedar delta ember fjord grove harbor inlet juniper kestrel lagoon meadow nectar"
    " orchard prairie quartz ridge summit thicket upland valley willow yarrow zephyr bobcat"
).split()
_CODE = ("app/client.py", "src/api.js", "cmd/main.go", "lib/Api.java", "tools/sync.rb")
_LINES = {
    "py": (
        "import os",
        "x = compute(rows, axis=0)",
        "def main():\n    return 0",
        "# read the table",
    ),
    "yaml": ("replicas: 3", "name: train", "# managed by the platform team", "timeout: 30s"),
    "json": ("",),
    "md": ("# Notes", "See the runbook for the rest.", "- restart the worker first"),
    "sh": ("set -euo pipefail", "cd /srv/app", "echo starting"),
    "log": ("2026-03-01T09:59:58Z INFO worker 3 ready", "2026-03-01T09:59:59Z INFO 200 GET /"),
}
_OTHER = ("// generated", "retries = 3", "")


class Item(msgspec.Struct, frozen=True):
    """One text to be looked at, and whether a secret is in it."""

    kind: str
    path: str
    text: str
    secret: bool


def word(random: Random) -> str:
    """Any word."""
    return random.choice(_WORDS)


def host(random: Random) -> str:
    """A host that cannot exist (RFC 2606), with a name as people give them."""
    return f"{word(random)}-{random.randrange(1, 20)}.{word(random)}.example"


def code_of(random: Random) -> str:
    """A file of program text."""
    return random.choice(_CODE)


def filler(random: Random, path: str) -> str:
    """None, one or two lines that belong into such a file."""
    lines = _LINES.get(path.rpartition(".")[2], _OTHER)
    return "".join(f"{random.choice(lines)}\n" for _ in range(random.randrange(3)))
