"""What endpoints are given: the context, the caller, the idempotency key; and the base of every body.

No rule lives here: who may do what is decided by ``Caller`` in the use case.
"""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Depends, Header, Request
from fastapi.security import APIKeyHeader, HTTPBearer
from fastapi.security.http import HTTPAuthorizationCredentials
from fastapi.security.utils import get_authorization_scheme_param
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictInt

from tallybook.api.problems import STATUS
from tallybook.domain.errors import (
    AuthenticationRequiredError,
    BillingError,
    IdempotencyKeyMissingError,
    InvalidRequestError,
)
from tallybook.domain.identity.callers import Caller
from tallybook.domain.money import AMOUNT_MICRO_MAX, MICRO, Credits
from tallybook.usecases import sessions
from tallybook.usecases.context import Context

_BEARER = HTTPBearer(
    auto_error=False,
    description="A session token, an API key of an app, or a hold token.",
    scheme_name="bearer",
)
_API_KEY = APIKeyHeader(
    name="X-API-Key", auto_error=False, description="An app's API key.", scheme_name="api_key"
)
METADATA_BYTES_MAX = 16_384
KEY_LENGTH_MAX = 255
CREDITS_MAX = AMOUNT_MICRO_MAX // MICRO


def _context(request: Request) -> Context:
    context = request.app.state.context
    assert isinstance(context, Context)
    return context


Ctx = Annotated[Context, Depends(_context)]


async def _any_caller(
    ctx: Ctx,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)],
    api_key: Annotated[str | None, Depends(_API_KEY)],
) -> Caller | None:
    if bearer is None and not api_key:
        return None
    token = None if bearer is None else bearer.credentials
    return await sessions.authenticate(ctx, bearer=token, api_key=api_key or None)


async def caller_of(ctx: Context, *, authorization: str | None, api_key: str | None) -> Caller:
    """The caller as ``CallerDep`` finds it, from the two headers as they came.

    Raises:
        AuthenticationRequiredError: neither says anything. Else the reason why what came does not count.
    """
    scheme, token = get_authorization_scheme_param(authorization)
    bearer = token if token and scheme.lower() == "bearer" else None
    if bearer is None and not api_key:
        raise AuthenticationRequiredError
    return await sessions.authenticate(ctx, bearer=bearer, api_key=api_key or None)


AnyCaller = Annotated[Caller | None, Depends(_any_caller)]


async def _caller(found: AnyCaller) -> Caller:
    if found is None:
        raise AuthenticationRequiredError
    return found


CallerDep = Annotated[Caller, Depends(_caller)]


def _optional_key(
    idempotency_key: Annotated[
        str | None,
        Header(
            description="Makes a retry safe: the same key gets the first answer.",
            examples=["job-12345"],
        ),
    ] = None,
) -> str | None:
    return optional_key(idempotency_key)


def optional_key(text: str | None) -> str | None:
    """An ``Idempotency-Key`` as it came, if it is one.

    Raises:
        InvalidRequestError: it is empty, too long or not printable.
    """
    if text is not None and (not 1 <= len(text) <= KEY_LENGTH_MAX or not text.isprintable()):
        raise InvalidRequestError(f"Idempotency-Key must be 1 to {KEY_LENGTH_MAX} printable characters.")
    return text


OptionalIdempotencyKey = Annotated[str | None, Depends(_optional_key)]


def _required_key(key: OptionalIdempotencyKey) -> str:
    if key is None:
        raise IdempotencyKeyMissingError
    return key


IdempotencyKey = Annotated[str, Depends(_required_key)]


ResumeToken = Annotated[
    str | None,
    Header(
        alias="Resume-Token",
        max_length=200,
        description="Goes on with a request that was refused with 402: the `resume_token` of the refusal.",
    ),
]


class Body(BaseModel):
    """The base of every request body: no unknown fields, no silent conversions."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Shape(BaseModel):
    """The base of every answer."""

    model_config = ConfigDict(frozen=True)


def _credits(value: object) -> Credits:
    # A number, not text: what a JSON parser gives for 5 or 0.25. repr of a float is its shortest exact decimal.
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise ValueError("must be a number of credits")  # noqa: TRY004
    try:
        return Credits.parse(repr(value) if isinstance(value, float) else value)
    except BillingError as refusal:
        raise ValueError(refusal.message) from None


SeedCredits = Annotated[
    Credits,
    BeforeValidator(_credits, json_schema_input_type=Annotated[int | float, Field(gt=0, le=CREDITS_MAX)]),
    Field(description="Credits, with at most six decimals.", examples=[5]),
]
AmountMicro = Annotated[
    StrictInt,
    Field(gt=0, le=AMOUNT_MICRO_MAX, description="In micro-credits: 1 credit = 1,000,000."),
]
UserId = Annotated[StrictInt, Field(ge=1, le=2**53 - 1, description="A user's permanent integer.")]


def _metadata(value: object) -> object:
    if len(json.dumps(value, default=str)) > METADATA_BYTES_MAX:
        raise ValueError(f"must be at most {METADATA_BYTES_MAX} bytes of JSON")
    return value


Metadata = Annotated[
    dict[str, Any] | None,
    BeforeValidator(_metadata),
    Field(description="Anything the app wants to find again; at most 16 KiB."),
]
Description = Annotated[str | None, Field(max_length=1000)]
ServiceName = Annotated[str | None, Field(max_length=200)]


class Problem(BaseModel):
    """A refusal: the stable ``code`` is what programs read; seed routes send ``detail`` and ``code`` too."""

    model_config = ConfigDict(extra="allow")

    detail: Any = Field(description="What to do, for people.")
    code: str | None = Field(default=None, description="Never changes.", examples=["token_expired"])


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The refusals that an endpoint declares, beside those that any may answer."""
    known = set(STATUS.values())
    wanted = {*statuses, 413, 422, 503}
    assert wanted <= known | {405}, wanted - known
    return {status: {"model": Problem, "description": "A refusal."} for status in sorted(wanted)}
