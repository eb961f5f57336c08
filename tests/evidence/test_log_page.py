"""The example on docs/spec/log-v1.md verifies."""

from __future__ import annotations

import re
from pathlib import Path

from sealwright.evidence import note as notes
from sealwright.evidence.checkpoint import open_checkpoint
from sealwright.evidence.merkle import leaf_hash, root_of
from sealwright.evidence.proof import LogProof, verify_proof

PAGE = Path(__file__).parents[2] / "docs" / "spec" / "log-v1.md"
BLOCKS = re.findall(r"^```\n(.*?)^```$", PAGE.read_text(), re.M | re.S)


def test_the_pages_checkpoint_proof_and_keys_belong_together() -> None:
    checkpoint, proof, keys = BLOCKS[:3]
    log, witness = (notes.parse_vkey(line) for line in keys.splitlines())
    opened = open_checkpoint(checkpoint.encode(), [log, witness])
    assert {s.verifier for s in opened.signatures} == {log, witness}
    assert opened.checkpoint.root == root_of(leaf_hash(b) for b in (b"one", b"two", b"three"))
    assert verify_proof(LogProof.decode(proof.encode()), b"two", [log]).index == 1
