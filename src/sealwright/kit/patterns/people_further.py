"""Identifiers of more countries, each by what its issuer publishes of spelling and check digit."""

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
from sealwright.kit.patterns.interface import HIGH, LOW, MEDIUM
from sealwright.kit.patterns.interface import identifier as _id

_RVNR = (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2)


def jmbg(text: str) -> bool:
    """Slovenia, Serbia, Bosnia, North Macedonia, Montenegro: a birth date, modulus 11.

    Source: Yugoslavia's law of 1976, Slovenia's Central Population Register Act.
    """
    number = digits(text)
    year = int(number[4:7]) + (1000 if number[4] in "89" else 2000)
    born = year <= 2035 and is_date(year, int(number[2:4]), int(number[:2]))
    check = 11 - weighted(number, (7, 6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11
    return born and check % 11 == int(number[12]) and check != 10


def personas_kods(text: str) -> bool:
    """Latvia: a birth date, or 32 since 2017; modulus 11 then 10 (Population Register Act)."""
    number = digits(text)
    born = number[:2] == "32" or is_date(int(number[4:6]), int(number[2:4]), int(number[:2]))
    return born and (1 + weighted(number, (10, 5, 8, 4, 2, 1, 6, 3, 7, 9))) % 11 % 10 == int(
        number[10]
    )


def szemelyi(text: str) -> bool:
    """Hungary, personal number: sex and century, a birth date, modulus 11 (Act XX of 1996)."""
    number = digits(text)
    born = is_date(int(number[1:3]), int(number[3:5]), int(number[5:7]))
    either = {weighted(number, ways) % 11 for ways in (range(1, 11), range(10, 0, -1))}
    return number[0] in "12345678" and born and int(number[10]) in either


def taj(text: str) -> bool:
    """Hungary, social security: weights 3 and 7, modulus 10."""
    number = digits(text)
    return not same(number) and weighted(number, (3, 7) * 4) % 10 == int(number[8])


def ado(text: str) -> bool:
    """Hungary, tax: begins with 8, modulus 11 over places."""
    number = digits(text)
    return number[0] == "8" and weighted(number, range(1, 10)) % 11 == int(number[9])


def snils(text: str) -> bool:
    """Russia, pensions: falling weights, modulus 101 (Pension Fund's order)."""
    number = digits(text)
    return weighted(number, range(9, 0, -1)) % 101 % 100 == int(number[9:]) and not same(number)


def inn(text: str) -> bool:
    """Russia, tax of a person: two check digits, each modulus 11 then 10."""
    number = digits(text)
    first = weighted(number, (7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10
    second = weighted(number, (3, 7, 2, 4, 10, 3, 5, 9, 4, 6, 8)) % 11 % 10
    return not same(number) and number[10:] == f"{first}{second}"


def rntrc(text: str) -> bool:
    """Ukraine, tax of a person: modulus 11 then 10."""
    number = digits(text)
    return not same(number) and weighted(
        number, (-1, 5, 7, 9, 4, 6, 10, 5, 7)
    ) % 11 % 10 == int(number[9])  # fmt: skip


def iin(text: str) -> bool:
    """Kazakhstan: a birth date, sex and century, modulus 11 in two rounds."""
    number = digits(text)
    born = is_date(int(number[:2]), int(number[2:4]), int(number[4:6])) and number[6] in "123456"
    check = weighted(number, range(1, 12)) % 11
    if check == 10:
        check = weighted(number, (3, 4, 5, 6, 7, 8, 9, 10, 11, 1, 2)) % 11
    return born and check == int(number[11])


def cedula(text: str) -> bool:
    """Dominican Republic: Luhn over eleven digits."""
    number = digits(text)
    return not same(number) and luhn(number)


def ecuador(text: str) -> bool:
    """Ecuador: a province, a third digit below 6, modulus 10."""
    number = digits(text)
    return (1 <= int(number[:2]) <= 24 or number[:2] == "30") and number[2] < "6" and luhn(number)


def venezuela(text: str) -> bool:
    """Venezuela: V for citizens, E for foreigners; no check digit."""
    return text[0] in "VE"


def cuba(text: str) -> bool:
    """Cuba: a birth date; no check digit."""
    return is_date(int(text[:2]), int(text[2:4]), int(text[4:6]))


def cnic(text: str) -> bool:
    """Pakistan: a province of 1 to 7, and a last digit that tells the sex (NADRA)."""
    number = digits(text)
    return number[0] in "1234567" and number[12] != "0" and not same(number[:12])


def sri_lanka(text: str) -> bool:
    """Sri Lanka, until 2016: a day of the year (women 500 up), V or X."""
    plain = alnum(text)
    return plain[9] in "VX" and 1 <= int(plain[2:5]) % 500 <= 366 and int(plain[2:5]) <= 866


def egypt(text: str) -> bool:
    """Egypt: a century, a birth date, a governorate."""
    number = digits(text)
    place = int(number[7:9])
    born = is_date(int(number[1:3]), int(number[3:5]), int(number[5:7]))
    return number[0] in "23" and born and (1 <= place <= 35 or place == 88)


def emirates(text: str) -> bool:
    """United Arab Emirates: 784, a year of birth, Luhn."""
    number = digits(text)
    return number[:3] == "784" and "1900" <= number[3:7] <= "2035" and luhn(number)


def saudi(text: str) -> bool:
    """Saudi Arabia: 1 for citizens and 2 for residents, Luhn."""
    number = digits(text)
    return number[0] in "12" and luhn(number)


def kuwait(text: str) -> bool:
    """Kuwait: a century, a birth date, modulus 11."""
    number = digits(text)
    born = is_date(int(number[1:3]), int(number[3:5]), int(number[5:7]))
    check = 11 - weighted(number, (2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)) % 11
    return number[0] in "23" and born and check == int(number[11])


def vietnam(text: str) -> bool:
    """Vietnam: a province of 001 to 096, and a sex and century of 0 to 3."""
    number = digits(text)
    return 1 <= int(number[:3]) <= 96 and number[3] in "0123"


def melli(text: str) -> bool:
    """Iran: modulus 11."""
    number = digits(text)
    rest = weighted(number, range(10, 1, -1)) % 11
    return not same(number) and int(number[9]) == (rest if rest < 2 else 11 - rest)


def idnp(text: str) -> bool:
    """Moldova: 2 or 0, weights 7, 3 and 1, modulus 10."""
    number = digits(text)
    return number[0] in "02" and weighted(number, (7, 3, 1) * 4) % 10 == int(number[12])


def ird(text: str) -> bool:
    """New Zealand, tax: modulus 11, and other weights where that gives ten."""
    number = digits(text).zfill(9)
    for weights in ((3, 2, 7, 6, 5, 4, 3, 2), (7, 4, 3, 2, 5, 2, 7, 6)):
        check = -weighted(number, weights) % 11
        if check != 10:
            return 10_000_000 < int(number) < 150_000_000 and check == int(number[8])
    return False


def uruguay(text: str) -> bool:
    """Uruguay: weights 2, 9, 8, 7, 6, 3, 4, modulus 10."""
    number = digits(text)
    return -weighted(number, (2, 9, 8, 7, 6, 3, 4)) % 10 == int(number[7])


def pis(text: str) -> bool:
    """Brazil, social integration: modulus 11."""
    number = digits(text)
    check = 11 - weighted(number, (3, 2, 9, 8, 7, 6, 5, 4, 3, 2)) % 11
    return not same(number) and (0 if check > 9 else check) == int(number[10])


def nuss(text: str) -> bool:
    """Spain, social security: a province, modulus 97."""
    number = digits(text)
    middle = number[2:10].removeprefix("0")
    return 1 <= int(number[:2]) <= 66 and int(number[:2] + middle) % 97 == int(number[10:])


def rvnr(text: str) -> bool:
    """Germany, pensions: a birth date, a letter, cross sums of weights (VKVV paragraph 2)."""
    plain = alnum(text)
    if not (plain[:8].isdecimal() and plain[8].isalpha() and plain[9:].isdecimal()):
        return False
    number = f"{plain[:8]}{ord(plain[8]) - 64:02d}{plain[9:]}"
    month, day = int(number[4:6]), int(number[2:4]) % 50
    total = sum(sum(divmod(int(d) * w, 10)) for d, w in zip(number[:11], _RVNR, strict=False))
    total += sum(divmod(int(number[11]), 10))
    return 1 <= month <= 12 and 1 <= day <= 31 and total % 10 == int(number[12])


def kvnr(text: str) -> bool:
    """Germany, health insurance: a letter, cross sums of weights 1 and 2 (SGB V paragraph 290)."""
    plain = alnum(text)
    number = f"{ord(plain[0]) - 64:02d}{plain[1:9]}"
    total = sum(sum(divmod(int(d) * w, 10)) for d, w in zip(number, (1, 2) * 5, strict=True))
    return total % 10 == int(plain[9])


def cartao(text: str) -> bool:
    """Portugal, citizen card: Luhn over letters and digits."""
    total = 0
    for place, each in enumerate(reversed(alnum(text))):
        value = int(each, 36) * (1 + place % 2)
        total += value - 9 if place % 2 and value > 9 else value
    return total % 10 == 0


def dowod(text: str) -> bool:
    """Poland, identity card: letters count from 10, modulus 10."""
    values = [int(each, 36) for each in alnum(text)]
    weights = (7, 3, 1, 9, 7, 3, 1, 7, 3)
    return sum(v * w for v, w in zip(values, weights, strict=True)) % 10 == 0


def utr(text: str) -> bool:
    """UK, tax: modulus 11, its check first."""
    number = digits(text)
    check = "21987654321"[weighted(number[1:], (6, 7, 8, 9, 10, 5, 4, 3, 2)) % 11]
    return not same(number) and check == number[0]


def afm(text: str) -> bool:
    """Greece, tax: powers of two, modulus 11 then 10."""
    number = digits(text)
    total = weighted(number, tuple(2**place for place in range(8, 0, -1)))
    return not same(number) and total % 11 % 10 == int(number[8])


def matricule(text: str) -> bool:
    """Luxembourg: a birth date, Luhn, and Verhoeff beside it."""
    number = digits(text)
    born = "1880" <= number[:4] <= "2035" and is_date(
        int(number[:4]), int(number[4:6]), int(number[6:8])
    )
    return born and luhn(number[:12]) and verhoeff(number[:11] + number[12])


def rfc(text: str) -> bool:
    """Mexico, tax of a person: four letters and a birth date."""
    plain = alnum(text)
    return is_date(int(plain[4:6]), int(plain[6:8]), int(plain[8:10]))


_EIGHT, _NINE, _TEN, _ELEVEN = "9" * 8, "9" * 9, "9" * 10, "9" * 11
_TWELVE, _THIRTEEN = "9" * 12, "9" * 13
_RFC = tuple("AAAA999999" + a + b + c for a in "9A" for b in "9A" for c in "9A")

PATTERNS = (
    _id("yu-jmbg", (), (_THIRTEEN,), jmbg,
        ("emšo", "emso", "jmbg", "embg", "јмбг", "матичен", "matični broj"), HIGH, 55),
    _id("lv-personas-kods", ("999999-99999",), (_ELEVEN,), personas_kods,
        ("personas kods", "pk"), HIGH, 45),
    _id("hu-szemelyi-szam", ("9-999999-9999", "9 999999 9999"), (_ELEVEN,), szemelyi,
        ("személyi", "szemelyi")),
    _id("hu-taj", (), (_NINE, "999 999 999", "999-999-999"), taj, ("taj",)),
    _id("hu-adoazonosito", (), (_TEN,), ado, ("adóazonosító", "adoazonosito", "adó")),
    _id("ru-snils", ("999-999-999 99", "999-999-999-99"), (_ELEVEN, "999 999 999 99"), snils,
        ("снилс", "snils", "страховой")),
    _id("ru-inn", (), (_TWELVE,), inn, ("инн", "inn"), HIGH, 45),
    _id("ru-passport", (), ("99 99 999999", "9999 999999", _TEN), None,
        ("паспорт", "passport", "серия"), MEDIUM, 0, "passport"),
    _id("ua-rntrc", (), (_TEN,), rntrc,
        ("рнокпп", "іпн", "ідентифікаційний", "rntrc")),
    _id("kz-iin", (), (_TWELVE,), iin, ("жсн", "иин", "iin"), HIGH, 50),
    _id("do-cedula", ("999-9999999-9",), (_ELEVEN,), cedula, ("cédula", "cedula")),
    _id("ec-cedula", (), (_TEN, "999999999-9"), ecuador, ("cédula", "cedula", "ruc")),
    _id("ve-cedula", ("A-99999999", "A-99.999.999"), ("A99999999",),
        venezuela, ("cédula", "cedula"), MEDIUM, 0),
    _id("ar-dni", (), ("99.999.999", _EIGHT), None, ("dni", "documento nacional"), MEDIUM, 0),
    _id("cu-ni", (), (_ELEVEN,), cuba,
        ("carnet de identidad",), MEDIUM, 0),
    _id("pk-cnic", ("99999-9999999-9",), (_THIRTEEN,), cnic, ("cnic", "nadra", "shanakhti"), HIGH,
        0),
    _id("lk-nic", ("999999999A",), (), sri_lanka, ("nic",), HIGH, HIGH),
    _id("eg-national-id", (), ("9" * 14,), egypt, ("الرقم القومي",), HIGH, 50),
    _id("ae-emirates-id", ("999-9999-9999999-9",), ("9" * 15,), emirates, (), HIGH, 55),
    _id("sa-national-id", (), (_TEN,), saudi, ("iqama", "هوية")),
    _id("kw-civil-id", (), (_TWELVE,), kuwait, ("civil id", "المدني"), HIGH, 50),
    _id("vn-cccd", (), (_TWELVE,), vietnam, ("cccd", "căn cước", "cmnd"), MEDIUM, 0),
    _id("ir-melli", ("999-999999-9",), (_TEN,), melli, ("کد ملی", "melli")),
    _id("md-idnp", (), (_THIRTEEN,), idnp, ("idnp",)),
    _id("ng-nin", (), (_ELEVEN, "9999 999 9999"), None, ("nimc",), MEDIUM, 0),
    _id("nz-ird", (), (_NINE, _EIGHT, "99-999-999", "999-999-999", "999 999 999"), ird, ("ird",
        "inland revenue")),
    _id("uy-ci", ("9.999.999-9",), (_EIGHT, "9999999-9"), uruguay,
        ("cédula", "cedula")),
    _id("pe-dni", (), (_EIGHT, "99999999-9"), None, ("reniec",), MEDIUM, 0),
    _id("br-pis", ("999.99999.99-9",), (_ELEVEN,), pis, ("pis", "pasep", "nit")),
    _id("es-nuss", ("99/99999999/99", "99-99999999-99", "99 99999999 99", "99/9999999999"),
        (_TWELVE,), nuss, ("nuss", "seguridad social", "naf"), HIGH, 0),
    _id("de-rvnr", ("99999999A999", "99 999999 A 999", "99 999999 A999"), (), rvnr,
        ("rentenversicherungsnummer", "sozialversicherungsnummer", "rvnr", "svnr"), HIGH, HIGH),
    _id("de-kvnr", (), ("A999999999",), kvnr,
        ("kvnr", "krankenversichertennummer", "versichertennummer", "gesundheitskarte"),
        HIGH, 0, "health-id", "health"),
    _id("pt-cartao", ("99999999 9 AA9", "999999999AA9", "99999999-9-AA9", "99999999 9AA9"), (),
        cartao, ("cartão de cidadão", "cartao de cidadao", "cartão"), HIGH, HIGH),
    _id("pl-dowod", (), ("AAA999999", "AAA 999999"), dowod, ("dowód", "dowodu", "dowod"), HIGH, 0),
    _id("uk-utr", (), (_TEN, "99999 99999"), utr, ("utr", "self assessment"), HIGH, LOW),
    _id("gr-afm", (), (_NINE,), afm, ("αφμ", "afm"), HIGH, LOW),
    _id("lu-matricule", (), (_THIRTEEN,), matricule, ("matricule",), HIGH, HIGH),
    _id("mx-rfc", _RFC, (), rfc, ("rfc",), MEDIUM, MEDIUM),
    _id("mx-nss", (), (_ELEVEN,), cedula, ("nss", "imss"), HIGH, 0),
    _id("ph-sss", ("99-9999999-9", "9999-9999999-9"), (), None, ("sss", "umid"), MEDIUM, MEDIUM),
)  # fmt: skip
