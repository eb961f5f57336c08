"""How to reach somebody, where they are, and papers that only a word beside them gives away."""

from __future__ import annotations

import ipaddress
import re

from sealwright.kit.patterns.checksums import digits, is_date, luhn, same
from sealwright.kit.patterns.interface import HIGH, MEDIUM, SURE, Pattern

# calling code → digits of a national number, at least and at most (ITU E.164)
_CALLING: dict[str, tuple[int, int]] = {
    "1": (10, 10), "7": (10, 10), "20": (8, 10), "27": (9, 9), "30": (10, 10), "31": (9, 9),
    "32": (8, 9), "33": (9, 9), "34": (9, 9), "36": (8, 9), "39": (6, 11), "40": (9, 9),
    "41": (9, 9), "43": (4, 13), "44": (9, 10), "45": (8, 8), "46": (7, 10), "47": (8, 8),
    "48": (9, 9), "49": (5, 12), "51": (8, 9), "52": (10, 11), "53": (6, 8), "54": (10, 11),
    "55": (10, 11), "56": (9, 9), "57": (8, 10), "58": (10, 10), "60": (8, 10), "61": (9, 9),
    "62": (8, 12), "63": (8, 10), "64": (8, 10), "65": (8, 8), "66": (8, 9), "81": (9, 10),
    "82": (8, 10), "84": (9, 10), "86": (10, 11), "90": (10, 10), "91": (10, 10), "92": (9, 10),
    "93": (9, 9), "94": (9, 9), "95": (7, 10), "98": (10, 10), "351": (9, 9), "352": (6, 11),
    "353": (7, 9), "354": (7, 9), "358": (6, 12), "359": (7, 9), "370": (8, 8), "371": (8, 8),
    "372": (7, 8), "380": (9, 9), "385": (8, 9), "386": (8, 8), "420": (9, 9), "421": (9, 9),
    "852": (8, 8), "886": (8, 9), "966": (8, 9), "971": (8, 9), "972": (8, 9),
}  # fmt: skip
_THREE = re.compile(r"(?:2[1-9]|3[578]|42|5[09]|6[789]|8[058]|9[679])[0-9]")
_DATED = re.compile(r"(?:[0-9]{1,2}[./-][0-9]{1,2}[./-][0-9]{2,4}|[0-9]{4}[./-][0-9]{2})(?![0-9])")
_PHONE_WORDS = (
    "phone", "tel", "telephone", "mobile", "cell", "fax", "call", "whatsapp", "sms", "contact",
    "dial", "ring", "text me", "handy", "telefon", "téléphone", "portable", "teléfono",
    "telefono",
    "móvil", "phone_number", "number is", "contact no", "reach me", "phone no",
)  # fmt: skip
_SSN = re.compile(r"[0-9]{3}([- ])[0-9]{2}\1[0-9]{4}")
_IPV6 = (
    r"(?<![\w:.])(?:[0-9A-Fa-f]{0,4}:){2,7}"
    r"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9A-Fa-f]{1,4})?(?![\w:]|\.[0-9])"
)
_MONTHS = "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec"


def e164(text: str) -> bool | None:
    """A known calling code with a national number of a length its country has."""
    number = digits(text.replace("(0)", ""))
    if text.startswith("00"):
        number = number[2:]
    if not 7 <= len(number) <= 15 or same(number):
        return False
    for size in (1, 2, 3):
        if number[:size] in _CALLING:
            least, most = _CALLING[number[:size]]
            if number[0] == "1" and number[1] in "01":
                return None
            return least <= len(number) - size <= most + 1 or None
    return True if _THREE.match(number) else None


def e164_size(text: str) -> int:
    """How much of ``text`` is one number: whole groups, as many as its country's digits take."""
    number = digits(text.replace("(0)", "")).lstrip("0")
    most = 15
    for size in (1, 2, 3):
        if number[:size] in _CALLING:
            most = size + _CALLING[number[:size]][1]
            break
    seen, kept = 0, 0
    for group in re.finditer(r"[0-9]+\)?", text.replace("(0)", "( )")):
        seen += len(group[0].strip(")").lstrip("0") if not seen else group[0].strip(")"))
        if seen > most + 1 and kept:
            break
        kept = group.end()
    return kept


def nanp(text: str) -> bool | None:
    """North America: area and exchange begin with 2 to 9, and no area is N11."""
    number = digits(text)
    number = number[1:] if len(number) == 11 and number[0] == "1" else number
    if len(number) != 10 or same(number):
        return False
    return (number[0] in "23456789" and number[3] in "23456789" and number[1:3] != "11") or None


def trunk(text: str) -> bool:
    """Elsewhere: a 0, then eight to eleven digits, and no date."""
    number = digits(text)
    said = number[0] == "0" and number[1] != "0" and 9 <= len(number) <= 12
    return said and not _dated(text) and not _SSN.fullmatch(text)


def _dated(text: str) -> bool:
    return _DATED.match(text.strip("(")) is not None


def dialled(text: str) -> bool:
    """Digits that a word before them calls a phone number."""
    number = digits(text)
    return 7 <= len(number) <= 15 and not same(number)


def labelled(text: str) -> bool:
    """As :func:`dialled`; six digits will do, for some countries have no more."""
    number = digits(text)
    return dialled(text) or (len(number) == 6 and number[0] != "0" and not same(number))


def email(text: str) -> bool:
    """RFC 5321: no dot at an end or twice, and a domain whose last label is no number."""
    local, _, domain = text.rpartition("@")
    labels = domain.split(".")
    fine = all(each and len(each) <= 63 and each.strip("-") == each for each in labels)
    return (
        fine
        and not local.startswith(".")
        and not local.endswith(".")
        and ".." not in local
        and labels[-1].lower() not in _FILES
    )


_FILES = frozenset({"png", "jpg", "jpeg", "gif", "svg", "webp", "css", "js"})


def ipv4(text: str) -> bool:
    """Four octets, none with a leading zero."""
    octets = text.split(".")
    return all(int(each) < 256 and (len(each) == 1 or each[0] != "0") for each in octets)


def ipv6(text: str) -> bool:
    """RFC 4291, with a digit or four groups: ``a::b`` is a name in some languages."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    groups = [group for group in text.split(":") if group]
    return any(map(str.isdigit, text)) or len(groups) >= 4


def mac(text: str) -> bool:
    """EUI-48 that is neither all zeros nor broadcast."""
    plain = re.sub(r"[^0-9a-f]", "", text.lower())
    return plain not in ("0" * 12, "f" * 12)


def latlong(text: str) -> bool:
    """Degrees of latitude and longitude within their bounds."""
    north, east = (abs(float(each)) for each in re.findall(r"[0-9]+\.[0-9]+", text)[:2])
    return north <= 90 and east <= 180


def birth(text: str) -> bool:
    """A day of the last hundred and thirty years, in any order of its parts."""
    parts = [int(each) for each in re.findall(r"[0-9]+", text)]
    if len(parts) != 3:
        return False
    first, second, third = parts
    if first > 31:
        return 1890 <= first <= 2035 and is_date(first, second, third)
    year = third if third > 99 else 1900 + third
    return 1890 <= year <= 2035 and (is_date(year, first, second) or is_date(year, second, first))


def imei(text: str) -> bool:
    """Luhn over fifteen digits."""
    number = digits(text)
    return not same(number) and luhn(number)


_DATES = tuple(
    sep.join(parts)
    for sep in "/-."
    for parts in (
        ("99", "99", "9999"), ("9", "9", "9999"), ("99", "9", "9999"), ("9", "99", "9999"),
        ("9999", "99", "99"), ("99", "99", "99"), ("9", "99", "99"), ("9", "9", "99"),
    )
)  # fmt: skip
_US = ("999-999-9999", "(999) 999-9999", "(999)999-9999", "999.999.9999", "999 999-9999",
       "(999) 999 9999", "(999) 999.9999", "(999)9999999", "(999) 9999999", "999-999 9999",
       "9-999-999-9999", "9 (999) 999-9999", "9.999.999.9999", "9 999-999-9999", "9 999 999 9999",
       "9(999)999-9999", "9-(999)-999-9999", "(999)-999-9999", "999-9999999")  # fmt: skip

PATTERNS = (
    Pattern(
        "email", "email", "personal",
        regex=r"(?<![\w.%+'-])[\w.!#$%&'*+/=?^`{|}~-]{1,64}@"
        r"(?:[\w-]{1,63}\.){1,8}(?:[^\W\d_]{2,24}|xn--[a-z0-9-]{2,59})(?![\w-])",
        anchors=("@",), reach=65, validator=email, confidence=SURE,
    ),
    Pattern(
        "phone-e164", "phone", "personal",
        regex=r"(?<![\w+])(?:\+|00(?=[1-9]))[ ]?\(?[0-9]{1,4}+\)?"
        r"(?:[ ./-]{0,3}\(?[0-9]{1,15}+\)?){1,7}+",
        anchors=("+",), digit="0", reach=1, trim=e164_size, validator=e164, context=_PHONE_WORDS,
        confidence=HIGH + 10, strict=False,
    ),
    Pattern("phone-nanp", "phone", "personal", shapes=_US, validator=nanp, context=_PHONE_WORDS,
            confidence=HIGH, strict=False),
    Pattern(
        "phone-trunk", "phone", "personal",
        regex=r"(?<![\w.,+/-])\(?0[0-9]{1,5}\)?[ /.\-]{1,3}[0-9]{2,9}"
        r"(?:[ /.\-][0-9]{2,8}){0,4}(?![\w])",
        digit="0", reach=1, validator=trunk, context=_PHONE_WORDS, confidence=70,
    ),
    Pattern(
        "phone-said", "phone", "personal",
        plain=(*("9" * size for size in range(7, 16)), "999 9999", "999-9999", "999 999 9999",
               "999 9999999", "99999 99999", "99999 999999", "9999 9999", "9999 999 999",
               "999 999 999",
               "99999-99999", "9999-9999", "99 9999 9999", "99-9999-9999", "9999-999-999",
               "999-9999-9999", "9999-999999", "99 99 99 99", "999.9999", "9 99 99 99 99"),
        validator=dialled, context=_PHONE_WORDS, confidence=MEDIUM + 5, bare=0,
    ),
    Pattern(
        "phone-labelled", "phone", "personal",
        regex=r"(?i:(?:phone|tel|telephone|telefon|mobile|mobil|cell|fax|whatsapp|téléphone|teléfono)"
        r"(?:[ _-]?(?:no|nr|number|num|#))?[\"']?\.?[ ]{0,3}[:=#][ ]{0,3}[\"']?)"
        r"(?P<v>[+(]{0,2}[0-9][0-9 ()./\-]{4,24}[0-9])(?![\w])",
        anchors=("phone", "tel", "mobil", "cell", "fax", "whatsapp", "téléphone", "teléfono"),
        fold=True, validator=labelled, confidence=HIGH,
    ),
    Pattern(
        "ipv4", "ip-address", "network",
        regex=r"(?<![\w.-])[0-9]{1,3}(?:\.[0-9]{1,3}){3}(?![\w]|\.[0-9])",
        gates=("9.9.", "9.99.", "9.999."), reach=3, validator=ipv4, confidence=HIGH,
    ),
    Pattern(
        "ipv6", "ip-address", "network",
        regex=_IPV6,
        anchors=(":",), reach=-1, least=7, hint="(?::[0-9A-Fa-f]{1,4}){3}",
        validator=ipv6, confidence=HIGH,
    ),
    Pattern(
        "ipv6-short", "ip-address", "network",
        regex=_IPV6,
        anchors=("::",), reach=35, validator=ipv6, confidence=HIGH,
    ),
    Pattern(
        "mac", "mac-address", "network",
        regex=r"(?<![\w:-])(?:[0-9A-Fa-f]{2}([:-]))(?:[0-9A-Fa-f]{2}\1){4}[0-9A-Fa-f]{2}(?![\w:-])",
        anchors=(":", "-"), reach=-1, least=5,
        hint="[:-][0-9A-Fa-f]{2}[:-][0-9A-Fa-f]{2}[:-]", validator=mac, confidence=HIGH,
    ),
    Pattern(
        "mac-dotted", "mac-address", "network",
        regex=r"(?<![\w.])[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}(?![\w.])",
        anchors=("mac address", "mac:", "mac=", "ethernet", "hardware address"),
        fold=True, reach=-1, validator=mac,
        confidence=MEDIUM + 10,
    ),
    Pattern(
        "lat-long", "location", "personal",
        regex=r"(?<![\w.])[-+]?[0-9]{1,2}\.[0-9]{4,}°?[NSns]?"
        r"[ ]?[,;][ ]?[-+]?[0-9]{1,3}\.[0-9]{4,}(?![\w.])",
        gates=("9.9999",), reach=3, validator=latlong,
        context=("lat", "latitude", "gps", "coordinates", "location", "position", "geo"),
        confidence=MEDIUM + 10, wants_context=True, bare=55,
    ),
    Pattern(
        "degrees", "location", "personal",
        regex=r"[0-9]{1,3}°[ ]?[0-9]{1,2}['\u2032][ ]?(?:[0-9.]{1,6}[\"\u2033])?[ ]?[NSEW]",
        anchors=("°",), reach=4, confidence=HIGH,
    ),
    Pattern(
        "birth-date", "birth-date", "personal", plain=_DATES, validator=birth,
        context=("born", "birth", "dob", "d.o.b", "birthday", "birthdate", "geboren",
        "geburtsdatum",
                 "né le", "née le", "nacimiento", "nascita", "birth_date", "date_of_birth"),
        confidence=HIGH, bare=0,
    ),
    Pattern(
        "birth-date-named", "birth-date", "personal",
        regex=r"(?i:(?:born|birth|dob)[a-z_ ]{0,12}[:=]?[a-z ]{0,8}\b"
        rf"(?P<v>(?:{_MONTHS})[a-z]*\.? [0-9]{{1,2}}(?:st|nd|rd|th)?,? [0-9]{{4}}"
        rf"|[0-9]{{1,2}}(?:st|nd|rd|th)? (?:of )?(?:{_MONTHS})[a-z]*\.?,? [0-9]{{4}}))",
        anchors=("born", "birth", "dob"), fold=True, confidence=HIGH,
    ),
    Pattern(
        "passport", "passport", "personal",
        plain=("9" * 9, "A99999999", "AA9999999", "AA999999", "A9999999", "99AA99999", "AAA999999",
               "A99A99999", "AA999A999", "9" * 8, "A999999", "A999999AA", "AA99999AA", "AAA99999A"),
        context=("passport", "passeport", "pasaporte", "reisepass", "passaporto", "passnummer"),
        confidence=HIGH, bare=0,
    ),
    Pattern(
        "driver-licence", "driver-licence", "personal",
        plain=("A9999999", "A99999999", "A999999999", "A99999999999", "A999999999999", "A99999",
               "A999999", "AA999999", "AA999999A", "AA9999999A", "AAAAA999999AA9AA", "AAA99AAA9999",
               "A999-999-99-999-9", "A999-9999-9999", "A999-9999-9999-99", "A99-99-9999",
               "99AAA9999",
               "AA-99-9999", "99-999-999", "99-999-9999", "999AA9999", "A99999-99999-99999",
               *("9" * size for size in range(6, 13))),
        context=("driver", "drivers", "driver's", "driving", "license", "licence", "permit", "dl",
                 "dls", "lic", "patente", "führerschein", "dl#", "identification"),
        confidence=MEDIUM, bare=0,
    ),
    Pattern(
        "imei", "device-id", "personal",
        plain=("9" * 15, "99-999999-999999-9"), validator=imei, context=("imei",), bare=0,
    ),
)  # fmt: skip
