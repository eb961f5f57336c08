"""Field tokens: equal within a purpose, unlike across, and back only with the key."""

from pathlib import Path

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sealwright.adapters.kms_file import FileKms
from sealwright.core.errors import BadInput, Refused, SealError, VerifyError
from sealwright.vault.fieldtokens import Field, Tokenizer, key_name


@pytest.fixture(scope="module")
def kms(tmp_path_factory) -> FileKms:
    made, _ = FileKms.initialize(Path(tmp_path_factory.mktemp("keys")) / "state", None)
    return made


NAMES = st.text("abcdefghij", min_size=1, max_size=8)
LABELS = st.text(min_size=1, max_size=12).filter(lambda text: bool(text.strip()))
VALUES = st.text(max_size=40)


@settings(deadline=None, max_examples=40)
@given(NAMES, LABELS, LABELS, VALUES)
def test_a_token_comes_back_and_equal_values_have_equal_tokens(
    kms, dataset, column, purpose, value
):
    one, again = (Tokenizer(kms, Field(dataset, column, purpose), "siv") for _ in range(2))
    token = one.token(value)
    assert token == again.token(value)
    assert again.value(token) == value
    assert len(value) < 4 or value not in token


@settings(deadline=None, max_examples=40)
@given(NAMES, LABELS, LABELS, LABELS, LABELS, VALUES, st.sampled_from(["siv", "hmac"]))
def test_no_two_purposes_or_fields_join(kms, dataset, column, other, purpose, second, value, how):
    assume((column, purpose) != (other, second))
    one = Tokenizer(kms, Field(dataset, column, purpose), how)
    two = Tokenizer(kms, Field(dataset, other, second), how)
    assert one.token(value) != two.token(value)
    if how == "siv":
        with pytest.raises(VerifyError):
            two.value(one.token(value))


def test_names_that_run_together_are_different_fields(kms):
    one = Tokenizer(kms, Field("d", "ab", "c"), "siv")
    two = Tokenizer(kms, Field("d", "a", "bc"), "siv")
    assert one.token("x") != two.token("x")


@given(st.from_regex(r"[0-9]{4}-[0-9]{4} [0-9]{0,4}", fullmatch=True))
@settings(deadline=None, max_examples=40)
def test_a_format_preserving_token_keeps_what_is_no_digit(kms, value):
    made = Tokenizer(kms, Field("cards", "number", "fraud"), "ff1")
    token = made.token(value)
    assert [c for c in token if not c.isdigit()] == [c for c in value if not c.isdigit()]
    assert len(token) == len(value)
    assert made.value(token) == value


def test_an_irreversible_token_does_not_come_back(kms):
    made = Tokenizer(kms, Field("d", "c", "p"), "hmac")
    with pytest.raises(BadInput):
        made.value(made.token("x"))


@pytest.mark.parametrize("token", ["", "tk1_", "tk1_AAAA", "tk1_!!", "\ud800", "tk1_" + "A" * 40])
def test_what_is_no_token_is_refused(kms, token):
    with pytest.raises(VerifyError):
        Tokenizer(kms, Field("d", "c", "p"), "siv").value(token)


def test_without_a_purpose_there_is_no_token(kms):
    with pytest.raises(BadInput):
        Tokenizer(kms, Field("d", "c", " "), "siv")


def test_with_the_key_destroyed_tokens_are_final(kms):
    field = Field("gone", "c", "p")
    token = Tokenizer(kms, field, "siv").token("x")
    kms.destroy(key_name("gone"))
    with pytest.raises((Refused, SealError)):
        Tokenizer(kms, field, "siv").value(token)
