"""The workspace's token keys, and the token of a run: it dies with the run."""

import importlib.util
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from identity_house import NOW, after

from sealwright.adapters.kms_file import FileKms
from sealwright.adapters.tokens_dir import TokenHome
from sealwright.app.runidentity import WatchedStore, identity_of
from sealwright.app.running import running
from sealwright.core import clock, predicates
from sealwright.core.errors import Refused, VerifyError
from sealwright.intake.versions import Datasets, read_manifest
from sealwright.vault import tokens
from sealwright.vault.signers import Ed25519Signer
from sealwright.vault.tokens import Grantee

ORIGIN = "sealwright.local/w1"
DAY = 86_400
needs_room = pytest.mark.skipif(
    shutil.which("bwrap") is None, reason="the room needs bubblewrap: apt-get install bubblewrap"
)


class Issuer:
    def __init__(self, directory: Path) -> None:
        self.kms, _ = FileKms.initialize(directory / "keys", None)
        self.alive = {"r1"}
        self.holder = Ed25519Signer.generate()
        self.directory = directory / "tokens"
        self.home = self.again()

    def again(self) -> TokenHome:
        return TokenHome(self.directory, lambda: self.kms, ORIGIN, self.alive.__contains__)

    def issue(self, now=NOW, subject="ann", kind="session", issuer=ORIGIN) -> str:
        bound = tokens.thumbprint(self.holder)
        return self.home.issue(Grantee(issuer, subject, ORIGIN, kind, bound), now)

    def verify(self, token: str, now=NOW, home: TokenHome | None = None):
        proof = tokens.prove(token, ORIGIN, self.holder, now)
        return (home or self.home).verify(token, proof, now)

    def rule(self, token: str, now=NOW, home: TokenHome | None = None) -> str:
        with pytest.raises(Refused) as caught:
            self.verify(token, now, home)
        return caught.value.rule


@pytest.fixture
def issuer(tmp_path) -> Issuer:
    return Issuer(tmp_path)


def test_another_process_verifies_what_one_issued(issuer):
    assert issuer.verify(issuer.issue(), home=issuer.again()).claims.sub == "ann"


def test_a_key_signs_for_a_day_and_two_overlap(issuer):
    first = issuer.verify(issuer.issue()).key_id
    assert issuer.verify(issuer.issue(after(DAY - 1)), after(DAY - 1)).key_id == first
    late = issuer.issue(after(DAY - 1))
    second = issuer.verify(issuer.issue(after(DAY)), after(DAY)).key_id
    assert second != first
    assert set(issuer.home.keys(after(DAY))) == {first, second}
    assert issuer.verify(late, after(DAY + 590)).key_id == first
    assert set(issuer.home.keys(after(DAY + 1000))) == {second}


def test_a_rotation_by_hand_leaves_what_was_issued_good_and_no_private_half(issuer):
    token = issuer.issue()
    issuer.home.rotate(NOW)
    assert issuer.verify(token).claims.sub == "ann"
    assert [bool(key.wrapped) for key in issuer.home._read()] == [True, False]
    issuer.home.rotate(NOW)
    assert issuer.rule(token) == "token.unknown-key"


def test_a_stolen_signing_key_verifies_nothing_from_then_on(issuer):
    token = issuer.issue()
    issuer.home.rotate(NOW, stolen=True)
    assert issuer.rule(token) == "token.unknown-key"
    assert issuer.verify(issuer.issue()).claims.sub == "ann"


def test_a_token_that_another_workspace_issued_is_refused(issuer):
    assert issuer.rule(issuer.issue(issuer="sealwright.local/w2")) == "token.issuer"


def test_a_key_file_that_was_changed_is_refused(issuer):
    token = issuer.issue()
    path = issuer.directory / "keys.json"
    data = path.read_bytes()
    for changed in (b"", data[:-2], data.replace(b'"pem":"-----BEGIN', b'"pom":"-----BEGIN')):
        path.write_bytes(changed)
        with pytest.raises(VerifyError) as caught:
            issuer.verify(token)
        assert caught.value.rule == "token.keys-changed"


def test_the_token_of_a_run_that_was_killed_is_refused_although_nobody_revoked_it(issuer):
    token = issuer.issue(subject="run:r1", kind="run")
    assert issuer.verify(token).claims.sub == "run:r1"
    issuer.alive.clear()
    assert issuer.rule(token) == "token.run-ended"


def test_a_revocation_in_another_process_holds_within_a_second(issuer, tmp_path):
    token = issuer.issue()
    issuer.verify(token)
    code = (
        "import sys, datetime, pathlib\n"
        "from sealwright.vault.denied import DenyList\n"
        "DenyList(pathlib.Path(sys.argv[1])).revoke_subject('ann',"
        " datetime.datetime.fromtimestamp(int(sys.argv[2]), datetime.UTC))\n"
    )
    moment = str(int(NOW.timestamp()) + 1)
    denied = str(issuer.directory / "denied")
    subprocess.run([sys.executable, "-c", code, denied, moment], check=True)
    assert issuer.rule(token, after(1)) == "token.revoked"


# -- runs -------------------------------------------------------------------------------------


def test_a_runs_identity_is_good_while_it_runs_and_for_no_moment_longer(desk):
    workspace = desk.workspace()
    with running(workspace, "r1"), identity_of(workspace, "r1") as identity:
        token, proof = identity.present(workspace.origin)
        found = workspace.tokens.verify(token, proof, clock.now())
        assert (found.claims.sub, found.claims.act, found.claims.kind) == ("run:r1", "ada", "run")
        kept = identity
    with pytest.raises(Refused) as caught:
        kept.present(workspace.origin)
    assert caught.value.rule == "token.revoked"
    now = clock.now()
    fresh = tokens.prove(token, workspace.origin, kept._key, now)
    with pytest.raises(Refused) as caught:
        workspace.tokens.verify(token, fresh, now)
    assert caught.value.rule == "token.revoked"


def test_a_run_that_fails_ends_its_token_too(desk):
    workspace = desk.workspace()
    with pytest.raises(KeyError):
        with running(workspace, "r1"), identity_of(workspace, "r1") as identity:
            raise KeyError("the stage crashed")
    with pytest.raises(Refused) as caught:
        identity.check()
    assert caught.value.rule == "token.revoked"


def test_a_revoked_run_opens_no_further_file(desk):
    workspace = desk.workspace()
    desk.root.joinpath("t.csv").write_text("x\n1\n2\n")
    desk.ok("data", "add", "t.csv", "--name", "t", "--reason", "first")
    (dataset,) = Datasets(workspace.history(), workspace.store).all()
    with running(workspace, "r1"), identity_of(workspace, "r1") as identity:
        store = WatchedStore(workspace.store, identity)
        assert read_manifest(dataset, store).files
        desk.workspace().tokens.denied.revoke_subject("run:r1", clock.now())
        with pytest.raises(Refused) as caught:
            read_manifest(dataset, store)
        assert caught.value.rule == "token.revoked"


def test_a_long_run_renews_its_token_and_never_one_that_was_revoked(desk):
    workspace = desk.workspace()
    began = clock.now()
    with running(workspace, "r1"), identity_of(workspace, "r1") as identity:
        first, _ = identity.present(workspace.origin)
        identity._checked -= 10
        identity._clock = lambda: began + timedelta(seconds=500)
        second, _ = identity.present(workspace.origin)
        assert second != first
        workspace.tokens.denied.revoke_subject("run:r1", identity._clock())
        identity._checked -= 10
        with pytest.raises(Refused) as caught:
            identity.check()
        assert caught.value.rule == "token.revoked"


@needs_room
def test_the_provenance_of_a_run_names_its_key_and_two_runs_have_two(desk):
    (desk.root / "train.py").write_text("open('m.json','w').write('{}')\n")
    for _ in range(2):
        desk.ok("run", "--json", "--", sys.executable, "train.py")
    entries = desk.workspace().history().of_type(predicates.SLSA_PROVENANCE)
    keys = [
        e.statement.predicate["buildDefinition"]["internalParameters"]["run_key"] for e in entries
    ]
    assert len(set(keys)) == 2 and all(len(key) == 64 for key in keys)


@pytest.mark.skipif(
    importlib.util.find_spec("jwt") is None, reason="pip install 'sealwright[oidc]'"
)
def test_the_bench_measures_tokens_beside_another_library():
    from sealwright.app.bench.tokens import token_rows

    verified, issued = token_rows(quick=True)
    assert verified.value > 0 and issued.value > 0 and verified.yardsticks


def test_starting_seal_loads_no_identity_provider():
    code = "import sys, sealwright.app.identity, sealwright.app.wiring; print('jwt' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "False"
