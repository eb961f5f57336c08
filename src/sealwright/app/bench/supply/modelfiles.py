"""The model-file gate: malicious files accepted, honest files accepted, and how fast it reads."""

from __future__ import annotations

import gc
import os
import pickle
import pickletools
import random
import tarfile
import tempfile
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from sealwright.app.bench import Ask, Row, cpu_s, measure
from sealwright.app.bench.supply import honest, malicious, scanners
from sealwright.kit.modelfile import linear
from sealwright.kit.modelfile.boxed import Box
from sealwright.kit.modelfile.opened import Opened
from sealwright.kit.modelfile.policy import policy_of
from sealwright.kit.modelfile.report import Verdict
from sealwright.kit.modelfile.scan import Scanner
from sealwright.kit.modelfile.source import Bytes

SEED = 20_260_101
UNSEEN = frozenset({"lightgbm", "catboost"})
"""Families that nobody looked at while the policy was written."""
SURE = frozenset({"state_dict", "joblib"})

ALL = ("picklescan", "modelscan", "fickling")

File = tuple[str, bytes]


def rows(ask: Ask) -> list[Row]:
    """Every figure of the gate."""
    quick = ask.quick
    bad = [(name, data) for _, name, data in malicious.files(SEED, quick)]
    bare = [(name, data) for name, data in bad if name.endswith(".pkl") and data[:1] != b"\x5d"]
    good = list(honest.files(SEED, quick))
    return [
        *_malicious("malicious files of a seed, accepted", bad, ("picklescan", "modelscan")),
        *_malicious("bare malicious pickles among them, accepted", bare),
        *_malicious("malicious files of modelscan's tests, accepted", list(corpus())),
        *_honest(good),
        *_speed(quick),
    ]


def corpus() -> Iterable[File]:
    """The malicious files of another scanner's tests, where they lie beside the project."""
    root = os.environ.get("SEAL_SHARED_DATA")
    beside = Path(__file__).resolve().parents[6] / "shared" / "data"
    path = (Path(root) if root else beside) / "modelfile_corpus.tar.gz"
    if not path.is_file():
        return
    with tarfile.open(path) as archive:
        for member in archive:
            stream = archive.extractfile(member) if member.isfile() else None
            if stream and "/malicious/" in f"/{member.name}":
                yield member.name, stream.read()


def judged(files: Sequence[File]) -> list[Verdict]:
    """Our verdict on each."""
    with Scanner(policy_of("framework")) as scanner:
        return [scanner.scan(Bytes(data)) for _, data in files]


def _malicious(what: str, files: Sequence[File], beside: Sequence[str] = ALL) -> list[Row]:
    if not files:
        return []
    accepted = sum(one.verdict == "clean" for one in judged(files))
    others = {
        f"{name} accepted": float(sum(scan(path, data) != "flagged" for path, data in files))
        for name, scan in scanners.installed()
        if name in beside
    }
    row = measure(what, accepted, "files", target=0, better="lower", yardsticks=others)
    return [measure(f"{what.partition(',')[0]}, in all", len(files), "files"), row]


def _honest(files: Sequence[tuple[str, str, bytes]]) -> list[Row]:
    verdicts = judged([(name, data) for _, name, data in files])
    known = [at for at, (family, _, _) in enumerate(files) if family not in UNSEEN]
    sure = [at for at in known if files[at][0] in SURE]
    unseen = [at for at in range(len(files)) if at not in set(known)]
    clean = [one.verdict == "clean" for one in verdicts]
    others = {}
    for name, scan in scanners.installed():
        said = [scan(files[at][1], files[at][2]) for at in known]
        others[f"{name} passed"] = _percent([one == "passed" for one in said])
        others[f"{name} skipped"] = _percent([one == "skipped" for one in said])
    out = [
        measure("honest files, in all", len(known), "files"),
        measure(
            "honest files accepted",
            _percent([clean[at] for at in known]),
            "%",
            target=95,
            yardsticks=others,
        ),
        measure(
            "honest state_dict and joblib files accepted",
            _percent([clean[at] for at in sure]),
            "%",
            target=100,
        ),
        measure(
            "honest files not looked at",
            sum(not verdict.format and not verdict.findings for verdict in verdicts),
            "files",
            target=0,
            better="lower",
        ),
    ]
    for family in sorted({files[at][0] for at in unseen}):
        picked = [clean[at] for at in unseen if files[at][0] == family]
        out.append(
            measure(f"{family} files (not looked at before) accepted", _percent(picked), "%")
        )
    return out


def _percent(values: Sequence[bool]) -> float:
    return 100 * sum(values) / len(values) if values else 0.0


def _speed(quick: bool) -> list[Row]:
    count = 20_000 if quick else 400_000
    policy = policy_of("framework")
    streams = {
        "numbers": [at * 1.5 for at in range(count)],
        "lists": [[float(at), at, at % 7] for at in range(count)],
        "records": [{"id": at, "name": f"n{at}", "at": (at, at + 1)} for at in range(count // 4)],
        "mixed": _mixed(count // 8),
    }
    out = list[Row]()
    with Box(policy) as box:
        box.follow(b"N.")
        for name, value in streams.items():
            data = pickle.dumps(value, 4)
            ops = sum(1 for _ in pickletools.genops(data)) / 1e6
            ours = ops / cpu_s(partial(linear.read, data, policy))
            yard = {"pickletools.genops": ops / cpu_s(partial(_genops, data), 1)}
            what = f"strict reader, {name}"
            out.append(measure(what, ours, "M opcodes/s", target=4, yardsticks=yard))
            stub = ops / _child_cpu_s(box, data)
            bare = {"pickle.loads, no stub": ops / cpu_s(partial(_loads, data))}
            what = f"stub view, {name}"
            out.append(measure(what, stub, "M opcodes/s", target=20, yardsticks=bare))
    wanted = 300 if quick else 2000
    small = [{"weights": [0.5, 1.5], "name": str(at)} for at in range(wanted)]
    out.append(_small([pickle.dumps(value, 4) for value in small]))
    out.append(_large())
    return out


def _mixed(count: int) -> list[dict[str, object]]:
    """Records of which hardly two are built alike."""
    draw = random.Random(SEED)  # noqa: S311 - data, not keys
    out = list[dict[str, object]]()
    for at in range(count):
        tags = [f"t{draw.randrange(9999)}" for _ in range(draw.randrange(4))]
        row: dict[str, object] = {
            "id": at,
            "tags": tags,
            "box": {"x": draw.random(), "y": at % 300},
        }
        for name in draw.sample(["left", "right", "up", "down"], draw.randrange(4)):
            row[name] = draw.choice([None, True, at * 0.5, ("p", at), {name: [at, name]}])
        out.append(row)
    return out


def _genops(data: bytes) -> None:
    for _ in pickletools.genops(data):
        pass


def _loads(data: bytes) -> None:
    """CPython's unpickler alone, which no view over it can outrun."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        pickle.loads(data)  # noqa: S301 - bytes made here
    finally:
        if collecting:
            gc.enable()


def _child_cpu_s(box: Box, data: bytes) -> float:
    """CPU seconds the child takes for one pickle, by what the kernel says it used."""
    before = box.cpu_s()
    for _ in range(3):
        box.follow(data)
    return max((box.cpu_s() - before) / 3, 1e-6)


def _small(files: Sequence[bytes]) -> Row:
    with Scanner(policy_of("framework")) as scanner:
        scanner.scan(Bytes(files[0]))
        taken = cpu_s(lambda: [scanner.scan(Bytes(data)) for data in files], 1)
        taken += scanner.child_cpu_s()
    return measure("small files", len(files) / taken, "files/s per core", target=1000)


def _large() -> Row:
    """A safetensors file of a gigabyte, which is a header and a hole."""
    size = 1 << 30
    header = b'{"w":{"dtype":"U8","shape":[%d],"data_offsets":[0,%d]}}' % (size, size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.safetensors"
        with path.open("wb") as stream:
            stream.write(len(header).to_bytes(8, "little") + header)
            stream.truncate(8 + len(header) + size)
        with Scanner(policy_of("framework")) as scanner, Opened(path) as opened:
            taken = cpu_s(lambda: scanner.scan(opened))
    return measure("safetensors of 1 GiB, its header", taken, "s", target=1, better="lower")
