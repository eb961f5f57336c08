"""Text on its way out: what is found in streams cut at random, its cost, what is hit wrongly.

The yardstick looks at each piece as it comes, which is what a filter without memory does.
"""

from __future__ import annotations

import base64
import random
from collections import Counter
from collections.abc import Callable

from sealwright.app.bench import Ask, Row, cpu_s, measure
from sealwright.app.bench.documents import Planted, documents
from sealwright.app.bench.poison import data
from sealwright.kit import patterns
from sealwright.serve import memorised
from sealwright.serve.canaries import Canaries
from sealwright.serve.egress import Egress, Policy

SEED = 20_261_126
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

WRITTEN: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in capitals": str.upper,
    "spaced": " ".join,
    "broken over lines": lambda text: "\n".join(text[at : at + 5] for at in range(0, len(text), 5)),
    "hex": lambda text: text.encode().hex(),
    "base64": lambda text: base64.b64encode(text.encode()).decode(),
    "base64, shifted": lambda text: base64.b64encode(b"a" + text.encode() + b"z").decode(),
    "percent": lambda text: "".join(f"%{byte:02x}" for byte in text.encode()),
    "backwards": lambda text: text[::-1],
}
"""How a model may write a canary."""


def rows(ask: Ask) -> list[Row]:
    """Recall, cost and false redactions."""
    rng = random.Random(SEED)  # noqa: S311  made data
    lines, where = _lines()
    canaries = ["-".join(_word(rng, 6) for _ in range(3)) for _ in range(100)]
    runs = memorised.read(memorised.written(lines[: len(lines) // 2]))
    egress = Egress(Policy(network="redact", canary="redact"), Canaries(canaries), runs)
    texts = [_text(rng, lines) for _ in range(60 if ask.quick else 600)]
    return [
        _canaries(rng, egress, canaries, texts),
        _personal(rng, egress, 60 if ask.quick else 600),
        _memorised(rng, egress, lines, 60 if ask.quick else 600),
        _cost(rng, egress, texts[: 20 if ask.quick else 60]),
        *_wrong(egress, set(lines[: len(lines) // 2]), where, 500 if ask.quick else 10_000),
    ]


def _lines() -> tuple[list[str], str]:
    """Ordinary text, and what it is."""
    try:
        lines = [*data.sst2().train, *data.sms().train]
        where = "SST-2 and SMS lines"
    except data.Absent:
        lines, where = data.sentences().train, "made sentences; SST-2 and SMS are not there"
    random.Random(SEED).shuffle(lines)  # noqa: S311
    return lines, where


def _word(rng: random.Random, size: int) -> str:
    return "".join(rng.choice(_LETTERS) for _ in range(size))


def _text(rng: random.Random, lines: list[str], size: int = 1_000) -> str:
    """About 1,000 characters of ordinary lines, of the half that is in no set."""
    out = ""
    while len(out) < size:
        out += rng.choice(lines[len(lines) // 2 :]) + " "
    return out


def pieces(rng: random.Random, text: str) -> list[str]:
    """A text as a stream brings it: pieces of 1 to 12 characters."""
    out, at = list[str](), 0
    while at < len(text):
        size = rng.randint(1, 12)
        out.append(text[at : at + size])
        at += size
    return out


def streamed(rng: random.Random, egress: Egress, text: str) -> str:
    """What leaves of ``text``, cut at random."""
    channel = egress.channel()
    return "".join([*map(channel.push, pieces(rng, text)), channel.close()])


def _canaries(rng: random.Random, egress: Egress, canaries: list[str], texts: list[str]) -> Row:
    planted = stopped = alone = 0
    for at, text in enumerate(texts):
        write = list(WRITTEN.values())[at % len(WRITTEN)]
        said = write(rng.choice(canaries))
        place = rng.randrange(len(text))
        whole = f"{text[:place]} {said} {text[place:]}"
        planted += 1
        stopped += said not in streamed(rng, egress, whole)
        cut = "".join(egress.whole(each)[0] for each in pieces(rng, whole))
        alone += said not in cut
    return measure(
        f"canaries taken out of streams, written {len(WRITTEN)} ways", stopped / planted, "",
        target=0.99, yardsticks={"each piece by itself": alone / planted},
        note=f"{planted} planted",
    )  # fmt: skip


def _personal(rng: random.Random, egress: Egress, count: int) -> Row:
    planted = stopped = alone = there = 0
    for each in documents(count, SEED):
        out = streamed(rng, egress, each.text)
        cut = "".join(_naive(piece, egress) for piece in pieces(rng, each.text))
        seen = list(patterns.find(each.text, minimum=egress.policy.confidence))
        for said, start, end in _values(each):
            planted += 1
            stopped += said not in out
            alone += said not in cut
            there += any(match.start < end and match.end > start for match in seen)
    return measure(
        "personal data and credentials taken out of streams", stopped / planted, "", target=0.99,
        yardsticks={"each piece by itself": alone / planted, "the whole text": there / planted},
        note=f"{planted} planted in {count} made documents",
    )  # fmt: skip


def _values(document: Planted) -> list[tuple[str, int, int]]:
    return [(document.text[start:end], start, end) for _, start, end in document.values]


def _naive(piece: str, egress: Egress) -> str:
    spans = [(m.start, m.end) for m in patterns.find(piece, minimum=egress.policy.confidence)]
    for start, end in reversed(spans):
        piece = piece[:start] + piece[end:]
    return piece


def _memorised(rng: random.Random, egress: Egress, lines: list[str], count: int) -> Row:
    long = [line for line in lines[: len(lines) // 2] if len(line.split()) >= 16]
    planted = stopped = 0
    for _ in range(count):
        said = rng.choice(long)
        text = _text(rng, lines)
        out = streamed(rng, egress, f"{text} {said} {text}")
        planted += 1
        middle = " ".join(said.split()[4:-4])
        stopped += middle not in out or middle in text
    return measure(
        "quoted training lines taken out of streams", stopped / planted, "", target=0.99,
        note=f"{planted} lines of 16 words and more, of a set of {len(lines) // 2:,}",
    )  # fmt: skip


def _cost(rng: random.Random, egress: Egress, texts: list[str]) -> Row:
    streams = [pieces(rng, text) for text in texts]
    streamed(rng, egress, texts[0])

    def work() -> None:
        for stream in streams:
            channel = egress.channel()
            for piece in stream:
                channel.push(piece)
            channel.close()

    size = sum(map(len, texts)) / 1_000
    whole = cpu_s(lambda: [list(patterns.find(text)) for text in texts])
    return measure(
        "CPU for a kB of streamed text, every filter on", cpu_s(work) / size * 1_000, "ms",
        target=1.0, better="lower", yardsticks={"patterns over the whole text": whole / size * 1e3},
        note="pieces of 1 to 12 characters; 100 canaries",
    )  # fmt: skip


def _wrong(egress: Egress, kept: set[str], where: str, most: int) -> list[Row]:
    """Of ordinary lines that are in no set, by where they are from."""
    try:
        sets = {"SST-2": data.sst2().train, "SMS": data.sms().train}
    except data.Absent:
        sets = {where: data.sentences().train}
    return [
        _wrong_in(egress, [line for line in lines if line not in kept][:most], name)
        for name, lines in sets.items()
    ]


def _wrong_in(egress: Egress, lines: list[str], name: str) -> Row:
    found: Counter[str] = Counter()
    hit = 0
    for line in lines:
        _, rules, _ = egress.whole(line)
        hit += bool(rules)
        found.update(rules.keys())
    told = ", ".join(f"{rule} {count}" for rule, count in found.most_common(6))
    return measure(
        f"ordinary lines of {name} of which something is taken out", hit / max(1, len(lines)), "",
        note=f"{len(lines):,} lines; {told or 'nothing'}",
    )  # fmt: skip
