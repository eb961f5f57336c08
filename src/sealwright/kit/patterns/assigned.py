"""Secrets by the name they are given: a secret-like name, then a value that looks random."""

from __future__ import annotations

import re

from sealwright.kit.patterns.credentials import entropy
from sealwright.kit.patterns.interface import MEDIUM, Pattern

_NAMES = (
    r"api[_\-. ]?key|apikey|secret|token|passw(?:or)?d|passwd|passphrase|pwd"
    r"|credential|private[_-]?key"
    r"|access[_\-. ]?key|auth[_-]?key|encryption[_-]?key|signing[_-]?key"
    r"|client[_-]?secret|_key|-key|_pass|_auth"
)
_REGEX = (
    rf"(?i:(?:{_NAMES})(?P<n>[\w.\-]{{0,30}})[\"'\]`]{{0,2}}[ \t]{{0,4}}"
    rf"(?:,?[ \t]{{0,3}}\r?\n?[ \t]{{0,30}}[\"']?(?:value|default)[\"']?[ ]?[=:]"
    rf"|(?:string|str|char\*)[ ]{{0,2}}=|=>|:=|\|\||==?|:|,(?=[ ]?[\"'])"
    rf"|>(?=[^\s<]{{6,250}}(?:</|$)))"
    r"[ \t]{0,4}(?:[brfu]{0,2}[\"'`])?(?P<v>[^\s\"'`,;<>(){}\[\]]{6,250}))"
)
_DULL = re.compile(
    r"(?i)^(?:none|null|true|false|undefined|string|str|bytes|int|self|this|env|process|os)\b"
    r"|^[$%@&*]|\$\{|\{\{|x{4}|\*{3}|\.{3}|your|example|placeholder|redacted"
    r"|dummy|sample|changeme|insert"
    r"|todo|fixme|^my[_-]?|<|>|getenv|environ|vault:|^/|^\./|^https?:|^[a-z]+\.[a-z_.]+$"
    r"|_here$|^test$"
    r"|(.)\1{4}|12345|abcdef|qwerty|^-+$"
)
_HASHED = re.compile(
    r"(?i)hash|sha[-_]?[0-9]|md5|digest|checksum|etag|commit|finger|public|_id\b|name|type|count|length"
    r"|size|limit|expir|url|uri|path|file|field|version|ttl|usage|index|algo"
)
_UUID = re.compile(r"(?i)^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$")
_NAMES_ID = re.compile(r"(?:Id|[_-]id|[_-]ref|uuid|guid)s?$")
_ISSUED = re.compile(r"(?i)api[_\-. ]?key|apikey|secret|token|passw|access[_\-. ]?key|auth[_-]?key")
_WORDS = re.compile(r"^[A-Za-z]+(?:[-_. ][A-Za-z]+)*$")


def secret_value(text: str) -> bool:
    """Whether ``name = value`` gives a secret: not a placeholder, a word or a path, nor a UUID
    under a name that no issuer gives to a secret.

    ``text`` is the whole assignment; entropy must reach 3 bits a character (2.6 for passwords).
    """
    found = re.match(_REGEX, text)
    if found is None:
        return False
    value, name = found["v"].rstrip(".:"), text[: found.start("v")]
    if _DULL.search(value) or _HASHED.search(found["n"]) or _NAMES_ID.search(found["n"]):
        return False
    if _UUID.match(value):
        return _ISSUED.search(name) is not None
    letters = any(map(str.isalpha, value))
    figures = any(map(str.isdigit, value))
    if _WORDS.match(value) and not (len(value) >= 24 and entropy(value) > 4):
        return False
    if re.match(r"(?i)pass|pwd", name) or "_pass" in name.lower():
        return len(value) >= 6 and entropy(value) >= 2.25 and (figures or not value.isalpha())
    mixed = figures or (value != value.lower() and len(value) >= 24)
    return len(value) >= 10 and letters and mixed and entropy(value) >= 3


PATTERNS = (
    Pattern(
        "assigned-secret", "secret", "credential", regex=_REGEX,
        anchors=("key", "secret", "token", "passw", "passphrase", "pwd", "credential", "_pass",
                 "_auth"),
        fold=True, reach=8, whole=True, validator=secret_value, confidence=MEDIUM + 10,
    ),
)  # fmt: skip
