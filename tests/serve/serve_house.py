"""What the serving tests share: a chain over a ledger in a dictionary, and a real served model."""

import asyncio
import io
import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from sealwright.core.errors import Refused
from sealwright.core.records import Artifact, Receipt
from sealwright.serve.callers import Callers, Door
from sealwright.serve.evidence import InputKey
from sealwright.serve.guard import Guard, Offer
from sealwright.serve.interface import Allowance, Balance, Reservation
from sealwright.serve.messages import Peer, Request
from sealwright.serve.oip import InputSpec
from sealwright.serve.oip_front import OipFront
from sealwright.serve.oip_mount import OipMount, Served, Unwatched
from sealwright.serve.outputs import Shape

MODEL = "model:toy@1"
DIGEST = "ab" * 32
NOW = datetime(2026, 11, 26, tzinfo=UTC)
LOOPBACK = Peer("127.0.0.1", loopback=True, uid=os.getuid())


class Counted:
    """A ledger in a dictionary, for tests of the chain alone: sums, and nothing else."""

    def __init__(self, most_mbits: int = 10**9) -> None:
        self.most = most_mbits
        self.spent: dict[str, int] = {}
        self.open: dict[str, Reservation] = {}
        self.settled: list[int] = []
        self.rung = "observe"
        self.lost = False

    async def reserve(self, ask, allowance):
        from sealwright.core.errors import Unavailable

        if self.lost:
            raise Unavailable("the ledger is gone")
        left = min(self.most, allowance.group_mbits) - self.spent.get(ask.principal, 0)
        if ask.mbits > left:
            raise Refused("nothing is left", why=f"{left} mbits", rule="guard.budget")
        self.spent[ask.principal] = self.spent.get(ask.principal, 0) + ask.mbits
        made = Reservation(
            str(len(self.settled) + len(self.open)), ask, self.balance(ask.principal)
        )
        self.open[made.id] = made
        return made

    async def settle(self, reservation, mbits, cells, anomaly_mbits=0):
        ask = self.open.pop(reservation.id).ask
        assert mbits <= ask.mbits
        self.spent[ask.principal] -= ask.mbits - mbits
        self.settled.append(mbits)
        return self.balance(ask.principal)

    def balance(self, who):
        spent = self.spent.get(who, 0)
        return Balance(MODEL, who, (who,), spent, self.most - spent, self.most, rung=self.rung)


class Kept:
    """A journal in lists."""

    def __init__(self) -> None:
        self.records, self.events, self.counted = [], [], []
        self.full = False

    def add(self, record):
        if self.full:
            from sealwright.serve.refusals import OutOfService

            raise OutOfService("guard.evidence", "no evidence can be kept")
        self.records.append(record)

    def count(self, rule):
        self.counted.append(rule)

    async def event(self, event, *, again=False):
        self.events.append(event)
        return len(self.events) - 1


class Fine:
    def require(self):
        pass


class Log:
    """A recorder in a list."""

    def __init__(self) -> None:
        self.statements = []
        self.broken = False

    def record(self, statement):
        if self.broken:
            raise OSError("no space left")
        self.statements.append(statement)
        return Receipt(len(self.statements) - 1, "0" * 64, len(self.statements), "0" * 64)


async def halves(batch):
    """A model of three classes that looks at the first number alone."""
    if batch.dtype.kind == "f" and (batch[:, 0] > 1e6).any():
        raise Refused("the model did not answer", why="ValueError: too large", rule="loader.answer")
    scores = np.tile([0.2, 0.3, 0.5], (len(batch), 1))
    return scores, np.asarray(batch, dtype=float)


class Chain:
    """A guard with everything around it in memory."""

    def __init__(self, ask=halves, external=10**9, shape=None) -> None:
        self.ledger, self.journal = Counted(), Kept()
        self.callers = Callers(Door(os.getuid(), "ada", True), self.no_token)
        served = Served(
            "toy",
            "1",
            InputSpec("input", "FP64", 2, 8),
            shape or Shape("multiclass", 3, ("a", "b", "c")),
            "sealwright_test",
        )
        self.mount = OipMount(served, ask, Unwatched())
        offer = Offer(
            MODEL, DIGEST, DIGEST, "multiclass", Allowance(external, 10**9), Allowance(10**9, 10**9)
        )
        self.guard = Guard(
            offer, self.mount, self.callers, self.ledger, self.journal, Fine(), InputKey(b"k" * 32)
        )
        self.front = OipFront(self.guard, self.mount, Fine(), self.journal.count)

    def no_token(self, token, proof):
        raise Refused("a token was refused", rule="token.malformed")

    def ask(self, request):
        return asyncio.run(self.front.handle(request))

    def infer(self, body, headers=None, peer=LOOPBACK, path="/v2/models/toy/infer"):
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask(Request("POST", path, headers or {}, raw, peer, 0))


def body_of(rows=1, data=None, **more):
    one = {
        "name": "input",
        "shape": [rows, 2],
        "datatype": "FP64",
        "data": data or [0.5] * 2 * rows,
    }
    return {"inputs": [one], **more}


# -- a workspace with a model, and a server of its own ------------------------------------------


def model_bytes():
    import joblib
    from sklearn.neural_network import MLPClassifier

    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4))
    y = np.array(["cat", "dog", "eel"])[np.clip((x[:, 0] + 1).astype(int), 0, 2)]
    model = MLPClassifier((6,), max_iter=1, random_state=0)
    model.partial_fit(x, y, classes=["cat", "dog", "eel"])
    out = io.BytesIO()
    joblib.dump(model, out)
    return out.getvalue(), model


def register(root: Path, content: bytes, dataset: str = "data:train@1", name: str = "pets"):
    """What a sealed run leaves, without the run: provenance in the log, the model in the store."""
    from sealwright.app import wiring
    from sealwright.app.gating import WorkspaceGate
    from sealwright.core.predicates import INTENT, SLSA_PROVENANCE
    from sealwright.core.records import Statement
    from sealwright.core.refs import parse
    from sealwright.intake.versions import Datasets
    from sealwright.policy.context import RoomFacts
    from sealwright.registry import register as registering

    workspace = wiring.open_workspace(root)
    source = root / "model.joblib"
    source.write_bytes(content)
    digest, _ = registering.digest_of(source)
    data = Datasets(workspace.history(), workspace.store).resolve(parse(dataset, "data")).artifact
    record = workspace.recorder.record
    room = RoomFacts(
        isolation="standard", rung=3, network_none=True, plaintext_on_disk=False, missing=()
    )
    gate = WorkspaceGate(workspace, "first", room)
    gate("train", (data,), {"run": "r1"})
    record(Statement((data,), INTENT, {"run": "r1", "stage": "train", "actor": "ada"}))
    told = {
        "buildDefinition": {
            "externalParameters": {"stage": "train"},
            "resolvedDependencies": [{"name": data.name, "digest": {"sha256": data.digest}}],
            "internalParameters": {
                "isolation": "standard",
                "profile": "solo",
                "room": {"rung": 3, "network": "none", "plaintext_on_disk": False},
            },
        },
        "runDetails": {"metadata": {"invocationId": "r1"}},
    }
    record(Statement((Artifact(f"model:{name}", digest),), SLSA_PROVENANCE, told))
    wanted = registering.Registration(name, source, digest, "r1", "train", (data,), "ada", "first")
    ports = registering.Ports(
        workspace.history,
        workspace.store,
        workspace.keyring.signer("model"),
        workspace.recorder,
        workspace.clock,
        workspace.seal_dir / "tmp",
    )
    decision = gate("register", (Artifact(f"model:{name}", digest),), {"run": "r1"})
    made = registering.register(wanted, decision, ports)
    source.unlink()
    return made


class Server:
    """``seal serve`` in a process of its own."""

    def __init__(self, root: Path, *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sealwright", "serve", *words, "--port", "0"],
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.url = ""
        said = []
        while not self.url and (line := self.process.stdout.readline()):
            said.append(line)
            if found := re.search(r"http://\S+", line):
                self.url = found[0]
        if not self.url:
            raise AssertionError("".join([*said, *self.process.communicate()]))

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")

    def get(self, path, body=None, **headers):
        asked = urllib.request.Request(
            self.url + path,
            body,
            {name.replace("_", "-"): value for name, value in headers.items()},
        )
        try:
            with urllib.request.urlopen(asked, timeout=60) as found:
                return found.status, dict(found.headers), found.read()
        except urllib.error.HTTPError as error:
            return error.code, dict(error.headers), error.read()

    def stop(self, how=signal.SIGTERM) -> tuple[int, str]:
        if self.process.poll() is None:
            self.process.send_signal(how)
        _, err = self.process.communicate(timeout=60)
        return self.process.returncode, err
