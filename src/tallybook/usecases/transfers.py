"""Transfers: read what happened in a wallet."""

from __future__ import annotations

from tallybook.domain.errors import WalletNotFoundError
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger.requests import Transfer
from tallybook.domain.ledger.sight import shown_to
from tallybook.postgres import ledger
from tallybook.postgres.access import visible_wallet
from tallybook.usecases.context import Context


async def history(ctx: Context, caller: Caller, wallet_id: int, *, before: int, limit: int) -> list[Transfer]:
    """Transfers of a wallet, newest first: up to ``limit`` with a version below ``before``."""
    async with ctx.db.snapshot() as tx:
        await visible_wallet(tx, caller, wallet_id, Permission.READ_CREDITS)
        found = await ledger.transfers_before(tx, wallet_id, before=before, limit=limit)
    return [shown_to(caller, line) for line in found]


async def transfer(ctx: Context, caller: Caller, transfer_id: LedgerId) -> Transfer:
    """One transfer of a wallet that the caller may read; ``WalletNotFoundError`` when it is none."""
    async with ctx.db.snapshot() as tx:
        await visible_wallet(tx, caller, transfer_id.wallet_id, Permission.READ_CREDITS)
        found = await ledger.transfer(tx, transfer_id)
    if found is None:
        raise WalletNotFoundError("There is no such transfer, or it is not yours.")
    return shown_to(caller, found)
