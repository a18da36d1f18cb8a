"""Wallets that move and alerts that watch them, in few words; amounts are whole credits. A plain module."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import psycopg
from alerts.model import Line
from databases import FrozenClock, TestDatabase
from psycopg.rows import dict_row

from tallybook.domain.alerts.alerts import Alert, AlertKind, AlertTerms, Span, Verdict
from tallybook.domain.errors import BillingError
from tallybook.domain.identity.callers import Caller
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Account, Answer, Posting
from tallybook.domain.money import MICRO, Credits, Money
from tallybook.postgres import ledger
from tallybook.usecases import alerts, users
from tallybook.usecases.context import Context

OPERATOR = Caller(is_admin=True)


def low_balance(credits: int, margin: int = 0) -> AlertTerms:
    """Available falls below so much."""
    return AlertTerms(
        kind=AlertKind.LOW_BALANCE, amount_micro=credits * MICRO, margin_micro=margin * MICRO
    ).completed()


def burn_rate(credits: int, span: Span = Span.HOUR, rearm_percent: int | None = None) -> AlertTerms:
    """More than so much is spent within the span."""
    return AlertTerms(
        kind=AlertKind.BURN_RATE, amount_micro=credits * MICRO, span=span, rearm_percent=rearm_percent
    ).completed()


def spend_threshold(
    credits: int, span: Span = Span.MONTH, percents: tuple[int, ...] | None = None
) -> AlertTerms:
    """So much is the budget of a period."""
    return AlertTerms(
        kind=AlertKind.SPEND_THRESHOLD, amount_micro=credits * MICRO, span=span, percents=percents
    ).completed()


@dataclass(slots=True)
class Desk:
    """A ledger, a clock, and the alerts over them."""

    ctx: Context
    clock: FrozenClock
    database: TestDatabase
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    async def a_wallet(self, credits: int = 0) -> int:
        """The wallet of a new user."""
        email = f"user{next(self._numbers)}@example.com"
        user = await users.create_user(self.ctx, email, "a good long password")
        async with self.ctx.db.transaction() as tx:
            wallet = await ledger.open_wallet(tx, self.clock(), user_id=user.user_id)
        if credits:
            await self.grant(wallet, credits)
        return wallet

    async def post_all(self, requests: list[Posting]) -> list[Answer | BillingError]:
        """One batch in one transaction, now."""
        async with self.ctx.db.transaction() as tx:
            return await ledger.post(tx, self.clock(), requests, wait=True)

    async def post(self, request: Posting) -> Answer:
        """One request; raises its refusal."""
        [answer] = await self.post_all([request])
        if isinstance(answer, BillingError):
            raise answer
        return answer

    async def grant(self, wallet: int, credits: int) -> Answer:
        paid = Money(1000, "usd")
        key = f"grant-{next(self._numbers)}"
        return await self.post(
            recipes.purchase(wallet, Credits.whole(credits), paid=paid, reference=key, key=key)
        )

    async def spend(self, wallet: int, credits: int) -> Answer:
        return await self.post(recipes.spend(wallet, Credits.whole(credits), app_id=0, key=None))

    async def hold(self, wallet: int, credits: int) -> LedgerId:
        lifetime = recipes.HOLD_LIFETIME_MAX_SECONDS
        answer = await self.post(
            recipes.hold(wallet, Credits.whole(credits), app_id=0, key=None, lifetime_seconds=lifetime)
        )
        assert answer.hold is not None
        return answer.hold

    async def capture(self, hold: LedgerId, credits: int) -> Answer:
        return await self.post(recipes.capture(hold, Credits.whole(credits), app_id=0, key=None))

    async def give_back(self, wallet: int, credits: int) -> Answer:
        """Usage that is returned."""
        return await self.post(
            Posting(
                op="grant",
                wallet_id=wallet,
                app_id=0,
                key=None,
                amount_micro=credits * MICRO,
                house=Account.USAGE,
                source="usage_refund",
            )
        )

    async def claw_back(self, wallet: int, credits: int) -> Answer:
        """Credits whose money went back; what is not there becomes debt."""
        number = next(self._numbers)
        return await self.post(
            recipes.clawback(wallet, Credits.whole(credits), house=Account.REFUNDED, key=f"refund-{number}")
        )

    async def set_alert(self, wallet: int | None, terms: AlertTerms) -> Alert:
        """An alert on a wallet, or on all."""
        place = alerts.Place(wallet_id=wallet, every_wallet=wallet is None)
        made = await alerts.add(self.ctx, OPERATOR, place, terms)
        return made.alert

    async def look(self, **how: int) -> int:
        """Passes until a whole round has found nothing to do; how much they announced."""
        announced = 0
        rounds = 0
        while rounds < 2:
            done = await alerts.evaluate(self.ctx, **how)
            assert done.verdict is not Verdict.BUSY
            announced += done.announced
            rounds = rounds + 1 if done.verdict is Verdict.ROUND else 0 if done.announced else rounds
        return announced

    def rows(self, query: str, *values: Any) -> list[dict[str, Any]]:
        """Ask as the superuser."""
        with psycopg.connect(self.database.superuser_url, row_factory=dict_row) as connection:
            return list(connection.execute(query, values))

    def announced(self, wallet: int | None = None, alert: Alert | None = None) -> list[dict[str, Any]]:
        """What was announced, in order."""
        found = self.rows("SELECT * FROM tallybook.announcements ORDER BY announcement_id")
        return [
            row
            for row in found
            if (wallet is None or row["wallet_id"] == wallet)
            and (alert is None or row["facts"]["alert"] == f"alr_{alert.alert_id}")
        ]

    def crossed(self, wallet: int, alert: Alert) -> list[tuple[int, int | None]]:
        """The transfers that an alert announced, and for a threshold the percentages, as the model says them."""
        return [
            (
                int(row["facts"].get("transfer", "trf_0_0").rpartition("_")[2]),
                row["facts"].get("percent"),
            )
            for row in self.announced(wallet, alert)
        ]

    def history(self, wallet: int) -> list[Line]:
        """A wallet's transfers as the model reads them."""
        found = self.rows("SELECT * FROM tallybook.transfers WHERE wallet_id = %s ORDER BY version", wallet)
        return [
            Line(
                version=row["version"],
                at=int(row["created_at"].timestamp()),
                spent=row["amount_micro"] * ((row["credit"] == "usage") - (row["debit"] == "usage")),
                available=row["available_after"],
                ends_request=following is None or following["part_of"] is None,
            )
            for row, following in itertools.zip_longest(found, found[1:])
        ]
