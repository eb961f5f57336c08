"""What every key service must do about generations and switching off."""

from __future__ import annotations

import pytest
from test_kms_port import ADAPTERS

from sealwright.core.errors import Refused, VerifyError


@pytest.fixture(params=ADAPTERS)
def reopen(request, tmp_path):
    """Opens the key service anew, as another process would."""
    with ADAPTERS[request.param](tmp_path) as again:
        yield again


@pytest.fixture
def kms(reopen):
    kms = reopen()
    kms.create("data:a")
    return kms


def test_what_was_wrapped_before_a_rotation_opens_until_it_is_retired(kms, reopen):
    other = reopen()
    old = kms.wrap("data:a", b"s", b"c")
    state = kms.rotate("data:a")
    assert (state.generation, state.former) == (2, (1,))
    new = other.wrap("data:a", b"s", b"c")
    assert [other.unwrap("data:a", each, b"c") for each in (old, new)] == [b"s", b"s"]
    assert kms.retire("data:a").former == ()
    assert other.unwrap("data:a", new, b"c") == b"s"
    for each in (kms, other, reopen()):
        with pytest.raises(VerifyError):
            each.unwrap("data:a", old, b"c")


def test_rewrapping_carries_a_secret_over_and_is_done_once(kms, reopen):
    old = kms.wrap("data:a", b"s" * 32, b"c")
    kms.rotate("data:a")
    new = reopen().rewrap("data:a", old, b"c")
    assert new != old
    assert len(new) == len(old)
    assert kms.rewrap("data:a", new, b"c") == new
    kms.retire("data:a")
    assert kms.unwrap("data:a", new, b"c") == b"s" * 32
    for bad in (old, new[:-1], b""):
        with pytest.raises(VerifyError):
            kms.rewrap("data:a", bad, b"c")
    with pytest.raises(VerifyError):
        kms.rewrap("data:a", new, b"d")


def test_derived_keys_outlive_every_rotation(kms, reopen):
    derived = kms.derive("data:a", b"names")
    for _ in range(3):
        kms.rotate("data:a")
    kms.retire("data:a")
    assert reopen().derive("data:a", b"names") == derived


def test_a_disabled_key_refuses_everything_and_loses_nothing(kms, reopen):
    other = reopen()
    wrapped = kms.wrap("data:a", b"s", b"c")
    assert other.unwrap("data:a", wrapped, b"c") == b"s"
    assert kms.switch("data:a", on=False).state == "disabled"
    for each in (kms, other, reopen()):
        for use in (
            lambda each=each: each.unwrap("data:a", wrapped, b"c"),
            lambda each=each: each.wrap("data:a", b"s", b"c"),
            lambda each=each: each.derive("data:a", b"x"),
            lambda each=each: each.rewrap("data:a", wrapped, b"c"),
            lambda each=each: each.rotate("data:a"),
        ):
            with pytest.raises(Refused) as caught:
                use()
            assert caught.value.rule == "keys.disabled"
    kms.create("data:a")
    assert [s.state for s in other.states() if s.name == "data:a"] == ["disabled"]
    assert other.switch("data:a", on=True).state == "enabled"
    assert kms.unwrap("data:a", wrapped, b"c") == b"s"


def test_a_destroyed_key_cannot_be_enabled_and_is_still_listed(kms, reopen):
    kms.destroy("data:a")
    with pytest.raises(Refused) as caught:
        reopen().switch("data:a", on=True)
    assert caught.value.rule == "keys.destroyed"
    assert [s.state for s in kms.states() if s.name == "data:a"] == ["destroyed"]


def test_destroying_takes_every_generation(kms):
    old = kms.wrap("data:a", b"s", b"c")
    kms.rotate("data:a")
    kms.destroy("data:a")
    with pytest.raises(Refused):
        kms.unwrap("data:a", old, b"c")
    kms.create("data:a")
    with pytest.raises(VerifyError):
        kms.unwrap("data:a", old, b"c")
