"""Session tokens: the matrix of forgeries (RFC 8725, reliability.md section 2 item 4) and key rotation."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from conftest import FrozenClock
from identity.people import decoded, encoded
from joserfc import jwt
from joserfc.jwk import OKPKey

from tallybook.domain.errors import TokenExpiredError, TokenForeignAppError, TokenInvalidError
from tallybook.domain.identity.signing_keys import StoredSigningKey
from tallybook.security.sealing import Sealer
from tallybook.security.tokens import TokenSigner, new_key

ISSUER = "https://billing.example.com"
SESSION = UUID(int=7)
SEALER = Sealer("a secret of the tests, thirty-two characters and more")
Forgery = Callable[[dict[str, Any], dict[str, Any], OKPKey], str]


def _signer(clock: FrozenClock, *keys: StoredSigningKey) -> TokenSigner:
    return TokenSigner(keys, sealer=SEALER, clock=clock, issuer=ISSUER)


def _private(key: StoredSigningKey) -> OKPKey:
    raw = SEALER.open(key.private_key_sealed, f"signing key {key.key_id}")
    return OKPKey.import_key(json.loads(raw))


def _signed(header: dict[str, Any], claims: dict[str, Any], key: OKPKey) -> str:
    """Sign these very bytes with our own key, as no honest library would."""
    text = f"{encoded(header)}.{encoded(claims)}"
    signature = key.get_op_key("sign").sign(text.encode())  # type: ignore[union-attr]
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _none(header: dict[str, Any], claims: dict[str, Any], _: OKPKey) -> str:
    return f"{encoded({**header, 'alg': 'none'})}.{encoded(claims)}."


def _hmac_with_public_key(header: dict[str, Any], claims: dict[str, Any], key: OKPKey) -> str:
    text = f"{encoded({**header, 'alg': 'HS256'})}.{encoded(claims)}"
    secret = key.as_bytes(encoding="PEM", private=False)
    signature = hmac.digest(secret, text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _without(claim: str) -> Forgery:
    def forge(header: dict[str, Any], claims: dict[str, Any], key: OKPKey) -> str:
        return _signed(header, {k: v for k, v in claims.items() if k != claim}, key)

    return forge


def _with_claim(**changed: Any) -> Forgery:
    return lambda header, claims, key: _signed(header, {**claims, **changed}, key)


def _with_header(**changed: Any) -> Forgery:
    def forge(header: dict[str, Any], claims: dict[str, Any], key: OKPKey) -> str:
        kept = {k: v for k, v in {**header, **changed}.items() if v is not None}
        return _signed(kept, claims, key)

    return forge


def _own_key_in_header(header: dict[str, Any], claims: dict[str, Any], _: OKPKey) -> str:
    mine = OKPKey.generate_key("Ed25519")
    return _signed({**header, "jwk": mine.as_dict(private=False)}, claims, mine)


def _foreign_key(header: dict[str, Any], claims: dict[str, Any], _: OKPKey) -> str:
    return _signed(header, claims, OKPKey.generate_key("Ed25519"))


FORGERIES: dict[str, Forgery] = {
    "algorithm none": _none,
    "HS256 keyed with our public key": _hmac_with_public_key,
    "another key under our key id": _foreign_key,
    "its own key in the header": _own_key_in_header,
    "a jku": _with_header(jku="https://attacker.example.com/keys"),
    "an x5u": _with_header(x5u="https://attacker.example.com/chain"),
    "a critical extension": _with_header(crit=["b64"], b64=False),
    "no key id": _with_header(kid=None),
    "an unknown key id": _with_header(kid="unknown"),
    "a key id that is no text": _with_header(kid=["x"]),
    "another type": _with_header(typ="JWT"),
    "no type": _with_header(typ=None),
    "the new name of the algorithm": _with_header(alg="Ed25519"),
    "no audience": _without("aud"),
    "no expiry": _without("exp"),
    "no issuer": _without("iss"),
    "no subject": _without("sub"),
    "no session": _without("sid"),
    "no token id": _without("jti"),
    "a list of audiences": _with_claim(aud=["app_a"]),
    "another issuer": _with_claim(iss="https://elsewhere.example.com"),
    "an expiry that is text": _with_claim(exp="9999999999"),
    "an expiry that is true": _with_claim(exp=True),
    "an expiry beyond all calendars": _with_claim(exp=10**30),
    "a subject that is no number": _with_claim(sub="ada"),
    "a session that is no id": _with_claim(sid="1"),
    "issued in the future": _with_claim(iat=4_000_000_000),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_token_is_invalid(name: str, clock: FrozenClock) -> None:
    key = new_key(SEALER, clock.now)
    signer = _signer(clock, key)
    good, _ = signer.sign(user_id=1, session_id=SESSION, audience="app_a")
    header, claims = (decoded(part) for part in good.split(".")[:2])
    assert signer.read(_signed(header, claims, _private(key)), audience="app_a").user_id == 1

    forged = FORGERIES[name](header, claims, _private(key))

    with pytest.raises(TokenInvalidError):
        signer.read(forged, audience="app_a")


@pytest.mark.parametrize("text", ["", ".", "..", "a.b.c", "ä.b.c", "x" * 5000, "e30.e30.e30", "\x00"])
def test_garbage_is_invalid_and_never_a_fault(text: str, clock: FrozenClock) -> None:
    signer = _signer(clock, new_key(SEALER, clock.now))

    with pytest.raises(TokenInvalidError):
        signer.read(text)

    assert signer.is_stale_for(text) is False


def test_a_token_names_its_user_session_and_app(clock: FrozenClock) -> None:
    signer = _signer(clock, new_key(SEALER, clock.now))

    token, seconds = signer.sign(user_id=42, session_id=SESSION, audience="app_a")

    claims = signer.read(token, audience="app_a")
    assert (claims.user_id, claims.session_id, claims.audience) == (42, SESSION, "app_a")
    assert seconds == 600
    assert claims.expires_at == clock.now + timedelta(seconds=600)


def test_a_token_of_another_app_is_foreign(clock: FrozenClock) -> None:
    signer = _signer(clock, new_key(SEALER, clock.now))
    token, _ = signer.sign(user_id=1, session_id=SESSION, audience="app_a")

    with pytest.raises(TokenForeignAppError):
        signer.read(token, audience="app_b")


def test_a_token_ends_on_the_second(clock: FrozenClock) -> None:
    signer = _signer(clock, new_key(SEALER, clock.now))
    token, _ = signer.sign(user_id=1, session_id=SESSION, audience="app_a")

    clock.advance(seconds=599)
    signer.read(token)
    clock.advance(seconds=1)

    with pytest.raises(TokenExpiredError):
        signer.read(token)


def test_a_token_never_outlives_its_session(clock: FrozenClock) -> None:
    signer = _signer(clock, new_key(SEALER, clock.now))

    token, seconds = signer.sign(
        user_id=1, session_id=SESSION, audience="a", not_after=clock.now + timedelta(seconds=5)
    )

    assert seconds == 5
    clock.advance(seconds=5)
    with pytest.raises(TokenExpiredError):
        signer.read(token)


def test_a_retired_key_verifies_until_its_last_token_ended(clock: FrozenClock) -> None:
    old = new_key(SEALER, clock.now)
    signer = _signer(clock, old)
    token, _ = signer.sign(user_id=1, session_id=uuid4(), audience="a", lifetime_seconds=3600)
    clock.advance(seconds=1)
    new = new_key(SEALER, clock.now)
    retired = StoredSigningKey(
        **{name: getattr(old, name) for name in old.__slots__ if name != "retired_at"},
        retired_at=clock.now,
    )

    signer.use([retired, new])

    assert signer.read(token).user_id == 1
    fresh, _ = signer.sign(user_id=2, session_id=SESSION, audience="a")
    assert decoded(fresh.split(".")[0])["kid"] == new.key_id
    assert [key["kid"] for key in signer.jwks()["keys"]] == [old.key_id, new.key_id]
    clock.advance(hours=2)
    assert [key["kid"] for key in signer.jwks()["keys"]] == [new.key_id]
    with pytest.raises(TokenInvalidError):
        signer.read(token)


def test_the_key_set_holds_no_private_part(clock: FrozenClock) -> None:
    signer = _signer(clock, new_key(SEALER, clock.now))

    [public] = signer.jwks()["keys"]

    assert public.keys() == {"kty", "crv", "x", "kid", "alg", "use"}
    token, _ = signer.sign(user_id=1, session_id=SESSION, audience="a")
    with pytest.warns(Warning, match="EdDSA"):
        verified = jwt.decode(token, OKPKey.import_key(public), algorithms=["EdDSA"])
    assert verified.claims["sub"] == "1"
