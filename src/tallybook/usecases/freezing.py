"""Frozen wallets: an admin stops a wallet from spending and holding, and lets it go on."""

from __future__ import annotations

from tallybook.domain.identity.callers import Caller
from tallybook.domain.ledger.requests import Wallet
from tallybook.postgres import audit, ledger, money_back
from tallybook.usecases.context import Context


async def freeze(ctx: Context, caller: Caller, wallet_id: int, *, frozen: bool) -> Wallet:
    """Freeze a wallet, or end the freeze that an admin began; repeating it is harmless.

    Open holds are settled and money that comes or goes back moves as ever. What an open dispute froze stays so.

    Raises:
        AdminRequiredError: the caller is none. WalletNotFoundError: there is no such wallet.
    """
    caller.require_admin()
    async with ctx.db.transaction(patient=True) as tx:
        await ledger.wallet(tx, wallet_id)
        now = ctx.clock()
        news = await money_back.freeze(tx, now, wallet_id, cause=money_back.BY_ADMIN, frozen=frozen)
        if news:
            act = "wallet.frozen" if frozen else "wallet.thawed"
            await audit.record(tx, now, caller.actor, act, ("wallet", str(wallet_id)))
        return await ledger.wallet(tx, wallet_id)
