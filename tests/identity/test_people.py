"""A person joins with a key of their own, and every crooked way in is refused."""

import base64
import json
import os
from datetime import timedelta

import pytest
from identity_house import NOW, after

from sealwright.app import sessions, wiring
from sealwright.core import clock
from sealwright.core.errors import BadInput, Refused
from sealwright.core.predicates import IDENTITY, LOGIN
from sealwright.core.records import Artifact, Statement
from sealwright.evidence import dsse
from sealwright.evidence.keys import load_public
from sealwright.policy.identities import Identities
from sealwright.policy.principals import established_of
from sealwright.vault import people, tokens
from sealwright.vault.people import Acceptance, Invitation
from sealwright.vault.signers import Ed25519Signer

WORKSPACE, ANN = Ed25519Signer.generate(), Ed25519Signer.generate()
KEYS = {WORKSPACE.key_id: load_public(WORKSPACE.public_pem())}
PRINT = "a" * 64


def offer(**changed) -> Invitation:
    fields = {
        "id": people.new_id(),
        "workspace": "w0",
        "origin": "sealwright.local/w0",
        "fingerprint": PRINT,
        "pem": WORKSPACE.public_pem().decode(),
        "name": "ann",
        "role": "reviewer",
        "invited_by": "ada",
        "issued": clock.stamp(NOW),
        "expires": clock.stamp(after(3600)),
    }
    return Invitation(**{**fields, **changed})


def answer(envelope: bytes, signer=ANN, **changed) -> bytes:
    fields = {
        "invitation": base64.b64encode(envelope).decode(),
        "name": "ann",
        "pem": signer.public_pem().decode(),
        "uid": 1000,
        "host": "h",
        "time": clock.stamp(NOW),
    }
    return people.accept(Acceptance(**{**fields, **changed}), signer)


def rule_of(envelope: bytes, now=NOW, keys=KEYS, fingerprint=PRINT) -> str:
    with pytest.raises(Refused) as caught:
        people.verify_acceptance(envelope, keys, fingerprint, now)
    return caught.value.rule


def test_an_invitation_travels_as_a_file_or_as_one_line():
    envelope = people.invite(offer(), WORKSPACE, NOW)
    code = people.to_code(envelope)
    assert "\n" not in code and people.from_text(code.encode() + b"\n") == envelope
    assert people.read_invitation(people.from_text(envelope), NOW).name == "ann"


def test_an_answer_to_it_proves_the_key_that_signed():
    found = people.verify_acceptance(
        answer(people.invite(offer(), WORKSPACE, NOW)), KEYS, PRINT, NOW
    )
    assert found.public.key_id == ANN.key_id and found.invitation.role == "reviewer"


def test_an_invitation_is_good_until_it_ends_and_for_thirty_days_at_most():
    envelope = people.invite(offer(), WORKSPACE, NOW)
    for now, rule in ((after(3600), "expired"), (after(-600), "not-yet-valid")):
        with pytest.raises(Refused) as caught:
            people.read_invitation(envelope, now)
        assert caught.value.rule == f"invitation.{rule}"
        assert rule_of(answer(envelope), now) == f"invitation.{rule}"
    for ends in (NOW, NOW + timedelta(days=31)):
        with pytest.raises(BadInput):
            people.invite(offer(expires=clock.stamp(ends)), WORKSPACE, NOW)


def test_an_invitation_by_anyone_else_is_refused():
    forger = Ed25519Signer.generate()
    own = offer(pem=forger.public_pem().decode())
    assert rule_of(answer(people.invite(own, forger, NOW))) == "invitation.signature"
    posing = people.invite(offer(), forger, NOW)
    with pytest.raises(Refused) as caught:
        people.read_invitation(posing, NOW)
    assert caught.value.rule == "invitation.signature"


def test_an_answer_for_another_name_workspace_or_key_is_refused():
    envelope = people.invite(offer(), WORKSPACE, NOW)
    other = Ed25519Signer.generate()
    assert rule_of(answer(envelope, name="bob")) == "acceptance.name"
    assert rule_of(answer(envelope), fingerprint="b" * 64) == "invitation.elsewhere"
    assert rule_of(answer(envelope, pem=other.public_pem().decode())) == "acceptance.signature"
    assert rule_of(answer(envelope, time=clock.stamp(after(-3600)))) == "acceptance.time"


def test_a_role_that_was_edited_on_the_way_is_refused():
    envelope = json.loads(people.invite(offer(), WORKSPACE, NOW))
    payload = json.loads(base64.b64decode(envelope["payload"]))
    payload["role"] = "owner"
    text = json.dumps(payload, sort_keys=True, separators=(",", ":")).encode()
    envelope["payload"] = base64.b64encode(text).decode()
    edited = json.dumps(envelope, sort_keys=True, separators=(",", ":")).encode()
    assert rule_of(answer(edited)) == "invitation.signature"
    with pytest.raises(Refused) as caught:
        people.read_invitation(edited, NOW)
    assert caught.value.rule == "invitation.signature"


@pytest.mark.parametrize("data", [b"", b"{}", b"\xff" * 80, b"[" * 9000, b"a" * (1 << 17)])
def test_what_is_no_invitation_or_answer_is_refused(data):
    assert rule_of(data) == "acceptance.malformed"
    with pytest.raises((Refused, BadInput)):
        people.read_invitation(people.from_text(data), NOW)


def test_an_envelope_of_one_kind_is_never_taken_for_another():
    invitation = people.invite(offer(), WORKSPACE, NOW)
    assert rule_of(invitation) == "acceptance.malformed"
    payload = dsse.parse(invitation).payload
    signed_as = dsse.sign(payload, [WORKSPACE], people.ACCEPTANCE)
    assert rule_of(signed_as) == "acceptance.malformed"


def test_a_challenge_is_answered_by_one_key_for_one_session():
    public = load_public(ANN.public_pem())
    question = people.challenge("o", "ann", "thumb", NOW)
    reply = people.answer(question, ANN)
    assert people.verify_answer(question, reply, public) == "key"
    for other in (people.challenge("o", "ann", "thumb", NOW), question + b" "):
        with pytest.raises(Refused) as caught:
            people.verify_answer(other, reply, public)
        assert caught.value.rule == "challenge.signature"


# -- at the command line ----------------------------------------------------------------------


def test_a_person_joins_from_a_machine_of_their_own(desk):
    joined = desk.join("bob", "reviewer", home="bobs")
    workspace = desk.workspace()
    assert joined["established"] == "key"
    assert established_of(workspace.trust, "bob", joined["key_id"], None) == "key"
    said = workspace.history().of_type(IDENTITY)[0].statement.predicate
    assert (said["principal"], said["role"], said["established"]) == ("bob", "reviewer", "key")
    home = desk.files / "bobs" / "sealwright-people" / "bob"
    assert home.stat().st_mode & 0o077 == 0
    assert not any("PRIVATE" in path.read_text("latin-1") for path in home.rglob("*.*"))
    assert len(joined["recovery_key"]) == 47


def test_their_key_opens_with_their_own_passphrase_alone(desk, monkeypatch):
    desk.join("bob")
    desk.become("bob")
    monkeypatch.setenv("SEAL_PERSON_PASSPHRASE", "somebody else's")
    assert desk.refused("access", "login") == "keys.wrong-passphrase"


def test_the_line_joins_as_the_file_does(desk):
    code = desk.ok("access", "invite", "bob", "--role", "auditor")["code"]
    desk.become("bob", "bobs")
    desk.ok("access", "login", "--invite", code, "--out", desk.path("answer"))
    desk.become("ada")
    assert desk.ok("access", "accept", desk.path("answer"))["role"] == "auditor"


def test_an_invitation_counts_once(desk):
    desk.join("bob", home="bobs")
    assert desk.refused("access", "accept", desk.path("bob.answer")) == "invitation.used"
    desk.become("bob", "thiefs")
    again = ("access", "login", "--invite", desk.path("bob.offer"), "--out", desk.path("second"))
    desk.ok(*again)
    desk.become("ada")
    assert desk.refused("access", "accept", desk.path("second")) == "invitation.used"


def test_one_key_is_never_two_principals(desk):
    desk.join("bob")
    bobs = desk.files / "shared" / "sealwright-people" / "bob"
    desk.ok("access", "invite", "eve", "--role", "reviewer", "--out", desk.path("eve.offer"))
    desk.become("bob")
    signer = wiring.person_home("bob").unlock()
    envelope = (desk.files / "eve.offer").read_bytes()
    now = clock.now()
    forged = answer(envelope, signer, name="eve", time=clock.stamp(now))
    (desk.files / "eve.answer").write_bytes(forged)
    desk.become("ada")
    assert bobs.exists()
    assert desk.refused("access", "accept", desk.path("eve.answer")) == "identity.taken"


def test_an_answer_to_another_workspace_is_refused(desk, tmp_path, monkeypatch):
    desk.join("bob")
    other = tmp_path / "other"
    other.mkdir()
    (other / "train.py").write_text("print(1)\n")
    monkeypatch.chdir(other)
    desk.ok("init")
    assert desk.refused("access", "accept", desk.path("bob.answer")) == "invitation.signature"


def test_joining_where_nobody_can_be_asked_for_a_passphrase_says_how(desk, monkeypatch):
    desk.ok("access", "invite", "bob", "--role", "auditor", "--out", desk.path("offer"))
    desk.become("bob", "bobs")
    monkeypatch.delenv("SEAL_PERSON_PASSPHRASE")
    code, body, _ = desk.seal("access", "login", "--invite", desk.path("offer"))
    assert code == 2 and "--key-file" in body["error"]["hint"]
    desk.ok("access", "login", "--invite", desk.path("offer"), "--key-file", "--out", os.devnull)


def test_a_role_nobody_has_is_refused_before_anything_is_written(desk):
    assert "no role" in desk.refused("access", "invite", "bob", "--role", "king")
    assert not desk.workspace().history().of_type(IDENTITY)


# -- sessions ---------------------------------------------------------------------------------


def test_logging_in_shows_the_key_and_the_log_says_so(desk):
    desk.join("bob")
    desk.become("bob")
    assert desk.ok("access", "whoami")["established"] == "self-asserted"
    session = desk.ok("access", "login")
    who = desk.ok("access", "whoami")
    assert (who["established"], who["trusted"]) == ("key", True)
    assert who["key_id"] == session["key_id"]
    said = desk.workspace().history().of_type(LOGIN)[0].statement.predicate
    assert (said["principal"], said["established"]) == ("bob", "key")


def test_nobody_logs_in_with_a_key_the_trust_root_does_not_list(desk):
    desk.become("eve")
    assert desk.refused("access", "login") == "identity.unknown-key"
    desk.ok("access", "key")
    assert desk.refused("access", "login") == "identity.unknown-key"


def test_logging_out_is_seen_at_the_next_check_by_a_process_that_is_logged_in(desk):
    desk.join("bob")
    desk.become("bob")
    desk.ok("access", "login")
    running = desk.workspace()
    held = running.session
    assert held is not None
    assert desk.ok("access", "login", "--end")["ended"] is True
    now = clock.now()
    proof = tokens.prove(held.token, running.origin, held.key, now)
    with pytest.raises(Refused) as caught:
        running.tokens.verify(held.token, proof, now)
    assert caught.value.rule == "token.revoked"
    assert sessions.current(desk.workspace(), "bob") is None


def test_a_revoked_session_is_refused_until_the_next_login(desk):
    desk.join("bob")
    desk.become("bob")
    desk.ok("access", "login")
    workspace = desk.workspace()
    workspace.tokens.denied.revoke_subject("bob", clock.now())
    assert desk.refused("access", "whoami") == "token.revoked"


def test_a_session_goes_on_under_new_tokens_for_eight_hours_and_no_longer(desk):
    desk.join("bob")
    desk.become("bob")
    desk.ok("access", "login")
    workspace = desk.workspace()
    began = clock.now()
    first = workspace.session
    for hours, lives in ((1, True), (7.9, True), (8.1, False)):
        workspace.clock = lambda hours=hours: began + timedelta(hours=hours)
        found = sessions.current(workspace, "bob")
        assert (found is not None) is lives
        if found:
            assert found.token != first.token and found.started == first.started


def test_a_revocation_outlives_every_renewal(desk):
    desk.join("bob")
    desk.become("bob")
    desk.ok("access", "login")
    workspace = desk.workspace()
    began = clock.now()
    workspace.tokens.denied.revoke_subject("bob", began)
    for hours in (0.2, 1, 7):
        workspace.clock = lambda hours=hours: began + timedelta(hours=hours)
        workspace.tokens.denied.sweep(workspace.clock())
        with pytest.raises(Refused) as caught:
            sessions.current(workspace, "bob")
        assert caught.value.rule == "token.revoked"


def test_a_session_file_that_was_changed_or_swapped_is_refused(desk):
    desk.join("bob")
    desk.join("eve")
    for name in ("bob", "eve"):
        desk.become(name)
        desk.ok("access", "login")
    folder = desk.workspace().state_dir / "sessions"
    stolen = (folder / "bob.session").read_bytes()
    (folder / "eve.session").write_bytes(stolen)
    assert desk.refused("access", "whoami") == "keys.unwrap-failed"
    (folder / "eve.session").write_bytes(stolen[:-1] + bytes([stolen[-1] ^ 1]))
    assert desk.refused("access", "whoami") == "keys.unwrap-failed"


def test_an_enrolled_persons_approval_is_by_their_own_key_and_counts(desk):
    desk.join("bob")
    desk.become("bob")
    workspace = desk.workspace()
    assert workspace.signer.key_id == workspace.principal.key_id
    assert "principal:bob" not in workspace.keyring.roles()


def test_someone_who_never_joins_anything_meets_none_of_this(desk):
    desk.ok("access", "whoami")
    assert not (desk.files / "shared" / "sealwright-people").exists()
    assert not (desk.workspace().state_dir / "sessions").exists()
    assert not (desk.workspace().state_dir / "tokens").exists()


def test_an_identity_statement_that_cannot_be_read_establishes_nobody(desk):
    workspace = desk.workspace()
    odd = Statement((Artifact("principal:bob", "a" * 64),), IDENTITY, {"principal": "bob"})
    workspace.recorder.record(odd)
    assert Identities(workspace.history()).get("bob") is None


def test_whoever_may_not_decide_about_members_enrols_nobody(desk):
    desk.join("bob", "auditor")
    desk.become("bob")
    offer, reply = desk.path("eve.offer"), desk.path("eve.answer")
    desk.ok("access", "invite", "eve", "--role", "owner", "--out", offer)
    desk.become("eve")
    desk.ok("access", "login", "--invite", offer, "--out", reply)
    desk.become("bob")
    before = desk.workspace().trust.version
    code, body, _ = desk.seal("access", "accept", reply)
    assert code == 1 and body["error"]["kind"] == "GateDenied"
    assert desk.workspace().trust.version == before
    desk.become("ada")
    desk.ok("access", "accept", reply)
    desk.become("eve")
    assert desk.ok("access", "whoami")["roles"] == ["owner"]
