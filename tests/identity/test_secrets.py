"""The small crypto: sealing, API key form, password verifiers of PostgreSQL, refresh tokens."""

from __future__ import annotations

import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tallybook.domain.errors import ApiKeyInvalidError, SealError
from tallybook.security import api_keys, passwords, scram
from tallybook.security.refused_passwords import is_refused
from tallybook.security.sealing import Sealer

SECRET = "a secret of the tests, thirty-two characters and more"


@given(st.binary(max_size=200), st.text(max_size=20))
def test_what_is_sealed_opens_under_its_context_only(plain: bytes, context: str) -> None:
    sealer = Sealer(SECRET)

    sealed = sealer.seal(plain, context)

    assert sealer.open(sealed, context) == plain
    assert sealer.seal(plain, context) != sealed
    with pytest.raises(SealError):
        sealer.open(sealed, context + "x")


@given(st.data())
def test_no_changed_byte_and_no_cut_opens(data: st.DataObject) -> None:
    sealer = Sealer(SECRET)
    sealed = sealer.seal(b"the plain text", "c")
    place = data.draw(st.integers(0, len(sealed) - 1))
    changed = bytes(b ^ (1 if n == place else 0) for n, b in enumerate(sealed))

    for broken in (changed, sealed[:place], sealed + b"x"):
        with pytest.raises(SealError):
            sealer.open(broken, "c")


def test_another_secret_opens_nothing_and_makes_other_codes() -> None:
    one, two = Sealer(SECRET), Sealer(SECRET + "!")

    with pytest.raises(SealError):
        two.open(one.seal(b"plain", "c"), "c")

    assert one.mac("c", "x") != two.mac("c", "x")
    assert one.mac("c", "x") == Sealer(SECRET).mac("c", "x")


def test_parts_of_a_code_cannot_slide_into_each_other() -> None:
    sealer = Sealer(SECRET)

    codes = {
        sealer.mac("c", "ab", "c"),
        sealer.mac("c", "a", "bc"),
        sealer.mac("ca", "b", "c"),
        sealer.mac("c", "abc"),
        sealer.mac("c", "ab", "c", ""),
    }

    assert len(codes) == 5


def test_a_key_has_the_documented_form_and_a_scanner_finds_it() -> None:
    key = api_keys.make(livemode=False)

    assert re.fullmatch(r"tb_test_[0-9A-Za-z]{30}[0-9A-Za-z]{6}", key.key)
    assert api_keys.make(livemode=True).key.startswith("tb_live_")
    assert re.search(api_keys.SCANNER_PATTERN, f'API_KEY="{key.key}"')
    assert key.prefix == key.key[:12]
    assert api_keys.hash_of(key.key) == key.key_hash
    assert key.key not in repr(key)


@given(st.data())
def test_a_key_with_one_wrong_character_is_refused_by_its_checksum(data: st.DataObject) -> None:
    key = api_keys.make(livemode=False).key
    place = data.draw(st.integers(8, len(key) - 1))
    letter = data.draw(st.sampled_from(string.ascii_letters + string.digits))
    changed = key[:place] + letter + key[place + 1 :]

    if changed == key:
        assert api_keys.hash_of(changed)
    else:
        with pytest.raises(ApiKeyInvalidError):
            api_keys.hash_of(changed)


@pytest.mark.parametrize("text", ["", "tb_", "tb_test_", "tb_prod_" + "a" * 36, "é" * 44])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(ApiKeyInvalidError):
        api_keys.hash_of(text)


def test_a_test_key_cannot_pass_for_a_live_one() -> None:
    key = api_keys.make(livemode=False).key

    with pytest.raises(ApiKeyInvalidError):
        api_keys.hash_of(key.replace("tb_test_", "tb_live_"))


def test_the_verifier_has_the_form_of_postgresql() -> None:
    made = scram.make()

    assert re.fullmatch(
        r"SCRAM-SHA-256\$4096:[A-Za-z0-9+/]{22}==\$[A-Za-z0-9+/]{43}=:[A-Za-z0-9+/]{43}=", made.verifier
    )
    assert re.fullmatch(r"[A-Za-z0-9_-]{32}", made.password)
    assert made.password not in repr(made)


def test_the_keys_of_the_verifier_are_those_of_rfc_7677() -> None:
    # The example of RFC 7677 section 3: user "user", password "pencil", 4096 rounds.
    text = scram.verifier("pencil", bytes.fromhex("5b6d99689d1235 8eeca04b14 1236fa81".replace(" ", "")))

    assert text.split("$")[2] == (
        "WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU="
    )


async def test_a_hash_has_the_cost_that_is_promised() -> None:
    stored = await passwords.make_hash("a password of the tests")

    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert not passwords.needs_rehash(stored)
    assert await passwords.verify(stored, "a password of the tests")
    assert not await passwords.verify(stored, "a password of the tests ")
    assert not await passwords.verify(None, "a password of the tests")
    assert not await passwords.verify("no hash at all", "a password of the tests")


async def test_composed_and_decomposed_letters_are_the_same_password() -> None:
    stored = await passwords.make_hash("gro\u0308\u00dfer als zuvor")

    assert await passwords.verify(stored, "gr\u00f6\u00dfer als zuvor")


@pytest.mark.parametrize(
    "text", ["password", "Password1!", "qwerty123", "summer2024", "12345678", "1q2w3e4r"]
)
def test_the_most_common_passwords_are_refused(text: str) -> None:
    assert is_refused(text)
    assert not is_refused(text + " and a tail")
