"""FF1, format-preserving encryption: ten AES-CBC-MAC Feistel rounds over numerals.

Source: NIST SP 800-38G revision 1, algorithms 7 and 8. A domain of fewer than a million values
is refused, as revision 1 requires: what is so small is found by trying.
"""

from __future__ import annotations

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from sealwright.core.errors import BadInput

SMALLEST = 1_000_000
ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"
_ROUNDS = 10


def encrypt(key: bytes, tweak: bytes, text: str, radix: int = 10) -> str:
    """``text`` over the first ``radix`` of :data:`ALPHABET`; as long. Raises: BadInput."""
    return _run(key, tweak, text, radix, range(_ROUNDS))


def decrypt(key: bytes, tweak: bytes, text: str, radix: int = 10) -> str:
    """The inverse under the same key and tweak. Raises: BadInput."""
    return _run(key, tweak, text, radix, range(_ROUNDS - 1, -1, -1))


def _run(key: bytes, tweak: bytes, text: str, radix: int, rounds: range) -> str:
    _check(text, radix)
    size = len(text)
    half = size // 2
    left, right = text[:half], text[half:]
    longest = ((radix ** (size - half) - 1).bit_length() + 7) // 8
    drawn = 4 * ((longest + 3) // 4) + 4
    fixed = (
        b"\x01\x02\x01" + radix.to_bytes(3, "big") + b"\x0a" + bytes([half % 256])
        + size.to_bytes(4, "big") + len(tweak).to_bytes(4, "big")
    )  # fmt: skip
    back = rounds.step < 0
    for number in rounds:
        length = half if number % 2 == 0 else size - half
        other = left if back else right
        said = tweak + bytes(-(len(tweak) + longest + 1) % 16) + bytes([number])
        said += _number(other, radix).to_bytes(longest, "big")
        shift = int.from_bytes(_draw(key, fixed + said, drawn), "big")
        if back:
            value = (_number(right, radix) - shift) % radix**length
            left, right = _text(value, radix, length), left
        else:
            value = (_number(left, radix) + shift) % radix**length
            left, right = right, _text(value, radix, length)
    return left + right


def _draw(key: bytes, blocks: bytes, count: int) -> bytes:
    """The CBC-MAC of ``blocks``, and as many blocks encrypted with a counter as are needed."""
    mac = _cbc(key, blocks)[-16:]
    out, at = mac, 1
    while len(out) < count:
        mixed = (int.from_bytes(mac, "big") ^ at).to_bytes(16, "big")
        out += _cbc(key, mixed)
        at += 1
    return out[:count]


def _cbc(key: bytes, data: bytes) -> bytes:
    encryptor = Cipher(algorithms.AES(key), modes.CBC(bytes(16))).encryptor()
    return encryptor.update(data) + encryptor.finalize()


def _check(text: str, radix: int) -> None:
    if not 2 <= radix <= len(ALPHABET) or not set(text) <= set(ALPHABET[:radix]):
        raise BadInput("this is not written in the digits of its radix", why=f"radix {radix}")
    if len(text) < 2 or radix ** len(text) < SMALLEST:
        raise BadInput(
            "too short to keep its format",
            why=f"{radix}^{len(text)} values can be tried out; NIST SP 800-38G wants a million",
            hint="tokenize it without --format-preserving",
        )


def _number(text: str, radix: int) -> int:
    return int(text, radix) if text else 0


def _text(value: int, radix: int, length: int) -> str:
    out = []
    for _ in range(length):
        value, rest = divmod(value, radix)
        out.append(ALPHABET[rest])
    return "".join(reversed(out))
