"""Unwrapping and wrapping anew: keys in a file, in a key service, in SoftHSM; and mutations.

Rates are wall time, one client, 32-byte secrets; the service runs in a process of its own and
writes every use down. The last row changes stored segments at random, one change at a time:
a byte, a run of bytes, a cut, an extension or a swap of two chunks; each must be refused.
"""

from __future__ import annotations

import io
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from sealwright.adapters import store_rewrap
from sealwright.adapters.kms_client import KmsClient, ServiceAddress
from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.store_local import LocalStore
from sealwright.app.bench import Row, measure, wall_s
from sealwright.core.errors import Refused, SealError
from sealwright.core.ports import KeyService, StoredFile
from sealwright.vault import container
from sealwright.vault.stream import check

SEED = 5
SCOPE = "data:bench"
_LIBRARIES = (
    "/usr/lib/softhsm/libsofthsm2.so",
    "/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so",
    "/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so",
)
_SERVE = (
    "import sys; from sealwright.app.cli import main;"
    "sys.exit(main(['keys', 'serve', '--json', '--home', sys.argv[1]]))"
)


class _Quiet:
    def advance(self, done: int, total: int, what: str) -> None:
        """Says nothing."""


def rows(quick: bool) -> list[Row]:
    """``quick`` unwraps 1,000 times and changes 1,000 segments; else 5,000 and 10,000."""
    count, mutations, segments = (1_000, 1_000, 200) if quick else (5_000, 10_000, 2_000)
    found: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        home = Path(folder)
        FileKms.initialize(home / "file", None)
        kinds: dict[str, KeyService] = {"file": FileKms.open(home / "file", None)}
        kinds["service"] = stack.enter_context(_service(home / "served"))
        token = stack.enter_context(_token(home / "token"))
        if token is not None:
            kinds["SoftHSM"] = token
        rates = {name: _unwraps(kms, count) for name, kms in kinds.items()}
        for name, rate in rates.items():
            others = {f"{k}": v for k, v in rates.items() if k != name}
            found.append(measure(f"unwrap, {name}", rate, "1/s", yardsticks=others))
        for name, kms in kinds.items():
            rate = _rewraps(home / f"store-{name}", kms, segments)
            found.append(measure(f"rotate: segment keys wrapped anew, {name}", rate, "1/s"))
        found.append(_mutated(home / "mutated", kinds["file"], mutations))
    return found


def _unwraps(kms: KeyService, count: int) -> float:
    kms.create(SCOPE)
    wrapped = kms.wrap(SCOPE, bytes(32), b"context")

    def work() -> None:
        for _ in range(count):
            kms.unwrap(SCOPE, wrapped, b"context")

    return count / wall_s(work)


def _rewraps(folder: Path, kms: KeyService, segments: int) -> float:
    kms.create(SCOPE)
    store = LocalStore(folder, kms)
    for number in range(segments):
        store.put(SCOPE, io.BytesIO(b"%d" % number))

    def work() -> None:
        kms.rotate(SCOPE)
        store_rewrap.rewrap(store, kms, SCOPE, _Quiet())

    return segments / wall_s(work, repeat=1)


def _mutated(folder: Path, kms: KeyService, count: int) -> Row:
    """How many of ``count`` changed segments were refused."""
    dice = random.Random(SEED)  # noqa: S311 - which byte changes is no secret
    store = LocalStore(folder, kms)
    content = dice.randbytes(3 * container.CHUNK_BYTES + 777)
    file = store.put(SCOPE, io.BytesIO(content))
    path = store.path(SCOPE, file.segments[0])
    whole = path.read_bytes()
    refused = 0
    for _ in range(count):
        path.write_bytes(_changed(whole, dice))
        refused += _is_refused(store, file)
    path.write_bytes(whole)
    check(store.open(SCOPE, file), file)
    return Row(
        f"of {count:,} random changes of a stored segment, refused",
        refused,
        "changes",
        f">= {count}",
        refused == count,
    )


def _changed(whole: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(whole) - 64)
    kind = dice.randrange(5)
    if kind == 0:
        return whole[:at] + bytes([whole[at] ^ dice.randrange(1, 256)]) + whole[at + 1 :]
    if kind == 1:
        other = bytes(byte ^ dice.randrange(1, 256) for byte in whole[at : at + 64])
        return whole[:at] + other + whole[at + 64 :]
    if kind == 2:
        return whole[: dice.randrange(len(whole))]
    if kind == 3:
        return whole + dice.randbytes(dice.randrange(1, 200))
    sealed = container.CHUNK_BYTES + container.TAG_BYTES
    start = len(whole) % sealed if len(whole) % sealed < sealed else 0
    a, b = dice.sample(range((len(whole) - start) // sealed), 2)
    out = bytearray(whole)
    first, second = (slice(start + n * sealed, start + (n + 1) * sealed) for n in (a, b))
    out[first], out[second] = whole[second], whole[first]
    return bytes(out)


def _is_refused(store: LocalStore, file: StoredFile) -> bool:
    try:
        check(store.open(SCOPE, file), file)
    except Refused:
        return True
    except SealError as error:
        # a version nobody knows may be newer or damaged: either way it is not read
        return "format" in error.what or "version" in error.what
    return False


@contextmanager
def _service(home: Path) -> Iterator[KeyService]:
    FileKms.initialize(home, None)
    (home / "workspace").write_text("wbench\n")
    (home / "workspace").chmod(0o600)
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, str(home)], stdout=subprocess.PIPE, text=True
    )
    kms = KmsClient(ServiceAddress(socket=str(home / "socket")), "wbench")
    try:
        if process.stdout is not None:
            process.stdout.readline()
        yield kms
    finally:
        kms.close()
        process.terminate()
        process.communicate()


@contextmanager
def _token(folder: Path) -> Iterator[KeyService | None]:
    """A token of SoftHSM; None where it or python-pkcs11 is not installed."""
    library = next((path for path in _LIBRARIES if Path(path).exists()), None)
    tool = shutil.which("softhsm2-util")
    if library is None or tool is None:
        yield None
        return
    try:
        from sealwright.adapters.kms_pkcs11 import Pkcs11Kms
    except SealError:
        yield None
        return
    (folder / "tokens").mkdir(parents=True)
    config = folder / "softhsm2.conf"
    config.write_text(f"directories.tokendir = {folder / 'tokens'}\nlog.level = ERROR\n")
    os.environ.update(SOFTHSM2_CONF=str(config))
    pins = ["--so-pin", "1234", "--pin", "1234"]
    subprocess.run(
        [tool, "--init-token", "--free", "--label", "bench", *pins],
        check=True,
        capture_output=True,
    )
    kms = Pkcs11Kms.open(f"pkcs11:{library}?token=bench", "wbench", folder / "lock", lambda: "1234")
    try:
        yield kms
    finally:
        kms.close()
