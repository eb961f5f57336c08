"""The honest users that detectors are judged by stay as they were frozen."""

import hashlib
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_generator_of_honest_users_is_the_one_that_was_frozen():
    page = (ROOT / "docs" / "concepts" / "held-out.md").read_text("utf-8")
    rows = re.findall(r"^\| `(src/\S+)` \| `([0-9a-f]{64})` \|", page, re.M)
    assert rows
    for path, digest in rows:
        assert hashlib.sha256((ROOT / path).read_bytes()).hexdigest() == digest, path
