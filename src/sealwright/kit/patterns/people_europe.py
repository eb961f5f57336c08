"""National identifiers of Europe: their spellings and check digits."""

from __future__ import annotations

from itertools import product

from sealwright.kit.patterns.checksums import (
    alnum,
    digits,
    is_date,
    luhn,
    mod_11_10,
    same,
    weighted,
)
from sealwright.kit.patterns.interface import HIGH, LOW, MEDIUM
from sealwright.kit.patterns.interface import identifier as _id

_DNI = "TRWAGMYFPDXBNJZSQVHLCKE"
_HETU = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_CF_ODD = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25,
           24, 23)  # fmt: skip


def nhs(text: str) -> bool:
    """UK: ten digits, modulus 11."""
    number = digits(text)
    check = 11 - weighted(number, range(10, 1, -1)) % 11
    return not same(number) and check % 11 == int(number[-1]) and check != 10


def nino(text: str) -> bool:
    """UK national insurance: the prefixes that are given out."""
    plain = alnum(text)
    return (
        plain[0] not in "DFIQUV"
        and plain[1] not in "DFIOQUV"
        and plain[:2] not in ("BG", "GB", "NK", "KN", "TN", "NT", "ZZ")
        and plain[8:] in ("", "A", "B", "C", "D")
    )


def steuer_id(text: str) -> bool:
    """Germany: ISO 7064 MOD 11,10, and one digit twice or thrice among the first ten."""
    number = digits(text)
    counts = sorted(number[:10].count(each) for each in set(number[:10]))
    return number[0] != "0" and counts[-1] in (2, 3) and counts[-2] == 1 and mod_11_10(number)


def nir(text: str) -> bool:
    """France: sex, month, department, and 97 minus the number modulo 97."""
    plain = alnum(text)
    department = plain[5:7]
    number = plain[:13].replace("2A", "19", 1) if department == "2A" else plain[:13]
    number = number.replace("2B", "18", 1) if department == "2B" else number
    if not (number.isdecimal() and plain[13:].isdecimal()) or plain[0] not in "123478":
        return False
    month = int(plain[3:5])
    plausible = 1 <= month <= 12 or 20 <= month <= 42 or month >= 50
    return plausible and 97 - int(number) % 97 == int(plain[13:])


def dni(text: str) -> bool:
    """Spain: the letter is the number modulo 23; foreigners' X, Y, Z count 0, 1, 2."""
    plain = alnum(text)
    head = {"X": "0", "Y": "1", "Z": "2"}.get(plain[0], plain[0]) + plain[1:-1]
    return head.isdecimal() and _DNI[int(head) % 23] == plain[-1]


def cif(text: str) -> bool:
    """Spain, companies: Luhn-like, its check a digit or a letter."""
    plain = alnum(text)
    if plain[0] not in "ABCDEFGHJNPQRSUVW" or not plain[1:8].isdecimal():
        return False
    odd = sum(sum(divmod(int(each) * 2, 10)) for each in plain[1:8:2])
    check = (10 - (odd + sum(int(each) for each in plain[2:7:2])) % 10) % 10
    return plain[8] in (str(check), "JABCDEFGHI"[check])


def codice_fiscale(text: str) -> bool:
    """Italy: odd and even characters by table, modulo 26; a day (women 40 up).

    Where two people would have one code, letters stand for digits (decree of 23 December 1976).
    """
    plain = alnum(text)
    day = "".join(str("LMNPQRSTUV".find(c)) if c.isalpha() else c for c in plain[9:11])
    if "-" in day or not 1 <= int(day) % 40 <= 31:
        return False
    total = 0
    for place, each in enumerate(plain[:15]):
        value = int(each) if each.isdecimal() else ord(each) - 65
        total += _CF_ODD[value] if place % 2 == 0 else value
    return plain[8] in "ABCDEHLMPRST" and chr(65 + total % 26) == plain[15]


def partita_iva(text: str) -> bool:
    """Italy, VAT: Luhn over eleven digits."""
    number = digits(text)
    return not same(number) and luhn(number)


def bsn(text: str) -> bool:
    """Netherlands: the eleven test."""
    number = digits(text)
    return not same(number) and weighted(number, (9, 8, 7, 6, 5, 4, 3, 2, -1)) % 11 == 0


def pesel(text: str) -> bool:
    """Poland: a birth date (from 2000 on 20 up in the month), and weights 1-3-7-9."""
    number = digits(text)
    century, month = divmod(int(number[2:4]), 20)
    year = 1900 + 100 * century + int(number[:2])
    born = century < 2 and year <= 2035 and is_date(year, month, int(number[4:6]))
    return born and weighted(number, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1)) % 10 == 0


def nip(text: str) -> bool:
    """Poland, tax: modulus 11."""
    number = digits(text)
    return weighted(number, (6, 5, 7, 2, 3, 4, 5, 6, 7)) % 11 == int(number[9])


def personnummer(text: str) -> bool:
    """Sweden: a birth date (a day above 60 is a coordination number) and Luhn.

    In twelve digits a year of 1850 to 2035 (SKV 704).
    """
    whole = digits(text)
    if len(whole) == 12 and not "1850" <= whole[:4] <= "2035":
        return False
    number = whole[-10:]
    born = is_date(int(number[:2]), int(number[2:4]), int(number[4:6]) % 60)
    return born and luhn(number)


def hetu(text: str) -> bool:
    """Finland: a birth date, and the number modulo 31 as a character."""
    number = digits(text[:6] + text[7:10])
    born = is_date(int(text[4:6]), int(text[2:4]), int(text[:2]))
    sign = text[6].upper() in "+-ABCDEFUVWXY"
    return born and sign and len(number) == 9 and _HETU[int(number) % 31] == text[10].upper()


def cpr(text: str) -> bool | None:
    """Denmark: a birth date; its old check digit holds only for numbers before 2007."""
    number = digits(text)
    if not is_date(int(number[4:6]), int(number[2:4]), int(number[:2])):
        return False
    return weighted(number, (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0 or None


def fodselsnummer(text: str) -> bool:
    """Norway: a birth date and two check digits."""
    number = digits(text)
    born = is_date(int(number[4:6]), int(number[2:4]) % 40, int(number[:2]) % 40)
    first = weighted(number, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1)) % 11 == 0
    return born and first and weighted(number, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def rijksregister(text: str) -> bool:
    """Belgium: 97 minus the first nine digits modulo 97, a 2 before them from 2000 on."""
    number = digits(text)
    check, month = int(number[9:]), int(number[2:4]) % 20
    if month > 12 or int(number[4:6]) > 31:
        return False
    return check in (97 - int(number[:9]) % 97, 97 - int("2" + number[:9]) % 97)


def nif(text: str) -> bool:
    """Portugal: modulus 11."""
    number = digits(text)
    check = 11 - weighted(number, range(9, 1, -1)) % 11
    return number[0] in "1235689" and (0 if check > 9 else check) == int(number[8])


def ahv(text: str) -> bool:
    """Switzerland: 756 and an EAN-13 check."""
    number = digits(text)
    return number[:3] == "756" and weighted(number, (1, 3) * 6 + (1,)) % 10 == 0


def svnr(text: str) -> bool:
    """Austria: weights around the fourth digit, then a birth date."""
    number = digits(text)
    rest = number[:3] + number[4:]
    born = 1 <= int(number[4:6]) <= 31 and 1 <= int(number[6:8]) <= 15
    return born and weighted(rest, (3, 7, 9, 5, 8, 4, 2, 1, 6)) % 11 == int(number[3])


def rodne_cislo(text: str) -> bool:
    """Czechia and Slovakia: a birth date (women 50 up in the month), divisible by 11."""
    number = digits(text)
    born = is_date(int(number[:2]), int(number[2:4]) % 50 % 20, int(number[4:6]))
    return born and (int(number) % 11 == 0 or (int(number[:9]) % 11 == 10 and number[9] == "0"))


def cnp(text: str) -> bool:
    """Romania: sex and century, a birth date, modulus 11."""
    number = digits(text)
    born = is_date(int(number[1:3]), int(number[3:5]), int(number[5:7]))
    check = weighted(number, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9)) % 11
    return number[0] != "0" and born and (1 if check == 10 else check) == int(number[12])


def egn(text: str) -> bool:
    """Bulgaria: a birth date (20 or 40 up in the month), modulus 11."""
    number = digits(text)
    born = is_date(int(number[:2]), int(number[2:4]) % 20, int(number[4:6]))
    check = weighted(number, (2, 4, 8, 5, 10, 9, 7, 3, 6)) % 11 % 10
    return born and check == int(number[9])


def isikukood(text: str) -> bool:
    """Estonia and Lithuania: sex and century, a birth date, modulus 11 in two rounds."""
    number = digits(text)
    born = is_date(int(number[1:3]), int(number[3:5]), int(number[5:7]))
    check = weighted(number, (1, 2, 3, 4, 5, 6, 7, 8, 9, 1)) % 11
    if check == 10:
        check = weighted(number, (3, 4, 5, 6, 7, 8, 9, 1, 2, 3)) % 11 % 10
    return number[0] in "123456" and born and check == int(number[10])


def pps(text: str) -> bool:
    """Ireland: modulus 23 as a letter; a second letter counts nine times."""
    plain = alnum(text)
    second = ord(plain[8]) - 64 if len(plain) == 9 and plain[8] != "W" else 0
    check = (weighted(plain[:7], range(8, 1, -1)) + second * 9) % 23
    return plain[7] == "WABCDEFGHIJKLMNOPQRSTUV"[check]


def oib(text: str) -> bool:
    """Croatia: ISO 7064 MOD 11,10."""
    number = digits(text)
    return not same(number) and mod_11_10(number)


def amka(text: str) -> bool:
    """Greece: a birth date and Luhn."""
    number = digits(text)
    born = is_date(int(number[4:6]), int(number[2:4]), int(number[:2]))
    return born and luhn(number)


def kennitala(text: str) -> bool:
    """Iceland: a birth date, modulus 11, a century digit."""
    number = digits(text)
    born = is_date(int(number[4:6]), int(number[2:4]), int(number[:2]) % 40)
    check = (11 - weighted(number, (3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 11
    return born and number[9] in "089" and check == int(number[8])


_ELEVEN, _TEN, _NINE = "9" * 11, "9" * 10, "9" * 9
_OMOCODIA = tuple(
    f"AAAAAA9{''.join(each[:1])}A{''.join(each[1:3])}A{''.join(each[3:])}A"
    for each in product("9A", repeat=6)
)

PATTERNS = (
    _id("uk-nhs", ("999 999 9999",), ("999-999-9999", _TEN), nhs,
        ("nhs", "national health", "health service", "patient"), category="health"),
    _id("uk-nino", ("AA999999A", "AA 99 99 99 A", "AA 999999 A", "AA-99-99-99-A", "AA999999 A",
                    "AA 999999A", "AA 99 99 99A"),
        ("AA999999", "AA 99 99 99"), nino, ("national insurance", "nino", "ni number",
        "insurance"), HIGH, 0),
    _id("de-steuer-id", ("99 999 999 999",), (_ELEVEN,), steuer_id,
        ("steuer", "steueridentifikationsnummer", "idnr", "tin", "steuernummer", "tax"),
        HIGH, 50),
    _id("fr-nir",
        ("9" * 15, "9" * 13 + " 99", "9 99 99 99 999 999 99", "9 99 99 99 999 999 (99)",
         "9-99-99-99-999-999-99", "999999A99999999", "999999A999999 99", "9 99 99 9A 999 999 99"),
        (), nir, ("nir", "sécurité sociale", "insee", "securite sociale"), HIGH),
    _id("es-dni", ("99999999A", "99999999-A", "99.999.999-A", "A9999999A",
                   "A-9999999-A", "A-9999999A", "A9999999-A", "A-99999999-A", "99999999 A",
                   "A 9999999 A"), (), dni,
        ("dni", "nif", "nie", "documento", "identidad")),
    _id("es-cif", ("A99999999", "A-99999999", "A-9999999-9"), (), cif,
        ("cif", "nif", "empresa"), MEDIUM, 45, "company-id"),
    _id("it-codice-fiscale", (*_OMOCODIA, "AAA AAA 99A99 A999A"), (), codice_fiscale,
        ("codice fiscale", "cf", "fiscale")),
    _id("it-partita-iva", (), (_ELEVEN,), partita_iva,
        ("piva", "partita iva", "p.iva", "partita", "vat"), HIGH, LOW, "company-id"),
    _id("nl-bsn", ("9999.99.999", "9999 99 999"), (_NINE, "999 999 999"), bsn,
        ("bsn", "burgerservicenummer", "sofinummer", "sofi")),
    _id("pl-pesel", (), (_ELEVEN,), pesel, ("pesel",), HIGH, 55),
    _id("pl-nip", ("999-999-99-99", "999-99-99-999"), (_TEN,), nip, ("nip", "vat"),
        HIGH, LOW, "company-id"),
    _id("se-personnummer", ("999999-9999", "999999+9999", "99999999-9999", "99999999+9999"),
        (_TEN, "9" * 12, "999999 9999", "99999999 9999"), personnummer,
        ("personnummer", "personnr", "pnr", "samordningsnummer", "ssn", "organisation"), HIGH, 55),
    _id("fi-hetu", ("999999-999A", "999999+999A", "999999A999A", "999999-9999", "999999A9999",
                    "999999+9999"), (), hetu,
        ("hetu", "henkilötunnus", "personbeteckning", "personal identity")),
    _id("dk-cpr", (), ("999999-9999", _TEN), cpr, ("cpr", "personnummer", "cpr-nummer"), HIGH, 35),
    _id("no-fodselsnummer", ("999999 99999",), (_ELEVEN,), fodselsnummer,
        ("fødselsnummer", "fodselsnummer", "personnummer", "fnr"), HIGH, 55),
    _id("be-rijksregister", ("99.99.99-999.99", "99.99.99 999.99", "999999-999-99", "999999 999 99",
                             "99.99.99-999-99"),
        (_ELEVEN,), rijksregister,
        ("rijksregister", "registre national", "numéro national", "rijksregisternummer", "insz"),
        HIGH, 55),
    _id("pt-nif", (), (_NINE, "999 999 999"), nif, ("nif", "contribuinte", "fiscal")),
    _id("ch-ahv", ("999.9999.9999.99", "999 9999 9999 99"), ("9" * 13,), ahv,
        ("ahv", "avs", "sozialversicherung"), HIGH, HIGH),
    _id("at-svnr", ("9999 999999", "9999-999999"), (_TEN,), svnr,
        ("svnr", "sozialversicherungsnummer", "versicherungsnummer"), MEDIUM),
    _id("cz-rodne-cislo", ("999999/9999",), (_TEN,), rodne_cislo,
        ("rodné číslo", "rodne cislo", "rč", "rodné")),
    _id("ro-cnp", (), ("9" * 13,), cnp, ("cnp", "cod numeric"), HIGH, 55),
    _id("bg-egn", (), (_TEN,), egn, ("egn", "егн")),
    _id("ee-lt-personal-code", (), (_ELEVEN,), isikukood,
        ("isikukood", "asmens kodas", "personal code"), HIGH, 55),
    _id("ie-pps", ("9999999A", "9999999AA"), (), pps, ("pps", "ppsn", "personal public"),
        MEDIUM, 50),
    _id("hr-oib", (), (_ELEVEN,), oib, ("oib",)),
    _id("gr-amka", (), (_ELEVEN,), amka, ("amka", "αμκα"), HIGH, 55),
    _id("is-kennitala", ("999999-9999", "999999 9999"), (_TEN,), kennitala, ("kennitala",),
        HIGH, 55),
)  # fmt: skip
