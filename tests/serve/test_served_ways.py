"""Ways to ask ``seal serve`` that need a real one: a token, a Unix socket, a lease that ends."""

import http.client
import json
import os
import socket
import stat
import time
from datetime import UTC, datetime

import pytest
from serve_house import Server
from test_served import ASKED, INFER, seal, waited

pytest.importorskip("uvicorn", reason="needs the extra serve")


def token_of(house, subject="ada", life_s=600):
    """A token of this workspace, and what makes proofs for it."""
    from sealwright.app import wiring
    from sealwright.vault import tokens
    from sealwright.vault.signers import Ed25519Signer
    from sealwright.vault.tokens import Grantee

    home = wiring.open_workspace(house).tokens
    signer = Ed25519Signer.generate()
    now = datetime.now(UTC)
    told = Grantee(
        home.audience, subject, home.audience, "session", tokens.thumbprint(signer), life_s=life_s
    )
    token = home.issue(told, now)
    return token, lambda: tokens.prove(token, home.audience, signer, datetime.now(UTC))


def test_a_token_asks_once_for_each_proof_and_the_lease_ends_it_all(house, capsys):
    server = Server(house, "model:pets@1")
    try:
        token, prove = token_of(house)
        proof = prove()
        sent = {"Authorization": f"Seal {token}", "Seal-Proof": proof}
        code, head, _ = server.get(INFER, ASKED, **sent)
        assert (code, head["seal-profile"]) == (200, "multiclass/full")
        code, head, _ = server.get(INFER, ASKED, **sent)
        assert head["seal-rule"] == "token.proof-replayed"
        assert code in (401, 403)
        fresh = {"Authorization": f"Seal {token}", "Seal-Proof": prove()}
        assert server.get(INFER, ASKED, **fresh)[0] == 200
        another = {"Authorization": f"Seal {token}", "Seal-Proof": token_of(house)[1]()}
        assert server.get(INFER, ASKED, **another)[1]["seal-rule"].startswith("token.")
        forged = {"Authorization": f"Seal {token[:-4]}AAAA", "Seal-Proof": prove()}
        assert server.get(INFER, ASKED, **forged)[1]["seal-rule"].startswith("token.")
        assert server.get(INFER, ASKED, Authorization=f"Seal {token}")[0] in (400, 401, 403)
        status = seal(capsys, "serve", "status")
        assert status["verdicts"]["answered"] == 2
        # the lease
        seal(capsys, "model", "lease", "pets@1", "--end", "--reason", "the day is over")
        waited(lambda: server.get(INFER, ASKED)[1].get("seal-rule"), "guard.lease")
        assert server.get("/v2/health/ready")[0] == 403
        assert seal(capsys, "serve", "status")["state"].startswith("not served")
        seal(capsys, "model", "lease", "pets@1", "--for", "20s", "--reason", "a moment more")
        waited(lambda: server.get(INFER, ASKED)[0], 200)
        waited(lambda: server.get(INFER, ASKED)[1].get("seal-rule"), "guard.lease")
    finally:
        code, said = server.stop()
    assert code == 0, said


class OverUnix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=30)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self._path)


def ask(path, headers=None):
    made = OverUnix(path)
    try:
        made.request("POST", INFER, ASKED, headers or {})
        found = made.getresponse()
        return found.status, dict(found.headers), json.loads(found.read())
    finally:
        made.close()


def test_a_unix_socket_is_the_owners_and_is_gone_afterwards(house, tmp_path):
    import subprocess
    import sys

    path = str(tmp_path / "s")
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(path)
    stale.close()  # what a killed server leaves
    process = subprocess.Popen(
        [sys.executable, "-m", "sealwright", "serve", "model:pets@1", "--socket", path],
        cwd=house,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert f"unix:{path}" in process.stdout.readline()
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
        code, head, body = ask(path)
        assert (code, head["seal-profile"]) == (200, "multiclass/full")
        assert body["model_name"] == "pets"
        code, head, _ = ask(path, {"Authorization": "Bearer seal_" + "x" * 43})
        assert (code, head["seal-rule"]) == (401, "guard.unknown-caller")
        code, head, _ = ask(path, {"X-Forwarded-For": "192.0.2.1"})
        assert (code, head["seal-rule"]) == (401, "guard.unknown-caller")
    finally:
        process.terminate()
        process.communicate(timeout=60)
    assert process.returncode == 0
    for _ in range(50):
        if not os.path.exists(path):
            break
        time.sleep(0.1)
    assert not os.path.exists(path)
