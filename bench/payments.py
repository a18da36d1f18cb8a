"""Real payments for the intake to hear of: checkouts of the service, paid at the sandbox, with the events of each.

Nobody delivers these events here: the load generator does, when it is their turn.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import httpx

from bench.ground import Ground
from bench.ways import ours
from tallybook import app
from tallybook.domain.identity.callers import Caller
from tallybook.domain.payments.handled import HANDLED_TYPES
from tallybook.settings import load as load_settings
from tallybook.usecases import apps, catalog

PRICE = "pack_100"
RECORDED = "charge.succeeded"
"""A type of a payment's events that is recorded and never worked on."""
_KEY = "sk_test_bench"
_AT_ONCE = 4
_PAGE = 100
_OPERATOR = Caller(is_admin=True)


def settings_for(stripe_url: str, signing_secret: str) -> dict[str, str]:
    """The service's settings for this Stripe."""
    return {
        "STRIPE_SECRET_KEY": _KEY,
        "STRIPE_API_BASE": stripe_url,
        "STRIPE_WEBHOOK_SECRET": signing_secret,
    }


@dataclass(frozen=True, slots=True)
class Payment:
    """A session that was paid, and what Stripe has to say of it, oldest first."""

    session: str
    events: list[dict[str, Any]]

    @property
    def to_work_on(self) -> list[dict[str, Any]]:
        """Those that the worker has work with."""
        return [event for event in self.events if event["type"] in HANDLED_TYPES]


class Shop:
    """Sells packs to a customer each."""

    def __init__(self, ground: Ground, secret: str, port: int, stripe: Mapping[str, str]) -> None:
        """Sell through the service on this port."""
        self._ground = ground
        self._service = f"http://127.0.0.1:{port}"
        self._stripe = stripe["STRIPE_API_BASE"]
        self._api_key = asyncio.run(_opened(ground, secret, stripe))

    def sell(self, count: int) -> list[Payment]:
        """As many payments, each of a customer of its own."""
        users = ours.open_users(self._ground.product_url, count)
        ours.born_wallets(self._ground.product_url, users)
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            sessions = list(threads.map(self._sold, users))
        events = self._events(set(sessions))
        return [Payment(session, events[session]) for session in sessions]

    def _sold(self, user: int) -> str:
        opened = httpx.post(
            f"{self._service}/v1/checkouts",
            json={
                "price": PRICE,
                "user_id": user,
                "success_url": "http://localhost:3000/credits/success",
                "cancel_url": "http://localhost:3000/credits",
            },
            headers={"X-API-Key": self._api_key, "Idempotency-Key": f"checkout-{user}"},
            timeout=60,
        )
        assert opened.status_code == 201, opened.text
        session = str(opened.json()["stripe_session_id"])
        paid = httpx.post(f"{self._stripe}/_sandbox/checkout/sessions/{session}/pay", json={}, timeout=60)
        assert paid.json().get("outcome") == "succeeded", paid.text
        return session

    def _events(self, sessions: set[str]) -> dict[str, list[dict[str, Any]]]:
        """The events of some sessions, by session: of the session itself, its payment intent and its charge."""
        every = self._every_event()
        of_intent = {
            event["data"]["object"]["payment_intent"]: event["data"]["object"]["id"]
            for event in every
            if event["type"] == "checkout.session.completed" and event["data"]["object"]["id"] in sessions
        }
        found: dict[str, list[dict[str, Any]]] = {session: [] for session in sessions}
        for event in every:
            about = event["data"]["object"]
            intent = about["id"] if about["object"] == "payment_intent" else about.get("payment_intent")
            if intent in of_intent:
                found[of_intent[intent]].append(event)
        return found

    def _every_event(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        with httpx.Client(base_url=self._stripe, headers={"Authorization": f"Bearer {_KEY}"}) as stripe:
            more = True
            while more:
                after = {"starting_after": found[-1]["id"]} if found else {}
                page = stripe.get("/v1/events", params={"limit": _PAGE, **after}, timeout=60).json()
                found += page["data"]
                more = page["has_more"]
        return found[::-1]


def body(event: dict[str, Any]) -> str:
    """An event as Stripe would send it."""
    return json.dumps(event)


def template(event: dict[str, Any], **about: str) -> str:
    """An event like this one, of other objects perhaps, with a place for its id."""
    subject = event["data"]["object"] | about
    return json.dumps(event | {"id": "{event}", "data": {"object": subject}})


async def _opened(ground: Ground, secret: str, stripe: Mapping[str, str]) -> str:
    """Carry the catalogue to Stripe; gives the key of an app that may sell."""
    settings = load_settings(
        _env_file=None,
        database_url=ground.service_url,
        secret_key=secret,
        **{name.lower(): value for name, value in stripe.items()},
    )
    installation = app.Installation(
        service_url=ground.service_url, owner_url=ground.owner_url, secret=secret, embedded=None
    )
    async with app.open_context(settings, installation) as ctx:
        await catalog.push(ctx, _OPERATOR, dry_run=False, progress=lambda _: None)
        return (await apps.register(ctx, _OPERATOR, name="bench shop")).issued.secret
