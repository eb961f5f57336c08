"""Every parser under a coverage-guided fuzzer, for a bounded number of runs, where it is there."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "fuzz.py"
PARSERS = [
    *("reader", "gate", "zip", "tar", "packed", "npy", "safetensors", "gguf", "onnx"),
    *("saved-model", "ubjson", "catboost", "keras", "skops", "template", "text"),
    *("layer", "advisory", "versions", "attestation", "secrets"),
]


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris is not installed")
@pytest.mark.parametrize("parser", PARSERS)
def test_a_parser_returns_or_refuses_whatever_the_bytes(parser, tmp_path):
    command = [sys.executable, str(SCRIPT), parser, "--runs=2000", f"--keep={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert "1 of 1 parsers held" in done.stdout


def test_the_fuzzer_knows_every_parser_that_is_tested_and_no_other():
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "nothing"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert done.stderr.strip().endswith(f"there are {', '.join(PARSERS)}")
