"""Personal data and credentials in text: published numbers, look-alikes, chunks, silence."""

import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealwright.app.bench import documents
from sealwright.app.bench.personal import recall
from sealwright.kit import patterns
from sealwright.kit.patterns import checksums

PUBLISHED = [
    ("card", "4111 1111 1111 1111"),
    ("card", "4012888888881881"),
    ("card", "5555555555554444"),
    ("card", "3782 822463 10005"),
    ("card", "378282246310005"),
    ("card", "6011-1111-1111-1117"),
    ("card", "30569309025904"),
    ("card", "3530111333300000"),
    ("iban", "GB82 WEST 1234 5698 7654 32"),
    ("iban", "DE89370400440532013000"),
    ("iban", "FR14 2004 1010 0505 0001 3M02 606"),
    ("iban", "NL91ABNA0417164300"),
    ("iban", "CH9300762011623852957"),
    ("wallet", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"),
    ("wallet", "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4"),
    ("wallet", "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0"),
    ("national-id", "536-22-1234"),
    ("national-id", "943 476 5919"),
    ("national-id", "Steuer-ID 86095742719"),
    ("national-id", "2 55 08 14 168 025 38"),
    ("national-id", "12345678Z"),
    ("national-id", "X1234567L"),
    ("national-id", "RSSMRA85T10A562S"),
    ("national-id", "BSN 111222333"),
    ("national-id", "PESEL 44051401359"),
    ("national-id", "811228-9874"),
    ("national-id", "131052-308T"),
    ("national-id", "85.07.30-033.28"),
    ("national-id", "NIF 501964843"),
    ("national-id", "756.9217.0769.85"),
    ("national-id", "736028/5163"),
    ("national-id", "CNP 1630615123457"),
    ("national-id", "EGN 7523169263"),
    ("national-id", "isikukood 37605030299"),
    ("national-id", "PPSN 6433435F"),
    ("national-id", "OIB 33392005961"),
    ("national-id", "120174-3399"),
    ("national-id", "390.533.447-05"),
    ("company-id", "16.727.230/0001-97"),
    ("national-id", "2341 2341 2346"),
    ("national-id", "TFN 123 456 782"),
    ("company-id", "51 824 753 556"),
    ("health-id", "2123 45670 1"),
    ("national-id", "S1234567D"),
    ("national-id", "11010519491231002X"),
    ("national-id", "A123456789 taiwan"),
    ("national-id", "BOXW310820HNERXN09"),
    ("national-id", "identity 7503305044089"),
    ("national-id", "TC kimlik 17291716060"),
    ("national-id", "12.531.909-2 RUT"),
    ("national-id", "20-05536168-2"),
    ("national-id", "123-456-782"),
    ("company-id", "856-734-62-15"),
    ("national-id", "10000000146"),
    ("national-id", "19811228-9874"),
    ("national-id", "198112289874"),
    ("national-id", "RSSMRA85T10A56NH"),
    ("national-id", "960121-1234567"),
    ("national-id", "EMŠO 0101006500006"),
    ("national-id", "161175-19997"),
    ("national-id", "112-233-445 95"),
    ("national-id", "matricule 1893120105732"),
    ("national-id", "00000000 0 ZZ4"),
    ("national-id", "65180539W001"),
    ("health-id", "KVNR A123456780"),
    ("national-id", "Swedish personal number 811228 9874"),
    ("bank-routing", "routing 111000025"),
    ("health-id", "NPI 1234567893"),
    ("health-id", "DEA AB1234563"),
    ("email", "a.b+c@mail.example.co.uk"),
    ("phone", "+44 20 7946 0958"),
    ("phone", "(425) 882-9090"),
    ("phone", "06 12 34 56 78"),
    ("phone", "call me on 5551234567"),
    ("ip-address", "192.168.10.254"),
    ("ip-address", "2001:db8::8a2e:370:7334"),
    ("mac-address", "00:1B:44:11:3A:B7"),
    ("location", "GPS 52.520008, 13.404954"),
    ("birth-date", "born 12/05/1984"),
    ("birth-date", "date of birth: March 4, 1971"),
    ("passport", "passport no. C01X00T47 or AB1234567"),
    ("password", "postgres://bob:s3cr3tP4ss@db.internal/x"),
    ("password", "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
    ("secret", 'client_secret = "9f8aKd02jLq8Zm3xPqW7"'),
]


@pytest.mark.parametrize(("kind", "text"), PUBLISHED)
@pytest.mark.parametrize("around", ["{}", "Please note: {}, thanks.", "ref\t{}\n"])
def test_a_published_number_is_found_wherever_it_stands(kind, text, around):
    assert kind in {match.kind for match in patterns.find(around.format(text))}


LOOKALIKES = [
    "4111 1111 1111 1112",
    "GB83 WEST 1234 5698 7654 32",
    "123e4567-e89b-12d3-a456-426614174000",
    "d41d8cd98f00b204e9800998ecf8427e",
    "sha256:" + "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "2024-05-12T10:11:12Z and 1700000000 and 1700000000123",
    "version 1.2.3 of 2024.05.12",
    "1,234,567.89 and 0.123456789012",
    "078-05-1120",
    "1704067200000 and 1704067200",
    "build 202601011230",
    "GB82 WEST 0044 0532 0130 00",
    "CH93 0076 2011 6238 5295 9",
    "::ffff:256.0.0.1",
    "960121-0234567",
    "000-12-3456",
    "12345678A",
    "QQ123456C",
    "999.1.1.1",
    "std::vector<int>::iterator a::b",
    'password = "your_password_here"',
    "api_key = os.environ['API_KEY']",
    "token: ${{ secrets.TOKEN }}",
    "https://user:<password>@example.org/",
    "image@2x.png",
    "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
    "secret_hash = d41d8cd98f00b204e9800998ecf8427e",
]


@pytest.mark.parametrize("text", LOOKALIKES)
def test_a_lookalike_is_not_taken_for_data(text):
    assert list(patterns.find(text)) == []


def github_token(body: str) -> str:
    digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
    number, check = zlib.crc32(body.encode()), ""
    for _ in range(6):
        number, rest = divmod(number, 62)
        check = digits[rest] + check
    return f"ghp_{body}{check}"


def test_a_checksum_in_a_token_makes_it_surer():
    body = "Zx81KqPv02LmNs94TyWb37RcHd56Jf"
    (sure,) = patterns.find(f"export T={github_token(body)}")
    (odd,) = patterns.find(f"export T=ghp_{body}Ab3dEf")
    assert (sure.valid, odd.valid) == (True, False)
    assert sure.confidence > odd.confidence


# in two pieces, so that nobody's scanner takes this file for a leak
TOKENS = [
    ("AKIA", "Q3EGRJ5WZN7K2XVB"),
    ("xoxb-", "123456789012-123456789012-AbCdEfGhIjKlMnOpQrStUvWx"),
    ("sk_live", "_4eC39HqLyjWDarjtT1zdp7dc"),
    ("glpat-", "Zk2pQx7vN9sLmW3rTy8B"),
    ("SG.", "ngeVfQFYQlKU0ufo8x5d1A.TwL2iGABf9DHoTf-09kqeF8tAmbihYzrnopKc-1s5cr"),
    ("npm_", "9dKq2LmX7vBn4Zc8RtYw1PsHj6Gf3QaE5UiT"),
    ("hf_", "QmZkLpXvNsTrWyBcDfGhJkMqRtVwXzAbCd"),
    ("AIza", "SyD4Kq9mX7vBn2Zc8RtYw1PsHj6Gf3QaE5U"),
    ("dop_v1_", "8f3a9c2e7b1d5f604a8e3c7b9d2f1e6a5c4b8d7f3e2a1c9b6d5e4f3a2b1c8d7e"),
    (
        "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0",
        ".dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    ),
]


@pytest.mark.parametrize("token", TOKENS)
@pytest.mark.parametrize("around", ["{}", 'key="{}"', "x={}&y", "tok:{}\n", "({})"])
def test_a_credential_is_found_by_its_issuers_form(token, around):
    kinds = {match.category for match in patterns.find(around.format("".join(token)))}
    assert "credential" in kinds


def test_a_private_key_is_one_match_and_its_lines_are_no_others():
    body = "MIIEpAIBAAKCAQEA" + "Qx7vBn2Zc8RtYw1P" * 20
    text = f"-----BEGIN RSA PRIVATE KEY-----\n{body}\n-----END RSA PRIVATE KEY-----"
    (match,) = patterns.find(text)
    assert (match.kind, match.start, match.end) == ("private-key", 0, len(text))


def test_a_weak_checksum_counts_only_where_a_word_or_a_column_says_what_it_is():
    number = "111222333"
    assert list(patterns.find(f"order {number} was sent")) == []
    assert {m.pattern for m in patterns.find(f"BSN {number}")} == {"nl-bsn"}
    assert {m.pattern for m in patterns.find(number, context="bsn")} == {"nl-bsn"}
    assert "nl-bsn" in {m.pattern for m in patterns.find(number, minimum=patterns.LOW)}


@pytest.mark.parametrize(
    "name",
    ["tax file number", "tax_file_number", "tax-file-number", "taxFileNumber", "AUTaxFileNumber",
     "customer_tfn", "customerTFN"],
)  # fmt: skip
def test_a_column_or_a_key_is_read_however_its_words_are_joined(name):
    number = "299235719"
    assert "au-tfn" in {m.pattern for m in patterns.find(number, context=name)}
    assert "au-tfn" in {m.pattern for m in patterns.find(f"{name}: {number}")}
    assert "au-tfn" in {m.pattern for m in patterns.find(f'{{"id": 7, "{name}": "{number}"}}')}


def test_capitals_in_a_random_string_are_no_words():
    assert list(patterns.find("q7TfnXsinbSNdNI9zTINwBSNq 299235719")) == []


def test_digits_and_blanks_of_other_scripts_are_read_as_digits_and_blanks():
    arabic = {ord("0") + n: chr(0x660 + n) for n in range(10)}

    def wide(text):
        return "".join(chr(ord(c) - 0x21 + 0xFF01) if c.isdigit() else c for c in text)

    assert [m.kind for m in patterns.find(wide("4111 1111") + "\u00a0" + wide("1111 1111"))] == [
        "card"
    ]
    assert [m.kind for m in patterns.find("536\u201122\u20111234".translate(arabic))] == [
        "national-id"
    ]


def test_a_match_does_not_show_the_value():
    text = "mail ann@mail.org, card 4111 1111 1111 1111"
    said = repr(list(patterns.find(text)))
    assert "ann" not in said
    assert "4111" not in said


def test_made_documents_are_read_whole_and_lookalikes_are_let_pass():
    assert recall(documents.documents(250, seed=7)) >= 0.98
    alike = documents.lookalikes(1500, seed=8)
    assert sum(any(True for _ in patterns.find(text)) for text in alike) <= 2


def places(found):
    return {(m.start, m.end, m.kind) for m in found}


@settings(deadline=None, max_examples=6)
@given(st.integers(0, 2**30), st.integers(500, 20_000))
def test_a_text_in_chunks_gives_what_the_whole_text_gives(seed, size):
    made = documents.documents(90, seed=seed, size=1000)
    text = " ".join(each.text for each in made)
    chunks = [text[at : at + size] for at in range(0, len(text), size)]
    assert places(patterns.find_in(chunks)) == places(patterns.find(text))


@settings(deadline=None, max_examples=100)
@given(st.text(max_size=300))
def test_any_text_gives_places_inside_it_in_order(text):
    found = list(patterns.find(text, minimum=1))
    assert all(0 <= m.start < m.end <= len(text) for m in found)
    assert [m.start for m in found] == sorted(m.start for m in found)


@settings(deadline=None, max_examples=150)
@given(st.text(alphabet="0123456789AZaz -./():+@=_\"'", max_size=120))
def test_text_that_looks_like_data_raises_nothing(text):
    list(patterns.find(text, minimum=1, context="ssn passport license phone iban"))


@given(st.integers(10, 10**18))
def test_luhn_misses_no_single_wrong_digit(number):
    body = str(number)
    (check,) = [d for d in "0123456789" if checksums.luhn(body + d)]
    for place, digit in enumerate(body):
        wrong = body[:place] + str((int(digit) + 1) % 10) + body[place + 1 :] + check
        assert not checksums.luhn(wrong)


@given(st.integers(10, 10**12), st.data())
def test_verhoeff_misses_no_two_neighbours_that_changed_places(number, data):
    body = str(number)
    (check,) = [d for d in "0123456789" if checksums.verhoeff(body + d)]
    whole = body + check
    at = data.draw(st.integers(0, len(whole) - 2))
    turned = whole[:at] + whole[at + 1] + whole[at] + whole[at + 2 :]
    assert turned == whole or not checksums.verhoeff(turned)


def test_every_exact_spelling_has_a_value_and_it_is_found_by_its_name():
    draw = random.Random(3)
    for pattern in patterns.patterns():
        words = pattern.context[0] if pattern.context else ""
        for shape in (*pattern.shapes, *pattern.plain):
            try:
                value = documents.filled(pattern, shape, draw)
            except LookupError:
                continue
            found = {m.kind for m in patterns.find(f"{words} {value} x", minimum=1)}
            assert pattern.kind in found, (pattern.name, shape)


def test_long_dull_text_takes_no_time_to_speak_of():
    for dull in ("1" * 50_000, "a" * 50_000, "-----BEGIN " * 3000, "a@" * 20_000, "+1 " * 20_000):
        list(patterns.find(dull))


def test_an_iban_with_a_blank_after_its_country_is_read_and_prose_is_not():
    for said in (
        "ES 58 0049 0290 3424 1352 8341",
        "NO 44 1850.05.14562",
        "ME 2551 0000 0000 0623 4133",
    ):
        assert [m.kind for m in patterns.find(f"paid to {said} today")] == ["iban"], said
    assert list(patterns.find("IS 58 0049 0290 3424 1352 8341")) == []
    prose = "IT IS 20 YEARS OLD AND COSTS 1200 EACH; IN 2012 ME 25 FRIENDS MADE 4000"
    assert list(patterns.find(prose)) == []


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("180030470003251", "card"),
        ("676366497698", "card"),
        ("4836102175007029515", "card"),
        ("36574261809", "national-id"),
        ("3400100399577", "national-id"),
        ("130 692 544", "national-id"),
    ],
)
def test_what_few_random_numbers_are_tells_by_itself(number, kind):
    assert kind in {m.kind for m in patterns.find(f"entry {number} was sent")}


def test_an_amount_in_threes_is_nobodys_number():
    number = "130 692 544"
    for amount in (f"EUR {number}", f"{number} €", f"{number}.00", f"1 {number}", f"{number} 000"):
        assert list(patterns.find(f"a total of {amount} was paid")) == [], amount


def test_few_strings_of_random_digits_are_taken_for_somebodys_number():
    draw = random.Random(4)
    for size in range(7, 20):
        made = [str(draw.randint(10 ** (size - 1), 10**size - 1)) for _ in range(400)]
        taken = sum(any(True for _ in patterns.find(f"entry {each} was sent")) for each in made)
        assert taken <= 0.05 * len(made), size


def test_a_phone_number_may_have_an_extension_or_only_six_digits_after_its_title():
    for said in ("470.891.4534x1653", "(755)637-1931x5964"):
        assert "phone" in {m.kind for m in patterns.find(f"Phone: {said}")}
    assert [m.kind for m in patterns.find("Tel: 76 09 14")] == ["phone"]
    assert list(patterns.find("use the phone at 12 30 45, code 391784")) == []
