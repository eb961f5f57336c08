"""What is taken out of text on its way out, however the text is cut into pieces."""

from __future__ import annotations

import base64
import json
import random
import re
import unicodedata
from re import _parser  # type: ignore[attr-defined]

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.core.errors import BadInput
from sealwright.kit import patterns
from sealwright.serve import memorised
from sealwright.serve.canaries import Canaries, places, squash, variants
from sealwright.serve.egress import HOLD, MOST_RUN, Egress, Policy

CANARY = "Zephyr-Quokka-7719-marble"
SECRETS = (
    "write to maria.lopez@example.org today",
    "card 4111 1111 1111 1111 until 09/31",
    "call +44 20 7946 0958 after six",
    "key AKIAIOSFODNN7EXAMPLQ and so on",
    "SSN 536-90-4399 on file",
    "IBAN DE89 3704 0044 0532 0130 00 please",
)
PROSE = (
    "The river ran low that summer, and the ferryman sat on the bank with nothing to carry. "
    "Nobody came down the road but a dog, which looked at the water and went home again. "
)
KEY = (
    "-----BEGIN RSA PRIVATE KEY-----\n"
    + "\n".join(base64.b64encode(random.Random(1).randbytes(48)).decode() for _ in range(20))
    + "\n-----END RSA PRIVATE KEY-----"
)
RECORD = "the patient in room nine asked twice whether the blue lamp could stay lit until morning"


def pieces(text: str, seed: int, most: int = 40) -> list[str]:
    rng, out, at = random.Random(seed), [], 0
    while at < len(text):
        size = rng.randint(1, most)
        out.append(text[at : at + size])
        at += size
    return out


def streamed(egress: Egress, text: str, seed: int, most: int = 40, kind: str = "text") -> str:
    channel = egress.channel(kind)  # type: ignore[arg-type]
    return "".join(channel.push(each) for each in pieces(text, seed, most)) + channel.close()


@pytest.fixture(scope="module")
def egress() -> Egress:
    runs = memorised.read(memorised.written([RECORD, PROSE + PROSE]))
    return Egress(Policy(canary="redact"), Canaries([CANARY]), runs)


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("most", [1, 7, 60])
def test_personal_data_and_credentials_are_taken_out_however_they_are_cut(
    secret: str, most: int
) -> None:
    egress = Egress()
    value = max((m for m in patterns.find(secret, minimum=60)), key=lambda m: m.end - m.start)
    said = secret[value.start : value.end]
    for seed in range(4):
        text = PROSE[: 31 * seed] + " " + secret + " " + PROSE * 3
        out = streamed(egress, text, seed, most)
        assert said not in out
        assert "[redacted:" in out
        assert out.endswith(PROSE)


def test_ordinary_text_leaves_as_it_came(egress: Egress) -> None:
    text = "In 1987 the 3 of us walked 12 miles, saw 40 birds and ate at half past 6. " * 30
    assert streamed(Egress(), text, 3) == text


words = st.sampled_from(
    [*SECRETS, CANARY, " ".join(CANARY), CANARY.encode().hex(), RECORD, KEY, "plain words",
     "4111", "1111", "@", "12-3", "-----BEGIN", "key:", "\n", "é", "日本語のテキスト", "a" * 300,
     "the patient in room nine asked", *PROSE.split()[:12]]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.lists(words, max_size=25), st.integers(0, 1 << 30), st.sampled_from([1, 5, 80, 2000]))
def test_what_leaves_does_not_depend_on_where_the_stream_is_cut(
    egress: Egress, said: list[str], seed: int, most: int
) -> None:
    text = " ".join(said)
    whole, found, _ = egress.whole(text)
    channel = egress.channel()
    out = "".join(channel.push(each) for each in pieces(text, seed, most)) + channel.close()
    assert plain(out) == plain(whole)
    assert set(channel.found) == set(found)


def plain(text: str) -> str:
    """Marks in a row as one: a long run may be marked once more where a piece ended."""
    return re.sub(r"(\[redacted:[\w-]+\])+", "#", text)


WRITTEN = {
    "as it is": CANARY,
    "in capitals": CANARY.upper(),
    "spaced": " ".join(CANARY),
    "on lines of their own": "\n".join(CANARY),
    "without punctuation": CANARY.replace("-", ""),
    "hex": CANARY.encode().hex(),
    "hex with blanks": CANARY.encode().hex(" "),
    "percent": "".join(f"%{byte:02X}" for byte in CANARY.encode()),
    "escaped": "".join(f"\\x{byte:02x}" for byte in CANARY.encode()),
    "base64": base64.b64encode(CANARY.encode()).decode(),
    "base64 inside": base64.b64encode(b"xy" + CANARY.encode() + b"tail").decode(),
    "base64 on lines": base64.encodebytes(b"z" + CANARY.encode() * 3).decode(),
    "base32": base64.b32encode(b"abc" + CANARY.encode()).decode(),
    "codes": " ".join(str(byte) for byte in CANARY.encode()),
    "entities": "".join(f"&#{byte};" for byte in CANARY.encode()),
    "backwards": CANARY[::-1],
    "full width": "".join(chr(0xFEE0 + ord(c)) if c != "-" else c for c in CANARY),
    "with zero width": "\u200b".join(CANARY),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_a_canary_is_found_however_it_is_written(how: str) -> None:
    egress = Egress(Policy(canary="redact"), Canaries(["another canary 1", CANARY]))
    for seed in range(4):
        channel = egress.channel()
        text = f"{PROSE} so: {WRITTEN[how]} . {PROSE}"
        out = "".join(channel.push(each) for each in pieces(text, seed)) + channel.close()
        assert channel.found["egress.canary"] >= 1, how
        assert WRITTEN[how] not in out
        assert out.startswith(PROSE)


@pytest.mark.parametrize("how", ["as it is", "spaced", "hex", "with zero width"])
def test_a_canary_is_found_wherever_a_look_at_the_text_ended(how: str) -> None:
    egress = Egress(Policy(canary="redact"), Canaries(["another canary 1", CANARY]))
    for before in range(280, 380):  # the first look is at 352 characters
        text = (PROSE * 9)[:before] + WRITTEN[how] + PROSE * 2
        channel = egress.channel()
        out = "".join(channel.push(letter) for letter in text) + channel.close()
        assert WRITTEN[how] not in out, before
        assert channel.found["egress.canary"] == 1


def test_a_canary_cuts_the_answer_by_default() -> None:
    channel = Egress(canaries=Canaries([CANARY])).channel()
    out = "".join(channel.push(each) for each in pieces(PROSE + CANARY + PROSE * 5, 1))
    assert channel.cut
    assert out + channel.close() == PROSE + "[redacted:canary]"


def test_half_a_canary_is_not_held_for_ever() -> None:
    egress = Egress(canaries=Canaries([CANARY]))
    text = PROSE + CANARY[:14] + " " + PROSE * 4
    assert streamed(egress, text, 2) == text


def test_a_canary_too_short_to_be_one_is_refused() -> None:
    with pytest.raises(BadInput, match="8 to 512"):
        variants("a-b-c-1")


@pytest.mark.parametrize("most", [1, 30, 5000])
def test_a_private_key_never_leaves_nor_does_half_of_one(most: int) -> None:
    lines = KEY.splitlines()[1:-1]
    for text in (PROSE + KEY + PROSE, PROSE + KEY[:700], PROSE + KEY[:700] + "\n"):
        out = streamed(Egress(), text, 5, most)
        assert not any(line in out for line in lines)
        assert "[redacted:private-key]" in out
    assert streamed(Egress(), PROSE + KEY + PROSE, 5, most).endswith(PROSE)


def test_an_unbroken_string_too_long_to_wait_for_is_taken_out() -> None:
    run = "Qz8" * (MOST_RUN // 2)
    for most in (9, 100_000):
        out = streamed(Egress(), f"{PROSE}{run} {PROSE}", 4, most)
        assert plain(out) == f"{PROSE}# {PROSE}"


def test_words_that_stand_in_the_training_data_are_taken_out(egress: Egress) -> None:
    text = f"She said: {RECORD.upper()}. Then she slept."
    for seed in range(5):
        out = plain(streamed(egress, text, seed, 12))
        assert out == "She said: #. Then she slept."


def test_what_stands_in_many_records_is_common_speech() -> None:
    common = memorised.read(memorised.written([RECORD] * 5))
    assert len(common) == 0
    assert len(memorised.read(memorised.written([RECORD] * 4))) > 0


@pytest.mark.parametrize("damage", ["magic", "short", "order", "count"])
def test_a_damaged_set_of_runs_is_refused(damage: str) -> None:
    good = bytearray(memorised.written([RECORD]))
    if damage == "magic":
        good[0] ^= 1
    elif damage == "short":
        del good[-3:]
    elif damage == "order":
        good[24:40] = good[32:40] + good[24:32]
    else:
        good[16] ^= 3
    with pytest.raises(BadInput):
        memorised.read(bytes(good))


@pytest.mark.parametrize("most", [1, 4, 200])
def test_arguments_of_a_tool_stay_json_and_hide_nothing_in_escapes(most: int) -> None:
    egress = Egress(Policy(canary="redact"), Canaries([CANARY]))
    hidden = "".join(f"\\u{ord(letter):04x}" for letter in "maria.lopez@example.org")
    text = (
        '{"note": "a \\"quoted\\" word\\n", "to": "' + hidden + '", "card": 4111111111111111,'
        ' "split": "Zephyr-Quok\\nka-7719-marble", "tail": "' + "x " * 200 + '"}'
    )
    out = streamed(egress, text, 7, most, "json")
    read = json.loads(out)
    assert read["to"] == "[redacted:email]"
    assert read["card"].startswith("[redacted:")
    assert read["split"] == "[redacted:canary]"
    assert read["note"] == 'a "quoted" word\n'


def test_a_detector_that_raises_ends_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patterns, "find", lambda *_, **__: 1 / 0)
    out, found, cut = Egress().whole(PROSE)
    assert (out, dict(found), cut) == ("", {"egress.fault": 1}, True)


def test_what_is_only_reported_is_counted_and_leaves() -> None:
    text = f"the host 203.0.113.77 answers. {PROSE}{PROSE}{PROSE}"
    channel = Egress().channel()
    out = "".join(channel.push(each) for each in pieces(text, 1)) + channel.close()
    assert out == text
    assert dict(channel.found) == {"egress.ip-address": 1}


def test_no_pattern_with_blanks_in_it_is_longer_than_what_is_held() -> None:
    """``HOLD`` bounds every value that is not one unbroken string, a key or its own wide digits."""
    known = {"email", "lat-long", "birth-date-named", "private-key"}
    for pattern in patterns.patterns():
        assert all(len(said) < HOLD - 50 for said in (*pattern.shapes, *pattern.plain))
        if not pattern.regex or pattern.long or pattern.category == "credential":
            continue
        widest = _parser.parse(pattern.regex).getwidth()[1]
        assert widest < HOLD or pattern.name in known, pattern.name


@given(st.text(max_size=60))
def test_every_squashed_letter_knows_where_it_stands(text: str) -> None:
    squashed, at = squash(text), places(text)
    assert len(squashed) == len(at)
    for letter, place in zip(squashed, at, strict=True):
        assert letter in unicodedata.normalize("NFKC", text[place]).casefold()
    assert squashed.isalnum() or not squashed


@given(st.lists(st.sampled_from("abcdefg"), max_size=60), st.integers(0, 60), st.integers(0, 60))
def test_runs_of_words_do_not_depend_on_how_they_come(words: list[str], a: int, b: int) -> None:
    first, second = sorted((a, b))
    run = memorised.Run(8)
    parts = [words[:first], words[first:second], words[second:]]
    assert [n for part in parts for n in run.over(part)] == memorised.Run(8).over(words)
    eights = {tuple(words[at - 7 : at + 1]) for at in range(7, len(words))}
    numbers = memorised.Run(8).over(words)
    assert [n for n in numbers[:7] if n != -1] == []
    assert len(set(numbers[7:])) == len(eights)
