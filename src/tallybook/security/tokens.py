"""Session tokens: signed JWTs of one algorithm, one issuer and one type, and the public keys that verify them.

Ed25519 (RFC 8037) through joserfc, with the checks of RFC 8725 and the type of RFC 9068. A valid token is not yet a
valid session: whether the session was revoked is asked of the database, elsewhere.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from joserfc import jws, jwt
from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import OKPKey

from tallybook.domain.clock import Clock
from tallybook.domain.errors import TokenExpiredError, TokenForeignAppError, TokenInvalidError
from tallybook.domain.identity.sessions import TOKEN_SECONDS_MAX
from tallybook.domain.identity.signing_keys import REREAD_SECONDS, StoredSigningKey
from tallybook.security.sealing import Sealer

ALGORITHM = "EdDSA"
TYPE = "at+jwt"
LIFETIME_SECONDS = 600
TOKEN_LENGTH_MAX = 2048
CLOCK_SKEW_SECONDS = 60
SEEN_MAX = 100_000
"""How many verified tokens are remembered, by their digests; the oldest go first."""
_CLAIMS = {"iss", "aud", "sub", "sid", "iat", "exp", "jti"}


class _OnlyOurs(jws.JWSRegistry):
    """Knows one algorithm, whatever a header says."""

    def get_alg(self, name: str) -> Any:
        """The algorithm, if it is the one."""
        # The library warns at each use that RFC 9864 renames EdDSA; verifiers in the field know the old name.
        if name != ALGORITHM:
            raise UnsupportedAlgorithmError(name)
        return self.algorithms[name]


_REGISTRY = _OnlyOurs()


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What a verified token says."""

    user_id: int
    session_id: UUID
    audience: str
    issued_at: datetime
    expires_at: datetime


class _UnknownKeyError(Exception):
    """The token names a key that this process has not read."""


class TokenSigner:
    """Signs and verifies with the keys it was given last; several verify, the newest one signs."""

    def __init__(
        self, keys: Sequence[StoredSigningKey], *, sealer: Sealer, clock: Clock, issuer: str
    ) -> None:
        """Start with these keys; ``issuer`` is the public address of this installation."""
        self._sealer = sealer
        self._clock = clock
        self._issuer = issuer
        self.use(keys)

    def use(self, keys: Sequence[StoredSigningKey]) -> None:
        """Take these keys instead: after a rotation, also one made by another process.

        Raises:
            SealError: the private part does not open under the secret of the settings.
        """
        now = self._clock()
        alive = [key for key in keys if key.verifies_at(now)]
        signing = max((key for key in alive if key.retired_at is None), key=lambda key: key.created_at)
        private = self._sealer.open(signing.private_key_sealed, _sealed_as(signing.key_id))
        self._signing_id = signing.key_id
        self._signing_key = OKPKey.import_key(json.loads(private))
        self._stored = {key.key_id: key for key in alive}
        self._public = {key.key_id: OKPKey.import_key(dict(key.public_jwk)) for key in alive}
        self._read_at = now
        self._seen: dict[bytes, tuple[str, Claims]] = {}

    def is_stale_for(self, token: str | None = None) -> bool:
        """Whether the keys should be read again: some time passed, or the token names an unknown key.

        Unknown keys are looked for once a second at most, since anybody can invent one.
        """
        age = (self._clock() - self._read_at).total_seconds()
        if age >= REREAD_SECONDS:
            return True
        if token is None or age < 1:
            return False
        if _digest(token) in self._seen:
            return False
        try:
            self._key_of(token)
        except _UnknownKeyError:
            return True
        except TokenInvalidError:
            return False
        return False

    def sign(
        self,
        *,
        user_id: int,
        session_id: UUID,
        audience: str,
        lifetime_seconds: int = LIFETIME_SECONDS,
        not_after: datetime | None = None,
    ) -> tuple[str, int]:
        """A token of a session for one app, and the seconds it lives: never beyond ``not_after``."""
        assert 0 < lifetime_seconds <= TOKEN_SECONDS_MAX, lifetime_seconds
        issued = int(self._clock().timestamp())
        expires = issued + lifetime_seconds
        if not_after is not None:
            expires = min(expires, int(not_after.timestamp()))
        claims = {
            "iss": self._issuer,
            "aud": audience,
            "sub": str(user_id),
            "sid": str(session_id),
            "iat": issued,
            "exp": expires,
            "jti": uuid4().hex,
        }
        header = {"alg": ALGORITHM, "typ": TYPE, "kid": self._signing_id}
        return jwt.encode(header, claims, self._signing_key, registry=_REGISTRY), max(0, expires - issued)

    def read(self, token: str, *, audience: str | None = None) -> Claims:
        """What a token says, if we signed it and it is alive.

        Without ``audience`` the caller must compare ``Claims.audience`` with the session's app.

        Raises:
            TokenInvalidError: not ours in any way. TokenExpiredError: ours, but its time is over.
            TokenForeignAppError: issued for another app than ``audience``.
        """
        now = self._clock()
        claims = self._verified(token, now)
        if claims.issued_at > now + timedelta(seconds=CLOCK_SKEW_SECONDS):
            raise TokenInvalidError
        if claims.expires_at <= now:
            raise TokenExpiredError
        if audience is not None and claims.audience != audience:
            raise TokenForeignAppError
        return claims

    def _verified(self, token: str, now: datetime) -> Claims:
        """What a token says that we signed. The check is dear and its outcome stays while its key does."""
        digest = _digest(token)
        kept = self._seen.get(digest)
        if kept is not None and self._stored[kept[0]].verifies_at(now):
            return kept[1]
        try:
            stored = self._key_of(token)
            payload = jwt.decode(token, self._public[stored.key_id], registry=_REGISTRY).claims
        except (JoseError, ValueError, _UnknownKeyError):
            raise TokenInvalidError from None
        claims = _claims(payload, self._issuer)
        if len(self._seen) >= SEEN_MAX:
            self._seen.pop(next(iter(self._seen)))
        self._seen[digest] = (stored.key_id, claims)
        return claims

    def jwks(self) -> dict[str, list[dict[str, Any]]]:
        """The public keys that may have signed a living token (RFC 7517)."""
        now = self._clock()
        return {
            "keys": [
                {**key.public_jwk, "kid": key.key_id, "alg": ALGORITHM, "use": "sig"}
                for key in self._stored.values()
                if key.verifies_at(now)
            ]
        }

    def _key_of(self, token: str) -> StoredSigningKey:
        """The key that the token names, of those we hold; keys and addresses inside a token are never looked at."""
        if len(token) > TOKEN_LENGTH_MAX:
            raise TokenInvalidError
        try:
            header = jws.extract_compact(token.encode()).headers()
        except (JoseError, ValueError):
            raise TokenInvalidError from None
        if header.keys() != {"alg", "typ", "kid"}:
            raise TokenInvalidError
        if header["alg"] != ALGORITHM or header["typ"] != TYPE:
            raise TokenInvalidError
        key_id = header["kid"]
        stored = self._stored.get(key_id) if isinstance(key_id, str) else None
        if stored is None or not stored.verifies_at(self._clock()):
            raise _UnknownKeyError
        return stored


def new_key(sealer: Sealer, now: datetime) -> StoredSigningKey:
    """A fresh key pair, its private part sealed."""
    key = OKPKey.generate_key("Ed25519")
    key_id = key.thumbprint()
    private = json.dumps(key.as_dict(private=True)).encode()
    return StoredSigningKey(
        key_id=key_id,
        algorithm=ALGORITHM,
        public_jwk=dict(key.as_dict(private=False)),
        private_key_sealed=sealer.seal(private, _sealed_as(key_id)),
        created_at=now,
        retired_at=None,
    )


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _sealed_as(key_id: str) -> str:
    return f"signing key {key_id}"


def _claims(payload: dict[str, Any], issuer: str) -> Claims:
    # Every claim is required and of the one type we write; a list of audiences is not.
    if not payload.keys() >= _CLAIMS or payload["iss"] != issuer:
        raise TokenInvalidError
    texts = [payload[name] for name in ("aud", "sub", "sid", "jti")]
    numbers = [payload[name] for name in ("iat", "exp")]
    if not all(isinstance(text, str) for text in texts):
        raise TokenInvalidError
    if any(isinstance(number, bool) or not isinstance(number, int) for number in numbers):
        raise TokenInvalidError
    try:
        return Claims(
            user_id=int(payload["sub"]),
            session_id=UUID(payload["sid"]),
            audience=payload["aud"],
            issued_at=_moment(payload["iat"]),
            expires_at=_moment(payload["exp"]),
        )
    except (ValueError, OverflowError, OSError):
        raise TokenInvalidError from None


def _moment(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
