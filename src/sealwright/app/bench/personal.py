"""Personal data and credentials: documents per CPU-second, recall and false alarms.

The documents are made here, by the same hand as the patterns: the recall is an upper bound.
Eight plain regular expressions over the same documents are the yardstick for speed.
"""

from __future__ import annotations

import re

from sealwright.app.bench import Row, cpu_s, measure
from sealwright.app.bench.documents import Planted, documents, lookalikes
from sealwright.kit import patterns

_PLAIN = (
    r"[\w.+-]+@[\w-]+\.[\w.]+",
    r"\b(?:\d[ -]?){13,19}\b",
    r"\b\d{3}-\d{2}-\d{4}\b",
    r"\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b",
    r"\b(?:\d{1,3}\.){3}\d{1,3}\b",
    r"\+?\d[\d ()-]{8,}\d",
    r"AKIA[0-9A-Z]{16}",
    r"\b\d{4}-\d\d-\d\d\b",
)


def rows(quick: bool) -> list[Row]:
    """Speed over documents of about 1,000 characters with three values each, then what is found."""
    count = 200 if quick else 3000
    made = documents(count, seed=20_260_101)
    texts = [each.text for each in made]
    for text in texts[:100]:
        list(patterns.find(text))
    spent = cpu_s(lambda: sum(1 for text in texts for _ in patterns.find(text)))
    plain = [re.compile(each) for each in _PLAIN]
    beside = cpu_s(lambda: sum(len(each.findall(text)) for text in texts for each in plain))
    alike = lookalikes(count * 4, seed=3)
    wrong = sum(any(True for _ in patterns.find(text)) for text in alike)
    return [
        measure(
            "documents of 1 kB searched for all patterns", count / spent, "1/CPU-s", target=3000,
            yardsticks={"eight plain expressions": count / beside},
        ),
        measure("recall on made documents", recall(made), "", target=0.98),
        measure("look-alikes that were taken for data", wrong / len(alike), "", target=0.001,
                better="lower"),
    ]  # fmt: skip


def recall(made: list[Planted]) -> float:
    """Of the values planted, the share found under their own kind."""
    planted = seen = 0
    for each in made:
        found = list(patterns.find(each.text))
        for kind, start, end in each.values:
            planted += 1
            seen += any(m.kind == kind and m.start < end and m.end > start for m in found)
    return seen / planted
