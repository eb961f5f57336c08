"""Cards, bank accounts and wallets."""

from __future__ import annotations

import hashlib
import re

from sealwright.kit.patterns.checksums import digits, luhn, same, weighted
from sealwright.kit.patterns.ibans import iban_size, structured_iban
from sealwright.kit.patterns.interface import HIGH, LOW, MEDIUM, SURE, Pattern

_CARD_SHAPES = (
    "9999 9999 9999 9999",
    "9999-9999-9999-9999",
    "9999.9999.9999.9999",
    "9999 999999 99999",
    "9999-999999-99999",
    "9999 999999 9999",
    "9999-999999-9999",
    "9999 9999 9999 9999 999",
    "9999-9999-9999-9999-999",
    "999999 9999 9999 999",
    "999999 999999999999",
)
_IIN: tuple[tuple[int, int, tuple[int, ...]], ...] = (
    (400000, 499999, (13, 16, 19)),  # Visa
    (510000, 559999, (16,)),  # Mastercard
    (222100, 272099, (16,)),
    (340000, 349999, (15,)),  # American Express
    (370000, 379999, (15,)),
    (300000, 305999, (14, 16)),  # Diners
    (309500, 309599, (14, 16)),
    (360000, 369999, (14, 16)),
    (380000, 399999, (14, 16)),
    (601100, 601199, (16, 17, 18, 19)),  # Discover
    (644000, 659999, (16, 17, 18, 19)),
    (352800, 358999, (16, 17, 18, 19)),  # JCB
    (180000, 180099, (15,)),
    (213100, 213199, (15,)),
    (620000, 629999, (16, 17, 18, 19)),  # UnionPay
    (810000, 817199, (16, 17, 18, 19)),
    (500000, 509999, (12, 13, 14, 15, 16, 17, 18, 19)),  # Maestro, Elo, Verve
    (560000, 589999, (12, 13, 14, 15, 16, 17, 18, 19)),
    (600000, 601099, (16, 17, 18, 19)),  # RuPay, Hipercard
    (606000, 609999, (16,)),
    (636200, 639999, (16, 17, 18, 19)),
    (670000, 679999, (12, 13, 14, 15, 16, 17, 18, 19)),
    (220000, 220499, (16, 17, 18, 19)),  # Mir
    (979200, 979289, (16,)),  # Troy
    (100000, 199999, (15,)),  # UATP
)

_LARGE = re.compile(
    r"4(?:[0-9]{12}|[0-9]{15})|5[1-5][0-9]{14}|2[2-7][0-9]{14}|3[47][0-9]{13}|3[068][0-9]{12}"
    r"|6(?:011|5[0-9]{2}|4[4-9][0-9]|2[0-9]{2})[0-9]{12}|35[2-8][0-9]{13}|220[0-4][0-9]{12}"
    r"|(?:5019|5018|5020|5038|5893|6304|6759|676[1-3]|9792)[0-9]{12}"
)
_SMALL = re.compile(r"(?:5[0678]|6[37])[0-9]{10}|(?:1800|2131)[0-9]{11}|(?:4[0-9]|62)[0-9]{17}")
_CARD_WORDS = ("card", "credit", "debit", "visa", "mastercard", "amex", "maestro", "pan", "cc")
_BASE58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def card(text: str) -> bool:
    """Luhn, and a number range that a network issues at that length (ISO/IEC 7812)."""
    number = digits(text)
    if not 12 <= len(number) <= 19 or same(number):
        return False
    head = int(number[:6])
    issued = any(low <= head <= high and len(number) in sizes for low, high, sizes in _IIN)
    return issued and luhn(number)


def large_network_card(text: str) -> bool:
    """As :func:`card`, of the ranges that most cards are of, so that digits alone will do."""
    return _LARGE.match(text) is not None and card(text)


def aba(text: str) -> bool:
    """A US routing number: its first two digits and 3-7-1."""
    number = digits(text)
    head = int(number[:2])
    district = 0 < head <= 12 or 21 <= head <= 32 or 61 <= head <= 72 or head == 80
    return district and weighted(number, (3, 7, 1) * 3) % 10 == 0


def small_network_card(text: str) -> bool:
    """As :func:`card`, of 12, 15 or 19 digits, of the ranges that have such cards: about one in a
    hundred strings of as many random digits is one, or fewer."""
    return _SMALL.fullmatch(text) is not None and card(text)


def base58check(text: str) -> bool:
    """Base58Check: 25 bytes (37 or 38 for private keys), the last four a double SHA-256."""
    number = 0
    for letter in text:
        place = _BASE58.find(letter)
        if place < 0:
            return False
        number = number * 58 + place
    leading = len(text) - len(text.lstrip("1"))
    try:
        raw = b"\0" * leading + number.to_bytes((number.bit_length() + 7) // 8, "big")
    except OverflowError:
        return False
    body, check = raw[:-4], raw[-4:]
    twice = hashlib.sha256(hashlib.sha256(body).digest()).digest()
    return len(raw) in (25, 37, 38) and twice[:4] == check


def bech32(text: str) -> bool:
    """BIP 173 and BIP 350: one case, and a checksum of 1 or of 0x2bc830a3."""
    if text not in (text.lower(), text.upper()):
        return False
    prefix, _, data = text.lower().rpartition("1")
    if not prefix or len(data) < 8 or not set(data) <= set(_BECH32):
        return False
    values = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    check = 1
    for value in values + [_BECH32.index(c) for c in data]:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate(
            (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
        ):
            check ^= generator if top >> bit & 1 else 0
    return check in (1, 0x2BC830A3)


PATTERNS = (
    Pattern(
        "card", "card", "financial",
        shapes=_CARD_SHAPES, plain=tuple("9" * size for size in range(12, 20)),
        validator=card, context=_CARD_WORDS, bare=LOW,
    ),
    Pattern(
        "card-of-a-large-network", "card", "financial",
        shapes=tuple("9" * size for size in range(13, 17)), validator=large_network_card,
        context=_CARD_WORDS,
    ),
    Pattern(
        "card-of-a-small-network", "card", "financial",
        shapes=tuple("9" * size for size in (12, 15, 19)), validator=small_network_card,
        context=_CARD_WORDS, confidence=MEDIUM,
    ),
    Pattern(
        "iban", "iban", "financial",
        regex=r"(?<![A-Za-z0-9])[A-Za-z]{2}[0-9]{2}(?:[ .-]?[A-Za-z0-9]){11,31}",
        gates=("AA99",), alone=True,
        trim=iban_size, validator=structured_iban,
        context=("iban",),
        confidence=SURE,
    ),
    Pattern(
        "iban-apart", "iban", "financial",
        regex=r"(?<![A-Za-z0-9])[A-Z]{2} [0-9]{2}(?:[ .-]?[A-Za-z0-9]){10,31}",
        ahead="AA ", trim=iban_size, validator=structured_iban, context=("iban",),
        confidence=SURE,
    ),
    Pattern(
        "us-aba", "bank-routing", "financial", plain=("999999999", "9999-9999-9"), validator=aba,
        context=("aba", "routing", "rtn", "abarouting"), bare=0,
    ),
    Pattern(
        "us-bank-account", "bank-account", "financial",
        plain=tuple("9" * size for size in range(8, 18)),
        context=("account number", "account no", "account #", "acct", "bank account",
                 "checking account", "savings account", "debit account"),
        confidence=MEDIUM, bare=0,
    ),
    Pattern(
        "swift-bic", "bank-code", "financial",
        regex=r"(?<![A-Za-z0-9])[A-Z]{4}[A-Z]{2}[A-Z0-9]{2}(?:[A-Z0-9]{3})?(?![A-Za-z0-9])",
        anchors=("SWIFT", "BIC", "swift", "Swift"),
        context=("swift", "bic"), wants_context=True, confidence=MEDIUM,
    ),
    Pattern(
        "base58-wallet", "wallet", "financial",
        regex=r"(?<![A-Za-z0-9])[123LMDTmn][1-9A-HJ-NP-Za-km-z]{25,34}(?![A-Za-z0-9])",
        long=True, validator=base58check, confidence=SURE,
    ),
    Pattern(
        "base58-private-key", "wallet-key", "credential",
        regex=r"(?<![A-Za-z0-9])[5KL9c][1-9A-HJ-NP-Za-km-z]{50,51}(?![A-Za-z0-9])",
        long=True, validator=base58check, confidence=SURE,
    ),
    Pattern(
        "bitcoin-bech32", "wallet", "financial",
        regex=r"(?<![A-Za-z0-9])(?:bc|tb|ltc|BC|TB|LTC)1[02-9ac-hj-np-zAC-HJ-NP-Z]{11,87}"
        r"(?![A-Za-z0-9])",
        anchors=("bc1", "tb1", "ltc1", "BC1", "TB1", "LTC1"),
        validator=bech32, confidence=SURE,
    ),
    Pattern(
        "ethereum", "wallet", "financial",
        regex=r"(?<![A-Za-z0-9])0x[0-9a-fA-F]{40}(?![A-Za-z0-9])",
        anchors=("0x",), confidence=HIGH,
    ),
)  # fmt: skip
