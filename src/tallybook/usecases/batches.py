"""Post many spends and grants in one call: each by itself, or all or nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from tallybook.domain.errors import BillingError, UserInactiveError, UserNotFoundError, WalletNotFoundError
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.batches import BatchItem, BatchMode, Outcome, refused_by
from tallybook.domain.ledger.requests import Posting
from tallybook.postgres import audited, ledger
from tallybook.postgres.access import visible_wallet
from tallybook.postgres.pool import Transaction
from tallybook.usecases.context import Context

AT_ONCE = 2_000
"""How many items one transaction posts when each stands by itself: nobody waits longer for a wallet of theirs."""


async def post(ctx: Context, caller: Caller, items: Sequence[BatchItem], mode: BatchMode) -> list[Outcome]:
    """What became of each item, in order. With ``all`` every item is booked or none is.

    Raises:
        BatchRefusedError: ``all``, and an item was refused; its keys are answered so from now on.
        PermissionDeniedError: the caller may not spend (or add credits) for others; nothing was done.
    """
    if any(item.is_grant for item in items):
        caller.require_grant()
    for item in items:
        if item.wallet_id is None:
            caller.user_for(item.user_id, _permission(item))
        else:
            caller.require(_permission(item))
    asked = await _asked(ctx, caller, items)
    if mode is BatchMode.ALL:
        return await _all(ctx, caller, asked)
    outcomes: list[Outcome] = []
    for start in range(0, len(asked), AT_ONCE):
        outcomes += await _each(ctx, caller, asked[start : start + AT_ONCE])
    return outcomes


async def _each(ctx: Context, caller: Caller, asked: Sequence[Posting | BillingError]) -> list[Outcome]:
    postings = [one for one in asked if isinstance(one, Posting)]
    async with ctx.db.transaction(patient=True) as tx:
        answers = await ledger.post(tx, ctx.clock(), postings, wait=True) if postings else []
        await _audit(ctx, tx, caller, postings, answers)
    coming = iter(answers)
    return [next(coming) if isinstance(one, Posting) else one for one in asked]


async def _all(ctx: Context, caller: Caller, asked: Sequence[Posting | BillingError]) -> list[Outcome]:
    postings = [one for one in asked if isinstance(one, Posting)]
    for index, one in enumerate(asked):
        if isinstance(one, BillingError):
            raise refused_by(index, one)
    async with ctx.db.transaction(patient=True) as tx:
        answers = await ledger.post_all(tx, ctx.clock(), postings)
        if not isinstance(answers, BillingError):
            await _audit(ctx, tx, caller, postings, answers)
    # Raised outside the block: the refusal is stored.
    if isinstance(answers, BillingError):
        raise answers
    return list(answers)


async def _audit(
    ctx: Context, tx: Transaction, caller: Caller, postings: Sequence[Posting], answers: Sequence[Outcome]
) -> None:
    """Additions, and all that the house does, are written down with the transfer."""
    for posting, answer in zip(postings, answers, strict=True):
        if posting.op == "grant" or caller.rules_the_house:
            await audited.record(tx, ctx.clock(), caller.actor, posting, answer)


async def _wallets(tx: Transaction, caller: Caller, wallet_ids: set[int]) -> dict[int, bool]:
    """Of the wallets that the caller may act on: whether the owner of each is active."""
    if caller.by_key or caller.rules_the_house:
        return await ledger.owners(tx, wallet_ids)
    found: dict[int, bool] = {}
    for wallet_id in wallet_ids:
        with contextlib.suppress(WalletNotFoundError):
            wallet = await visible_wallet(tx, caller, wallet_id, Permission.CONSUME_CREDITS)
            found[wallet_id] = wallet.owner_is_active
    return found


def _permission(item: BatchItem) -> Permission:
    return Permission.GRANT_CREDITS if item.is_grant else Permission.CONSUME_CREDITS


async def _asked(ctx: Context, caller: Caller, items: Sequence[BatchItem]) -> list[Posting | BillingError]:
    """A posting for each item, or why its wallet cannot be had."""
    async with ctx.db.transaction() as tx:
        users = await ledger.places(tx, {item.user_id or caller.user_id or 0 for item in items})
        wallets = await _wallets(tx, caller, {item.wallet_id for item in items if item.wallet_id is not None})
        for user_id, (is_active, opened) in users.items():
            if is_active and opened is None:
                users[user_id] = (True, await ledger.open_wallet(tx, ctx.clock(), user_id=user_id))
    asked: list[Posting | BillingError] = []
    active: bool | None
    wallet_id: int | None
    for item in items:
        user_id = item.user_id or caller.user_id or 0
        if item.wallet_id is not None:
            active, wallet_id = wallets.get(item.wallet_id), item.wallet_id
        else:
            active, wallet_id = users.get(user_id, (None, None))
        if active is None:
            asked.append(
                UserNotFoundError(user_id=user_id) if item.wallet_id is None else WalletNotFoundError()
            )
        elif not active:
            asked.append(UserInactiveError(user_id=item.user_id))
        else:
            assert wallet_id is not None
            asked.append(_posting(caller, item, wallet_id))
    return asked


def _posting(caller: Caller, item: BatchItem, wallet_id: int) -> Posting:
    recipe = recipes.adjustment if item.is_grant else recipes.spend
    return recipe(
        wallet_id, item.credits, app_id=caller.app_id, key=caller.scoped_key(item.key), note=item.note
    )
