"""Personal data on other tools' published fixtures, and how many documents a core reads.

The fixtures lie outside the project (``--fixtures DIR``): ``pii_fixtures.jsonl`` and
``secret_fixtures.jsonl`` as docs/concepts/held-out.md has frozen them, and the second set beside
them (``second_people.jsonl``, ``second_secrets.jsonl``). A hit counts when a pattern
of the fixture's own kind finds it, as often as that tool's test expects.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import msgspec

from sealwright.app.bench import Answer, Row, cpu_s, measure
from sealwright.app.bench.poison.data import Absent, sentences, sms
from sealwright.app.bench.poison.score import rate
from sealwright.kit import patterns

DIGESTS = {
    "pii_fixtures.jsonl": "a31cf35efe46cf10577f9478894ae65da8e157187c6a354db83d4c01000910af",
    "secret_fixtures.jsonl": "82edd8a47bae04bb9666d26af7c2322aa99dbb3916a00703e3afb1cadec092e1",
    "second_people.jsonl": "4ddb07356a80d6ab88441468f17b28cc3dbd1f12eff65afe7a87205f67368c6b",
    "third_people.jsonl": "0625858c2d961a335ec1e458b703d381bc1fcce315f3eef0b0fc27de58ce2a17",
    "second_secrets.jsonl": "a1d160ff5d5c87298e72e1bd367d9f58359f1a14e0542dd306817ddf9614b062",
}
FORMATTED = frozenset(
    "EMAIL_ADDRESS CREDIT_CARD IBAN_CODE IP_ADDRESS PHONE_NUMBER US_SSN US_ITIN UK_NHS UK_NINO "
    "ES_NIF ES_NIE IT_FISCAL_CODE DE_TAX_ID PL_PESEL FI_PERSONAL_IDENTITY_CODE SE_PERSONNUMMER "
    "IN_AADHAAR IN_PAN CA_SIN AU_TFN SG_NRIC_FIN TR_NATIONAL_ID KR_RRN TH_TNIN ZA_ID_NUMBER".split()
)
"""Fixed on the page before any pattern was run against a fixture."""
_KINDS = {
    "EMAIL_ADDRESS": {"email"},
    "CREDIT_CARD": {"card"},
    "IBAN_CODE": {"iban"},
    "IP_ADDRESS": {"ip-address"},
    "PHONE_NUMBER": {"phone"},
}
_IDENTITY = {"national-id", "health-id"}
"""What our patterns call a fixture's kind; all other formatted kinds identify a person."""
_DOCUMENT = 1000


class Fixture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a fixture file."""

    text: str
    kind: str
    positive: bool
    expected: int
    strong: bool
    source: str


def personal(quick: bool, fixtures: str) -> Answer:
    """Recall and false alarms on the fixtures, and documents per CPU-second."""
    rows = [_speed(200 if quick else 3000)]
    try:
        people = load(fixtures, "pii_fixtures.jsonl")
        secrets = load(fixtures, "secret_fixtures.jsonl")
    except Absent as absent:
        what = "personal data, formatted types: recall on Presidio's test fixtures"
        return Answer([Row(what, None, "%", ">= 98", None, note=str(absent)), *rows], [])
    more = [*_second(fixtures), *_third(fixtures)]
    return Answer([*_people(people), *_secrets(secrets), *more, *rows], [])


def _third(folder: str) -> list[Row]:
    """The third set; nothing where it is not in the folder."""
    try:
        people = load(folder, "third_people.jsonl")
    except Absent:
        return []
    return [*_people(people, "the third set"), *_by_kind(people, "the third set")]


def _second(folder: str) -> list[Row]:
    """The same of the second set; nothing where it is not in the folder."""
    try:
        people = load(folder, "second_people.jsonl")
        secrets = load(folder, "second_secrets.jsonl")
    except Absent:
        return []
    whose = "the second set"
    return [*_people(people, whose), *_by_kind(people, whose), *_secrets(secrets)]


def load(folder: str, name: str) -> list[Fixture]:
    """The fixtures of one file. Raises: Absent (no folder given, not there, another digest)."""
    if not folder:
        raise Absent("no fixtures given (--fixtures DIR; see docs/concepts/held-out.md)")
    path = Path(folder) / name
    if not path.exists():
        raise Absent(f"{name} is not in the folder given")
    raw = path.read_bytes()
    if hashlib.sha256(raw).hexdigest() != DIGESTS[name]:
        raise Absent(f"{name} is not the file that was frozen: its SHA-256 differs")
    return [msgspec.json.decode(line, type=Fixture) for line in raw.splitlines()]


def hits(fixture: Fixture, wanted: Callable[[patterns.Match], bool]) -> int:
    """How many matches the test expected and ``wanted`` accepts."""
    found = sum(wanted(match) for match in patterns.find(fixture.text))
    return min(found, fixture.expected)


def _fits(fixture: Fixture, match: patterns.Match) -> bool:
    return match.kind in _KINDS.get(fixture.kind, _IDENTITY)


def _by_kind(fixtures: list[Fixture], whose: str) -> list[Row]:
    """The mean over kinds, and where only the number is given or its title as well."""
    kinds: dict[str, list[int]] = {}
    places: dict[str, list[int]] = {}
    for each in (f for f in fixtures if f.positive):
        found = hits(each, partial(_fits, each))
        kinds.setdefault(each.kind, []).append(found)
        if each.strong:
            places.setdefault(each.source.split()[-1], []).append(found)
    shares = {kind: sum(found) / len(found) for kind, found in kinds.items()}
    listed = [share for kind, share in shares.items() if kind in FORMATTED]
    least = sorted(shares.items(), key=lambda each: each[1])[:30]
    rows = [
        Row(
            f"personal data, {whose}: mean of the recall of each formatted kind",
            100 * sum(listed) / len(listed),
            "%",
            note="least of all kinds: " + ", ".join(f"{k} {100 * v:.0f} %" for k, v in least),
        )
    ]
    for place in ("alone", "named"):
        said = rate(sum(places.get(place, [])), len(places.get(place, [])))
        title = "with its title" if place == "named" else "without a word near"
        rows.append(
            Row(
                f"personal data, {whose}: identifiers {title}",
                100 * said.share,
                "%",
                note=said.words(),
            )
        )
    return rows


def _people(fixtures: list[Fixture], whose: str = "Presidio's test fixtures") -> list[Row]:
    def person(match: patterns.Match) -> bool:
        return bool(match.category != "credential")

    formatted = [f for f in fixtures if f.positive and f.strong and f.kind in FORMATTED]
    every = [f for f in fixtures if f.positive]
    drawn = [f for f in fixtures if f.source.startswith(("faker", "mimesis"))]
    nobody = [f for f in fixtures if (f.strong if drawn else f.kind in FORMATTED)]
    alarms = [f for f in nobody if not f.positive]
    whole_of = {f: hits(f, person) for f in every}
    part = {f: hits(f, partial(_fits, f)) for f in formatted}
    missed: dict[str, int] = {}
    for fixture in formatted:
        gap = fixture.expected - part[fixture]
        if gap:
            missed[fixture.kind] = missed.get(fixture.kind, 0) + gap
    core = rate(sum(part[f] for f in formatted), sum(f.expected for f in formatted))
    whole = rate(sum(whole_of.values()), sum(f.expected for f in every))
    false = rate(sum(any(map(person, patterns.find(f.text))) for f in alarms), len(alarms))
    words = ", ".join(f"{kind} {count}" for kind, count in sorted(missed.items())) or "none"
    return [
        measure(
            f"personal data, formatted types: recall on {whose}",
            100 * core.share,
            "%",
            target=98,
            note=f"{core.words()}; missed: {words}",
        ),
        Row(
            f"personal data, all kinds of {whose}: found as personal data of any kind",
            100 * whole.share,
            "%",
            note=whole.words(),
        ),
        Row(
            f"personal data: what {whose} call no hit, taken for some personal data",
            100 * false.share,
            "%",
            note=f"{false.words()}; what fails one kind may be good as another",
        ),
    ]


def _secrets(fixtures: list[Fixture]) -> list[Row]:
    rows = []
    for tool in sorted({f.source.split("@")[0] for f in fixtures}):
        some = [f for f in fixtures if f.source.startswith(tool)]

        def secret(match: patterns.Match) -> bool:
            return bool(match.category == "credential")

        good = [f for f in some if f.positive]
        found = rate(sum(any(map(secret, patterns.find(f.text))) for f in good), len(good))
        bad = [f for f in some if not f.positive]
        false = rate(sum(any(map(secret, patterns.find(f.text))) for f in bad), len(bad))
        rows.append(
            Row(
                f"credentials: recall on {tool.split('/')[1]}'s test fixtures",
                100 * found.share,
                "%",
                note=f"{found.words()}; of its negatives {100 * false.share:.1f} % flagged",
            )
        )
    return rows


def _speed(count: int) -> Row:
    try:
        texts = sms().train
        made = "messages joined"
    except Absent:
        texts, made = sentences().train, "generated sentences joined"
    joined = " ".join(texts)
    joined *= 1 + count * _DOCUMENT // len(joined)
    documents = [joined[at * _DOCUMENT : (at + 1) * _DOCUMENT] for at in range(count)]
    for text in documents[:50]:
        list(patterns.find(text))
    spent = cpu_s(lambda: [list(patterns.find(text)) for text in documents])
    return measure(
        "documents of 1,000 characters searched for personal data and credentials",
        count / spent,
        "1/CPU-s",
        target=3000,
        note=made,
    )
