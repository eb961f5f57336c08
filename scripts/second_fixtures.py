"""The second held-out set: numbers from Faker and python-stdnum, tokens from two scanners' rules.

Written and run before a pattern was changed, and nobody looked into what it wrote until the
patterns were finished. Needs faker, python-stdnum and pyyaml, and clones of python-stdnum (its
doctests are in no wheel), noseyparker and kingfisher. The text around a number is either neutral
or the title that python-stdnum gives the number's kind: no word of it is ours.

    python scripts/second_fixtures.py CLONES OUT [FROZEN.jsonl ...]

``CLONES/owner+name/repo`` are git directories. Texts that stand in a FROZEN file are left out.
"""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faker
import faker.providers.phone_number
import faker.providers.ssn
import yaml

SEED = 20_261_126
EACH = 20
ALONE = "Reference {} was entered on Monday."
NAMED = "{}: {}"

# python-stdnum's module -> the kind as the page of held-out sets calls it ("" : not on it)
NUMBERS = {
    "at.vnr": "", "au.tfn": "AU_TFN", "be.nn": "", "bg.egn": "", "br.cpf": "", "ca.sin": "CA_SIN",
    "ch.ssn": "", "cl.rut": "", "cn.ric": "", "cu.ni": "", "cz.rc": "", "de.idnr": "DE_TAX_ID",
    "dk.cpr": "", "do.cedula": "", "ec.ci": "", "ee.ik": "", "es.dni": "ES_NIF",
    "es.nie": "ES_NIE", "fi.hetu": "FI_PERSONAL_IDENTITY_CODE", "fr.nir": "", "gb.nhs": "UK_NHS",
    "gr.amka": "", "hr.oib": "", "id.nik": "", "ie.pps": "", "il.idnr": "",
    "in_.aadhaar": "IN_AADHAAR", "in_.pan": "IN_PAN", "is_.kennitala": "",
    "it.codicefiscale": "IT_FISCAL_CODE", "kr.rrn": "KR_RRN", "lt.asmens": "", "mx.curp": "",
    "my.nric": "", "nl.bsn": "", "no.fodselsnummer": "", "pk.cnic": "", "pl.pesel": "PL_PESEL",
    "ro.cnp": "", "se.personnummer": "SE_PERSONNUMMER", "si.emso": "", "th.pin": "TH_TNIN",
    "tr.tckimlik": "TR_NATIONAL_ID", "ua.rntrc": "", "us.itin": "US_ITIN", "us.ssn": "US_SSN",
    "za.idnr": "ZA_ID_NUMBER", "iban": "IBAN_CODE",
}  # fmt: skip
LOCALES = {
    "en_US": "US_SSN", "es_ES": "ES_NIF", "it_IT": "IT_FISCAL_CODE", "pl_PL": "PL_PESEL",
    "fi_FI": "FI_PERSONAL_IDENTITY_CODE", "sv_SE": "SE_PERSONNUMMER", "en_CA": "CA_SIN",
    "tr_TR": "TR_NATIONAL_ID", "ko_KR": "KR_RRN", "th_TH": "TH_TNIN",
}  # fmt: skip
DUMMY = {"en_GB"}
"""Faker draws these from a prefix (ZZ) that is never issued, so that they are nobody's."""
NOTHING = (
    "ean13", "ean8", "isbn10", "isbn13", "sha1", "md5", "uuid4", "unix_time", "iso8601", "pyfloat",
    "pricetag", "license_plate", "hex_color", "file_path", "user_agent", "latitude", "time",
    "date", "company", "sentence", "bs", "postcode", "uri_path", "mime_type", "safe_color_name",
)  # fmt: skip


def row(text: str, kind: str, source: str, *, positive: bool, strong: bool) -> dict[str, Any]:
    return {
        "text": text, "kind": kind, "positive": positive, "expected": int(positive),
        "strong": strong, "source": source,
    }  # fmt: skip


def git(clone: Path, *asked: str) -> str:
    done = subprocess.run(  # noqa: S603
        ["git", f"--git-dir={clone}", *asked],  # noqa: S607
        capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout.decode("utf-8", "replace")


def drawn() -> Iterator[dict[str, Any]]:
    """What Faker draws: identifiers and phones by locale, and what has one form everywhere."""
    version = f"faker {faker.VERSION}"
    for name in locales(faker.providers.ssn):
        fake = of(name)
        kind = LOCALES.get(name, f"ssn {name}")
        for _ in range(0 if name in DUMMY else EACH):
            text = ALONE.format(fake.ssn())
            yield row(text, kind, f"{version}: ssn {name}", positive=True, strong=name in LOCALES)
    for name in locales(faker.providers.phone_number):
        fake = of(name)
        for _ in range(EACH if hasattr(fake, "phone_number") else 0):
            text = f"Phone: {fake.phone_number()}"
            yield row(text, "PHONE_NUMBER", f"{version}: phone {name}", positive=True, strong=True)
    fake = of("en_US")
    plain = {
        "EMAIL_ADDRESS": (fake.email, fake.company_email), "CREDIT_CARD": (fake.credit_card_number,),
        "IBAN_CODE": (fake.iban,), "IP_ADDRESS": (fake.ipv4, fake.ipv6),
    }  # fmt: skip
    for kind, makers in plain.items():
        for make in makers:
            for _ in range(5 * EACH):
                text = ALONE.format(make())
                yield row(text, kind, f"{version}: {kind}", positive=True, strong=True)
    for name in ("de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pl_PL", "tr_TR", "en_GB"):
        make = of(name).iban
        for _ in range(EACH):
            text = ALONE.format(make())
            yield row(text, "IBAN_CODE", f"{version}: iban {name}", positive=True, strong=True)


def nothing() -> Iterator[dict[str, Any]]:
    """What Faker draws that is nobody's: codes, hashes, times, amounts, digits."""
    fake = of("en_US")
    makers = {name: getattr(fake, name) for name in NOTHING}
    for size in range(7, 17):
        makers[f"digits {size}"] = lambda size=size: fake.numerify("%" + "#" * (size - 1))
    for name, make in makers.items():
        for _ in range(2 * EACH):
            source = f"faker {faker.VERSION}: {name}"
            yield row(ALONE.format(make()), name, source, positive=False, strong=True)


def locales(package: Any) -> list[str]:
    return sorted(each.name for each in pkgutil.iter_modules(package.__path__) if each.ispkg)


def of(locale: str) -> Any:
    fake = faker.Faker(locale)
    fake.seed_instance(SEED)
    return fake


def documented(clone: Path) -> Iterator[dict[str, Any]]:
    """The numbers in python-stdnum's doctests, valid or not as its own modules say."""
    commit = git(clone, "rev-parse", "HEAD").strip()[:12]
    files = git(clone, "ls-tree", "-r", "--name-only", "HEAD").split("\n")
    for name, kind in NUMBERS.items():
        module = importlib.import_module(f"stdnum.{name}")
        said = module.__doc__ or ""
        title = said.strip().splitlines()[0].rstrip(".")
        tests = f"tests/test_{name.replace('.', '_').replace('__', '_')}.doctest"
        said += git(clone, "show", f"HEAD:{tests}") if tests in files else ""
        quoted = re.findall(r"'([^'\n]{6,40})'", said)
        lines = re.findall(r"(?m)^\s*(?:\.\.\. )?([0-9A-Z][0-9A-Z +./-]{6,38})$", said)
        source = f"python-stdnum@{commit}: {name}"
        for number in dict.fromkeys([*quoted, *lines]):
            if sum(map(str.isdigit, number)) < 4:
                continue
            valid = bool(module.is_valid(number))
            said_as = kind or f"number {name}"
            text = ALONE.format(number)
            yield row(text, said_as, f"{source} alone", positive=valid, strong=bool(kind))
            if valid:
                text = NAMED.format(title, number)
                yield row(text, said_as, f"{source} named", positive=True, strong=bool(kind))


def examples(clone: Path, owner: str, under: str) -> Iterator[dict[str, Any]]:
    """The example blocks of a scanner's rules; rules that it does not report as secrets are left out."""
    commit = git(clone, "rev-parse", "HEAD").strip()[:12]
    for path in git(clone, "ls-tree", "-r", "--name-only", "HEAD").split("\n"):
        if under not in path or not path.endswith((".yml", ".yaml")):
            continue
        for rule in yaml.safe_load(git(clone, "show", f"HEAD:{path}"))["rules"]:
            kinds = rule.get("categories")
            if rule.get("visible") is False or (kinds and "secret" not in kinds):
                continue
            source = f"{owner}@{commit}:{path}"
            for key, positive in (("examples", True), ("negative_examples", False)):
                for text in rule.get(key) or ():
                    yield row(str(text), str(rule["id"]), source, positive=positive, strong=True)


def write(path: Path, rows: Iterator[dict[str, Any]], known: set[str]) -> None:
    unique = {(r["text"], r["positive"]): r for r in rows if r["text"] not in known}
    with path.open("w", encoding="utf-8") as file:
        for each in unique.values():
            file.write(json.dumps(each, ensure_ascii=True, sort_keys=True) + "\n")
    good = sum(each["positive"] for each in unique.values())
    print(path.name, good, "positive", len(unique) - good, "negative")


def main() -> None:
    clones, out = Path(sys.argv[1]), Path(sys.argv[2])
    known = {
        json.loads(line)["text"]
        for path in sys.argv[3:]
        for line in Path(path).read_text(encoding="utf-8").splitlines()
    }

    def people() -> Iterator[dict[str, Any]]:
        yield from drawn()
        yield from nothing()
        yield from documented(clones / "arthurdejong+python-stdnum" / "repo")

    def secrets() -> Iterator[dict[str, Any]]:
        nosey = clones / "praetorian-inc+noseyparker" / "repo"
        yield from examples(nosey, "praetorian-inc/noseyparker", "builtin/rules/")
        yield from examples(clones / "mongodb+kingfisher" / "repo", "mongodb/kingfisher", "data/rules/")

    write(out / "second_people.jsonl", people(), known)
    write(out / "second_secrets.jsonl", secrets(), known)


if __name__ == "__main__":
    main()
