"""International bank account numbers: each country's length and structure (SWIFT's registry)."""

from __future__ import annotations

import re
from functools import cache

from sealwright.kit.patterns.checksums import alnum, mod_97

# country → its part of the number: n digits, a capital letters, c either
_STRUCTURES = dict(
    pair.split(":")
    for pair in (
        "AD:8n12c AE:19n AL:8n16c AT:16n AZ:4a20c BA:16n BE:12n BG:4a6n8c BH:4a14c BI:23n"
        " BR:23n1a1c BY:4c4n16c CH:5n12c CR:18n CY:8n16c CZ:20n DE:18n DJ:23n DK:14n DO:4c20n"
        " EE:16n EG:25n ES:20n FI:14n FK:2a12n FO:14n FR:10n11c2n GB:4a14n GE:2a16n GI:4a15c"
        " GL:14n GR:7n16c GT:24c HN:4a20n HR:17n HU:24n IE:4a14n IL:19n IQ:4a15n IS:22n"
        " IT:1a10n12c JO:4a4n18c KW:4a22c KZ:3n13c LB:4n20c LC:4a24c LI:5n12c LT:16n LU:3n13c"
        " LV:4a13c LY:21n MC:10n11c2n MD:20c ME:18n MK:3n10c2n MN:16n MR:23n MT:4a5n18c"
        " MU:4a19n3a NI:4a20n NL:4a10n NO:11n OM:3n16c PK:4a16c PL:24n PS:4a21c PT:21n QA:4a21c"
        " RO:4a16c RS:18n RU:14n15c SA:2n18c SC:4a20n3a SD:14n SE:20n SI:15n SK:20n SM:1a10n12c"
        # not in the registry, and in use: West and Central Africa, Iran, Portuguese-speaking Africa
        " AO:21n BF:2c22n BJ:2c22n CF:23n CG:23n CI:2c22n CM:23n CV:21n DZ:22n GA:23n GQ:23n"
        " GW:2c19n IR:22n KM:23n MA:24n MG:23n ML:2c22n MZ:21n NE:2c22n SN:2c22n TD:23n TG:2c22n"
        " SO:19n ST:21n SV:4a20n TL:19n TN:20n TR:6n16c UA:6n19c VA:18n VG:4a16n XK:16n YE:4a4n18c"
    ).split()
)
_STRUCTURES |= dict.fromkeys("BL GF GP MF MQ NC PF PM RE TF WF YT".split(), _STRUCTURES["FR"])
_STRUCTURES |= dict.fromkeys("GG IM JE".split(), _STRUCTURES["GB"]) | {"AX": _STRUCTURES["FI"]}
_PART = re.compile(r"([0-9]+)([nac])")
_CLASSES = {"n": "[0-9]", "a": "[A-Z]", "c": "[A-Z0-9]"}
_SIZES = {
    country: 4 + sum(int(size) for size, _ in _PART.findall(said))
    for country, said in _STRUCTURES.items()
}


def iban_size(text: str) -> int:
    """How many characters of ``text`` the country's IBAN takes, blanks included; 0 for none."""
    size = _SIZES.get(text[:2].upper(), 0)
    seen = 0
    for at, each in enumerate(text):
        seen += each.isalnum()
        if size and seen == size:
            return at + 1
    return 0


def iban(text: str) -> bool:
    """ISO 13616: the country's length, and MOD 97-10."""
    plain = alnum(text)
    return len(plain) == _SIZES.get(plain[:2], 0) and mod_97(plain[4:] + plain[:4])


def structured_iban(text: str) -> bool:
    """As :func:`iban`, and every character of the class that the country has there: prose that
    begins like one ("IS 20 …") does not go on so."""
    plain = alnum(text)
    form = _form(plain[:2])
    return form is not None and form.fullmatch(plain[4:]) is not None and iban(text)


@cache
def _form(country: str) -> re.Pattern[str] | None:
    said = _STRUCTURES.get(country)
    if said is None:
        return None
    return re.compile("".join(f"{_CLASSES[kind]}{{{size}}}" for size, kind in _PART.findall(said)))
