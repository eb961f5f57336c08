"""What ``seal --help`` costs: CPU time, and modules beyond a bare interpreter."""

from __future__ import annotations

import subprocess
import sys

from sealwright.app.bench import Row, cpu_s, measure

COUNT = "import sys; before = len(sys.modules); {}; print(len(sys.modules) - before)"
HELP = (
    "import io, contextlib; from sealwright.app.cli import main\n"
    "with contextlib.redirect_stdout(io.StringIO()): main(['--help'])"
)


def rows(quick: bool) -> list[Row]:
    """CPU milliseconds of ``seal --help`` beside a bare interpreter; modules it loads."""
    repeat = 5 if quick else 15
    bare = cpu_s(lambda: _run("pass"), repeat)
    helped = cpu_s(lambda: _run(HELP), repeat)
    return [
        measure(
            "seal --help, CPU",
            helped * 1000,
            "ms",
            target=100,
            better="lower",
            yardsticks={"bare interpreter": bare * 1000},
        ),
        measure(
            "seal --help, modules beyond a bare interpreter",
            modules_beyond_bare(),
            "modules",
            target=120,
            better="lower",
        ),
    ]


def modules_beyond_bare() -> int:
    """How many modules ``seal --help`` loads that a bare interpreter has not."""
    script = COUNT.format(f"exec({HELP!r})")
    done = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
    return int(done.stdout)


def _run(script: str) -> None:
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)
