"""Signing in with an OpenID provider, honest and hostile."""

import datetime
import hashlib
import hmac
import ipaddress
import json
import sys
import time
from urllib.parse import parse_qs, urlsplit

import pytest
from identity_house import b64, compact, parts

jwt = pytest.importorskip("jwt", reason="OpenID needs the extra: pip install 'sealwright[oidc]'")

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, rsa  # noqa: E402
from oidc_house import CLIENT, MAKERS, Browser, OpenIdProvider, jwk_of  # noqa: E402

from sealwright.adapters.oidc_http import HttpProvider  # noqa: E402
from sealwright.app.cli import access_login  # noqa: E402
from sealwright.core import clock  # noqa: E402
from sealwright.core.errors import (  # noqa: E402
    BadInput,
    MissingExtra,
    Refused,
    SealError,
    Unavailable,
)
from sealwright.core.predicates import IDENTITY, LOGIN  # noqa: E402
from sealwright.policy.principals import established_of  # noqa: E402
from sealwright.vault import idtoken  # noqa: E402
from sealwright.vault.people import Provider, subject_digest  # noqa: E402


@pytest.fixture
def corp():
    provider = OpenIdProvider()
    yield provider
    provider.close()


@pytest.fixture
def browser():
    made: list[Browser] = []

    def make(**how) -> Browser:
        made.append(Browser(**how))
        return made[-1]

    yield make
    for one in made:
        one.close()


def pinned(corp: OpenIdProvider, **changed) -> Provider:
    return Provider(**{"issuer": corp.issuer, "client_id": CLIENT, **changed})


def checked(corp: OpenIdProvider, token: str, nonce: str | None = None, now=None):
    jwks = json.dumps(corp.jwks()).encode()
    return idtoken.verify(token, jwks, pinned(corp), now or clock.now(), nonce)


def rule_of(work, *words, **more) -> str:
    with pytest.raises(Refused) as caught:
        work(*words, **more)
    return caught.value.rule


# -- the token itself -------------------------------------------------------------------------


@pytest.mark.parametrize("algorithm", MAKERS)
def test_each_algorithm_we_take_is_taken_by_a_key_of_its_kind(algorithm):
    corp = OpenIdProvider(algorithm)
    try:
        found = checked(corp, corp.token(nonce="n"), "n")
        assert found.subject == subject_digest(corp.issuer, corp.person)
    finally:
        corp.close()


def test_a_token_that_is_not_signed_is_refused(corp):
    said = jwt.decode(corp.token(), options={"verify_signature": False})
    bare = jwt.encode(said, None, algorithm="none", headers={"kid": corp.kid})
    assert rule_of(checked, corp, bare) == "oidc.algorithm"


def test_a_public_key_is_never_a_shared_secret(corp):
    header, said, _ = parts(corp.token())
    pem = corp.key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    message = f"{compact({**header, 'alg': 'HS256'})}.{compact(said)}"
    mac = hmac.new(pem, message.encode(), hashlib.sha256).digest()
    assert rule_of(checked, corp, f"{message}.{b64(mac)}") == "oidc.algorithm"


@pytest.mark.parametrize("name", ["RS256", "EdDSA"])
def test_a_key_is_used_with_the_algorithm_of_its_kind_alone(corp, name):
    _, said, _ = parts(corp.token())
    other = jwt.encode(said, MAKERS[name][0](), algorithm=name, headers={"kid": corp.kid})
    assert rule_of(checked, corp, other) == "oidc.key"


@pytest.mark.parametrize("kid", [None, "", "other", 7])
def test_a_token_that_names_no_key_of_the_provider_is_refused(corp, kid):
    header, said, signature = parts(corp.token())
    header = {k: v for k, v in {**header, "kid": kid}.items() if v is not None}
    forged = f"{compact(header)}.{compact(said)}.{b64(signature)}"
    assert rule_of(checked, corp, forged) in ("oidc.key", "oidc.malformed")


def test_two_keys_by_one_id_decide_nothing(corp):
    token = corp.token()
    twin = jwk_of(MAKERS["ES256"][0](), "ES256", corp.kid)
    corp.lies["jwks"] = {"keys": [*corp.jwks()["keys"], twin]}
    assert rule_of(checked, corp, token) == "oidc.key"


def test_a_swapped_key_is_told_by_the_signature(corp):
    token = corp.token()
    corp.key = MAKERS["ES256"][0]()
    assert rule_of(checked, corp, token) == "oidc.signature"


def test_a_header_that_brings_its_own_key_is_not_listened_to(corp):
    thief = MAKERS["ES256"][0]()
    own = jwk_of(thief, "ES256", corp.kid)
    said = jwt.decode(corp.token(), options={"verify_signature": False})
    for extra in ({"jwk": own}, {"jku": "http://127.0.0.1:1/jwks"}, {"x5u": "http://127.0.0.1:1"}):
        headers = {"kid": corp.kid, **extra}
        forged = jwt.encode(said, thief, algorithm="ES256", headers=headers)
        assert rule_of(checked, corp, forged) == "oidc.signature"


def test_a_key_for_encryption_or_too_short_a_key_is_refused(corp):
    token = corp.token()
    corp.lies["jwks"] = {"keys": [{**corp.jwks()["keys"][0], "use": "enc"}]}
    assert rule_of(checked, corp, token) == "oidc.key"
    short = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    said = jwt.decode(token, options={"verify_signature": False})
    with pytest.warns(jwt.warnings.InsecureKeyLengthWarning):
        weak = jwt.encode(said, short, algorithm="RS256", headers={"kid": corp.kid})
    corp.lies["jwks"] = {"keys": [jwk_of(short, "RS256", corp.kid)]}
    assert rule_of(checked, corp, weak) == "oidc.key"


@pytest.mark.parametrize(
    ("claims", "rule"),
    [
        ({"iss": "https://evil.example"}, "oidc.issuer"),
        ({"iss": None}, "oidc.issuer"),
        ({"aud": "another-client"}, "oidc.audience"),
        ({"aud": ["another-client"]}, "oidc.audience"),
        ({"aud": None}, "oidc.audience"),
        ({"aud": [CLIENT, "another-client"]}, "oidc.azp"),
        ({"azp": "another-client"}, "oidc.azp"),
        ({"aud": [CLIENT, "x"], "azp": "x"}, "oidc.azp"),
        ({"exp": 1}, "oidc.expired"),
        ({"exp": None}, "oidc.malformed"),
        ({"iat": None}, "oidc.malformed"),
        ({"exp": "soon"}, "oidc.malformed"),
        ({"exp": True}, "oidc.malformed"),
        ({"iat": 1}, "oidc.expired"),
        ({"iat": 9_999_999_999, "exp": 99_999_999_999}, "oidc.not-yet-valid"),
        ({"nbf": 9_999_999_999}, "oidc.not-yet-valid"),
        ({"nonce": "another"}, "oidc.nonce"),
        ({"nonce": None}, "oidc.nonce"),
        ({"nonce": 5}, "oidc.nonce"),
        ({"sub": None}, "oidc.malformed"),
        ({"sub": ""}, "oidc.malformed"),
        ({"sub": "x" * 256}, "oidc.malformed"),
        ({"note": "x" * 20_000}, "oidc.oversize"),
    ],
)
def test_a_well_signed_token_with_a_wrong_claim_is_refused(corp, claims, rule):
    corp.claims = claims
    assert rule_of(checked, corp, corp.token(nonce="n"), "n") == rule


def test_the_skew_that_is_forgiven_is_bounded(corp):
    now = int(time.time())
    token = corp.token(iat=now, exp=now + 10)
    at = datetime.datetime.fromtimestamp(now, datetime.UTC)
    assert checked(corp, token, now=at + datetime.timedelta(seconds=69)).issuer == corp.issuer
    assert rule_of(checked, corp, token, now=at + datetime.timedelta(seconds=70)) == "oidc.expired"
    early = at - datetime.timedelta(seconds=61)
    assert rule_of(checked, corp, token, now=early) == "oidc.not-yet-valid"


@pytest.mark.parametrize("text", ["", "a", "a.b.c", "..", "e30.e30.e30", "\0" * 50])
def test_what_is_no_token_is_refused(corp, text):
    assert rule_of(checked, corp, text) in ("oidc.malformed", "oidc.algorithm")


@pytest.mark.parametrize(
    "jwks",
    [
        b"",
        b"[]",
        b"{}",
        b'{"keys":{}}',
        b'{"keys":[1]}',
        b'{"keys":[{"kty":"oct","k":"c2VjcmV0","kid":"key-1"}]}',
        b'{"keys":[{"kty":"EC","d":"x"}]}',
        json.dumps({"keys": [{}] * 65}).encode(),
    ],
)
def test_what_is_no_set_of_public_keys_is_refused(corp, jwks):
    with pytest.raises(BadInput):
        idtoken.verify(corp.token(), jwks, pinned(corp), clock.now(), None)


def test_without_the_extra_the_install_line_is_named(corp, monkeypatch):
    token = corp.token()
    monkeypatch.setitem(sys.modules, "jwt", None)
    with pytest.raises(MissingExtra) as caught:
        checked(corp, token)
    assert "sealwright[oidc]" in caught.value.hint


# -- the way to it ----------------------------------------------------------------------------


def test_a_person_signs_in_by_code_and_pkce(corp, browser):
    reach = HttpProvider(pinned(corp))
    token = reach.sign_in("n", browser())
    known = idtoken.verify(token, reach.jwks(), pinned(corp), clock.now(), "n")
    assert known.subject == subject_digest(corp.issuer, corp.person)
    asked = parse_qs(urlsplit(next(p for p in corp.asked if "/authorize" in p)).query)
    assert asked["code_challenge_method"] == ["S256"] and asked["scope"] == ["openid"]


def test_other_visitors_of_the_loopback_port_are_turned_away(corp, browser):
    visitor = browser(first=("/", "/favicon.ico", "/callbackx?code=1&state=2"))
    assert HttpProvider(pinned(corp)).sign_in("n", visitor)
    visitor.close()
    assert visitor.statuses == [404, 404, 404, 200]


@pytest.mark.parametrize(
    ("callback", "rule"),
    [
        ({"state": "forged"}, "oidc.state"),
        ({"state": None}, "oidc.state"),
        ({"state": "é"}, "oidc.state"),
        ({"iss": "https://evil.example"}, "oidc.issuer"),
        ({"error": "access_denied"}, "oidc.denied"),
        ({"code": None}, "oidc.denied"),
        ({"code": ["a", "b"]}, "oidc.malformed"),
        ({"code": "guessed"}, "oidc.denied"),
    ],
)
def test_an_answer_to_the_browser_that_is_not_ours_is_refused(corp, browser, callback, rule):
    corp.lies["callback"] = callback
    assert rule_of(HttpProvider(pinned(corp)).sign_in, "n", browser()) == rule
    reached = [path for path in corp.asked if path == "/token"]
    assert bool(reached) is (callback == {"code": "guessed"})


def test_a_code_for_another_challenge_is_worth_nothing(corp, browser):
    def another(address: str) -> str:
        challenge = parse_qs(urlsplit(address).query)["code_challenge"][0]
        return address.replace(challenge, b64(hashlib.sha256(b"another").digest()))

    assert rule_of(HttpProvider(pinned(corp)).sign_in, "n", browser(edit=another)) == "oidc.denied"


@pytest.mark.parametrize("path", ["/.well-known/openid-configuration", "/token", "/jwks"])
def test_no_redirect_is_followed(corp, browser, path):
    trap = OpenIdProvider()
    try:
        corp.lies |= {"redirect": (path,), "elsewhere": f"{trap.issuer}{path}"}
        reach = HttpProvider(pinned(corp))

        def all_of_it() -> None:
            reach.sign_in("n", browser())
            reach.jwks()

        assert rule_of(all_of_it) == "oidc.redirect"
        assert trap.asked == []
    finally:
        trap.close()


@pytest.mark.parametrize(
    ("document", "rule"),
    [
        ({"issuer": "https://evil.example"}, "oidc.issuer"),
        ({"jwks_uri": "http://192.0.2.1/jwks"}, "oidc.plaintext"),
        ({"jwks_uri": "file:///etc/passwd"}, "oidc.plaintext"),
        ({"jwks_uri": "ftp://127.0.0.1/x"}, "oidc.plaintext"),
        ({"jwks_uri": None}, "oidc.malformed"),
        ({"jwks_uri": 5}, "oidc.malformed"),
    ],
)
def test_a_discovery_document_that_leads_astray_is_refused(corp, document, rule):
    corp.lies["document"] = document
    assert rule_of(HttpProvider(pinned(corp)).jwks) == rule


@pytest.mark.parametrize(
    ("body", "rule"),
    [(b"no", "oidc.malformed"), (b"[]", "oidc.malformed"), (b" " * (1 << 19), "oidc.oversize")],
)
def test_a_discovery_document_that_is_none_is_refused(corp, body, rule):
    corp.lies["body"] = body
    assert rule_of(HttpProvider(pinned(corp)).jwks) == rule


def test_a_provider_that_is_away_is_said_to_be_away():
    gone = OpenIdProvider()
    gone.close()
    with pytest.raises(Unavailable):
        HttpProvider(pinned(gone)).jwks()


def test_pinned_keys_are_used_and_nothing_is_fetched(corp):
    keys = json.dumps(corp.jwks())
    token = corp.token()
    jwks = HttpProvider(pinned(corp, keys=keys)).jwks()
    assert idtoken.verify(token, jwks, pinned(corp), clock.now(), None).issuer == corp.issuer
    assert corp.asked == []


def test_over_tls_the_certificate_must_be_one_that_was_pinned(tmp_path):
    paths = [certificate(tmp_path / name) for name in ("right.pem", "wrong.pem")]
    corp = OpenIdProvider(tls=paths[0])
    try:
        right, wrong = (public_part(path) for path in paths)
        assert b"keys" in HttpProvider(pinned(corp, ca=right)).jwks()
        for ca in (wrong, ""):
            with pytest.raises(Unavailable) as caught:
                HttpProvider(pinned(corp, ca=ca)).jwks()
            assert "certificate" in caught.value.why.lower()
    finally:
        corp.close()


def certificate(path):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, path.stem)])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


def public_part(path) -> str:
    text = path.read_text()
    return text[text.index("-----BEGIN CERTIFICATE") :]


# -- at the command line ----------------------------------------------------------------------


@pytest.fixture
def office(desk, corp, browser, monkeypatch):
    """The desk, with the provider in seal.toml and a browser before everybody."""
    monkeypatch.setattr(access_login, "_shower", lambda out: browser())
    with (desk.root / "seal.toml").open("a") as settings:
        settings.write(f'\n[identity.corp]\nissuer = "{corp.issuer}"\nclient_id = "{CLIENT}"\n')
    return desk


def invited(office, corp, name: str = "eve", subject: str = "") -> str:
    words = ("--role", "auditor", "--provider", "corp", "--subject", subject or corp.person)
    office.ok("access", "invite", name, *words, "--out", office.path("offer"))
    office.become(name)
    return office.path("offer")


def test_a_provider_vouches_for_a_new_key_and_then_for_sessions(office, corp):
    offer = invited(office, corp)
    office.ok("access", "login", "--invite", offer, "--out", office.path("answer"))
    office.become("ada")
    joined = office.ok("access", "accept", office.path("answer"))
    assert (joined["established"], joined["issuer"]) == ("oidc", corp.issuer)
    assert joined["subject"] == subject_digest(corp.issuer, corp.person)
    trust = office.workspace().trust
    assert established_of(trust, "eve", joined["key_id"], None) == "oidc"

    office.become("eve")
    session = office.ok("access", "login", "--provider", "corp")
    assert (session["name"], session["established"]) == ("eve", "oidc")
    assert office.ok("access", "whoami")["established"] == "oidc"
    history = office.workspace().history()
    said = history.of_type(LOGIN)[0].statement.predicate
    assert (said["issuer"], said["subject"]) == (corp.issuer, joined["subject"])
    written = b"".join(entry.body for entry in office.workspace().log.entries())
    assert corp.person.encode() not in written


def test_who_signs_in_as_somebody_else_is_not_who_was_invited(office, corp):
    offer = invited(office, corp, subject="somebody-else")
    rule = office.refused("access", "login", "--invite", offer, "--out", office.path("answer"))
    assert rule == "oidc.subject"


def test_a_token_from_one_acceptance_vouches_for_no_other_key(office, corp):
    import base64

    from sealwright.app import wiring
    from sealwright.evidence import dsse, jcs
    from sealwright.vault import people

    offer = invited(office, corp)
    office.ok("access", "login", "--invite", offer, "--out", office.path("answer"))
    envelope = (office.files / "answer").read_bytes()
    said = jcs.parse(dsse.parse(envelope).payload)
    office.become("eve", "thiefs")
    thief, _ = wiring.person_home("eve").make(None)
    said["pem"] = thief.public_pem().decode()
    assert base64.b64decode(said["invitation"])
    stolen = dsse.sign(jcs.canonical(said), [thief], people.ACCEPTANCE)
    (office.files / "answer").write_bytes(stolen)
    office.become("ada")
    assert office.refused("access", "accept", office.path("answer")) == "oidc.nonce"
    assert not office.workspace().history().of_type(IDENTITY)


def test_a_subject_the_workspace_does_not_know_is_nobody(office, corp):
    assert office.refused("access", "login", "--provider", "corp") == "identity.unknown-subject"


def enrolled(office, corp) -> None:
    words = ("--provider", "corp", "--subject", corp.person, "--reason", "nightly")
    office.ok("access", "invite", "ci", "--role", "service", *words)
    office.become("ci")


def test_a_service_shows_a_workload_token_once(office, corp, monkeypatch):
    enrolled(office, corp)
    (office.files / "token").write_text(corp.token() + "\n")
    words = ("access", "login", "--provider", "corp", "--id-token", office.path("token"))
    session = office.ok(*words)
    assert (session["kind"], session["established"]) == ("service", "oidc")
    who = office.workspace().principal
    assert (who.kind, who.established, who.key_id) == ("service", "oidc", session["key_id"])
    assert office.refused(*words) == "token.replayed"
    monkeypatch.setenv("SEAL_ID_TOKEN", corp.token(jti="second"))
    office.ok("access", "login", "--provider", "corp")


def test_a_person_is_never_established_by_a_token_from_a_file(office, corp):
    offer = invited(office, corp)
    office.ok("access", "login", "--invite", offer, "--out", office.path("answer"))
    office.become("ada")
    office.ok("access", "accept", office.path("answer"))
    office.become("eve")
    (office.files / "token").write_text(corp.token())
    words = ("access", "login", "--provider", "corp", "--id-token", office.path("token"))
    assert office.refused(*words) == "identity.kind"


def test_one_subject_is_never_two_principals(office, corp):
    enrolled(office, corp)
    office.become("ada")
    words = ("--role", "service", "--provider", "corp", "--subject", corp.person)
    assert office.refused("access", "invite", "cd", *words) == "identity.taken"


def test_a_provider_that_was_changed_in_the_settings_vouches_for_nobody(office, corp):
    enrolled(office, corp)
    thief = OpenIdProvider()
    try:
        (office.root / "evil.json").write_text(json.dumps(thief.jwks()))
        with (office.root / "seal.toml").open("a") as settings:
            settings.write('keys = "evil.json"\n')
        forged = thief.token(iss=corp.issuer)
        (office.files / "token").write_text(forged)
        words = ("access", "login", "--provider", "corp", "--id-token", office.path("token"))
        assert office.refused(*words) == "identity.provider-changed"
    finally:
        thief.close()


@pytest.mark.parametrize(
    "issuer", ["http://id.example.com", "ftp://x", "https://x?y", "id.example.com", ""]
)
def test_an_issuer_without_tls_is_refused_in_the_settings(desk, issuer):
    with (desk.root / "seal.toml").open("a") as settings:
        settings.write(f'\n[identity.corp]\nissuer = "{issuer}"\nclient_id = "x"\n')
    with pytest.raises(SealError) as caught:
        desk.workspace().settings  # noqa: B018
    assert "$.identity.corp.issuer" in str(caught.value.why)
