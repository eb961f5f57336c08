"""A token that is anything but what it should be is refused, each with a rule of its own."""

import hashlib
import hmac
from datetime import timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import given, settings
from hypothesis import strategies as st
from identity_house import AUDIENCE, NOW, House, after, b64, compact, parts

from sealwright.core.errors import BadInput, Refused, VerifyError
from sealwright.vault import tokens
from sealwright.vault.denied import DenyList
from sealwright.vault.signers import EcdsaP256Signer, Ed25519Signer


@pytest.fixture
def house(tmp_path) -> House:
    return House(tmp_path)


def refusal(work, *words, **more) -> str:
    with pytest.raises(Refused) as caught:
        work(*words, **more)
    return caught.value.rule


def test_a_token_and_its_proof_are_taken_and_say_who_it_is(house):
    found = house.verify(house.issue(established="key"))
    assert (found.claims.sub, found.claims.established) == ("ann", "key")
    assert found.key_id == house.issuer.key_id
    assert found.claims.exp - found.claims.iat == tokens.LIFE_S


def test_another_library_accepts_the_token_and_agrees_on_what_it_says(house):
    token = house.issue()
    key = ed25519.Ed25519PublicKey.from_public_bytes(house.keys[house.issuer.key_id].raw())
    # its clock is the system's, and ours is not
    late = {"verify_exp": False, "verify_iat": False, "verify_nbf": False}
    claims = jwt.decode(token, key, algorithms=["EdDSA"], audience=AUDIENCE, options=late)
    assert claims == parts(token)[1]


def test_the_thumbprint_is_that_of_rfc_8037_appendix_a_3():
    public = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    jwk = {"crv": "Ed25519", "kty": "OKP", "x": public}
    assert tokens._thumbprint(jwk) == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


@pytest.mark.parametrize("late", [600, 601, 86_400])
def test_an_expired_token_is_refused_to_the_second(house, late):
    token = house.issue()
    assert house.verify(token, after(599)).claims.sub == "ann"
    assert refusal(house.verify, token, after(late)) == "token.expired"


def test_a_token_that_is_not_good_yet_is_refused(house):
    assert refusal(house.verify, house.issue(after(60))) == "token.not-yet-valid"


def test_a_token_for_somebody_else_is_refused(house):
    assert refusal(house.verify, house.issue(audience="other")) == "token.audience"


@pytest.mark.parametrize("name", ["none", "None", "nOnE", "", "HS256", "RS256", "ES256", "Ed448"])
def test_a_token_that_names_another_algorithm_is_refused(house, name):
    header, claims, signature = parts(house.issue())
    forged = f"{compact({**header, 'alg': name})}.{compact(claims)}"
    for tail in ("", b64(signature)):
        rule = refusal(house.verify, f"{forged}.{tail}")
        assert rule in ("token.algorithm", "token.malformed")
    assert refusal(house.verify, f"{forged}.{b64(signature)}") == "token.algorithm"


def test_the_public_key_is_never_taken_for_a_shared_secret(house):
    header, claims, _ = parts(house.issue())
    for secret in (house.issuer.public_pem(), house.keys[house.issuer.key_id].raw()):
        for name in ("HS256", "EdDSA"):
            message = f"{compact({**header, 'alg': name})}.{compact(claims)}"
            mac = hmac.new(secret, message.encode(), hashlib.sha256).digest()
            padded = b64(mac + bytes(32) if name == "EdDSA" else mac)
            rule = refusal(house.verify, f"{message}.{padded}")
            assert rule == ("token.algorithm" if name == "HS256" else "token.signature")


def test_a_token_by_a_key_nobody_here_has_is_refused(house):
    header, claims, _ = parts(house.issue())
    other = Ed25519Signer.generate()
    named = house.signed({**header, "kid": other.key_id}, claims, other)
    assert refusal(house.verify, named) == "token.unknown-key"
    assert refusal(house.verify, house.signed(header, claims, other)) == "token.signature"


@pytest.mark.parametrize("extra", [{"jwk": {}}, {"jku": "https://x"}, {"crit": ["exp"]}])
def test_a_header_that_says_more_than_it_should_is_refused(house, extra):
    header, claims, _ = parts(house.issue())
    assert refusal(house.verify, house.signed({**header, **extra}, claims)) == "token.malformed"


def test_a_token_bound_to_no_key_is_refused(house):
    header, claims, _ = parts(house.issue())
    del claims["cnf"]
    assert refusal(house.verify, house.signed(header, claims)) == "token.unbound"
    for cnf in ({}, {"jkt": 1}, {"jwk": {}}, None, "x"):
        forged = house.signed(header, {**claims, "cnf": cnf})
        assert refusal(house.verify, forged) == "token.malformed"


def test_a_token_without_a_proof_or_with_somebody_elses_is_refused(house):
    token = house.issue()
    thief = Ed25519Signer.generate()
    stolen = tokens.prove(token, AUDIENCE, thief, NOW)
    assert refusal(house.verify, token, proof="") == "token.proof"
    assert refusal(house.verify, token, proof=token) == "token.proof"
    assert refusal(house.verify, token, proof=stolen) == "token.proof"


def test_a_proof_is_good_for_one_token_one_audience_one_challenge_and_one_time(house):
    token, other = house.issue(), house.issue()
    assert refusal(house.verify, token, proof=house.proof(other)) == "token.proof"
    elsewhere = tokens.prove(token, "elsewhere", house.holder, NOW)
    assert refusal(house.verify, token, proof=elsewhere) == "token.proof"
    assert refusal(house.verify, token, proof=house.proof(token), nonce="n") == "token.proof"
    proof = house.proof(token, nonce="n")
    house.verify(token, proof=proof, nonce="n")
    assert refusal(house.verify, token, proof=proof, nonce="n") == "token.proof-replayed"


def test_a_proof_made_earlier_or_for_later_is_refused(house):
    token = house.issue()
    early = house.proof(token, after(20))
    assert refusal(house.verify, token, NOW, early) == "token.proof-expired"
    assert refusal(house.verify, token, after(31), house.proof(token)) == "token.proof-expired"


def test_a_changed_proof_is_refused(house):
    token = house.issue()
    header, said, signature = parts(house.proof(token))
    for forged in (
        f"{compact(header)}.{compact({**said, 'iat': said['iat'] + 1})}.{b64(signature)}",
        f"{compact({**header, 'alg': 'none'})}.{compact(said)}.",
        f"{compact(header)}.{compact(said)}.{b64(bytes(64))}",
    ):
        assert refusal(house.verify, token, proof=forged) == "token.proof"


@settings(max_examples=150, deadline=None)
@given(at=st.integers(0, 10_000), flip=st.integers(1, 127))
def test_no_byte_of_a_token_can_be_changed(tmp_path_factory, at, flip):
    house = House(tmp_path_factory.mktemp("flip"))
    token = house.issue()
    raw = bytearray(token.encode())
    raw[at % len(raw)] ^= flip
    changed = raw.decode("latin-1")
    proof = house.proof(token)
    with pytest.raises(Refused) as caught:
        house.verify(changed, proof=proof)
    assert caught.value.rule.startswith("token.")


def test_an_oversize_token_is_refused_before_it_is_read(house):
    assert refusal(house.verify, "a" * 5000, proof="x") == "token.oversize"
    token = house.issue()
    assert refusal(house.verify, token, proof="a" * 5000) == "token.oversize"


@pytest.mark.parametrize(
    "text", ["", ".", "..", "a.b.c", "a.b.c.d", "é.é.é", "e30.e30.e30", "bnVsbA.bnVsbA.AA"]
)
def test_what_is_no_token_is_refused(house, text):
    assert refusal(house.verify, text, proof="x.y.z").startswith("token.")


def test_a_life_outside_the_bounds_is_neither_issued_nor_taken(house):
    for life in (1, 299, 901, 86_400):
        with pytest.raises(BadInput):
            house.issue(life_s=life)
    header, claims, _ = parts(house.issue())
    forever = house.signed(header, {**claims, "exp": claims["iat"] + 86_400})
    assert refusal(house.verify, forever) == "token.life"
    assert refusal(house.verify, house.signed(header, {**claims, "exp": 0})) == "token.life"


def test_an_unknown_claim_and_a_second_spelling_are_refused(house):
    header, claims, _ = parts(house.issue())
    assert refusal(house.verify, house.signed(header, {**claims, "x": 1})) == "token.malformed"
    message = f"{compact(header)}.{b64(str(claims).encode())}"
    spelled = f"{message}.{b64(house.issuer.sign(message.encode()))}"
    assert refusal(house.verify, spelled) == "token.malformed"


def test_a_key_that_is_not_ed25519_neither_signs_nor_holds_a_token(house):
    other = EcdsaP256Signer.generate()
    with pytest.raises(BadInput):
        tokens.thumbprint(other)
    with pytest.raises(BadInput):
        tokens.prove(house.issue(), AUDIENCE, other, NOW)


# -- the deny-list ----------------------------------------------------------------------------


def test_a_revoked_token_is_refused_by_every_process_at_its_next_check(house, tmp_path):
    token = house.issue()
    claims = house.verify(token).claims
    elsewhere = DenyList(tmp_path / "denied")
    elsewhere.revoke(claims, NOW)
    assert refusal(house.verify, token) == "token.revoked"
    assert house.verify(house.issue()).claims.sub == "ann"


def test_revoking_a_subject_ends_all_it_was_issued_and_nothing_later(house):
    first, second = house.issue(), house.issue()
    other = house.issue(subject="bob")
    house.denied.revoke_subject("ann", after(2))
    for token in (first, second):
        assert refusal(house.verify, token, after(3)) == "token.revoked"
    assert house.verify(other, after(3)).claims.sub == "bob"
    assert house.verify(house.issue(after(3)), after(3)).claims.sub == "ann"


def test_a_revocation_is_never_taken_back_by_a_later_one_with_an_earlier_time(house):
    token = house.issue(after(60))
    house.denied.revoke_subject("ann", after(61))
    house.denied.revoke_subject("ann", NOW)
    assert refusal(house.verify, token, after(62)) == "token.revoked"


def test_a_clock_set_back_brings_no_token_back(house, tmp_path):
    token = house.issue()
    house.verify(house.issue(after(900)), after(900))
    assert refusal(house.verify, token, after(100)) == "token.clock-set-back"
    restarted = DenyList(tmp_path / "denied")
    claims = tokens.Claims(**{**parts(token)[1], "cnf": tokens.Confirmation("x")})
    assert refusal(restarted.check, claims, after(100)) == "token.clock-set-back"


def test_marks_are_kept_for_as_long_as_they_deny_and_then_go(house, tmp_path):
    house.denied.revoke(house.verify(house.issue()).claims, NOW)
    house.denied.revoke_subject("ann", NOW)
    assert house.denied.sweep(after(3600)) == 0
    assert house.denied.sweep(NOW + timedelta(days=2)) == 2
    assert [path.name for path in (tmp_path / "denied").iterdir()] == ["clock"]


def test_a_deny_mark_that_cannot_be_read_denies(house, tmp_path):
    token = house.issue()
    claims = house.verify(token).claims
    house.denied.revoke(claims, NOW)
    (tmp_path / "denied" / claims.jti).write_bytes(b"")
    with pytest.raises(VerifyError) as caught:
        house.verify(token)
    assert caught.value.rule == "token.deny-list"


def test_a_deny_list_that_others_can_write_is_refused(tmp_path):
    (tmp_path / "denied").mkdir(mode=0o777)
    (tmp_path / "denied").chmod(0o777)
    assert refusal(DenyList, tmp_path / "denied") == "keys.readable-by-others"
