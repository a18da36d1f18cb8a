"""Who appears in the identity tests, and short ways to sign them in."""

from __future__ import annotations

import base64
import json
from typing import Any

from tallybook.domain.identity.sessions import SignedIn
from tallybook.usecases import sessions
from tallybook.usecases.apps import Registered
from tallybook.usecases.context import Context

EMAIL = "Ada@Example.com"
PASSWORD = "a password of the tests"
APP_NAME = "Whatnot Autoprint"


async def enter(ctx: Context, registered: Registered | None = None, **more: Any) -> SignedIn:
    """Sign the customer in, for an app or for the house."""
    app_id = None if registered is None else registered.app.public_id
    return await sessions.sign_in(ctx, email=EMAIL, password=PASSWORD, app_public_id=app_id, **more)


def encoded(value: dict[str, Any]) -> str:
    """A part of a JWT."""
    raw = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def decoded(part: str) -> dict[str, Any]:
    """The JSON in a part of a JWT."""
    found = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert isinstance(found, dict)
    return found
