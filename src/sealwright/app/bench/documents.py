"""Made documents with values of known places in them, and look-alikes that are none."""

from __future__ import annotations

import base64
import random
import uuid
import zlib
from collections.abc import Callable

import msgspec

from sealwright.kit.patterns import Pattern, patterns

_WORDS = (
    "the account was opened in march and the customer asked us to confirm a change of address "
    "before the next delivery which we did on the same day please note that order status can be "
    "seen online our support team answers within two hours and keeps a record of every request "
    "release build failed on stage because of a missing file we restarted the worker and it passed "
    "model accuracy improved after cleaning labels batch size learning rate epochs loss table row"
).split()
_BASE62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_TRIES = 20_000


class Planted(msgspec.Struct, frozen=True):
    """``text`` holds ``values`` as ``(kind, start, end)``."""

    text: str
    values: tuple[tuple[str, int, int], ...]


def documents(count: int, seed: int, size: int = 1000) -> list[Planted]:
    """``count`` documents of about ``size`` characters with three values and four look-alikes."""
    draw = random.Random(seed)  # noqa: S311  made data
    makers = _makers()
    return [_document(draw, makers, size) for _ in range(count)]


def lookalikes(count: int, seed: int) -> list[str]:
    """Hashes, UUIDs, times, versions, amounts and digit strings, each in a sentence."""
    draw = random.Random(seed)  # noqa: S311
    return [f"{_some(draw, 6)} {_lookalike(draw)} {_some(draw, 6)}" for _ in range(count)]


def _document(draw: random.Random, makers: list[tuple[str, str, str]], size: int) -> Planted:
    parts: list[str] = []
    places: list[tuple[str, int, int]] = []
    length = 0
    plan = ["value"] * 3 + ["alike"] * 4
    draw.shuffle(plan)
    for what in plan:
        said = _some(draw, max(1, size // 50)) + " "
        parts.append(said)
        length += len(said)
        if what == "alike":
            said = _lookalike(draw)
        else:
            kind, word, how = draw.choice(makers)
            value = make(how, draw)
            said = f"{word}{value}"
            places.append((kind, length + len(word), length + len(said)))
        parts.append(f"{said} ")
        length += len(said) + 1
    return Planted("".join(parts), tuple(places))


def make(how: str, draw: random.Random) -> str:
    """A value: of a pattern's spelling (``name|shape``), or one of the named ones."""
    if "|" in how:
        name, shape = how.split("|")
        return filled(next(p for p in patterns() if p.name == name), shape, draw)
    return _MADE[how](draw)


def filled(pattern: Pattern, shape: str, draw: random.Random) -> str:
    """``shape`` with digits and letters drawn until the pattern's validator holds."""
    for _ in range(_TRIES):
        text = "".join(
            draw.choice("0123456789") if each == "9"
            else draw.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") if each == "A"
            else each
            for each in shape
        )  # fmt: skip
        if pattern.name.startswith("card"):
            text = draw.choice(("4", "5")) + text[1:]
        if pattern.name == "ch-ahv":
            text = "756" + text[3:]
        if pattern.validator is None or pattern.validator(text):
            return text
    raise LookupError(f"nothing of {pattern.name} is written {shape}")


def _makers() -> list[tuple[str, str, str]]:
    """(kind, the word before it, how it is made); formatted types that need none get none."""
    made = [
        ("card", "", "card|9999 9999 9999 9999"),
        ("card", "", "card-of-a-large-network|9999999999999999"),
        ("card", "paid with ", "card|9999-9999-9999-9999"),
        ("national-id", "", "us-ssn|999-99-9999"),
        ("national-id", "", "uk-nino|AA999999A"),
        ("national-id", "NHS ", "uk-nhs|999 999 9999"),
        ("national-id", "", "es-dni|99999999A"),
        ("national-id", "", "es-dni|A9999999A"),
        ("national-id", "CPF ", "br-cpf|999.999.999-99"),
        ("company-id", "", "br-cnpj|99.999.999/9999-99"),
        ("national-id", "PESEL ", "pl-pesel|99999999999"),
        ("national-id", "", "se-personnummer|999999-9999"),
        ("national-id", "", "fi-hetu|999999-999A"),
        ("national-id", "BSN ", "nl-bsn|999999999"),
        ("national-id", "Steuer-ID ", "de-steuer-id|99999999999"),
        ("national-id", "", "fr-nir|999999999999999"),
        ("national-id", "", "ch-ahv|999.9999.9999.99"),
        ("national-id", "", "sg-nric|A9999999A"),
        ("national-id", "", "in-pan|AAAAA9999A"),
        ("national-id", "Aadhaar ", "in-aadhaar|9999 9999 9999"),
        ("company-id", "ABN ", "au-abn|99 999 999 999"),
        ("national-id", "TFN ", "au-tfn|999 999 999"),
        ("national-id", "", "kr-rrn|999999-9999999"),
        ("national-id", "", "ca-sin|999-999-999"),
        ("health-id", "", "us-dea|AA9999999"),
    ]
    return made + [(kind, "", name) for name, kind in _KINDS.items()]


def _some(draw: random.Random, count: int) -> str:
    return " ".join(draw.choice(_WORDS) for _ in range(count))


def _digits(draw: random.Random, count: int) -> str:
    return str(draw.randint(1, 9)) + "".join(draw.choice("0123456789") for _ in range(count - 1))


def _iban(draw: random.Random) -> str:
    country, body = draw.choice((("DE", 18), ("ES", 20), ("NL", 0), ("FR", 23)))
    inner = _digits(draw, body) if body else "ABNA" + _digits(draw, 10)
    number = "".join(str(int(each, 36)) for each in inner + country + "00")
    plain = f"{country}{98 - int(number) % 97:02d}{inner}"
    spaced = " ".join(plain[at : at + 4] for at in range(0, len(plain), 4))
    return draw.choice((plain, spaced))


def _github(draw: random.Random) -> str:
    body = "".join(draw.choice(_BASE62) for _ in range(30))
    number, check = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        check = _BASE62[rest] + check
    return f"ghp_{body}{check}"


def _token(draw: random.Random, head: str, count: int, letters: str = _BASE62) -> str:
    return head + "".join(draw.choice(letters) for _ in range(count))


def _jwt(draw: random.Random) -> str:
    parts = (b'{"alg":"HS256","typ":"JWT"}', b'{"sub":"%d"}' % draw.getrandbits(30))
    said = ".".join(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in parts)
    return _token(draw, said + ".", 43)


_MADE: dict[str, Callable[[random.Random], str]] = {
    "email": lambda d: f"{_some(d, 1)}.{_some(d, 1)}{d.randint(1, 99)}@{_some(d, 1)}.org",
    "e164": lambda d: "+" + d.choice(
        ("44 20 7" + _digits(d, 3) + " " + _digits(d, 4), "49 30 " + _digits(d, 7),
         "33 6 12 34 56 " + _digits(d, 2), "1 415-55" + _digits(d, 1) + "-" + _digits(d, 4),
         "91 98765 " + _digits(d, 5))
    ),
    "us-phone": lambda d: f"({d.randint(200, 910)}) {d.randint(200, 999)}-{_digits(d, 4)}",
    "ipv4": lambda d: ".".join(str(d.randint(1, 254)) for _ in range(4)),
    "ipv6": lambda d: "2001:db8:" + ":".join(f"{d.getrandbits(16):x}" for _ in range(6)),
    "mac": lambda d: ":".join(f"{d.getrandbits(8):02X}" for _ in range(6)),
    "iban": _iban,
    "github": _github,
    "aws": lambda d: _token(d, "AKIA", 16, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"),
    "slack": lambda d: f"xoxb-{_digits(d, 12)}-{_digits(d, 12)}-{_token(d, '', 24)}",
    "stripe": lambda d: _token(d, "sk_live_", 24),
    "jwt": _jwt,
    "uri": lambda d: f"postgres://app:{_token(d, '', 14)}@db.internal/x",
    "assigned": lambda d: f'client_secret = "{_token(d, "", 32)}"',
}  # fmt: skip
_KINDS = {
    "email": "email", "e164": "phone", "us-phone": "phone", "ipv4": "ip-address",
    "ipv6": "ip-address", "mac": "mac-address", "iban": "iban", "github": "credential",
    "aws": "credential", "slack": "credential", "stripe": "credential", "jwt": "credential",
    "uri": "password", "assigned": "secret",
}  # fmt: skip


def _lookalike(draw: random.Random) -> str:
    return draw.choice(_ALIKE)(draw)


_ALIKE: tuple[Callable[[random.Random], str], ...] = (
    lambda d: str(uuid.UUID(int=d.getrandbits(128), version=4)),
    lambda d: f"{d.getrandbits(128):032x}",
    lambda d: f"{d.getrandbits(160):040x}",
    lambda d: f"sha256:{d.getrandbits(256):064x}",
    lambda d: f"{d.randint(2001, 2030)}-{d.randint(1, 12):02d}-{d.randint(1, 28):02d}T10:04:05Z",
    lambda d: str(d.randint(1_500_000_000, 1_799_999_999)),
    lambda d: str(d.randint(1_500_000_000_000, 1_799_999_999_999)),
    lambda d: f"v{d.randint(0, 9)}.{d.randint(0, 40)}.{d.randint(0, 9)}",
    lambda d: f"{d.randint(1, 999):,}.{d.randint(10, 99)}",
    lambda d: f"order {_digits(d, d.choice((7, 8, 9, 10, 11, 12)))}",
    lambda d: f"0.{_digits(d, 12)}",
    lambda d: base64.b64encode(d.randbytes(30)).decode(),
)
