"""Check digits, as their standards give them. Digits in, whether they hold out."""

from __future__ import annotations

from collections.abc import Sequence
from operator import mul

_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
_VERHOEFF_D = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_VERHOEFF_P = (
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def digits(text: str) -> str:
    """Only the decimal digits of ``text``."""
    return text if text.isdecimal() else "".join(filter(str.isdecimal, text))


def alnum(text: str) -> str:
    """Letters, upper case, and digits of ``text``."""
    return "".join(filter(str.isalnum, text)).upper()


def weighted(number: str, weights: Sequence[int]) -> int:
    """The sum of digits times weights, up to the shorter of them."""
    return sum(map(mul, map(int, number), weights))


def luhn(number: str) -> bool:
    """ISO/IEC 7812-1, annex B."""
    doubled = map(_DOUBLED.__getitem__, map(int, number[-2::-2]))
    return (sum(map(int, number[-1::-2])) + sum(doubled)) % 10 == 0


def verhoeff(number: str) -> bool:
    """Verhoeff's dihedral check over the whole number."""
    check = 0
    for place, digit in enumerate(reversed(number)):
        check = int(_VERHOEFF_D[check][int(_VERHOEFF_P[place % 8][int(digit)])])
    return check == 0


def mod_11_10(number: str) -> bool:
    """ISO 7064 MOD 11,10: the hybrid system, its check digit last."""
    product = 10
    for digit in number[:-1]:
        total = (int(digit) + product) % 10 or 10
        product = total * 2 % 11
    return (11 - product) % 10 == int(number[-1])


def mod_97(text: str) -> bool:
    """ISO 7064 MOD 97-10 over letters and digits, letters counting from 10."""
    number = "".join(str(int(each, 36)) for each in text)
    return int(number) % 97 == 1


def same(number: str) -> bool:
    """Whether it is one digit over and over, which nobody is given."""
    return len(set(number)) == 1


def is_date(year: int, month: int, day: int) -> bool:
    """A day that exists, leap years aside where only two digits of a year are known."""
    if not 1 <= month <= 12:
        return False
    longest = 29 if month == 2 else 30 if month in (4, 6, 9, 11) else 31
    if month == 2 and day == 29 and year % 4:
        return False
    return 1 <= day <= longest
