"""Holds beside the wallet's own verbs: keep one alive, hand one on, list them, and settle what is due."""

from __future__ import annotations

from tallybook.domain.identity.callers import Caller, HoldToken, Permission
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger.carried import IssuedToken, token_until
from tallybook.domain.ledger.requests import Hold
from tallybook.domain.ledger.sight import settled_by
from tallybook.postgres import ledger
from tallybook.postgres.access import own_hold, place_of_user, visible_wallet
from tallybook.security import hold_tokens
from tallybook.usecases.context import Context

WALLETS_AT_ONCE = 100
"""How many wallets one transaction settles: thousands of holds that fall due together are not one long lock."""


async def extend(ctx: Context, caller: Caller, hold_id: LedgerId, *, lifetime_seconds: int) -> Hold:
    """Let a hold live so long from now; never shorter than it was to, so repeating it is harmless.

    Raises:
        WalletBusyError: another transaction holds the wallet.
        HoldNotFoundError: none, or another app's or user's. HoldSettledError: it is settled, or due to be.
    """
    async with ctx.db.snapshot() as tx:
        await own_hold(tx, caller, hold_id, Permission.CONSUME_CREDITS)
    # It may have to wait for the wallet, so it takes the patient lane.
    async with ctx.db.turn(hold_id.wallet_id), ctx.db.transaction(patient=True) as tx:
        await ledger.extend_hold(tx, ctx.clock(), hold_id, lifetime_seconds=lifetime_seconds)
        return await ledger.hold(tx, hold_id)


async def hand_on(
    ctx: Context, caller: Caller, hold_id: LedgerId, *, key: str, lifetime_seconds: int | None = None
) -> IssuedToken:
    """A token with which whoever carries it holds out of this hold, for so long or as long as the hold is to live.

    The same caller with the same key gets a token of the same name, which reaches what was held by the first one.

    Raises:
        HoldNotFoundError: none, or another app's or user's. HoldSettledError: it is settled, or due to be.
        PermissionDeniedError: the caller's app may not consume credits, or the caller has but a token itself.
    """
    caller.require(Permission.CONSUME_CREDITS)
    async with ctx.db.snapshot() as tx:
        found = await own_hold(tx, caller, hold_id, Permission.CONSUME_CREDITS)
    until = token_until(found, ctx.clock(), lifetime_seconds)
    name = hold_tokens.name_of(ctx.sealer, caller, hold_id, key)
    token = HoldToken(hold_id=hold_id, name=name, expires_at=until.replace(microsecond=0))
    return IssuedToken(text=hold_tokens.make(ctx.sealer, token), token=token)


async def holds(
    ctx: Context,
    caller: Caller,
    *,
    wallet_id: int | None,
    user_id: int | None,
    status: str,
    before: int,
    limit: int,
) -> list[Hold]:
    """A page of the holds of a wallet (or a user), newest first: those of them that the caller could settle."""
    async with ctx.db.snapshot() as tx:
        if wallet_id is None:
            user_id = caller.user_for(user_id, Permission.READ_CREDITS)
            wallet_id = (await place_of_user(tx, user_id))[1]
        if wallet_id is None:
            return []
        await visible_wallet(tx, caller, wallet_id, Permission.READ_CREDITS)
        return await ledger.holds(
            tx, wallet_id, settled_by(caller), status=status, before=before, limit=limit
        )


async def settle_due(ctx: Context) -> int:
    """Settle holds by their policy and expire lots, until nothing is due; gives how many."""
    settled = 0
    while True:
        async with ctx.db.transaction() as tx:
            wallets, things = await ledger.settle_due(tx, ctx.clock(), limit=WALLETS_AT_ONCE)
        settled += things
        # A wallet that somebody else holds is skipped: the next call finds it.
        if wallets == 0:
            return settled
