"""A customer's wallet with budgets over it, in few words; amounts are whole credits. A plain module."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

from databases import FrozenClock

from tallybook.domain.identity.apps import App
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger.budgets import Budget, BudgetTerms, Period
from tallybook.domain.ledger.requests import Answer, HoldPolicy
from tallybook.domain.money import MICRO, Credits
from tallybook.usecases import apps, budgets, users, wallets
from tallybook.usecases.context import Context

OPERATOR = Caller(is_admin=True)
PASSWORD = "a good long password"


def server_of(app: App) -> Caller:
    """An app, by its key."""
    return Caller(
        app_id=app.app_id, app_public_id=app.public_id, by_key=True, permissions=frozenset(Permission)
    )


@dataclass(slots=True)
class Treasury:
    """A ledger and a clock that stands still, a customer with a hundred credits, an app with a key."""

    ctx: Context
    clock: FrozenClock
    user_id: int
    wallet_id: int
    app: App
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    @classmethod
    async def opened(cls, ctx: Context, clock: FrozenClock) -> Treasury:
        user = await users.create_user(ctx, "ada@example.com", PASSWORD)
        await wallets.grant(ctx, OPERATOR, user_id=user.user_id, credits=Credits.whole(100), key="opening")
        wallet = await wallets.wallet_of_user(ctx, OPERATOR, user.user_id)
        made = await apps.register(ctx, OPERATOR, name="one", permissions=tuple(Permission))
        return cls(ctx, clock, user.user_id, wallet.wallet_id, made.app)

    @property
    def owner(self) -> Caller:
        """The customer, signed in to the house."""
        return Caller(user_id=self.user_id)

    @property
    def server(self) -> Caller:
        """The app."""
        return server_of(self.app)

    async def another_app(self) -> App:
        """One more app that may everything."""
        name = f"app {next(self._numbers)}"
        made = await apps.register(self.ctx, OPERATOR, name=name, permissions=tuple(Permission))
        return made.app

    async def budget(
        self,
        limit: int | None,
        *,
        parent: Budget | None = None,
        period: Period = Period.NONE,
        caller: Caller | None = None,
    ) -> Budget:
        """A budget of the owner's (or of another caller's) over the wallet."""
        terms = BudgetTerms(
            name=f"budget {next(self._numbers)}",
            limit_micro=None if limit is None else limit * MICRO,
            period=period,
        )
        place = budgets.Place(wallet_id=self.wallet_id, parent=None if parent is None else parent.id)
        made = await budgets.add(self.ctx, caller or self.owner, place, terms)
        return made.budget

    async def cap(self, limit: int | None, app: App | None = None) -> Budget:
        """The owner's cap of an app."""
        micro = None if limit is None else limit * MICRO
        return await budgets.set_cap(self.ctx, self.owner, (app or self.app).public_id, micro)

    async def used(self, budget: Budget) -> tuple[int, int]:
        """What is spent and what is reserved of a budget."""
        found = await budgets.get(self.ctx, self.owner, budget.id)
        return found.spent_micro // MICRO, found.held_micro // MICRO

    async def spend(
        self,
        credits: int,
        budget: Budget | None = None,
        *,
        key: str | None = None,
        caller: Caller | None = None,
    ) -> Answer:
        return await wallets.spend(
            self.ctx,
            caller or self.server,
            credits=Credits.whole(credits),
            key=key,
            wallet_id=self.wallet_id,
            budget=None if budget is None else budget.id,
        )

    async def hold(
        self, credits: int, budget: Budget | None = None, *, on_expiry: HoldPolicy = HoldPolicy.RELEASE
    ) -> LedgerId:
        answer = await wallets.place_hold(
            self.ctx,
            self.server,
            credits=Credits.whole(credits),
            key=None,
            wallet_id=self.wallet_id,
            on_expiry=on_expiry,
            budget=None if budget is None else budget.id,
        )
        assert answer.hold is not None
        return answer.hold

    async def capture(self, hold: LedgerId, credits: int, *, final: bool = True) -> Answer:
        return await wallets.capture_hold(
            self.ctx, self.server, hold, credits=Credits.whole(credits), key=None, final=final
        )

    async def release(self, hold: LedgerId) -> Answer:
        return await wallets.release_hold(self.ctx, self.server, hold, key=None)

    async def available(self) -> int:
        """What can be spent of the wallet."""
        found = await wallets.wallet(self.ctx, OPERATOR, self.wallet_id)
        return found.available_micro // MICRO
