"""The third held-out set: numbers from four more projects' tests and from four generators.

Written and run before a pattern was changed again; nobody looked into what it wrote until the
patterns were finished. Needs mimesis, schwifty, phonenumbers and django-localflavor, and clones of
django-localflavor, validator.js, validators and stdnum-js for their tests. Numbers that are drawn
are drawn at random until django-localflavor's own field accepts them. The text around a number is
neutral, or the name that the source has for it: no word of it is ours.

    python scripts/third_fixtures.py CLONES OUT [FROZEN.jsonl ...]

``CLONES/owner+name/repo`` are git directories. Texts that stand in a FROZEN file are left out, and
so are numbers that do.
"""

from __future__ import annotations

import ast
import importlib
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from string import ascii_uppercase
from typing import Any

SEED = 20_261_127
ALONE = "The entry {} was looked at last week."
NAMED = "{}: {}"

# django-localflavor's field -> the kind as the page of held-out sets calls it ("" : not on it)
FIELDS = {
    "ARDNIField": "", "ATSocialSecurityNumberField": "", "AUTaxFileNumberField": "AU_TFN",
    "BRCPFField": "", "BYPassNumberField": "", "CASocialInsuranceNumberField": "CA_SIN",
    "CHSocialSecurityNumberField": "", "CLRutField": "", "CNIDCardField": "",
    "CUIdentityCardNumberField": "", "CZBirthNumberField": "", "DEIdentityCardNumberField": "",
    "EEPersonalIdentificationCode": "", "EGNationalIDNumberField": "",
    "ESIdentityCardNumberField": "ES_NIF", "FISocialSecurityNumber": "FI_PERSONAL_IDENTITY_CODE",
    "FRNationalIdentificationNumber": "", "GRSocialSecurityNumberCodeField": "",
    "HRJMBGField": "", "HROIBField": "", "IBANFormField": "IBAN_CODE", "ILIDNumberField": "",
    "INAadhaarNumberField": "IN_AADHAAR", "INPANCardNumberFormField": "IN_PAN",
    "IRIDNumberField": "", "ISIdNumberField": "", "ITSocialSecurityNumberField": "IT_FISCAL_CODE",
    "KWCivilIDNumberField": "", "LTIDCodeField": "", "LVPersonalCodeField": "", "MXCURPField": "",
    "MyKadFormField": "", "NOSocialSecurityNumber": "", "PLPESELField": "PL_PESEL",
    "PTSocialSecurityNumberField": "", "ROCNPField": "",
    "SEPersonalIdentityNumberField": "SE_PERSONNUMMER", "SGNRICFINField": "SG_NRIC_FIN",
    "SIEMSOField": "", "UMCNField": "", "USSocialSecurityNumberField": "US_SSN", "UYCIField": "",
    "ZAIDField": "ZA_ID_NUMBER",
}  # fmt: skip
# drawn: field -> module, kind, how many digits
DRAWN = {
    "CASocialInsuranceNumberField": ("ca", "CA_SIN", 9), "AUTaxFileNumberField": ("au", "AU_TFN", 9),
    "PLPESELField": ("pl", "PL_PESEL", 11), "INAadhaarNumberField": ("in_", "IN_AADHAAR", 12),
    "ZAIDField": ("za", "ZA_ID_NUMBER", 13), "SEPersonalIdentityNumberField": ("se", "SE_PERSONNUMMER", 10),
    "CLRutField": ("cl", "", 9),
    "BRCPFField": ("br", "", 11), "HROIBField": ("hr", "", 11), "ILIDNumberField": ("il", "", 9),
}  # fmt: skip
# stdnum-js's module -> the same
MODULES = {
    "at/vnr": "", "au/tfn": "AU_TFN", "ba/jmbg": "", "be/nn": "", "bg/egn": "", "br/cpf": "",
    "ca/sin": "CA_SIN", "ch/ssn": "", "cl/rut": "", "cn/ric": "", "cu/ni": "", "cz/rc": "",
    "de/idnr": "DE_TAX_ID", "dk/cpr": "", "do/cedula": "", "ec/ci": "", "ee/ik": "",
    "es/dni": "ES_NIF", "es/nie": "ES_NIE", "fi/hetu": "FI_PERSONAL_IDENTITY_CODE", "fr/nir": "",
    "gb/nino": "UK_NINO", "gr/amka": "", "hk/hkid": "", "hr/oib": "", "ie/pps": "", "il/idnr": "",
    "in/aadhaar": "IN_AADHAAR", "in/pan": "IN_PAN", "is/kennitala": "",
    "it/codicefiscale": "IT_FISCAL_CODE", "kr/rrn": "KR_RRN", "lk/nic": "", "lt/asmens": "",
    "mx/curp": "", "my/nric": "", "nl/bsn": "", "no/fodselsnummer": "", "pk/cnic": "",
    "pl/pesel": "PL_PESEL", "ro/cnp": "", "se/personnummer": "SE_PERSONNUMMER", "si/emso": "",
    "th/idnr": "TH_TNIN", "tr/tckimlik": "TR_NATIONAL_ID", "us/itin": "US_ITIN",
    "us/ssn": "US_SSN", "za/idnr": "ZA_ID_NUMBER",
}  # fmt: skip
# validator.js: what it checks and for which locale
TAXES = {
    "de-DE": "DE_TAX_ID", "en-CA": "CA_SIN", "es-ES": "ES_NIF", "fi-FI": "FI_PERSONAL_IDENTITY_CODE",
    "it-IT": "IT_FISCAL_CODE", "sv-SE": "SE_PERSONNUMMER",
}  # fmt: skip
CARDS = {
    "ES": "ES_NIF", "FI": "FI_PERSONAL_IDENTITY_CODE", "IN": "IN_AADHAAR", "PL": "PL_PESEL",
    "TH": "TH_TNIN",
}  # fmt: skip
CHECKS = {"isIBAN": "IBAN_CODE", "isCreditCard": "CREDIT_CARD", "isIP": "IP_ADDRESS"}


def row(text: str, kind: str, source: str, *, positive: bool, strong: bool) -> dict[str, Any]:
    return {
        "text": text, "kind": kind, "positive": positive, "expected": int(positive),
        "strong": strong, "source": source,
    }  # fmt: skip


def both(number: str, title: str, kind: str, named: str, source: str, good: bool) -> Iterator[Any]:
    """A number that a test calls good or bad: alone, and a good one with its title."""
    if sum(map(str.isdigit, number)) < 4:
        return
    said, strong = kind or named, bool(kind)
    yield row(ALONE.format(number), said, f"{source} alone", positive=good, strong=strong)
    if good:
        yield row(NAMED.format(title, number), said, f"{source} named", positive=True, strong=strong)


class Clone:
    """A git directory at its newest commit."""

    def __init__(self, clones: Path, name: str) -> None:
        self.directory = clones / name.replace("/", "+") / "repo"
        self.source = f"{name}@{self.git('rev-parse', 'HEAD').strip()[:12]}"

    def git(self, *asked: str) -> str:
        done = subprocess.run(  # noqa: S603
            ["git", f"--git-dir={self.directory}", *asked],  # noqa: S607
            capture_output=True, check=True,
        )  # fmt: skip
        return done.stdout.decode("utf-8", "replace")

    def files(self, pattern: str) -> list[str]:
        every = self.git("ls-tree", "-r", "--name-only", "HEAD").split("\n")
        return [path for path in every if re.fullmatch(pattern, path)]

    def read(self, path: str) -> str:
        return self.git("show", f"HEAD:{path}")


def localflavor(clone: Clone) -> Iterator[dict[str, Any]]:
    """The valid and invalid numbers that its tests give to a field."""
    for path in clone.files(r"tests/test_(?:[a-z]{2}|generic)(?:/test.*)?(?:\.py)"):
        for function in ast.walk(ast.parse(clone.read(path))):
            if not isinstance(function, ast.FunctionDef):
                continue
            held = {
                node.targets[0].id: keys(node.value)
                for node in ast.walk(function)
                if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            }
            for call in ast.walk(function):
                if not isinstance(call, ast.Call) or len(call.args) < 3:
                    continue
                first = call.args[0]
                name = first.attr if isinstance(first, ast.Attribute) else getattr(first, "id", "")
                if name not in FIELDS:
                    continue
                title = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.replace("Field", ""))
                for place, good in ((1, True), (2, False)):
                    given = call.args[place]
                    numbers = held.get(given.id, []) if isinstance(given, ast.Name) else keys(given)
                    for number in numbers:
                        source = f"{clone.source}: {name}"
                        yield from both(number, title, FIELDS[name], f"field {name}", source, good)


def keys(node: ast.AST) -> list[str]:
    if not isinstance(node, ast.Dict):
        return []
    return [k.value for k in node.keys if isinstance(k, ast.Constant) and isinstance(k.value, str)]


def stdnum_js(clone: Clone) -> Iterator[dict[str, Any]]:
    """What its specifications validate, good where they want ``isValid``, bad where an error."""
    for module, kind in MODULES.items():
        path = f"src/{module}.spec.ts"
        if not clone.files(re.escape(path)):
            continue
        told = re.search(r"/\*\*\s*\n\s*\*\s*(.+)", clone.read(f"src/{module}.ts"))
        title = told[1].strip().rstrip(".") if told else module
        for block in clone.read(path).split("it('")[1:]:
            for number in dict.fromkeys(re.findall(r"validate\(\s*'([^']+)'", block)):
                good = "isValid" in block and ".error" not in block
                source = f"{clone.source}: {module}"
                yield from both(number, title, kind, f"number {module}", source, good)


def validator_js(clone: Clone) -> Iterator[dict[str, Any]]:
    """Its tests of tax numbers, identity cards, phones, IBANs, cards, addresses and e-mail."""
    text = clone.read("test/validators.test.js")
    for part in re.split(r"\n  it\('", text)[1:]:
        what = part.split("'", 1)[0]
        if "mobile phone" in what or "identity cards" in what:
            for locale, body in re.findall(r"locale: '([\w-]+)',(.*?)(?=locale: '|\Z)", part, re.S):
                yield from listed(clone, what, locale, body)
        for check in re.split(r"validator: '", part)[1:]:
            name, body = check.split("'", 1)
            locale = re.match(r",\s*args: \['([\w-]+)'", body)
            if name == "isTaxID" and locale:
                yield from listed(clone, "isTaxID", locale[1], body)
            elif name in CHECKS and not re.match(r",\s*args", body):
                for number, good in numbers_of(body):
                    source = f"{clone.source}: {name} alone"
                    text_ = ALONE.format(number)
                    yield row(text_, CHECKS[name], source, positive=good, strong=True)


def listed(clone: Clone, what: str, locale: str, body: str) -> Iterator[dict[str, Any]]:
    for number, good in numbers_of(body):
        if "mobile" in what:
            source = f"{clone.source}: phone {locale}"
            if good:
                yield row(f"Phone: {number}", "PHONE_NUMBER", source, positive=True, strong=True)
            continue
        tax = what == "isTaxID"
        kind = (TAXES if tax else CARDS).get(locale, "")
        title = f"Tax ID {locale}" if tax else f"Identity card {locale}"
        source = f"{clone.source}: {title}"
        yield from both(number, title, kind, title, source, good)


def numbers_of(body: str) -> Iterator[tuple[str, bool]]:
    """The strings of the first list of valid ones, and of the first of invalid ones."""
    for word, good in (("valid", True), ("invalid", False)):
        found = re.search(rf"\b{word}: \[(.*?)\]", body, re.S)
        for number in re.findall(r"'([^'\n]+)'", found[1]) if found else ():
            yield number, good


def validators(clone: Clone) -> Iterator[dict[str, Any]]:
    """Cards, IBANs, addresses and national numbers of its tests that return true."""
    kinds = {
        "tests/test_card.py": "CREDIT_CARD", "tests/test_iban.py": "IBAN_CODE",
        "tests/test_email.py": "EMAIL_ADDRESS", "tests/i18n/test_fi.py": "FI_PERSONAL_IDENTITY_CODE",
        "tests/i18n/test_ind.py": "IN_PAN",
    }  # fmt: skip
    for path, kind in kinds.items():
        tree = ast.parse(clone.read(path))
        lists = {
            node.targets[0].id: strings(node.value)
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
        }
        if kind == "CREDIT_CARD":
            numbers = [n for name, held in lists.items() if "card" in name for n in held]
        else:
            numbers = [
                n
                for node in tree.body
                if isinstance(node, ast.FunctionDef) and "true" in node.name
                if "business" not in node.name and "aadhar" not in node.name
                for n in strings(node.decorator_list[0] if node.decorator_list else node)[1:]
            ]
        for number in numbers:
            source = f"{clone.source}: {path} alone"
            yield row(ALONE.format(number), kind, source, positive=True, strong=True)


def strings(node: ast.AST) -> list[str]:
    return [
        each.value
        for each in ast.walk(node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]


def drawn(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Random digits that a field of django-localflavor accepts: bare, and as it writes them."""
    import django
    from django.conf import settings

    settings.configure(USE_I18N=False)
    django.setup()
    for name, (country, kind, size) in DRAWN.items():
        field = getattr(importlib.import_module(f"localflavor.{country}.forms"), name)()
        source = f"django-localflavor {version('django-localflavor')}: {name}"
        made = 0
        for _ in range(1500):
            if made == 30:
                break
            number = digits(chance, size)
            if country in ("za", "se", "pl"):  # a day of birth in front
                day = f"{chance.randint(40, 99):02}{chance.randint(1, 12):02}{chance.randint(1, 28):02}"
                number = day + number[6:]
            try:
                written = str(field.clean(number))
            except Exception:
                continue
            made += 1
            text = written if made % 2 else number
            title = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.replace("Field", ""))
            yield from both(text, title, kind, f"drawn {name}", source, True)


def digits(chance: random.Random, size: int) -> str:
    return str(chance.randint(1, 9)) + "".join(str(chance.randint(0, 9)) for _ in range(size - 1))


def phones() -> Iterator[dict[str, Any]]:
    """One fixed and one mobile number of every region, as a foreigner and as its people write it."""
    import phonenumbers as lib

    for region in sorted(lib.SUPPORTED_REGIONS):
        for what in (lib.PhoneNumberType.FIXED_LINE, lib.PhoneNumberType.MOBILE):
            number = lib.example_number_for_type(region, what)
            if number is None:
                continue
            for form in (lib.PhoneNumberFormat.INTERNATIONAL, lib.PhoneNumberFormat.NATIONAL):
                said = lib.format_number(number, form)
                source = f"phonenumbers {lib.__version__}: {region} {form}"
                yield row(f"Phone: {said}", "PHONE_NUMBER", source, positive=True, strong=True)


def ibans(chance: random.Random) -> Iterator[dict[str, Any]]:
    """Two of every country that schwifty can draw, in groups and without."""
    import schwifty

    for country in (a + b for a in ascii_uppercase for b in ascii_uppercase):
        for _ in range(2):
            try:
                made = schwifty.IBAN.random(country_code=country, random=chance)
            except Exception:
                continue
            for said in (str(made), made.formatted):
                source = f"schwifty {version('schwifty')}: {country} alone"
                yield row(ALONE.format(said), "IBAN_CODE", source, positive=True, strong=True)


def people() -> Iterator[dict[str, Any]]:
    """What mimesis draws of persons, cards and addresses."""
    import mimesis
    from mimesis.enums import CardType
    from mimesis.locales import Locale

    source = f"mimesis {version('mimesis')}"
    for locale in Locale:
        person = mimesis.Person(locale, seed=SEED)
        for _ in range(8):
            said = f"Phone: {person.phone_number()}"
            yield row(said, "PHONE_NUMBER", f"{source}: phone {locale.value}", positive=True, strong=True)
    person, net, pay = (
        kind(seed=SEED) for kind in (mimesis.Person, mimesis.Internet, mimesis.Payment)
    )
    makers: dict[str, tuple[str, Callable[[], str]]] = {
        "email": ("EMAIL_ADDRESS", person.email), "ipv4": ("IP_ADDRESS", net.ip_v4),
        "ipv6": ("IP_ADDRESS", net.ip_v6),
        **{
            f"card {each.value}": ("CREDIT_CARD", lambda each=each: pay.credit_card_number(each))
            for each in CardType
        },
    }  # fmt: skip
    for name, (kind, make) in makers.items():
        for _ in range(50):
            said = ALONE.format(make())
            yield row(said, kind, f"{source}: {name} alone", positive=True, strong=True)


def nothing(chance: random.Random) -> Iterator[dict[str, Any]]:
    """What mimesis draws that is nobody's, and bare digits, also in threes."""
    import mimesis

    code, time, number, file, tech, crypt = (
        kind(seed=SEED)
        for kind in (
            mimesis.Code, mimesis.Datetime, mimesis.Numeric, mimesis.File, mimesis.Development,
            mimesis.Cryptographic,
        )
    )  # fmt: skip
    makers: dict[str, Callable[[], Any]] = {
        "isbn": code.isbn, "ean": code.ean, "issn": code.issn, "date": time.date,
        "datetime": time.datetime, "time": time.time, "timestamp": time.timestamp,
        "float": number.float_number, "integer": lambda: number.integer_number(0, 10**9),
        "file": file.file_name, "size": file.size, "version": tech.version, "hash": crypt.hash,
        "uuid": crypt.uuid, "token": lambda: crypt.token_hex(12), "word": mimesis.Text(seed=SEED).word,
        "price": mimesis.Finance(seed=SEED).price, "coordinate": lambda: f"{number.float_number(-90, 90):.2f}",
        **{f"digits {size}": (lambda size=size: digits(chance, size)) for size in range(7, 20)},
        "digits 3-3-3": lambda: re.sub(r"(?<=\d)(?=(?:\d{3})+$)", " ", digits(chance, 9)),
        "digits 4-4-4": lambda: re.sub(r"(?<=\d)(?=(?:\d{4})+$)", " ", digits(chance, 12)),
    }  # fmt: skip
    source = f"mimesis {version('mimesis')}"
    for name, make in makers.items():
        for _ in range(50):
            said = ALONE.format(make())
            yield row(said, name, f"{source}: {name}", positive=False, strong=True)


def write(path: Path, rows: Iterator[dict[str, Any]], known: set[str]) -> None:
    unique = {(r["text"], r["positive"]): r for r in rows if last_of(r["text"]) not in known}
    with path.open("w", encoding="utf-8") as file:
        for each in unique.values():
            file.write(json.dumps(each, ensure_ascii=True, sort_keys=True) + "\n")
    good = sum(each["positive"] for each in unique.values())
    print(path.name, good, "positive", len(unique) - good, "negative")


def last_of(text: str) -> str:
    """The number within a text of this set or of an earlier one."""
    for around in ("The entry (.+) was looked at last week[.]", "Reference (.+) was entered on Monday[.]"):
        if found := re.fullmatch(around, text, re.S):
            return found[1]
    return text.rpartition(": ")[2]


def main() -> None:
    clones, out = Path(sys.argv[1]), Path(sys.argv[2])
    known = {
        last_of(json.loads(line)["text"])
        for path in sys.argv[3:]
        for line in Path(path).read_text(encoding="utf-8").splitlines()
    }

    def every() -> Iterator[dict[str, Any]]:
        chance = random.Random(SEED)  # noqa: S311
        yield from drawn(chance)
        yield from phones()
        yield from ibans(chance)
        yield from people()
        yield from nothing(chance)
        yield from localflavor(Clone(clones, "django/django-localflavor"))
        yield from stdnum_js(Clone(clones, "koblas/stdnum-js"))
        yield from validator_js(Clone(clones, "validatorjs/validator.js"))
        yield from validators(Clone(clones, "python-validators/validators"))

    write(out / "third_people.jsonl", every(), known)


if __name__ == "__main__":
    main()
