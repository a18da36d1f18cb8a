"""Budgets of a wallet, and caps: make them, limit them, look at them.

A wallet's owner keeps budgets, signed in to Tallybook itself (of an organisation's wallet its owners keep them, its
members see them); an app's key with ``consume_credits`` keeps its own; an admin keeps all.
"""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.domain.errors import (
    AdminRequiredError,
    BudgetNotFoundError,
    NotFoundError,
    UserInactiveError,
    WalletNotFoundError,
)
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger.budgets import Budget, BudgetTerms
from tallybook.postgres import access, audit, budgets, ledger, organisations, registry, remembered
from tallybook.postgres.pool import Transaction
from tallybook.usecases.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """A new budget, or the one that this key made before."""

    budget: Budget
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Over which wallet: the one of the parent, of an id, of a user; with none of them the caller's own."""

    wallet_id: int | None = None
    user_id: int | None = None
    parent: LedgerId | None = None


async def add(
    ctx: Context, caller: Caller, place: Place, terms: BudgetTerms, *, key: str | None = None
) -> Made:
    """Make a budget.

    Raises:
        WalletNotFoundError: there is no such wallet, or it is another's.
        BudgetNotFoundError: the parent is none, of another wallet, or another app's.
        InvalidRequestError: there is no room below the parent.
    """
    _require(caller)
    scope = "budgets.add:{}:{}".format(*caller.actor)
    parent = None if place.parent is None else place.parent.wire("bud")
    asked = [place.wallet_id, place.user_id, parent, _told(terms)]
    sealed_terms = ctx.sealer.terms("add budget", asked)
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        kept = None if key is None else await remembered.recall(tx, scope, key, sealed_terms)
        if kept is not None:
            made = LedgerId(*ctx.sealer.open_json(kept, scope))
            return Made(budget=await _seen(ctx, tx, caller, made), replayed=True)
        wallet_id = await _wallet(ctx, tx, caller, place)
        if place.parent is not None:
            await _below(ctx, tx, caller, place.parent, wallet_id)
        budget = await budgets.add(
            tx, now, terms, wallet_id=wallet_id, parent=place.parent, keeper_app_id=caller.app_id
        )
        subject = ("budget", budget.id.wire("bud"))
        after = {"parent": parent, **_told(terms)}
        await audit.record(tx, now, caller.actor, "budget.made", subject, after=after)
        if key is not None:
            sealed = ctx.sealer.seal_json([wallet_id, budget.id.version], scope)
            await remembered.remember(tx, now, scope, key, terms=sealed_terms, answer=sealed)
    return Made(budget=budget, replayed=False)


async def limit(ctx: Context, caller: Caller, budget_id: LedgerId, limit_micro: int | None) -> Budget:
    """Set the limit of a budget, or lift it with None; if more is used already, nothing more is let through.

    Raises:
        BudgetNotFoundError: there is none, or it is another's. PermissionDeniedError: an app, of the owner's budget.
        AdminRequiredError: a member of the organisation, but no owner.
    """
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        before = await _seen(ctx, tx, caller, budget_id, change=True)
        before.require_changed_by(caller)
        changed = await budgets.limit(tx, now, budget_id, limit_micro)
        told = {
            "before": {"limit_micro": before.terms.limit_micro},
            "after": {"limit_micro": limit_micro},
        }
        subject = ("budget", budget_id.wire("bud"))
        await audit.record(tx, now, caller.actor, "budget.limited", subject, **told)
    return changed


async def get(ctx: Context, caller: Caller, budget_id: LedgerId) -> Budget:
    """A budget as it is now.

    Raises:
        BudgetNotFoundError: there is none, or it is another's.
    """
    async with ctx.db.snapshot() as tx:
        return await _seen(ctx, tx, caller, budget_id)


async def page(
    ctx: Context, caller: Caller, place: Place, *, after: int = 0, limit: int = 50
) -> list[Budget]:
    """Up to ``limit`` budgets of a wallet with numbers above ``after``, caps among them.

    An app sees those of the owner and its own, with the cap that it has itself.
    """
    _require(caller)
    async with ctx.db.transaction() as tx:
        wallet_id = await _wallet(ctx, tx, caller, place, change=False)
        app_id = caller.app_id if caller.by_key else None
        return await budgets.page(tx, ctx.clock(), wallet_id, app_id=app_id, after=after, limit=limit)


async def set_cap(ctx: Context, caller: Caller, app_public_id: str, limit_micro: int | None) -> Budget:
    """Limit what an app takes of the signed-in user's own wallet in a month; None lifts it. Repeating is harmless.

    Raises:
        NotFoundError: there is no such app.
    """
    user_id = caller.own_user_in_house()
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        app = await registry.app(tx, app_public_id)
        if app.is_house:
            raise NotFoundError("There is no such app.")
        wallet_id = await _wallet_of_user(ctx, tx, user_id)
        cap = await budgets.set_cap(
            tx, now, wallet_id=wallet_id, app_id=app.app_id, app_name=app.name, limit_micro=limit_micro
        )
        subject = ("budget", cap.id.wire("bud"))
        after = {"app_id": app_public_id, "limit_micro": limit_micro}
        await audit.record(tx, now, caller.actor, "cap.set", subject, after=after)
    return cap


async def caps(ctx: Context, caller: Caller) -> list[Budget]:
    """The caps on the signed-in user's own wallet, also those that were lifted."""
    user_id = caller.own_user_in_house()
    async with ctx.db.snapshot() as tx:
        _, wallet_id = await access.place_of_user(tx, user_id)
        return [] if wallet_id is None else await budgets.caps(tx, ctx.clock(), wallet_id)


def _require(caller: Caller) -> None:
    """Refuse who may have nothing to do with budgets: keys that may not spend, sessions of an app."""
    caller.require(Permission.CONSUME_CREDITS)
    if not caller.by_key and not caller.rules_the_house:
        caller.own_user_in_house()


async def _wallet(ctx: Context, tx: Transaction, caller: Caller, place: Place, *, change: bool = True) -> int:
    """The wallet that a request is about; a user's is opened if it was not yet."""
    wallet_id = place.wallet_id
    if wallet_id is None and place.user_id is None and place.parent is not None:
        wallet_id = place.parent.wallet_id
    if wallet_id is None:
        return await _wallet_of_user(ctx, tx, caller.user_for(place.user_id, Permission.CONSUME_CREDITS))
    try:
        await _authorize(tx, caller, wallet_id, change=change)
    except WalletNotFoundError:
        if place.wallet_id is None:
            raise BudgetNotFoundError from None
        raise
    return wallet_id


async def _wallet_of_user(ctx: Context, tx: Transaction, user_id: int) -> int:
    active, wallet_id = await access.place_of_user(tx, user_id)
    if not active:
        raise UserInactiveError(user_id=user_id)
    return wallet_id or await ledger.open_wallet(tx, ctx.clock(), user_id=user_id)


async def _below(ctx: Context, tx: Transaction, caller: Caller, parent: LedgerId, wallet_id: int) -> None:
    if parent.wallet_id != wallet_id:
        raise BudgetNotFoundError
    above = await budgets.one(tx, ctx.clock(), parent)
    above.require_seen_by(caller)
    above.require_room_below()


async def _authorize(tx: Transaction, caller: Caller, wallet_id: int, *, change: bool) -> None:
    """Refuse a stranger, who learns nothing; and a mere member who would change something."""
    found = await access.visible_wallet(tx, caller, wallet_id, Permission.CONSUME_CREDITS)
    if not change or found.owner_organisation_id is None or caller.by_key or caller.rules_the_house:
        return
    organisation = await organisations.one(tx, found.owner_organisation_id)
    assert organisation is not None, found.owner_organisation_id
    if caller.user_id not in organisation.owners:
        raise AdminRequiredError("This needs an owner of the organisation, or an admin.")


async def _seen(
    ctx: Context, tx: Transaction, caller: Caller, budget_id: LedgerId, *, change: bool = False
) -> Budget:
    """The budget, if it is the caller's to see; a stranger learns nothing, not even that it exists."""
    _require(caller)
    try:
        await _authorize(tx, caller, budget_id.wallet_id, change=change)
    except WalletNotFoundError:
        raise BudgetNotFoundError from None
    found = await budgets.one(tx, ctx.clock(), budget_id)
    found.require_seen_by(caller)
    return found


def _told(terms: BudgetTerms) -> dict[str, object]:
    """The terms, for the audit log and the key."""
    return {
        "name": terms.name,
        "kind": terms.kind,
        "limit_micro": terms.limit_micro,
        "period": str(terms.period),
    }
