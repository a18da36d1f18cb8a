"""An agent run whose hold is handed on; a plain module for the tests of this folder."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger.requests import Answer
from tallybook.domain.money import Credits
from tallybook.usecases import apps, holds, sessions, users, wallets
from tallybook.usecases.context import Context

OPERATOR = Caller(is_admin=True)
M = 1_000_000


@dataclass
class Run:
    """An agent run: its app holds 20 of a customer's 100 credits, and hands the hold on."""

    ctx: Context
    user_id: int
    app: Caller
    api_key: str
    hold: LedgerId

    async def token(
        self, key: str = "agent", *, by: Caller | None = None, lifetime_seconds: int | None = None
    ) -> str:
        """A token of the run's hold."""
        made = await holds.hand_on(
            self.ctx, by or self.app, self.hold, key=key, lifetime_seconds=lifetime_seconds
        )
        return made.text

    async def carrier(self, key: str = "agent") -> Caller:
        """Whoever carries a token of the run's hold."""
        return await carrying(self.ctx, await self.token(key))

    async def place(self, caller: Caller, credits: int = 5, key: str = "job") -> Answer:
        """A sub-hold of whoever carries a token."""
        return await wallets.place_hold(self.ctx, caller, credits=Credits.whole(credits), key=key)

    async def state(self) -> tuple[int, int]:
        """What the customer has, available and held."""
        found = await wallets.wallet_of_user(self.ctx, OPERATOR, self.user_id)
        return found.available_micro // M, found.held_micro // M

    async def strangers_holds(self) -> list[LedgerId]:
        """Another token's hold, the app's own out of the same parent, and one beside it."""
        of_another_token = await self.place(await self.carrier("another"), 1)
        of_the_app = await wallets.place_hold(
            self.ctx, self.app, credits=Credits.whole(1), key="sub", parent=self.hold
        )
        beside = await wallets.place_hold(
            self.ctx, self.app, user_id=self.user_id, credits=Credits.whole(1), key="beside"
        )
        return [held(answer) for answer in (of_another_token, of_the_app, beside)]

    async def another_hold(self) -> LedgerId:
        """One more hold of the app, beside the run's."""
        return held(
            await wallets.place_hold(
                self.ctx, self.app, user_id=self.user_id, credits=Credits.whole(1), key="another"
            )
        )


async def carrying(ctx: Context, token: str) -> Caller:
    """Whoever carries this token."""
    return await sessions.authenticate(ctx, bearer=token, api_key=None)


def held(answer: Answer) -> LedgerId:
    """The hold that was placed."""
    assert answer.hold is not None
    return answer.hold


async def an_agent_run(ctx: Context) -> Run:
    """A run with a fresh customer and a fresh app."""
    user = await users.create_user(ctx, "ada@example.com", "a good long password")
    await wallets.grant(ctx, OPERATOR, user_id=user.user_id, credits=Credits.whole(100), key="g")
    made = await apps.register(ctx, OPERATOR, name="agents", permissions=tuple(Permission))
    app = Caller(
        app_id=made.app.app_id,
        app_public_id=made.app.public_id,
        by_key=True,
        permissions=frozenset(Permission),
    )
    placed = await wallets.place_hold(
        ctx, app, user_id=user.user_id, credits=Credits.whole(20), key="run", lifetime_seconds=900
    )
    return Run(ctx, user.user_id, app, made.issued.secret, held(placed))
