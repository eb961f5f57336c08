"""Seal a real pipeline (scikit-learn's digits), verify it, then attack it eight ways.

Everything happens in a temporary folder with a home and keys of its own; nothing of yours is
read or changed. Exits 1 if an attack succeeds that should not.
"""

from __future__ import annotations

import argparse
import tempfile
import textwrap
import time
from pathlib import Path
from typing import TYPE_CHECKING

from sealwright.app.cli.out import Out

if TYPE_CHECKING:
    from sealwright.app.demo.attacks import Attempt

_COLUMNS = 82


def configure(parser: argparse.ArgumentParser) -> None:
    """Describe the arguments."""
    parser.add_argument("--keep", metavar="DIR", help="play in DIR, and leave it there to look at")


def run(args: argparse.Namespace, out: Out) -> int:
    """Play the demo."""
    if args.keep:
        top = Path(args.keep).resolve()
        top.mkdir(parents=True)
        return _play(top, out)
    with tempfile.TemporaryDirectory(prefix="sealwright-demo-") as folder:
        return _play(Path(folder).resolve(), out)


def _play(top: Path, out: Out) -> int:
    from sealwright.app.demo import show

    started = time.monotonic()
    house = show.House(top)
    rows = house.build()
    steps: list[dict[str, str]] = []

    def say(typed: str, came: str) -> None:
        steps.append({"command": typed, "result": came})
        out.say(f"  {out.paint('ok', 'green')}  {typed:<44}  {came}")

    attempts: list[Attempt] = []
    out.say(out.paint("A clean run, sealed", "bold") + f"   ({top}; nothing of yours is touched)")
    with show.moved_in(house):
        show.seal_a_run(house, rows, say)
        out.say("\n" + out.paint("The same pipeline, attacked", "bold"))
        for attempt in show.play(house):
            attempts.append(attempt)
            _tell(attempt, out)
    failed = [one for one in attempts if not one.as_promised]
    seconds = time.monotonic() - started
    verdict = "all as promised" if not failed else f"{len(failed)} NOT as promised"
    out.say(
        f"\n{len(attempts)} attacks, {verdict}, {seconds:.0f} s. Next, in your project: seal init"
    )
    if out.as_json:
        out.emit(_json(steps, attempts), "")
    return 1 if failed else 0


def _tell(attempt: Attempt, out: Out) -> None:
    mark, colour = (
        ("stopped   ", "green") if attempt.fate == "stopped" else ("not caught", "yellow")
    )
    if not attempt.as_promised:
        colour = "red"
    out.say(f"  {out.paint(mark, colour)}  {attempt.tried}")
    out.say(textwrap.indent(textwrap.fill(attempt.by, _COLUMNS), " " * 14))
    out.say(f"              {out.paint(attempt.rule, 'dim')}")


def _json(steps: list[dict[str, str]], attempts: list[Attempt]) -> dict[str, object]:
    return {
        "steps": steps,
        "attacks": [
            {
                "tried": one.tried,
                "expected": one.expected,
                "fate": one.fate,
                "by": one.by,
                "rule": one.rule,
                "as_promised": one.as_promised,
            }
            for one in attempts
        ],
        "ok": all(one.as_promised for one in attempts),
    }
