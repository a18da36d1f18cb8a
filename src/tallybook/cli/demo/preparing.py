"""Prepares the demo: a webhook endpoint, a customer and an admin, an app with its key and database login, prices."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

import httpx

from tallybook.cli.demo.state import (
    ADMIN_EMAIL,
    APP_NAME,
    CUSTOMER_EMAIL,
    CUSTOMER_PASSWORD,
    State,
    write_private,
)
from tallybook.cli.demo.steps import done
from tallybook.cli.roof import OPERATOR
from tallybook.domain.errors import UserNotFoundError
from tallybook.domain.identity.callers import Permission
from tallybook.domain.identity.people import Role
from tallybook.domain.payments.handled import HANDLED_TYPES
from tallybook.usecases import apps, catalog, users
from tallybook.usecases.context import Context

EVENTS = tuple(sorted(HANDLED_TYPES | {"charge.refunded"}))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What the walk and the examples need to know."""

    app_id: str
    api_key: str
    database_url: str
    user_id: int

    def variables(self, base_url: str) -> dict[str, str]:
        """The settings that the source documents' examples read."""
        return {
            "API_BASE_URL": base_url,
            "DATABASE_URL": self.database_url,
            "APP_ID": self.app_id,
            "API_KEY": self.api_key,
        }


def webhook_endpoint(state: State, sandbox_url: str, base_url: str) -> str:
    """The signing secret of the sandbox's endpoint for this address; made when there is none yet."""
    url = f"{base_url}/api/stripe/webhook"
    kept = state.get("webhook_secret")
    with httpx.Client(
        base_url=sandbox_url, auth=(state.secret("stripe_secret_key", "sk_test_"), ""), timeout=10
    ) as stripe:
        listed = stripe.get("/v1/webhook_endpoints").raise_for_status().json()["data"]
        known = {endpoint["id"]: endpoint["url"] for endpoint in listed}
        if kept and known.get(state.get("webhook_endpoint") or "") == url:
            return kept
        for endpoint_id in known:
            stripe.delete(f"/v1/webhook_endpoints/{endpoint_id}").raise_for_status()
        form = {"url": url} | {f"enabled_events[{n}]": name for n, name in enumerate(EVENTS)}
        made = stripe.post("/v1/webhook_endpoints", data=form).raise_for_status().json()
    state.keep(webhook_secret=made["secret"], webhook_endpoint=made["id"])
    return str(made["secret"])


async def everything(ctx: Context, state: State) -> Ready:
    """Users, app and catalogue; what is there already is kept."""
    admin_password = state.secret("admin_password")
    user_id = await _user(ctx, CUSTOMER_EMAIL, CUSTOMER_PASSWORD, Role.CUSTOMER)
    await _user(ctx, ADMIN_EMAIL, admin_password, Role.ADMIN)
    done("Customer and admin", f"{CUSTOMER_EMAIL}, {ADMIN_EMAIL}")
    await _app(ctx, state)
    app_id, api_key = state.get("app_id"), state.get("api_key")
    database_url = state.get("database_url")
    assert app_id
    assert api_key
    assert database_url
    done("App with API key and database login", app_id)
    pushed = await catalog.push(ctx, OPERATOR, dry_run=False, progress=lambda _: None)
    done("Catalogue in Stripe", f"{len(pushed)} prices")
    return Ready(app_id=app_id, api_key=api_key, database_url=database_url, user_id=user_id)


async def _user(ctx: Context, email: str, password: str, role: Role) -> int:
    try:
        return (await users.find(ctx, OPERATOR, email)).user_id
    except UserNotFoundError:
        made = await users.create_user(ctx, email, password, role, allow_common=True)
        return made.user_id


async def _app(ctx: Context, state: State) -> None:
    if state.get("app_id") is None:
        made = await apps.register(
            ctx,
            OPERATOR,
            name=APP_NAME,
            domain="127.0.0.1",
            permissions=tuple(Permission),
        )
        state.keep(app_id=made.app.public_id, api_key=made.issued.secret)
    app_id = state.get("app_id")
    assert app_id
    # A new password at each start: the embedded server may listen on another port than last time.
    login = await apps.create_database_login(ctx, OPERATOR, app_id)
    state.keep(database_url=login.url)


def write_env(path: Path, variables: dict[str, str]) -> None:
    """A file for ``set -a; . .demo/env``: what the examples of the source documents read."""
    lines = [f"{name}={shlex.quote(value)}" for name, value in sorted(variables.items())]
    write_private(path, "\n".join(lines) + "\n")
