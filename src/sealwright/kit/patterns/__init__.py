"""Personal data and credentials in text: where, of which kind, and how sure.

::

    for match in patterns.find("card 4111 1111 1111 1111"):
        match.kind, match.start, match.end, match.confidence, match.valid

One frozen record for each pattern; a checksum or a structure decides wherever there is one.
``find_in`` takes a text in chunks. Nothing found is ever kept or printed, only where it lies.
"""

from sealwright.kit.patterns.engine import CARRY, DEFAULT, every, find, find_in, patterns, settled
from sealwright.kit.patterns.interface import HIGH, LOW, MEDIUM, SURE, Category, Match, Pattern

__all__ = [
    "CARRY", "DEFAULT", "HIGH", "LOW", "MEDIUM", "SURE", "Category", "Match", "Pattern", "every",
    "find", "find_in", "patterns", "settled",
]  # fmt: skip
