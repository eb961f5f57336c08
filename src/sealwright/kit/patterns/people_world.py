"""National and health identifiers outside Europe."""

from __future__ import annotations

from sealwright.kit.patterns.checksums import (
    alnum,
    digits,
    is_date,
    luhn,
    same,
    verhoeff,
    weighted,
)
from sealwright.kit.patterns.interface import HIGH, LOW, MEDIUM, SURE, Pattern
from sealwright.kit.patterns.interface import identifier as _id

_WITHDRAWN = ("078051120", "219099999")  # printed on wallet inserts and brochures
# Thailand: province → its districts are numbered up to this
_DISTRICTS = {
    each[:2]: int(each[2:])
    for each in (
        "1050 1106 1206 1307 1416 1507 1611 1706 1808 1913 2011 2108 2210 2307 2411 2509 2604 2709"
        " 3032 3123 3217 3322 3433 3509 3616 3707 3808 3906 4029 4125 4214 4317 4413 4520 4618"
        " 4718 4812 4907 5025 5108 5213 5309 5408 5515 5609 5718 5807 6015 6108 6211 6309 6409"
        " 6509 6612 6711 7010 7113 7210 7307 7403 7503 7608 7708 8023 8108 8208 8303 8419 8505"
        " 8608 9016 9107 9210 9311 9412 9508 9613"
    ).split()
}
_BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def ssn(text: str) -> bool:
    """US: areas, groups and serials that are given out."""
    number = digits(text)
    area, group, serial = number[:3], number[3:5], number[5:]
    given = area not in ("000", "666") and area < "900" and group != "00" and serial != "0000"
    return given and number not in _WITHDRAWN and not same(number)


def itin(text: str) -> bool:
    """US taxpayers: 9, and the groups in use."""
    number = digits(text)
    group = int(number[3:5])
    used = 50 <= group <= 65 or 70 <= group <= 88 or 90 <= group <= 92 or 94 <= group <= 99
    return number[0] == "9" and used


def npi(text: str) -> bool:
    """US providers: Luhn with 80840 before it."""
    number = digits(text)
    return number[0] in "12" and luhn("80840" + number)


def dea(text: str) -> bool:
    """US prescribers: two letters, seven digits, the last a check."""
    plain = alnum(text)
    number = plain[2:]
    total = sum(map(int, number[0:6:2])) + 2 * sum(map(int, number[1:6:2]))
    return plain[0] in "ABCDEFGHJKLMPRSTUX" and total % 10 == int(number[6])


def mbi(text: str) -> bool:
    """US Medicare: eleven characters, no S, L, O, I, B, Z."""
    plain = alnum(text)
    return plain[0] in "123456789" and not set(plain) & set("SLOIBZ")


def sin(text: str) -> bool:
    """Canada: Luhn; nobody begins with 0 or 8."""
    number = digits(text)
    return number[0] not in "08" and luhn(number)


def cpf(text: str) -> bool:
    """Brazil, people: two check digits."""
    return _two_checks(digits(text), tuple(range(10, 1, -1)), tuple(range(11, 1, -1)))


def cnpj(text: str) -> bool:
    """Brazil, companies: two check digits."""
    first = (5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    return _two_checks(digits(text), first, (6, *first))


def aadhaar(text: str) -> bool:
    """India: Verhoeff; nobody begins with 0 or 1, and no palindromes."""
    number = digits(text)
    return number[0] not in "01" and number != number[::-1] and verhoeff(number)


def pan(text: str) -> bool:
    """India, tax: the fourth letter is a kind of holder."""
    return alnum(text)[3] in "ABCFGHJLPTEK"


def gstin(text: str) -> bool:
    """India, goods and services tax: a state, a PAN, and a check in base 36."""
    plain = alnum(text)
    total = 0
    for place, each in enumerate(plain[:14]):
        total += sum(divmod(_BASE36.index(each) * (1 + place % 2), 36))
    return 1 <= int(plain[:2]) <= 38 and _BASE36[(36 - total % 36) % 36] == plain[14]


def tfn(text: str) -> bool:
    """Australia, tax: modulus 11."""
    number = digits(text)
    return not same(number) and weighted(number, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def sin_or_tfn(text: str) -> bool:
    """Canada's or Australia's number as their papers group it. One in six numbers of nine random
    digits is one; what is grouped so and no amount is somebody's more often than not."""
    return sin(text) or tfn(text)


def abn(text: str) -> bool:
    """Australia, companies: one less in front, modulus 89."""
    number = digits(text)
    less = str(int(number[0]) - 1)
    weights = (10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19)
    return number[0] != "0" and weighted(less + number[1:], weights) % 89 == 0


def acn(text: str) -> bool:
    """Australia, companies: modulus 10."""
    number = digits(text)
    return not same(number) and -weighted(number, range(8, 0, -1)) % 10 == int(number[8])


def medicare(text: str) -> bool:
    """Australia, health: begins with 2 to 6, the ninth digit a check."""
    number = digits(text)
    return number[0] in "23456" and weighted(number, (1, 3, 7, 9) * 2) % 10 == int(number[8])


def nric(text: str) -> bool:
    """Singapore: modulus 11 as a letter, by series."""
    plain = alnum(text)
    if plain[0] not in "STFGM":
        return False
    offset = {"T": 4, "G": 4, "M": 3}.get(plain[0], 0)
    rest = (weighted(plain[1:8], (2, 7, 6, 5, 4, 3, 2)) + offset) % 11
    table = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "M": "XWUTRQPNJLK"}
    return table.get(plain[0], "XWUTRQPNMLK")[rest] == plain[8]


def rrn(text: str) -> bool | None:
    """South Korea: a birth date, sex and century; the last digit checked nothing but older numbers.

    Since October 2020 six digits are drawn at random (Ministry of the Interior and Safety), so
    only the spelling and the date speak for a number whose check digit is off.
    """
    number = digits(text)
    year = (2000 if number[6] in "3478" else 1900) + int(number[:2])
    if number[6] in "09" or year > 2035 or not is_date(year, int(number[2:4]), int(number[4:6])):
        return False
    total = weighted(number, (2, 3, 4, 5, 6, 7, 8, 9, 2, 3, 4, 5))
    return (11 - total % 11) % 10 == int(number[12]) or None


def cn_id(text: str) -> bool:
    """China: a birth date and ISO 7064 MOD 11-2."""
    plain = alnum(text)
    if not plain[:17].isdecimal() or not is_date(
        int(plain[6:10]), int(plain[10:12]), int(plain[12:14])
    ):
        return False
    total = weighted(plain[:17], (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2))
    return "10X98765432"[total % 11] == plain[17] and plain[6:8] in ("18", "19", "20")


def tw_id(text: str) -> bool:
    """Taiwan: a letter of the place, sex, modulus 10."""
    plain = alnum(text)
    place = "ABCDEFGHJKLMNPQRSTUVXYWZIO".index(plain[0]) + 10
    total = place // 10 + place % 10 * 9 + weighted(plain[1:], (8, 7, 6, 5, 4, 3, 2, 1, 1))
    return plain[1] in "1289" and total % 10 == 0


def hkid(text: str) -> bool:
    """Hong Kong: modulus 11, a space counting 36 before one letter."""
    plain = alnum(text)
    letters = [36, *(ord(each) - 55 for each in plain[:-7])][-2:]
    check = {"A": 10}.get(plain[-1], -1) if plain[-1].isalpha() else int(plain[-1])
    total = letters[0] * 9 + letters[1] * 8 + weighted(plain[-7:-1], (7, 6, 5, 4, 3, 2))
    return check >= 0 and (total + check) % 11 == 0


def my_number(text: str) -> bool:
    """Japan: modulus 11 over eleven digits."""
    number = digits(text)
    rest = weighted(number, (6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return not same(number) and (0 if rest <= 1 else 11 - rest) == int(number[11])


def curp(text: str) -> bool:
    """Mexico: initials, a birth date, sex, and a check digit over base 37."""
    plain = alnum(text)
    if plain[10] not in "HMX" or not is_date(int(plain[4:6]), int(plain[6:8]), int(plain[8:10])):
        return False
    table = "0123456789ABCDEFGHIJKLMNÑOPQRSTUVWXYZ"
    total = sum(table.index(each) * (18 - place) for place, each in enumerate(plain[:17]))
    return plain[17] == str(-total % 10)


def za_id(text: str) -> bool:
    """South Africa: a birth date, a citizenship digit, Luhn."""
    number = digits(text)
    born = is_date(int(number[:2]), int(number[2:4]), int(number[4:6]))
    return born and number[10] in "012" and luhn(number)


def il_id(text: str) -> bool:
    """Israel: Luhn over nine digits."""
    number = digits(text)
    return not same(number) and luhn(number)


def tckn(text: str) -> bool:
    """Türkiye: two check digits."""
    number = [int(each) for each in digits(text)]
    tenth = (sum(number[0:9:2]) * 7 - sum(number[1:8:2])) % 10
    return number[0] != 0 and tenth == number[9] and sum(number[:10]) % 10 == number[10]


def th_id(text: str) -> bool:
    """Thailand: modulus 11."""
    number = digits(text)
    return number[0] != "0" and (11 - weighted(number, range(13, 1, -1)) % 11) % 10 == int(
        number[12]
    )


def th_id_placed(text: str) -> bool:
    """As :func:`th_id`, the holder's kind 1 to 8, and a district that its province has or an
    office of a town (97 to 99): fewer than one in a hundred strings of thirteen digits."""
    number = digits(text)
    most, district = _DISTRICTS.get(number[1:3], 0), int(number[3:5])
    known = most > 0 and (0 < district <= most or district > 96)
    return number[0] in "12345678" and known and th_id(number)


def my_nric(text: str) -> bool:
    """Malaysia: a birth date and a place of birth."""
    number = digits(text)
    born = is_date(int(number[:2]), int(number[2:4]), int(number[4:6]))
    return born and number[6:8] not in ("00", "17", "18", "19", "20")


def id_nik(text: str) -> bool:
    """Indonesia: a province, and a birth date (women 40 up in the day)."""
    number = digits(text)
    born = is_date(int(number[10:12]), int(number[8:10]), int(number[6:8]) % 40)
    return 11 <= int(number[:2]) <= 96 and born and number[12:] != "0000"


def rut(text: str) -> bool:
    """Chile: modulus 11 as a digit or K."""
    plain = alnum(text)
    total = weighted(plain[-2::-1], (2, 3, 4, 5, 6, 7, 2, 3, 4))
    return plain[-1] == "0123456789K0"[(11 - total % 11) % 12 if total % 11 else 11]


def cuit(text: str) -> bool:
    """Argentina: the kind of holder, modulus 11."""
    number = digits(text)
    check = -weighted(number, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return number[:2] in ("20", "23", "24", "27", "30", "33", "34") and check == int(number[10])


def _two_checks(number: str, first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    checks = [11 - weighted(number, weights) % 11 for weights in (first, second)]
    given = [0 if check > 9 else check for check in checks] == [int(number[-2]), int(number[-1])]
    return given and not same(number)


_COIN = "(?:EUR|USD|GBP|CHF|CAD|AUD|JPY)"
_MONEY = f"(?:{_COIN}|kr|mio|mln)"
_NINE, _TEN, _ELEVEN, _TWELVE = "9" * 9, "9" * 10, "9" * 11, "9" * 12

PATTERNS = (
    _id("us-ssn", ("999-99-9999", "999 99 9999", "999.99.9999"), (_NINE,), ssn,
        ("ssn", "social security", "social sec", "ssn#", "ss#", "soc sec", "ssns"), HIGH, 0),
    _id("us-itin", ("999-99-9999", "999 99 9999", "999-999999"), (_NINE,), itin,
        ("itin", "taxpayer", "tax id", "individual taxpayer"), HIGH, 0),
    _id("us-npi", (), (_TEN,), npi, ("npi", "provider"), HIGH, LOW, "health-id", "health"),
    _id("us-dea", ("AA9999999",), (), dea, ("dea", "prescriber", "medical license", "medical"),
        HIGH, 60, "health-id", "health"),
    _id("us-mbi", ("9AA9AA9AA99", "9AA9-AA9-AA99", "9A99A99AA99", "9A99-A99-AA99", "9A99AA9AA99",
                   "9AA9A99AA99", "9AA9-A99-AA99", "9A99-AA9-AA99"), (), mbi,
        ("medicare", "mbi", "beneficiary"), HIGH, 60, "health-id", "health"),
    _id("us-ein", (), ("99-9999999",), None, ("ein", "employer identification"), MEDIUM, 0,
        "company-id"),
    _id("ca-sin", ("999-999-999",), ("999 999 999", _NINE), sin,
        ("sin", "social insurance", "assurance sociale", "nas")),
    _id("br-cpf", ("999.999.999-99",), (_ELEVEN,), cpf, ("cpf", "cadastro"), HIGH, 45),
    _id("br-cnpj", ("99.999.999/9999-99",), ("9" * 14,), cnpj, ("cnpj",), HIGH, 45, "company-id"),
    _id("in-aadhaar", ("9999 9999 9999", "9999-9999-9999", "9999:9999:9999"), (_TWELVE,), aadhaar,
        ("aadhaar", "aadhar", "uidai", "uid")),
    _id("in-pan", ("AAAAA9999A", "AAAAA-9999-A"), (), pan,
        ("pan", "permanent account", "income tax"), HIGH, HIGH),
    _id("in-gstin", ("99AAAAA9999A9A9", "99AAAAA9999A9AA"), (), gstin, ("gst", "gstin"),
        SURE, LOW, "company-id"),
    _id("in-voter", (), ("AAA9999999",), None, ("voter", "epic", "elector", "election"), MEDIUM,
        0),
    _id("au-tfn", (), ("999 999 999", _NINE, "999-999-999"), tfn,
        ("tfn", "tax file", "australian taxation", "ato")),
    Pattern(
        "nine-in-threes", "national-id", "personal",
        regex=rf"(?<![\w.,+/:$€£¥-])(?<![0-9] )(?<!{_COIN} )[0-9]{{3}} [0-9]{{3}} [0-9]{{3}}"
        rf"(?![\w%/:+@-]| [0-9]|[.,][0-9]| ?(?:[$€£¥%]|{_MONEY}))",
        gates=("999 999 999",), validator=sin_or_tfn, confidence=50,
    ),
    _id("au-abn", ("99 999 999 999", "99-999-999-999"), (_ELEVEN,), abn,
        ("abn", "australian business"), HIGH, 45, "company-id"),
    _id("au-acn", (), ("999 999 999", _NINE), acn, ("acn", "australian company"), HIGH, LOW,
        "company-id"),
    _id("au-medicare", ("9999 99999 9", "9999-99999-9", "9999 99999 9 9", "9999 99999 9/9"),
        (_TEN, _ELEVEN), medicare, ("medicare",), HIGH, LOW, "health-id", "health"),
    _id("sg-nric", ("A9999999A",), (), nric, ("nric", "fin", "identity card")),
    _id("kr-rrn", ("999999-9999999",), ("9" * 13, "999999 9999999"), rrn,
        ("rrn", "주민등록번호", "주민번호", "외국인등록번호", "resident registration"),
        HIGH, 55, strict=False),
    _id("cn-resident-id", ("9" * 18, "9" * 17 + "A"), (), cn_id, ("身份证", "identity"), SURE),
    _id("tw-id", ("A999999999",), (), tw_id, ("身分證", "national id", "taiwan"), MEDIUM, 50),
    _id("hk-id", ("A999999(9)", "A999999(A)", "AA999999(9)"), ("A9999999",), hkid,
        ("hkid", "hong kong", "身份證"), HIGH, 0),
    _id("jp-my-number", (), (_TWELVE, "9999 9999 9999", "9999-9999-9999"), my_number,
        ("my number", "マイナンバー", "個人番号", "mynumber")),
    _id("mx-curp", ("AAAA999999AAAAAA99", "AAAA999999AAAAAAA9"), (), curp, ("curp",), SURE),
    _id("za-id", ("999999 9999 99 9", "999999 9999999", "999999 9999 999",
                   "999999-9999-99-9"), ("9" * 13,), za_id,
        ("id number", "identity"), HIGH, 55),
    _id("il-id", ("9-9999999-9",), (_NINE,), il_id, ("teudat zehut", "תעודת זהות", "israeli"),
        HIGH, LOW),
    _id("tr-tckn", (), (_ELEVEN,), tckn, ("tckn", "tc kimlik", "kimlik", "t.c"), HIGH, 55),
    _id("th-id", ("9-9999-99999-99-9", "9 9999 99999 99 9"), ("9" * 13,), th_id,
        ("เลขประจำตัวประชาชน", "เลขบัตรประชาชน", "บัตรประชาชน", "tnin")),
    Pattern(
        "th-id-placed", "national-id", "personal", plain=("9" * 13,), validator=th_id_placed,
        bare=55,
    ),
    _id("my-nric", ("999999-99-9999",), (_TWELVE,), my_nric, ("nric", "mykad", "kad pengenalan"),
        HIGH, 0),
    _id("id-nik", (), ("9" * 16,), id_nik, ("nik", "ktp", "kependudukan"), HIGH, 0),
    _id("cl-rut", ("99.999.999-9", "99.999.999-A", "9.999.999-9", "9.999.999-A", "99999999-9",
                   "99999999-A"), (), rut, ("rut", "run", "rol único"), MEDIUM),
    _id("ar-cuit", ("99-99999999-9",), (_ELEVEN,), cuit, ("cuit", "cuil")),
)  # fmt: skip
