"""What the three webhook paths share: the raw body goes to one intake; each path draws its own reply.

No JSON is parsed here: the signature is over the bytes as they came.
"""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import Depends, Header, Request

SignatureHeader = Annotated[
    str | None,
    Header(
        alias="Stripe-Signature",
        description="Stripe's signature over the raw body.",
        examples=["t=1763700000,v1=0123abcd"],
    ),
]

EVENT_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "A Stripe event, exactly as Stripe sent it; at most 256 KiB.",
        "content": {
            "application/json": {
                "schema": {"type": "object"},
                "example": {
                    "id": "evt_123",
                    "object": "event",
                    "type": "checkout.session.completed",
                    "livemode": False,
                    "created": 1763700000,
                    "data": {"object": {"id": "cs_test_123", "object": "checkout.session"}},
                },
            }
        },
    }
}


async def _raw_body(request: Request) -> bytes:
    """The bytes as they came; the limit on all bodies has been counted along."""
    return await request.body()


RawBody = Annotated[bytes, Depends(_raw_body)]
