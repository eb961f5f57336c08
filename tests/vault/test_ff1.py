"""FF1 against NIST's published samples, and as a permutation."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealwright.core.errors import BadInput
from sealwright.vault import ff1

KEYS = (
    bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C"),
    bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F"),
    bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3CEF4359D8D580AA4F7F036D6F04FC6A94"),
)
TWEAK = bytes.fromhex("39383736353433323130")
LONG_TWEAK = bytes.fromhex("3737373770717273373737")
# SP 800-38G, FF1 samples 1 to 9: key, radix, tweak, plaintext, ciphertext
SAMPLES = [
    (0, 10, b"", "0123456789", "2433477484"),
    (0, 10, TWEAK, "0123456789", "6124200773"),
    (0, 36, LONG_TWEAK, "0123456789abcdefghi", "a9tv40mll9kdu509eum"),
    (1, 10, b"", "0123456789", "2830668132"),
    (1, 10, TWEAK, "0123456789", "2496655549"),
    (1, 36, LONG_TWEAK, "0123456789abcdefghi", "xbj3kv35jrawxv32ysr"),
    (2, 10, b"", "0123456789", "6657667009"),
    (2, 10, TWEAK, "0123456789", "1001623463"),
    (2, 36, LONG_TWEAK, "0123456789abcdefghi", "xs8a0azh2avyalyzuwd"),
]


@pytest.mark.parametrize(("key", "radix", "tweak", "plain", "cipher"), SAMPLES)
def test_nists_samples(key, radix, tweak, plain, cipher):
    assert ff1.encrypt(KEYS[key], tweak, plain, radix) == cipher
    assert ff1.decrypt(KEYS[key], tweak, cipher, radix) == plain


@given(st.text("0123456789", min_size=6, max_size=40), st.binary(max_size=20))
def test_it_comes_back_and_keeps_its_length(plain, tweak):
    cipher = ff1.encrypt(KEYS[2], tweak, plain)
    assert len(cipher) == len(plain)
    assert ff1.decrypt(KEYS[2], tweak, cipher) == plain


@pytest.mark.parametrize("text", ["", "1", "12345", "12a456", "\uff11" * 6])
def test_small_domains_and_foreign_digits_are_refused(text):
    with pytest.raises(BadInput):
        ff1.encrypt(KEYS[0], b"", text)
