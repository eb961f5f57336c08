"""Drive every parser of untrusted bytes with a coverage-guided fuzzer (atheris, not in any lock).

    pip install atheris
    python scripts/fuzz.py                       every parser, 20,000 runs each
    python scripts/fuzz.py reader zip --runs 500000

A parser may return, or refuse with its own kind of error; anything else, a hang of 30 seconds, or
two readers of a pickle that differ is a finding: its bytes are kept under --keep, and the exit
code is 1. libFuzzer ends the process it runs in, so each parser has one of its own.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
Target = Callable[[bytes], object]


def targets() -> dict[str, Target]:
    """Parser → what is called with each input."""
    from sealwright.core.errors import SealError
    from sealwright.kit.modelfile import (
        arrays, boosters, gguf, graphs, keras, skopsfile, template, textual, unpack, zips,
    )  # fmt: skip
    from sealwright.kit.modelfile.limits import Limits
    from sealwright.kit.modelfile.policy import policy_of
    from sealwright.kit.modelfile.report import Unsound
    from sealwright.kit.modelfile.scan import Scanner
    from sealwright.kit.modelfile.source import Bytes
    from sealwright.supply import (
        attestation, cvss, layercodec, osv, osversions, osvrange, ospackages, secretscan,
    )  # fmt: skip

    policy, limits = policy_of("framework"), Limits(stream_bytes=1 << 24, total_bytes=1 << 24)
    scanner = Scanner(policy, limits)

    def members(data: bytes) -> None:
        for entry in zips.entries(Bytes(data), limits):
            zips.content(Bytes(data), entry, 1 << 20, limits.ratio)

    def packed(data: bytes) -> None:
        kind = unpack.kind_of(data[:16])
        if kind:
            unpack.decompress(Bytes(data), kind, 1 << 20, limits.ratio)

    def layer(data: bytes) -> None:
        layercodec.decoder(data[:16], "application/vnd.oci.image.layer.v1.tar")(data)

    def advisory(data: bytes) -> None:
        with contextlib.suppress(ValueError, RecursionError):
            for one in osv.parse(json.loads(data), "x", ("Debian", "Alpine", "Ubuntu")).affected:
                osvrange.judge("1.0-r1", one)

    def versions(data: bytes) -> None:
        text = data.decode("utf-8", "replace")
        for key in (osversions.dpkg(text), osversions.apk(text)):
            assert key is None or key == key
        list(ospackages.listed("var/lib/dpkg/status", text))
        list(ospackages.listed("lib/apk/db/installed", text))
        cvss.base(text)

    def lazily(work: Callable[[bytes], object]) -> Target:
        def run(data: bytes) -> None:
            with contextlib.suppress(Unsound, SealError):
                found = work(data)
                if isinstance(found, Iterator):
                    list(found)

        return run

    return {
        "reader": _readers(),
        "gate": lambda data: scanner.scan(Bytes(data)),
        **{
            name: lazily(work)
            for name, work in {
                "zip": members,
                "tar": lambda data: unpack.tar_members(Bytes(data), 1 << 20, 100),
                "packed": packed,
                "npy": lambda data: arrays.npy(Bytes(data)),
                "safetensors": lambda data: arrays.safetensors(Bytes(data), limits),
                "gguf": lambda data: gguf.templates(Bytes(data), limits),
                "onnx": lambda data: graphs.onnx(Bytes(data)),
                "saved-model": lambda data: graphs.saved_model(Bytes(data)),
                "ubjson": lambda data: boosters.ubjson(Bytes(data), 1 << 20),
                "catboost": lambda data: boosters.catboost(Bytes(data)),
                "keras": lambda data: keras.judge(data, ""),
                "skops": lambda data: skopsfile.judge(data, policy, ""),
                "template": lambda data: template.vet(data.decode("utf-8", "replace")),
                "text": lambda data: textual.judge(textual.decoded(data) or "", ""),
                "layer": layer,
                "advisory": advisory,
                "versions": versions,
                "attestation": attestation.parse,
                "secrets": lambda data: secretscan.scan("x", data, b"k" * 32),
            }.items()
        },
    }


def _readers() -> Target:
    """The strict reader, and the one that takes an opcode at a time: the same of every input."""
    sys.path.insert(0, str(ROOT / "tests" / "modelfile"))
    import plain_reader

    from sealwright.kit.modelfile import linear
    from sealwright.kit.modelfile.limits import Limits
    from sealwright.kit.modelfile.machine import Machine
    from sealwright.kit.modelfile.policy import policy_of
    from sealwright.kit.modelfile.report import Unsound

    limits, policy = Limits(opcodes=5000, depth=30, free_values=500), policy_of("framework")

    def seen(follow: Callable[[Machine], int], data: bytes) -> object:
        machine = Machine(data, policy, 0, storages=True, inline=True, limits=limits)
        try:
            end = follow(machine)
        except Unsound as error:
            return error.found.rule
        return machine.trace(end), machine.refused, machine.ops, machine.memo, machine.stack

    def both(data: bytes) -> None:
        one, other = seen(linear.follow, data), seen(plain_reader.follow, data)
        if one != other:
            raise AssertionError(f"the readers differ: {one!r} and {other!r}"[:2000])

    return both


def seeds() -> Iterator[bytes]:
    """Something of every format to begin with."""
    from sealwright.app.bench.supply import malicious, payloads

    yield from (data for _, _, data in payloads.payloads() if len(data) < 4096)
    yield from (data for _, _, data in malicious.files(3, quick=True) if len(data) < 4096)
    rows = [{"id": at, "name": f"n{at}", "at": (at, at + 1)} for at in range(20)]
    yield from (pickle.dumps([rows, {"a": 1.5, "b": None}], protocol) for protocol in range(6))
    yield b"[$T#l\x00\x00\xff\xff"
    yield b"{L\0\0\0\0\0\0\0\x07learner[$d#i\x01\0\0\0\0L\0\0\0\0\0\0\0\x07versionT}"
    yield b'{"id": "X-1", "modified": "2026-01-01T00:00:00Z", "affected": [{"package": {"ecosystem":' + (
        b'"Debian:12", "name": "a"}, "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}]}]}'
    )  # fmt: skip
    yield b"Package: a\nVersion: 1:1.0~rc1-1+b1\nSource: b (1.0)\n\nP:a\nV:1.0_rc1-r1\no:b\n\n"


def main() -> int:
    """Every parser asked for, one process each."""
    words = argparse.ArgumentParser(description="fuzz every parser of untrusted bytes")
    words.add_argument("parsers", nargs="*", metavar="PARSER")
    words.add_argument("--runs", type=int, default=20_000)
    words.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "seal-fuzz")
    words.add_argument("--alone", type=Path, help=argparse.SUPPRESS)
    args = words.parse_args()
    if args.alone:
        return _fuzz(args.parsers[0], args.runs, args.keep, args.alone)
    known = list(targets())
    if wrong := set(args.parsers) - set(known):
        words.error(f"no parser {sorted(wrong)[0]!r}; there are {', '.join(known)}")
    args.keep.mkdir(parents=True, exist_ok=True)
    failed = [name for name in args.parsers or known if not _alone(name, args.runs, args.keep)]
    print(
        f"{len(args.parsers or known) - len(failed)} of {len(args.parsers or known)} parsers held"
    )
    return int(bool(failed))


def _alone(name: str, runs: int, keep: Path) -> bool:
    with tempfile.TemporaryDirectory(prefix="seal-fuzz-") as corpus:
        command = [
            *(sys.executable, __file__, name, f"--alone={corpus}"),
            *(f"--runs={runs}", f"--keep={keep}"),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if done.returncode:
        print(f"{name}: FAILED\n{said[-3000:]}")
        return False
    covered = next((line for line in reversed(said.splitlines()) if "DONE" in line), "")
    print(f"{name}: {runs:,} runs, {' '.join(covered.split()[2:6])}")
    return True


def _fuzz(name: str, runs: int, keep: Path, corpus: Path) -> int:
    import atheris

    with atheris.instrument_imports(include=["sealwright.kit.modelfile", "sealwright.supply"]):
        target = targets()[name]
    for number, data in enumerate(seeds()):
        (corpus / str(number)).write_bytes(data)
    options = [f"-runs={runs}", "-max_len=4096", "-timeout=30", "-rss_limit_mb=3072", "-seed=1"]
    atheris.Setup([sys.argv[0], *options, f"-artifact_prefix={keep}/{name}-", str(corpus)], target)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
