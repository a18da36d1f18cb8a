"""Wallets: read them, spend and add credits, hold, capture, release; and verify the books."""

from __future__ import annotations

from datetime import datetime

from tallybook.domain.errors import (
    BillingError,
    BudgetNotFoundError,
    HoldNotFoundError,
    InsufficientCreditsError,
    UserInactiveError,
    UserNotFoundError,
    WalletNotFoundError,
)
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger import recipes
from tallybook.domain.ledger.requests import (
    Affordability,
    Answer,
    Hold,
    HoldPolicy,
    Note,
    Posting,
    Wallet,
)
from tallybook.domain.ledger.sight import answered_to, may_see, may_settle
from tallybook.domain.money import Credits
from tallybook.postgres import access, audited, ledger
from tallybook.postgres.known import WalletOwner
from tallybook.security import payment_help, resume_tokens
from tallybook.usecases.context import Context


async def wallet_of_user(ctx: Context, caller: Caller, user_id: int | None) -> Wallet:
    """The default wallet of a user, opened if it was not yet; the caller's own if no user is named."""
    user_id = caller.user_for(user_id, Permission.READ_CREDITS)
    found = await ctx.fresh.user_wallet.get(user_id)
    if found is None:
        raise UserNotFoundError(user_id=user_id)
    if found.wallet is not None:
        return found.wallet
    async with ctx.db.transaction() as tx:
        wallet_id = await ledger.open_wallet(tx, ctx.clock(), user_id=user_id)
        return await ledger.wallet(tx, wallet_id)


async def wallet(ctx: Context, caller: Caller, wallet_id: int) -> Wallet:
    """A wallet by id; ``WalletNotFoundError`` when there is none, or it is another user's."""
    await _visible(ctx, caller, wallet_id, Permission.READ_CREDITS)
    found = await ctx.fresh.wallet.get(wallet_id)
    if found is None:
        raise WalletNotFoundError
    return found


async def check(ctx: Context, caller: Caller, user_id: int | None, required: Credits | None) -> Affordability:
    """Whether a user can pay ``required`` (default: nothing) right now."""
    found = await wallet_of_user(ctx, caller, user_id)
    return Affordability(available=Credits(found.available_micro), required=required or Credits(0))


async def spend(
    ctx: Context,
    caller: Caller,
    *,
    credits: Credits,
    key: str | None,
    user_id: int | None = None,
    wallet_id: int | None = None,
    note: Note | None = None,
    resume: str | None = None,
    budget: LedgerId | None = None,
) -> Answer:
    """Spend credits of a user (or of a wallet) at once; ``resume`` is the token of the same spend's refusal.

    Raises:
        InsufficientCreditsError: not enough; nothing was taken. BudgetExceededError: a budget forbids it.
        IdempotencyKeyReusedError: the key was used for other terms.
        ResumeTokenInvalidError: the token is for something else.
    """
    target = await _target(ctx, caller, Permission.CONSUME_CREDITS, wallet_id=wallet_id, user_id=user_id)
    key, budget_id = caller.scoped_key(key), _budget_on(target, budget)
    posting = recipes.spend(target, credits, app_id=caller.app_id, key=key, note=note, budget_id=budget_id)
    return await _post(ctx, caller, posting, resume)


async def grant(
    ctx: Context,
    caller: Caller,
    *,
    credits: Credits,
    key: str | None,
    user_id: int | None = None,
    wallet_id: int | None = None,
    expires_at: datetime | None = None,
    note: Note | None = None,
) -> Answer:
    """Add credits by hand; written to the audit log with the transfer.

    Raises:
        PermissionDeniedError: neither an admin nor an app that may grant.
    """
    caller.require_grant()
    target = await _target(ctx, caller, Permission.GRANT_CREDITS, wallet_id=wallet_id, user_id=user_id)
    posting = recipes.adjustment(
        target, credits, app_id=caller.app_id, key=caller.scoped_key(key), note=note, expires_at=expires_at
    )
    return await _post(ctx, caller, posting)


async def place_hold(
    ctx: Context,
    caller: Caller,
    *,
    credits: Credits,
    key: str | None,
    user_id: int | None = None,
    wallet_id: int | None = None,
    lifetime_seconds: int = recipes.HOLD_LIFETIME_DEFAULT_SECONDS,
    on_expiry: HoldPolicy = HoldPolicy.RELEASE,
    estimate: Credits | None = None,
    parent: LedgerId | None = None,
    note: Note | None = None,
    resume: str | None = None,
    budget: LedgerId | None = None,
) -> Answer:
    """Set credits aside before work of unknown cost, or out of a ``parent`` hold; ``resume`` as for ``spend``.

    Raises:
        InsufficientCreditsError: not enough; nothing was set aside. BudgetExceededError: a budget forbids it.
    """
    app_id, session_user_id = caller.app_id, caller.user_id
    if (token := caller.hold_token) is not None:
        parent = token.parent(parent, elsewhere=(user_id, wallet_id, budget) != (None, None, None))
        session_user_id, target = (
            token.session_user_id,
            _active(ctx, parent.wallet_id, await ctx.known.owner(parent.wallet_id)),
        )
    else:
        if parent is not None:
            app_id = (await _own_hold(ctx, caller, parent, Permission.CONSUME_CREDITS)).app_id
            wallet_id = parent.wallet_id
        target = await _target(ctx, caller, Permission.CONSUME_CREDITS, wallet_id=wallet_id, user_id=user_id)
    posting = recipes.hold(
        target,
        credits,
        app_id=app_id,
        key=caller.scoped_key(key),
        lifetime_seconds=lifetime_seconds,
        on_expiry=on_expiry,
        estimate=estimate,
        session_user_id=session_user_id,
        parent=parent,
        note=note,
        budget_id=_budget_on(target, budget),
    )
    return await _post(ctx, caller, posting, resume)


async def capture_hold(
    ctx: Context,
    caller: Caller,
    hold_id: LedgerId,
    *,
    credits: Credits,
    key: str | None,
    final: bool = True,
    allow_excess: bool = False,
    note: Note | None = None,
    resume: str | None = None,
) -> Answer:
    """Take what the work cost; if final, the rest is available again. ``resume`` as for ``spend``.

    Raises:
        HoldNotFoundError: none, or another app's or user's. HoldSettledError: nothing is left of it.
        CaptureExceedsHoldError: more than is left of it.
    """
    if allow_excess:
        caller.require(Permission.EXCEED_HOLDS)
    held = await _own_hold(ctx, caller, hold_id, Permission.CONSUME_CREDITS)
    posting = recipes.capture(
        hold_id,
        credits,
        app_id=held.app_id,
        key=caller.scoped_key(key),
        final=final,
        allow_excess=allow_excess,
        note=note,
    )
    return await _post(ctx, caller, posting, resume)


async def release_hold(
    ctx: Context, caller: Caller, hold_id: LedgerId, *, key: str | None, note: Note | None = None
) -> Answer:
    """Give back all that is left of a hold.

    Raises:
        HoldNotFoundError: none, or another app's or user's. HoldSettledError: nothing is left of it.
    """
    held = await _own_hold(ctx, caller, hold_id, Permission.CONSUME_CREDITS)
    posting = recipes.release(hold_id, app_id=held.app_id, key=caller.scoped_key(key), note=note)
    return await _post(ctx, caller, posting)


async def hold(ctx: Context, caller: Caller, hold_id: LedgerId) -> Hold:
    """A hold as it is now; ``HoldNotFoundError`` when there is none, or it is another app's or user's."""
    return await _own_hold(ctx, caller, hold_id, Permission.READ_CREDITS)


async def _post(ctx: Context, caller: Caller, asked: Posting, resume: str | None = None) -> Answer:
    """Post together with whoever posts now; what needs a line in the audit log has a transaction of its own."""
    job = resume_tokens.job_of(ctx.sealer, asked, resume)
    posting = job.posting
    if _is_audited(caller, posting):
        answer = await audited.post(ctx.db, ctx.clock, caller.actor, posting)
    else:
        answer = await ctx.group_commit.post(posting)
    if isinstance(answer, InsufficientCreditsError):
        now, shortfall = ctx.clock(), Credits(answer.facts["shortfall_micro"])
        desk = await ctx.shop.desk(now, posting.wallet_id, shortfall)
        raise payment_help.helped(ctx.sealer, answer, now=now, caller=caller, job=job, desk=desk)
    if isinstance(answer, BillingError):
        raise answer
    return answered_to(caller, answer)


def _is_audited(caller: Caller, posting: Posting) -> bool:
    """Additions, and all that the house does; what apps and customers do with credits is in the ledger."""
    return posting.op == "grant" or caller.rules_the_house


async def _target(
    ctx: Context, caller: Caller, permission: Permission, *, wallet_id: int | None, user_id: int | None
) -> int:
    if wallet_id is not None:
        return _active(ctx, wallet_id, await _visible(ctx, caller, wallet_id, permission))
    user_id = caller.user_for(user_id, permission)
    place = await ctx.known.place(user_id)
    if place is None:
        raise UserNotFoundError(user_id=user_id)
    if not place.is_active:
        raise UserInactiveError(user_id=user_id)
    wallet_id = place.wallet_id
    if wallet_id is None:
        async with ctx.db.transaction() as tx:
            wallet_id = await ledger.open_wallet(tx, ctx.clock(), user_id=user_id)
    ctx.shop.owned(wallet_id, user_id)
    return wallet_id


def _active(ctx: Context, wallet_id: int, owner: WalletOwner | None) -> int:
    """The wallet, if its owner is active."""
    assert owner is not None, wallet_id
    if not owner.is_active:
        raise UserInactiveError(user_id=owner.user_id)
    ctx.shop.owned(wallet_id, owner.user_id)
    return wallet_id


def _budget_on(wallet_id: int, budget: LedgerId | None) -> int | None:
    """The number of a budget that must be this wallet's; whether it is there the ledger says."""
    if budget is not None and budget.wallet_id != wallet_id:
        raise BudgetNotFoundError
    return None if budget is None else budget.version


async def _visible(ctx: Context, caller: Caller, wallet_id: int, permission: Permission) -> WalletOwner:
    """Whose the wallet is, if the caller may act on it; a stranger learns nothing, not even that it exists."""
    caller.require(permission)
    owner = await ctx.known.owner(wallet_id)
    if owner is None:
        raise WalletNotFoundError
    member = caller.user_id is not None and await ctx.known.is_member(owner.organisation_id, caller.user_id)
    if not may_see(caller, owner.user_id, is_member=member):
        raise WalletNotFoundError
    return owner


async def _own_hold(ctx: Context, caller: Caller, hold_id: LedgerId, permission: Permission) -> Hold:
    if caller.hold_token is not None:
        async with ctx.db.snapshot() as tx:
            return await access.own_hold(tx, caller, hold_id, permission)
    try:
        await _visible(ctx, caller, hold_id.wallet_id, permission)
    except WalletNotFoundError:
        raise HoldNotFoundError from None
    found = await ctx.fresh.hold.get(hold_id)
    if found is None or not may_settle(caller, found):
        raise HoldNotFoundError
    return found
