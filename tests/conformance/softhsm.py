"""A token of SoftHSM 2 for this test process: the library reads its configuration only once."""

import atexit
import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
)


def softhsm_token() -> str:
    """What ``[keys] kms`` names it by; PIN 1234. Skips where SoftHSM is not installed."""
    library = next((path for path in LIBRARIES if Path(path).exists()), None)
    if library is None or shutil.which("softhsm2-util") is None:
        pytest.skip("needs SoftHSM: apt-get install softhsm2")
    return _token(library)


@cache
def _token(library: str) -> str:
    folder = Path(tempfile.mkdtemp(prefix="softhsm-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "tokens").mkdir()
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(config)
    init = ["--init-token", "--free", "--label", "seal", "--so-pin", "1234", "--pin", "1234"]
    subprocess.run(["softhsm2-util", *init], check=True, capture_output=True)
    return f"pkcs11:{library}?token=seal"
