"""/.well-known/jwks.json: the public keys by which anybody can verify our session tokens."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter, Response
from pydantic import Field

from tallybook.api.deps import Ctx, Shape
from tallybook.usecases import signing_keys

router = APIRouter(tags=["sessions"])
CACHE_SECONDS = 300


class PublicKey(Shape):
    """One Ed25519 public key (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str = Field(examples=["11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"])
    kid: str
    alg: Literal["EdDSA"]
    use: Literal["sig"]


class KeySet(Shape):
    """A JSON Web Key Set (RFC 7517)."""

    keys: list[PublicKey]


@router.get("/.well-known/jwks.json", summary="Public keys of session tokens")
async def jwks(ctx: Ctx, response: Response) -> KeySet:
    """Every key that may have signed a living token; find yours by ``kid``."""
    response.headers["Cache-Control"] = f"public, max-age={CACHE_SECONDS}"
    return KeySet.model_validate(await signing_keys.public_keys(ctx))
