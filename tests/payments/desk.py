"""A till: the service's use cases over a fresh database, a customer, and the Stripe sandbox as a real process."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

import psycopg
from databases import TestDatabase
from sandbox.process import KEY, Running

from tallybook.domain.catalog.products import Catalog
from tallybook.domain.identity.callers import Caller
from tallybook.domain.payments.checkouts import Checkout
from tallybook.postgres.fresh import Fresh
from tallybook.postgres.group_commit import GroupCommit
from tallybook.postgres.known import Known
from tallybook.postgres.pool import Database
from tallybook.postgres.shop import Shop
from tallybook.security.sealing import Sealer
from tallybook.stripe.gateway import PINNED_API_VERSION, StripeGateway
from tallybook.usecases import checkouts, intake, signing_keys
from tallybook.usecases.context import Context
from tallybook.worker.main import work_off

SECRET = "signing-secret-of-the-tests"
OPERATOR = Caller(is_admin=True)
SUCCESS = "http://localhost:3000/credits/success"
CANCEL = "http://localhost:3000/credits"


def system_clock() -> datetime:
    """The time now: the sandbox signs by it."""
    return datetime.now(UTC)


def signed(raw: bytes, *, secret: str = SECRET, at: datetime | None = None) -> str:
    """A signature header as Stripe makes it."""
    stamp = int((at or system_clock()).timestamp())
    mac = hmac.new(secret.encode(), f"{stamp}.".encode() + raw, hashlib.sha256).hexdigest()
    return f"t={stamp},v1={mac}"


@dataclass(slots=True)
class Till:
    """What a test of payments does, in a line each."""

    ctx: Context
    sandbox: Running
    database: TestDatabase
    user_id: int

    @property
    def caller(self) -> Caller:
        """The customer, signed in."""
        return Caller(user_id=self.user_id)

    async def open(self, reference: str | int = "package_starter", **terms: Any) -> Checkout:
        """Open a checkout for the customer."""
        order: dict[str, Any] = {
            "quantity": 1,
            "success_url": SUCCESS,
            "cancel_url": CANCEL,
            "user_id": None,
            "mode": "payment",
            "key": None,
        } | terms
        opened = await checkouts.open_checkout(self.ctx, self.caller, reference=reference, **order)
        return opened.checkout

    def pay(self, checkout: Checkout, **how: Any) -> dict[str, Any]:
        """Pay on the hosted page, by default with a good card."""
        how = how or {"card": "4242424242424242"}
        return self.sandbox.control(f"checkout/sessions/{checkout.stripe_session_id}/pay", **how)

    def stripe_get(self, path: str, **params: Any) -> Any:
        """Look at something in the sandbox through its API."""
        return self.sandbox.http().get(path, params=params).json()

    def stripe_post(self, path: str, **form: Any) -> Any:
        """Do something in the sandbox through its API."""
        return self.sandbox.http().post(path, data=form).json()

    def events(self, checkout: Checkout) -> list[dict[str, Any]]:
        """Every event about a checkout's session or its payment, oldest first."""
        session = self.stripe_get(f"/v1/checkout/sessions/{checkout.stripe_session_id}")
        wanted = {session["id"], session["payment_intent"]} - {None}
        page = self.stripe_get("/v1/events", limit=100)["data"]
        about = [
            event
            for event in page
            if event["data"]["object"]["id"] in wanted
            or event["data"]["object"].get("payment_intent") in wanted
        ]
        return list(reversed(about))

    async def deliver(self, event: dict[str, Any], *, path: str = "stripe", secret: str = SECRET) -> None:
        """Deliver an event as Stripe would, without the HTTP around it."""
        raw = json.dumps(event).encode()
        await intake.receive(self.ctx, path=path, raw=raw, signature=signed(raw, secret=secret))

    async def deliver_all(self, checkout: Checkout) -> None:
        """Deliver everything that happened to a checkout, and have it worked off."""
        for event in self.events(checkout):
            await self.deliver(event)
        await work_off(self.ctx)

    def credits(self, user_id: int | None = None) -> int:
        """How many whole credits a user has, by default the customer."""
        rows = self.ask(
            "SELECT available_micro FROM tallybook.wallets WHERE owner_user_id = %s",
            user_id or self.user_id,
        )
        return sum(int(row[0]) for row in rows) // 1_000_000

    async def status(self, checkout: Checkout) -> str:
        """How far a checkout is by our books."""
        found = await checkouts.checkout(self.ctx, self.caller, checkout.checkout_id)
        return str(found.status)

    def ask(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask or tell the database as superuser."""
        with psycopg.connect(self.database.superuser_url, autocommit=True) as connection:
            cursor = connection.execute(statement, values)
            return cursor.fetchall() if cursor.description else []

    def inbox(self) -> list[tuple[Any, ...]]:
        """Type, status and outcome of every stored event."""
        return self.ask(
            "SELECT type, status, outcome FROM tallybook.stripe_events ORDER BY received_at, event_id"
        )

    def grants(self) -> int:
        """How many grants there are in the ledger."""
        [[count]] = self.ask("SELECT count(*) FROM tallybook.transfers WHERE kind = 'grant'")
        assert isinstance(count, int)
        return count

    def but(self, **changes: Any) -> Till:
        """The same till with a changed context."""
        return replace(self, ctx=replace(self.ctx, **changes))


def add_user(database: TestDatabase, email: str) -> int:
    """A customer, straight into the database: signing up is tested elsewhere."""
    with psycopg.connect(database.superuser_url, autocommit=True) as connection:
        row = connection.execute(
            "INSERT INTO tallybook.users"
            " (email, email_key, password_hash, sessions_valid_from, created_at, updated_at)"
            " VALUES (%s, %s, '-', now(), now(), now()) RETURNING user_id",
            [email, email],
        ).fetchone()
    assert row is not None
    return int(row[0])


def default_catalog() -> Catalog:
    """The catalogue that comes along."""
    return Catalog.parse((files("tallybook") / "catalog.toml").read_text(encoding="utf-8"))


@asynccontextmanager
async def open_till(database: TestDatabase, sandbox: Running) -> AsyncIterator[Till]:
    """A till over a database and a sandbox."""
    db = await Database.connect(database.service_url)
    fresh = Fresh(db)
    gateway = StripeGateway(KEY, api_base=sandbox.base_url, api_version=PINNED_API_VERSION)
    sealer = Sealer("a secret of the tests, thirty-two characters and more")
    context = Context(
        db=db,
        group_commit=GroupCommit(db, system_clock),
        fresh=fresh,
        known=Known(db, fresh),
        stripe=gateway,
        signer=await signing_keys.ensure_signer(db, sealer, system_clock, "http://testserver"),
        sealer=sealer,
        catalog=default_catalog(),
        shop=Shop(db, default_catalog(), public_url="http://localhost:3000", stripe=True),
        clock=system_clock,
        livemode=False,
        webhook_secrets=dict.fromkeys(("stripe", "credits", "v1"), (SECRET,)),
        pages_url="http://localhost:3000",
        allowed_return_origins=(),
        session_token_seconds=600,
        session_seconds=3600,
    )
    try:
        yield Till(context, sandbox, database, add_user(database, "ada@example.com"))
    finally:
        await gateway.close()
        await context.group_commit.close()
        await db.close()
