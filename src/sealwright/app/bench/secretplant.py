"""Secrets of twenty kinds and what only looks like one, made from a seed; none was ever valid.

Each kind is written as its issuer's public documentation describes it, in the files where such
things are met, and each is an :class:`Item` of its own. No pattern of ours was read for it.
"""

from __future__ import annotations

import base64
import json
import string
import zlib
from collections.abc import Callable, Iterator, Mapping
from random import Random

import msgspec

from sealwright.app.bench import secretlookalike as looks
from sealwright.app.bench.secretwords import Item, code_of, filler, host, word

SEED = 20_260_101
EACH = 100
LOOK_ALIKES_EACH = 800

_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase
_LETTERS = string.ascii_letters + string.digits
_URLSAFE = _LETTERS + "-_"


class Drawn(msgspec.Struct, frozen=True):
    """A value, and names it goes by; ``whole`` is a file's text rather than a value in one."""

    value: str
    names: tuple[str, ...]
    whole: bool = False
    bare: bool = True


def secrets(seed: int = SEED, each: int = EACH) -> Iterator[Item]:
    """``each`` of every kind."""
    for kind, draw in KINDS.items():
        random = Random(f"{seed}:{kind}")  # noqa: S311 - a set that must be the same again
        for _ in range(each):
            yield _item(kind, draw(random), random)


def look_alikes(seed: int = SEED, each: int = LOOK_ALIKES_EACH) -> Iterator[Item]:
    """``each`` of every kind of look-alike."""
    for kind, make in looks.KINDS.items():
        random = Random(f"{seed}:{kind}")  # noqa: S311 - a set that must be the same again
        for _ in range(each):
            path, text = make(random)
            yield Item(kind, path, f"{filler(random, path)}{text}\n{filler(random, path)}", False)


def _item(kind: str, drawn: Drawn, random: Random) -> Item:
    if drawn.whole:
        path = random.choice(["deploy/key.json", "id.pem", "src/settings.txt"])
        return Item(kind, path, f"{drawn.value}\n", True)
    name = random.choice(drawn.names)
    carriers = (*_ASSIGNING, *_CARRYING) if drawn.bare else _ASSIGNING
    path, text = random.choice(carriers)(name, drawn.value, random)
    return Item(kind, path, f"{filler(random, path)}{text}\n{filler(random, path)}", True)


def _of(random: Random, alphabet: str, length: int) -> str:
    return "".join(random.choices(alphabet, k=length))


def _base62(number: int, width: int) -> str:
    out = ""
    while number:
        number, digit = divmod(number, 62)
        out = _BASE62[digit] + out
    return out.rjust(width, "0")


def _checked(random: Random, prefix: str) -> Drawn:
    """GitHub's and npm's form: thirty characters and their CRC-32 in six base-62 digits."""
    body = _of(random, _LETTERS, 30)
    tail = _base62(zlib.crc32(body.encode()), 6)
    return Drawn(f"{prefix}_{body}{tail}", ("token", "GITHUB_TOKEN", "auth", "NPM_TOKEN"))


def _aws_id(random: Random) -> Drawn:
    body = _of(random, string.ascii_uppercase + "234567", 16)
    return Drawn(random.choice(["AKIA", "ASIA"]) + body, ("AWS_ACCESS_KEY_ID", "access_key", "key"))


def _aws_secret(random: Random) -> Drawn:
    value = base64.b64encode(random.randbytes(30)).decode()
    return Drawn(value, ("AWS_SECRET_ACCESS_KEY", "aws_secret_access_key"), bare=False)


def _github_fine(random: Random) -> Drawn:
    value = f"github_pat_{_of(random, _LETTERS, 22)}_{_of(random, _LETTERS, 59)}"
    return Drawn(value, ("GH_TOKEN", "token", "pat"))


def _slack(random: Random) -> Drawn:
    ids = "-".join(_of(random, string.digits, 12) for _ in range(random.choice([2, 3])))
    kind = "xoxb" if ids.count("-") == 1 else "xoxp"
    tail = _of(random, _LETTERS, 24) if kind == "xoxb" else _of(random, "0123456789abcdef", 32)
    return Drawn(f"{kind}-{ids}-{tail}", ("SLACK_TOKEN", "bot_token", "slack"))


def _slack_hook(random: Random) -> Drawn:
    upper = string.ascii_uppercase + string.digits
    path = f"T{_of(random, upper, 8)}/B{_of(random, upper, 10)}/{_of(random, _LETTERS, 24)}"
    return Drawn(f"https://hooks.slack.com/services/{path}", ("WEBHOOK", "alert_url", "url"))


def _service_account(random: Random) -> Drawn:
    """The JSON key file of a Google Cloud service account."""
    document = {
        "type": "service_account",
        "project_id": f"{word(random)}-{random.randrange(10**6)}",
        "private_key_id": random.randbytes(20).hex(),
        "private_key": _pem_text(random, "PRIVATE KEY", 1218),
        "client_email": f"{word(random)}@{word(random)}.iam.gserviceaccount.com",
        "token_uri": "https://oauth2.googleapis.com/token",
    }
    return Drawn(json.dumps(document, indent=2), (), whole=True)


def _pem_text(random: Random, label: str, size: int) -> str:
    body = base64.b64encode(b"0\x82" + random.randbytes(size)).decode()
    lines = "\n".join(body[at : at + 64] for at in range(0, len(body), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"


def _pem(random: Random) -> Drawn:
    labels = {"RSA PRIVATE KEY": 1190, "EC PRIVATE KEY": 119, "PRIVATE KEY": 1218}
    label, size = random.choice([*labels.items(), ("OPENSSH PRIVATE KEY", 290)])
    return Drawn(_pem_text(random, label, size), (), whole=True)


def _jwt(random: Random) -> Drawn:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    head = {"alg": random.choice(["HS256", "RS256"]), "typ": "JWT"}
    made = random.randrange(1_700_000_000, 1_790_000_000)
    body = {"sub": str(random.randrange(10**9)), "name": word(random), "iat": made}
    size = 32 if head["alg"] == "HS256" else 256
    parts = [json.dumps(each, separators=(",", ":")).encode() for each in (head, body)]
    text = ".".join([*map(part, parts), part(random.randbytes(size))])
    return Drawn(text, ("token", "session", "id_token", "jwt"))


def _uri(random: Random) -> Drawn:
    scheme = random.choice(["postgres", "postgresql", "mysql", "mongodb+srv", "redis", "amqp"])
    user = random.choice(["app", "admin", "svc_train", "root", word(random)])
    secret = _of(random, _LETTERS, random.randrange(10, 24))
    place = f"{host(random)}:{random.randrange(1024, 65535)}/{word(random)}"
    if scheme == "mongodb+srv":
        place = f"{host(random)}/{word(random)}"
    return Drawn(f"{scheme}://{user}:{secret}@{place}", ("DATABASE_URL", "dsn", "broker", "uri"))


def _openai(random: Random) -> Drawn:
    """The project keys: their middle spells the issuer's name in base64."""
    before, after = _of(random, _URLSAFE, 74), _of(random, _URLSAFE, 74)
    return Drawn(f"sk-proj-{before}T3BlbkFJ{after}", ("OPENAI_API_KEY", "api_key", "key"))


def _pypi(random: Random) -> Drawn:
    """A macaroon for uploads: version 2, location, then an identifier and a signature."""
    inner = base64.urlsafe_b64encode(random.randbytes(random.randrange(96, 130))).decode()
    return Drawn(f"pypi-AgEIcHlwaS5vcmc{inner.rstrip('=')}", ("TWINE_PASSWORD", "password"))


def _azure(random: Random) -> Drawn:
    key = base64.b64encode(random.randbytes(64)).decode()
    text = (
        f"DefaultEndpointsProtocol=https;AccountName={word(random)}{random.randrange(99)};"
        f"AccountKey={key};EndpointSuffix=core.windows.net"
    )
    return Drawn(text, ("AZURE_STORAGE_CONNECTION_STRING", "connection", "storage"))


def _password(random: Random) -> Drawn:
    """Four in five from a password manager, one in five as people make them up."""
    if random.random() < 0.2:
        mark = random.choice("!#%?*")
        value = (
            f"{word(random).title()}{mark}{random.randrange(1000, 9999)}{_of(random, 'xqzw', 2)}"
        )
    else:
        length = random.randrange(12, 25)
        value = _of(random, _LETTERS + "!@%^*-_+=?.~", length - 3) + "k7!"
    names = ("password", "DB_PASSWORD", "passwd", "smtp_password", "ADMIN_PWD", "secret")
    return Drawn(value, names, bare=False)


def _api_key(random: Random) -> Drawn:
    """Keys of services without a form of their own: hex, base 62 or base64."""
    value = random.choice(
        [
            random.randbytes(16).hex(),
            random.randbytes(20).hex(),
            _of(random, _LETTERS, random.randrange(32, 45)),
            base64.b64encode(random.randbytes(32)).decode(),
        ]
    )
    names = ("api_key", "X_API_KEY", "secret_key", "access_token", "client_secret", "SIGNING_KEY")
    return Drawn(value, names, bare=False)


KINDS: Mapping[str, Callable[[Random], Drawn]] = {
    "aws-key-id": _aws_id,
    "aws-secret-key": _aws_secret,
    "github-token": lambda r: _checked(r, r.choice(["ghp", "gho", "ghs", "ghr"])),
    "github-fine-grained": _github_fine,
    "gitlab-token": lambda r: Drawn(f"glpat-{_of(r, _URLSAFE, 20)}", ("GITLAB_TOKEN", "token")),
    "slack-token": _slack,
    "slack-webhook": _slack_hook,
    "stripe-key": lambda r: Drawn(
        f"{r.choice(['sk', 'rk'])}_live_{_of(r, _LETTERS, r.choice([24, 99]))}",
        ("STRIPE_KEY", "stripe", "key"),
    ),
    "google-api-key": lambda r: Drawn(
        f"AIza{_of(r, _URLSAFE, 35)}", ("GOOGLE_API_KEY", "maps", "key")
    ),
    "gcp-service-account": _service_account,
    "private-key": _pem,
    "jwt": _jwt,
    "uri-password": _uri,
    "huggingface-token": lambda r: Drawn(
        f"hf_{_of(r, string.ascii_letters, 34)}", ("HF_TOKEN", "hub_token", "token")
    ),
    "openai-key": _openai,
    "npm-token": lambda r: _checked(r, "npm"),
    "pypi-token": _pypi,
    "azure-storage": _azure,
    "password": _password,
    "api-key": _api_key,
}
"""Twenty kinds: how a value of each is drawn."""


def _env(name: str, value: str, random: Random) -> tuple[str, str]:
    return ".env.production", f"{name.upper()}={value}"


def _literal(name: str, value: str, random: Random) -> tuple[str, str]:
    path = code_of(random)
    mark = random.choice("\"'")
    end = ";" if path.endswith((".js", ".java", ".go")) else ""
    return path, f"{name} = {mark}{value}{mark}{end}"


def _yaml(name: str, value: str, random: Random) -> tuple[str, str]:
    return "conf/app.yaml", f'{word(random)}:\n  {name.lower()}: "{value}"'


def _json(name: str, value: str, random: Random) -> tuple[str, str]:
    return "settings.json", json.dumps({word(random): {name: value}}, indent=2)


def _shell(name: str, value: str, random: Random) -> tuple[str, str]:
    return "run.sh", f"export {name.upper()}='{value}'"


def _cell(name: str, value: str, random: Random) -> tuple[str, str]:
    return "explore.py", f'{word(random)} = dict({name.lower()}="{value}", retries=3)'


def _log(name: str, value: str, random: Random) -> tuple[str, str]:
    return "logs/app.log", f"2026-03-0{random.randrange(1, 9)}T10:00:00Z DEBUG sent {value} ok"


def _curl(name: str, value: str, random: Random) -> tuple[str, str]:
    return "deploy.sh", f'curl -H "Authorization: Bearer {value}" https://{host(random)}/v1'


def _comment(name: str, value: str, random: Random) -> tuple[str, str]:
    return "train.py", f"# the old one was {value}, still works"


def _page(name: str, value: str, random: Random) -> tuple[str, str]:
    return "NOTES.md", f"For staging use `{value}` until Friday."


def _coated(name: str, value: str, random: Random) -> tuple[str, str]:
    """As a Kubernetes Secret holds it."""
    body = base64.b64encode(value.encode()).decode()
    return "k8s/secret.yaml", f"kind: Secret\ndata:\n  {name.lower()}: {body}"


_ASSIGNING = (_env, _literal, _yaml, _json, _shell, _cell)
_CARRYING = (_log, _curl, _comment, _page, _coated)
