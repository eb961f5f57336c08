"""How ``seal`` ends: with everything said and cleaned up, also where Arrow's threads still live."""

import subprocess
import sys

import pytest

SCRIPT = """
import atexit, sys
{more}
from sealwright.app import cli
atexit.register(lambda: print("cleaned up"))
cli.main = lambda: print("said", end="; ") or {code}
cli.command()
"""


@pytest.mark.parametrize("more", ["", "import pyarrow"])
@pytest.mark.parametrize("code", [0, 1, 2])
def test_what_was_said_and_registered_comes_out_before_the_end(more, code):
    script = SCRIPT.format(more=more, code=code)
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (code, "said; cleaned up\n", "")


def test_an_answer_that_nobody_reads_is_no_success():
    script = SCRIPT.format(more="import pyarrow", code=0)
    shell = f"{sys.executable} -c '{script}' | true; exit ${{PIPESTATUS[0]}}"
    held = script.replace('print("said", end="; ")', 'time.sleep(1) or print("said" * 99999)')
    done = subprocess.run(
        ["bash", "-c", shell.replace(script, held.replace("import atexit", "import time, atexit"))],
        capture_output=True,
        text=True,
    )
    assert done.returncode != 0
