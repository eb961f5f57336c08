"""Twenty-five kinds of what is taken for a secret and is none; see :mod:`.secretplant`."""

from __future__ import annotations

import base64
import string
import uuid
from collections.abc import Callable, Mapping
from random import Random

from sealwright.app.bench.secretwords import code_of, host, word

Made = tuple[str, str]

_LETTERS = string.ascii_letters + string.digits
_PNG = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0"
_NAMES = ("api_key", "password", "token", "client_secret", "auth_token", "db_password")


def _hex(random: Random, size: int) -> str:
    return random.randbytes(size).hex()


def _b64(random: Random, size: int) -> str:
    return base64.b64encode(random.randbytes(size)).decode()


def _commit(random: Random) -> Made:
    sha = _hex(random, 20)
    return random.choice(
        [
            ("pins.toml", f'rev = "{sha}"'),
            ("CHANGES.md", f"Fixed in {sha} by the loader."),
            ("vendor.json", f'{{"commit": "{sha}"}}'),
            ("ci.yaml", f"uses: {word(random)}/checkout@{sha}"),
        ]
    )


def _pip_hash(random: Random) -> Made:
    version = f"{random.randrange(9)}.{random.randrange(30)}"
    return "requirements.txt", f"{word(random)}=={version} \\\n    --hash=sha256:{_hex(random, 32)}"


def _integrity(random: Random) -> Made:
    return "package-lock.json", f'"integrity": "sha512-{_b64(random, 64)}",'


def _checksum(random: Random) -> Made:
    value = _hex(random, random.choice([16, 20, 32]))
    return random.choice(
        [
            ("headers.yaml", f'etag: "{value}"'),
            ("SUMS.txt", f"{value}  {word(random)}.tar.gz"),
            ("manifest.json", f'{{"md5": "{value}"}}'),
            (code_of(random), f'checksum = "{value}"'),
            (code_of(random), f'cache_key = "{value}"'),
        ]
    )


def _uuid(random: Random) -> Made:
    value = uuid.UUID(bytes=random.randbytes(16), version=4)
    name = random.choice(["client_id", "tenant_id", "key_id", "secret_id", "session", "token_id"])
    path, form = random.choice(
        [("conf.yaml", "{}: {}"), (code_of(random), '{} = "{}"'), (".env", "{}={}")]
    )
    return path, form.format(name, value)


def _placeholder(random: Random) -> Made:
    name = random.choice(_NAMES)
    value = random.choice(
        [
            f"your-{name.replace('_', '-')}-here",
            f"<{name.upper()}>",
            "changeme",
            "x" * random.randrange(8, 40),
            "*" * random.randrange(8, 20),
            f"${{{name.upper()}}}",
            f"{{{{ vault.{name} }}}}",
            f"%({name})s",
            f"REPLACE_WITH_{name.upper()}",
            f"my_{name}",
            "INSERT_TOKEN_HERE",
            "...",
        ]
    )
    path, form = random.choice(
        [("conf.yaml", '{}: "{}"'), (code_of(random), '{} = "{}"'), (".env.example", "{}={}")]
    )
    return path, form.format(name, value)


def _picture(random: Random) -> Made:
    data = base64.b64encode(_PNG + random.randbytes(random.randrange(80, 400))).decode()
    return random.choice(
        [
            ("index.html", f'<img src="data:image/png;base64,{data}">'),
            ("a.css", f"background: url(data:image/png;base64,{data})"),
            ("plots.json", f'{{"image/png": "{data}"}}'),
        ]
    )


def _identifier(random: Random) -> Made:
    one, two = word(random), word(random)
    return random.choice(
        [
            (code_of(random), f'SECRET_NAME = "{one.upper()}_{two.upper()}_SECRET_KEY"'),
            (code_of(random), f'token_field = "{one}{two.title()}AccessToken"'),
            ("conf.yaml", f"secretName: {one}-{two}-tls-secret"),
            ("conf.yaml", f"password_key: {one}_{two}_password"),
            (code_of(random), f'KEYS = ["{one}_api_key", "{two}_client_secret"]'),
        ]
    )


def _address(random: Random) -> Made:
    name, place = word(random), host(random)
    value = random.choice(
        [
            f"postgres://{name}@{place}:5432/{word(random)}",
            f"https://{name}@{place}/{word(random)}.git",
            f"redis://{place}:6379/0",
            f"https://{place}:8443/@{name}/pkg?token_type=bearer",
            f"postgres://${{DB_USER}}:${{DB_PASSWORD}}@{place}/{name}",
            f"git@{place}:{name}/{word(random)}.git",
            f"mysql://USER:PASSWORD@{place}/{name}",
        ]
    )
    return random.choice([("conf.yaml", f"url: {value}"), ("README.md", f"Connect to {value} .")])


def _lookup(random: Random) -> Made:
    name = random.choice(_NAMES)
    return random.choice(
        [
            ("a.py", f'{name} = os.environ["{name.upper()}"]'),
            ("a.py", f'{name} = os.getenv("{name.upper()}", "")'),
            ("a.js", f"const {name} = process.env.{name.upper()};"),
            ("a.go", f'{name} := os.Getenv("{name.upper()}")'),
            ("a.py", f"{name} = settings.{word(random)}.{name}.get_secret_value()"),
            ("ci.yaml", f"{name}: ${{{{ secrets.{name.upper()} }}}}"),
        ]
    )


def _annotation(random: Random) -> Made:
    name = random.choice(_NAMES)
    return random.choice(
        [
            ("a.py", f"def login(self, user: str, {name}: str | None = None) -> Session:"),
            ("a.py", f"{name}: SecretStr = Field(min_length=12)"),
            ("a.ts", f"{name}?: Promise<string>;"),
            ("A.java", f"private final String {name};"),
            ("schema.json", f'"{name}": {{"type": "string", "format": "password"}}'),
        ]
    )


def _prose(random: Random) -> Made:
    return "docs/guide.md", random.choice(
        [
            "The password must have at least twelve characters and one digit.",
            "token: the access token that the service gave you",
            f"Set `api_key` in the settings of {word(random)} before the first start.",
            "secret: optional. When it is missing, requests are not signed.",
            "password = what you typed when the account was made",
            f"Ask {word(random).title()} for the client secret; it is never written down.",
        ]
    )


def _public(random: Random) -> Made:
    if random.random() < 0.3:
        size = random.choice([51, 279])
        return (
            "keys.pub",
            f"ssh-rsa AAAAB3NzaC1yc2E{_b64(random, size)} {word(random)}@{host(random)}",
        )
    label = random.choice(["PUBLIC KEY", "CERTIFICATE", "CERTIFICATE REQUEST"])
    body = _b64(random, random.randrange(90, 900))
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return "ca.pem", f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----"


def _image(random: Random) -> Made:
    return "deploy.yaml", f"image: {host(random)}/{word(random)}@sha256:{_hex(random, 32)}"


def _example(random: Random) -> Made:
    """What documentation shows: the vendors' own examples, and tokens with a part left out."""
    value = random.choice(
        [
            "AKIAIOSFODNN7EXAMPLE",
            'aws_secret_access_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"',
            f"ghp_{'x' * 36}",
            "token: ghp_****************************",
            'api_key="sk-..."',
            "xoxb-your-token-here",
            f"sk_live_{'x' * 24}",
            "Authorization: Bearer <token>",
            "eyJhbGciOi...",
            f"glpat-{'X' * 20}",
            "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        ]
    )
    return random.choice(["README.md", "docs/setup.md", "a.py"]), f"# e.g. {value}"


def _unchecked(random: Random) -> Made:
    """The right length and letters, and a checksum that does not hold (by chance: 1 in 10^9)."""
    prefix = random.choice(["ghp", "gho", "npm"])
    body = "".join(random.choices(_LETTERS, k=36))
    return code_of(random), f'sample = "{prefix}_{body}"'


def _blob(random: Random) -> Made:
    data = _b64(random, random.randrange(60, 300))
    return random.choice(
        [
            ("model.json", f'{{"weights": "{data}"}}'),
            (code_of(random), f'payload = "{data}"'),
            ("data.csv", f"{random.randrange(999)},{data},ok"),
        ]
    )


def _numbers(random: Random) -> Made:
    numbers = [random.random() * 10 ** random.randrange(9) for _ in range(8)]
    return random.choice(
        [
            ("t.csv", ",".join(f"{each:.6f}" for each in numbers)),
            ("a.log", f"{random.randrange(10**12, 10**13)} {random.randrange(10**15, 10**16)}"),
            (code_of(random), f"token_count = {random.randrange(10**9)}"),
            ("conf.yaml", f"max_tokens: {random.randrange(10**5)}"),
        ]
    )


def _dotted(random: Random) -> Made:
    one, two = word(random), word(random)
    return random.choice(
        [
            ("A.java", f"import com.{one}.security.token.{two.title()}TokenProvider;"),
            ("pins.txt", f"{one}=={random.randrange(9)}.{random.randrange(20)}.0rc1+build.{two}"),
            ("conf.yaml", f"key_class: org.{one}.{two}.KeyManagerFactory"),
            ("a.py", f"from {one}.{two} import secret_key_provider as key"),
        ]
    )


def _path(random: Random) -> Made:
    one, two = word(random), word(random)
    return random.choice(
        [
            ("conf.yaml", f"key_file: /etc/ssl/private/{one}-{two}.key"),
            (".env", f"DB_PASSWORD_FILE=/run/secrets/{one}_password"),
            ("a.py", f'secret = "projects/{one}/secrets/{two}/versions/{random.randrange(9)}"'),
            ("conf.yaml", "credentials: ~/.config/cloud/credentials.json"),
            ("a.tf", f'password = data.vault.{one}.{two}["password"]'),
        ]
    )


def _call(random: Random) -> Made:
    one = word(random)
    return random.choice(
        [
            ("a.py", f'password = getpass.getpass("Password of {one}: ")'),
            ("a.py", f"token = client.auth.create_token(user_id={random.randrange(99)}, ttl=3600)"),
            ("a.go", f"secret := deriveKey(master, salt, {random.randrange(9999)})"),
            ("a.js", f"const token = await {one}.issueToken({{ scope: 'read' }});"),
            ("a.py", "api_key = secrets.token_urlsafe(32)"),
            ("a.rb", f"password = Rails.application.credentials.{one}"),
        ]
    )


def _resource(random: Random) -> Made:
    cloud = f"eu-west-1:{random.randrange(10**11, 10**12)}"
    key = uuid.UUID(bytes=random.randbytes(16), version=4)
    return random.choice(
        [
            ("a.tf", f'secret_arn = "arn:aws:secretsmanager:{cloud}:secret:{word(random)}-a1B2c3"'),
            ("a.yaml", f"instance: i-0{_hex(random, 8)}"),
            ("a.yaml", f"kms_key: arn:aws:kms:{cloud}:key/{key}"),
            ("a.json", f'{{"ami": "ami-0{_hex(random, 8)}"}}'),
        ]
    )


def _minified(random: Random) -> Made:
    names = "".join(random.choices("abcdefgh", k=4))
    one, two = _hex(random, 3), _hex(random, 3)
    return random.choice(
        [
            ("a.js", f"function {names}(a,b){{return a.token===b&&b.password!==c}}var k='{one}'"),
            ("a.css", f".{names}{{color:#{one};background:#{two}}}"),
            ("a.js", f'!function(e,t){{e.apiKey=t.key||"{word(random)}"}}(this,{{key:0}})'),
        ]
    )


def _publishable(random: Random) -> Made:
    """What its issuer calls public: browsers get it."""
    page = "".join(random.choices(_LETTERS, k=24))
    site = "".join(random.choices(string.ascii_uppercase, k=10))
    app = "".join(random.choices(string.ascii_lowercase + string.digits, k=32))
    client = f"{random.randrange(10**11, 10**12)}-{app}.apps.googleusercontent.com"
    return random.choice(
        [
            ("a.js", f'stripe = Stripe("pk_live_{page}")'),
            ("a.html", f"gtag('config', 'G-{site}')"),
            ("a.json", f'{{"client_id": "{client}"}}'),
        ]
    )


def _hashed(random: Random) -> Made:
    """A password's hash: not the password."""
    salt = "".join(random.choices(_LETTERS + "./", k=53))
    django = f"pbkdf2_sha256$600000${_hex(random, 6)}${_b64(random, 32)}"
    return random.choice(
        [
            ("users.csv", f"{word(random)},$2b$12${salt}"),
            ("users.sql", f"'{word(random)}', '{django}'"),
            ("a.yaml", f'password_hash: "$argon2id$v=19$m=65536,t=3,p=4${_b64(random, 12)[:-1]}"'),
        ]
    )


KINDS: Mapping[str, Callable[[Random], Made]] = {
    "commit": _commit,
    "pip hash": _pip_hash,
    "npm integrity": _integrity,
    "checksum": _checksum,
    "uuid": _uuid,
    "placeholder": _placeholder,
    "picture": _picture,
    "identifier": _identifier,
    "address without a password": _address,
    "look-up": _lookup,
    "annotation": _annotation,
    "prose": _prose,
    "public key": _public,
    "image digest": _image,
    "documented example": _example,
    "wrong checksum": _unchecked,
    "binary in base64": _blob,
    "numbers": _numbers,
    "dotted name": _dotted,
    "path": _path,
    "call": _call,
    "resource name": _resource,
    "minified code": _minified,
    "publishable key": _publishable,
    "password hash": _hashed,
}
"""How each kind is made: a file's name and a text."""
