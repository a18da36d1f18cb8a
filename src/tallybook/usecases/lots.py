"""Lots: what a wallet's credits are made of, and credits that go back to the lots they came from."""

from __future__ import annotations

from tallybook.domain.errors import (
    BillingError,
    PermissionDeniedError,
    TransferNotFoundError,
    WalletNotFoundError,
)
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import Answer, Lot, Note
from tallybook.domain.money import Credits
from tallybook.postgres import audited, ledger
from tallybook.postgres.access import visible_wallet
from tallybook.usecases.context import Context


async def lots(ctx: Context, caller: Caller, wallet_id: int) -> list[Lot]:
    """The lots that still have credits, in the order in which they burn."""
    async with ctx.db.snapshot() as tx:
        await visible_wallet(tx, caller, wallet_id, Permission.READ_CREDITS)
        return await ledger.lots(tx, wallet_id)


async def give_back(
    ctx: Context,
    caller: Caller,
    transfer_id: LedgerId,
    *,
    credits: Credits | None,
    key: str | None,
    note: Note | None = None,
) -> Answer:
    """Give credits of a spend or a capture back, as if the work had cost less; by default all that is left of it.

    A customer's session may not: it would make the app's work free.

    Raises:
        TransferNotFoundError: no spend or capture of this app's. GiveBackExceedsError: more than is left of it.
        PermissionDeniedError: neither the app's key nor an admin.
    """
    if not (caller.by_key or caller.rules_the_house):
        raise PermissionDeniedError("Giving back needs the app's own key, or an admin.")
    async with ctx.db.snapshot() as tx:
        try:
            await visible_wallet(tx, caller, transfer_id.wallet_id, Permission.CONSUME_CREDITS)
        except WalletNotFoundError:
            raise TransferNotFoundError from None
        found = await ledger.transfer(tx, transfer_id)
    if found is None:
        raise TransferNotFoundError
    app_id = found.app_id if caller.rules_the_house else caller.app_id
    posting = recipes.give_back(transfer_id, credits, app_id=app_id, key=caller.scoped_key(key), note=note)
    if caller.rules_the_house:
        answer = await audited.post(ctx.db, ctx.clock, caller.actor, posting)
    else:
        answer = await ctx.group_commit.post(posting)
    if isinstance(answer, BillingError):
        raise answer
    return answer
