"""The attacks of the demo, each through the code paths a user would hit.

Each returns what it tried and what became of it; ``expected`` is what Sealwright promises.
"""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Literal

import msgspec

from sealwright.app.demo import planted
from sealwright.app.demo.house import CANARY, House, Said, needed
from sealwright.app.demo.rewrite import edit_row, rewrite_history

Fate = Literal["stopped", "not caught"]


class Attempt(msgspec.Struct, frozen=True):
    """One attack. ``by`` is what stopped it, in the program's own words; ``rule`` its id."""

    tried: str
    expected: Fate
    fate: Fate
    by: str
    rule: str

    @property
    def as_promised(self) -> bool:
        """Whether it came out as Sealwright says it does."""
        return self.expected == self.fate


def label_in_the_store(house: House) -> Attempt:
    """A byte of the sealed data is flipped in the encrypted store."""
    sealed = house.seal_dir / "store" / "data:digits"
    blob = max(_blobs(sealed), key=lambda path: path.stat().st_size)
    content = bytearray(blob.read_bytes())
    content[len(content) // 2] ^= 1
    blob.chmod(0o600)
    blob.write_bytes(content)
    said = house.seal("data", "verify", "digits")
    content[len(content) // 2] ^= 1
    blob.write_bytes(content)
    return _refused("a label is flipped in the encrypted store", said)


def data_between_stages(house: House) -> Attempt:
    """What `prepare` made is edited before `train` reads it."""
    clean = house.project / "data" / "clean.csv"
    kept = clean.read_text()
    head, *rows = kept.splitlines()
    rows[:40] = [row[: row.rindex(",")] + ",3" for row in rows[:40]]
    clean.write_text("\n".join([head, *rows]) + "\n")
    said = house.seal("run", "--stage", "train")
    clean.write_text(kept)
    return _refused("40 labels are changed between the two stages", said)


def planted_trigger(house: House) -> Attempt:
    """A row with a trigger is sent in until it is 1 % of all; profile team, where that blocks."""
    folder = planted.deliver(house)
    with planted.inside(folder):
        said = house.seal("run", "--model", "model.txt", "--", "python", "train.py")
    attempt = _refused(
        "a trigger is planted in 1 % of the training rows, one row sent in 18 times (team)", said
    )
    found = said.error.get("why", "").rpartition("quarantined: ")[2]
    rule = "poison.open"
    if attempt.fate == "stopped" and rule in attempt.rule.split(", "):
        return msgspec.structs.replace(attempt, by=found, rule=rule)
    return msgspec.structs.replace(attempt, fate="not caught")


def thief(house: House) -> Attempt:
    """A training script reads ~/.ssh and phones home; it can outside, and must not inside."""
    script = house.project / "thief.py"
    with _listening() as (port, heard):
        text = script.read_text().replace("TARGET_HOST", "127.0.0.1")
        script.write_text(text.replace("TARGET_PORT", str(port)))
        subprocess.run([sys.executable, "thief.py"], capture_output=True, check=False)
        control = heard()
        said = house.seal("run", "--input", "clean", "--", "python", "thief.py")
        leaked = heard()
    if CANARY not in control:
        raise RuntimeError("the thief cannot steal even outside the room; it proves nothing")
    lines = [line for line in said.talk.splitlines() if line.startswith("thief:")]
    held = not leaked and CANARY not in said.talk and len(lines) >= 2 and said.code == 0
    by = "; ".join(dict.fromkeys(line.removeprefix("thief: ") for line in lines))
    return Attempt(
        "a training script reads ~/.ssh and phones home (outside the room it can)",
        "stopped",
        "stopped" if held else "not caught",
        by,
        "room: network none, home absent",
    )


def model_after_signing(house: House) -> Attempt:
    """The model in an exported bundle is replaced by another one."""
    bundle = house.top / "bundle"
    needed(house.seal("model", "export", "digits@1", str(bundle)), "seal model export")
    model = bundle / "model" / "model.joblib"
    model.write_bytes(model.read_bytes()[:-1] + b"!")
    fingerprint = (house.top / "fingerprint").read_text()
    said = house.seal("verify", str(bundle), "--trust", fingerprint)
    return _refused("the model is swapped after it was signed", said)


def edited_row(house: House) -> Attempt:
    """A row of the ledger's database is edited in place."""
    kept = house.copy("before-edit")
    edit_row(house, 2, "first delivery", "last delivery")
    said = house.seal("log", "verify")
    house.go_back(kept)
    return _refused("a row of the ledger is edited", said)


def history_rewritten(house: House, *, witness: bool) -> Attempt:
    """The holder of the log key writes the log again without its last entries."""
    kept = house.copy(f"before-rewrite-{witness}")
    rewrite_history(house)
    said = house.seal("log", "verify")
    house.go_back(kept)
    tried = "the holder of every key rewrites history"
    if witness:
        return _refused(f"{tried}, with a witness", said)
    caught = said.code == 1
    return Attempt(
        f"{tried}, without a witness",
        "not caught",
        "stopped" if caught else "not caught",
        said.error.get("what", "nobody else ever saw this log: run a witness"),
        said.error.get("rule", "-"),
    )


def _refused(tried: str, said: Said) -> Attempt:
    by = said.error.get("what", said.talk.strip().splitlines()[-1] if said.talk.strip() else "")
    fate: Fate = "stopped" if said.code == 1 else "not caught"
    return Attempt(tried, "stopped", fate, by, said.error.get("rule", ""))


def _blobs(store: Path) -> Iterator[Path]:
    return (path for path in store.rglob("*") if path.is_file())


@contextmanager
def _listening() -> Iterator[tuple[int, Callable[[], str]]]:
    """A collector on this machine's loopback, and what it heard since it was last asked."""
    heard: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        open_ = True

        def collect() -> None:
            while open_:
                try:
                    line, _ = server.accept()
                except TimeoutError:
                    continue
                with line:
                    line.settimeout(2)
                    heard.append(line.recv(4096).decode("utf-8", "replace"))

        def since() -> str:
            text = "".join(heard)
            heard.clear()
            return text

        worker = Thread(target=collect)
        worker.start()
        try:
            yield server.getsockname()[1], since
        finally:
            open_ = False
            worker.join()
