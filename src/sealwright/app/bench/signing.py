"""Signing a model of 64 files, beside hashlib alone and the ``model_signing`` command.

The yardsticks run in turn with what they measure, over the same files in the page cache. The
command pays for its start; so does the row that compares with it, which runs as a process too.
"""

from __future__ import annotations

import hashlib
import random
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from sealwright.app.bench import Row, cpu_s, measure
from sealwright.evidence.keys import load_public
from sealwright.registry import files, signature
from sealwright.vault.signers import EcdsaP256Signer

SEED = 3
FILES = 64
_MIB = 1 << 20
_AS_PROCESS = "import sys; from sealwright.app.bench import signing; signing.process(*sys.argv[1:])"


def rows(quick: bool) -> list[Row]:
    """``quick`` signs 128 MiB, else 2 GiB; medians of 3 or 5 interleaved rounds."""
    size, repeat = (128 * _MIB, 3) if quick else (2048 * _MIB, 5)
    with tempfile.TemporaryDirectory() as folder:
        return _Bench(Path(folder), size, repeat).rows()


def process(verb: str, model: str, key: str, sig: str) -> None:
    """``sign`` or ``verify`` as a process of its own."""
    if verb == "sign":
        sign(Path(model), EcdsaP256Signer.from_private_pem(Path(key).read_bytes()), Path(sig))
    else:
        verify(Path(model), Path(key).read_bytes(), Path(sig))


def sign(model: Path, signer: EcdsaP256Signer, sig: Path) -> None:
    """Hash every file and write the bundle."""
    sig.write_bytes(signature.sign(model.name, files.hash_files(files.paths_of(model)), signer))


def verify(model: Path, pem: bytes, sig: Path) -> None:
    """Check the bundle, and hash every file against it."""
    signed = signature.verify(sig.read_bytes(), load_public(pem))
    signature.check_files(signed, files.hash_files(files.paths_of(model)))


class _Bench:
    def __init__(self, home: Path, size: int, repeat: int) -> None:
        self.model = home / "model"
        self.sig, self.theirs = home / "model.sig", home / "theirs.sig"
        self.key, self.pub = home / "key.pem", home / "pub.pem"
        self.signer = EcdsaP256Signer.generate()
        self.key.write_bytes(self.signer.private_pem())
        self.pub.write_bytes(self.signer.public_pem())
        self.size, self.repeat = size, repeat
        self.model.mkdir()
        noise = random.Random(SEED).randbytes(_MIB)  # noqa: S311 - noise, not a secret
        for number in range(FILES):
            with (self.model / f"shard-{number:02d}.bin").open("wb") as sink:
                for part in range(size // FILES // _MIB):
                    sink.write(number.to_bytes(4, "big") + part.to_bytes(4, "big") + noise[8:])

    def rows(self) -> list[Row]:
        work: dict[str, Callable[[], None]] = {
            "hashlib alone": self.hashlib_alone,
            "sign": lambda: sign(self.model, self.signer, self.sig),
            "verify": lambda: verify(self.model, self.pub.read_bytes(), self.sig),
            "sign, as a process": lambda: self.ours("sign", self.key),
            "verify, as a process": lambda: self.ours("verify", self.pub),
        }
        tool = Path(sys.executable).with_name("model_signing")
        if tool.exists():
            work["model_signing sign"] = lambda: self.official(tool, "sign", self.key)
            work["model_signing verify"] = lambda: self.official(tool, "verify", self.pub)
        rates = self.rates(work)
        named = f"{self.size / 1e9:.2f} GB in {FILES} files"
        plain = rates["hashlib alone"]
        out: list[Row] = []
        for verb in ("sign", "verify"):
            ratio, yardsticks = rates[verb] / plain, {"hashlib alone, GB/CPU-s": plain}
            what = f"{verb} {named}, of hashlib alone"
            yardsticks[f"{verb}, GB/CPU-s"] = rates[verb]
            out.append(measure(what, ratio, "x", target=0.9, yardsticks=yardsticks))
        for verb in ("sign", "verify"):
            command = f"model_signing {verb}"
            beside = {command: rates[command]} if command in rates else {}
            value = rates[f"{verb}, as a process"]
            what = f"{verb} {named}, start included"
            out.append(measure(what, value, "GB/CPU-s", yardsticks=beside))
        return out

    def rates(self, work: dict[str, Callable[[], None]]) -> dict[str, float]:
        """Bytes per CPU second in units of 10^9, each the median of interleaved rounds."""
        spent: dict[str, list[float]] = {name: [] for name in work}
        for _ in range(self.repeat):
            for name, one in work.items():
                spent[name].append(cpu_s(one, repeat=1))
        return {name: self.size / statistics.median(each) / 1e9 for name, each in spent.items()}

    def hashlib_alone(self) -> None:
        buffer = memoryview(bytearray(_MIB))
        for path in sorted(self.model.iterdir()):
            state = hashlib.sha256()
            with path.open("rb", buffering=0) as stream:
                while count := stream.readinto(buffer):
                    state.update(buffer[:count])

    def ours(self, verb: str, key: Path) -> None:
        paths = [str(self.model), str(key), str(self.sig)]
        subprocess.run([sys.executable, "-c", _AS_PROCESS, verb, *paths], check=True)

    def official(self, tool: Path, verb: str, key: Path) -> None:
        option = "--private_key" if verb == "sign" else "--public_key"
        words = [str(tool), verb, "key", option, str(key), "--signature", str(self.theirs)]
        subprocess.run([*words, str(self.model)], check=True, capture_output=True)
