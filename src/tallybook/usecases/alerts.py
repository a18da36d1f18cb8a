"""Spend alerts: set, change, end and list them, read what they announced, and evaluate them.

A wallet's owner keeps alerts on it, signed in to Tallybook itself; an app's key with ``read_credits`` keeps its own on
any wallet; an admin sees all of them and keeps the defaults.
"""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.domain.alerts.alerts import (
    ALERTS_OF_A_WALLET_MAX,
    Alert,
    AlertChange,
    AlertTerms,
    Announcement,
    Pass,
)
from tallybook.domain.errors import (
    AlertLimitError,
    AlertNotFoundError,
    UserInactiveError,
    WalletNotFoundError,
)
from tallybook.domain.identity.callers import HOUSE_APP_ID, Caller, Permission
from tallybook.postgres import access, alerts, audit, ledger, remembered
from tallybook.postgres.pool import Transaction
from tallybook.usecases.context import Context

WALLETS_OF_A_PASS = 2_000
TRANSFERS_OF_A_PASS = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Set:
    """A new alert, or the one that this key set before."""

    alert: Alert
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What is to be watched: a wallet, a user's wallet, every wallet; with none of them the caller's own."""

    wallet_id: int | None = None
    user_id: int | None = None
    every_wallet: bool = False


async def add(
    ctx: Context, caller: Caller, place: Place, terms: AlertTerms, *, key: str | None = None
) -> Set:
    """Set an alert.

    Raises:
        WalletNotFoundError: there is no such wallet, or it is another's.
        AdminRequiredError: a default, and the caller is no admin.
        AlertLimitError: as many are on this wallet as there may be.
    """
    terms = terms.completed()
    _require(caller)
    scope = "alerts.add:{}:{}".format(*caller.actor)
    asked = [place.wallet_id, place.user_id, place.every_wallet, _told(terms)]
    sealed_terms = ctx.sealer.terms("add alert", asked)
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        kept = None if key is None else await remembered.recall(tx, scope, key, sealed_terms)
        if kept is not None:
            return Set(alert=await _own(tx, caller, ctx.sealer.open_json(kept, scope)), replayed=True)
        wallet_id = await _place(ctx, tx, caller, place)
        if wallet_id is not None:
            there = await alerts.count_on_wallet(tx, wallet_id, app_id=caller.app_id)
            if there >= ALERTS_OF_A_WALLET_MAX:
                raise AlertLimitError(alerts=there, alerts_max=ALERTS_OF_A_WALLET_MAX)
        made = await alerts.add(tx, now, wallet_id=wallet_id, app_id=caller.app_id, terms=terms)
        subject = ("alert", str(made.alert_id))
        after = {"wallet_id": wallet_id, **_told(terms)}
        await audit.record(tx, now, caller.actor, "alert.set", subject, after=after)
        if key is not None:
            sealed = ctx.sealer.seal_json(made.alert_id, scope)
            await remembered.remember(tx, now, scope, key, terms=sealed_terms, answer=sealed)
    return Set(alert=made, replayed=False)


async def change(ctx: Context, caller: Caller, alert_id: int, change: AlertChange) -> Alert:
    """Give an alert other terms: it begins anew. The same terms once more change nothing.

    Raises:
        AlertNotFoundError: there is none, or it is another's.
        InvalidRequestError: the change does not fit the kind of the alert.
    """
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        before = await _own(tx, caller, alert_id, lock=True)
        terms = change.of(before.terms)
        if terms == before.terms:
            return before
        changed = await alerts.change(tx, now, alert_id, terms)
        subject = ("alert", str(alert_id))
        told = {"before": _told(before.terms), "after": _told(terms)}
        await audit.record(tx, now, caller.actor, "alert.changed", subject, **told)
    return changed


async def end(ctx: Context, caller: Caller, alert_id: int) -> None:
    """End an alert; what it announced stays.

    Raises:
        AlertNotFoundError: there is none, or it is another's.
    """
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        before = await _own(tx, caller, alert_id, lock=True)
        await alerts.end(tx, now, alert_id)
        subject = ("alert", str(alert_id))
        await audit.record(tx, now, caller.actor, "alert.ended", subject, before=_told(before.terms))


async def get(ctx: Context, caller: Caller, alert_id: int) -> Alert:
    """An alert.

    Raises:
        AlertNotFoundError: there is none, or it is another's.
    """
    async with ctx.db.snapshot() as tx:
        return await _own(tx, caller, alert_id)


async def page(ctx: Context, caller: Caller, place: Place, *, after: int = 0, limit: int = 50) -> list[Alert]:
    """Up to ``limit`` alerts that the caller may look at, with numbers above ``after``.

    Of a wallet or a user if one is named: an app sees its own, the owner and an admin see everybody's.
    """
    _require(caller)
    async with ctx.db.snapshot() as tx:
        wallet_ids = await _wallets(tx, caller, place)
        app_id = caller.app_id if caller.by_key else None
        return await alerts.page(tx, wallet_ids=wallet_ids, app_id=app_id, after=after, limit=limit)


async def announcements(
    ctx: Context, caller: Caller, place: Place, *, before: int, limit: int = 50
) -> list[Announcement]:
    """Up to ``limit`` announcements that are for the caller, newest first, with numbers below ``before``.

    An owner hears of their wallets, an app of its own alerts and of what the house announces about its users (or about
    the wallet that it names), an admin of everything.
    """
    _require(caller)
    async with ctx.db.snapshot() as tx:
        wallet_ids = await _wallets(tx, caller, place)
        app_id = caller.app_id if caller.by_key else None
        return await alerts.announcements(
            tx, wallet_ids=wallet_ids, app_id=app_id, before=before, limit=limit
        )


async def evaluate(
    ctx: Context, *, wallets: int = WALLETS_OF_A_PASS, transfers: int = TRANSFERS_OF_A_PASS
) -> Pass:
    """One pass over the wallets, for the worker: what crossed a limit since is announced, once."""
    async with ctx.db.transaction() as tx:
        return await alerts.evaluate(tx, ctx.clock(), wallets=wallets, transfers=transfers)


def _require(caller: Caller) -> None:
    """Refuse who may have nothing to do with alerts: keys that may not read credits, sessions of an app."""
    caller.require(Permission.READ_CREDITS)
    if not caller.by_key and not caller.rules_the_house:
        caller.own_user_in_house()


async def _place(ctx: Context, tx: Transaction, caller: Caller, place: Place) -> int | None:
    """The wallet to watch, opened if the user has none yet; None for every wallet."""
    if place.every_wallet:
        caller.require_admin()
        return None
    if place.wallet_id is not None:
        await access.visible_wallet(tx, caller, place.wallet_id, Permission.READ_CREDITS)
        return place.wallet_id
    user_id = caller.user_for(place.user_id, Permission.READ_CREDITS)
    active, wallet_id = await access.place_of_user(tx, user_id)
    if not active:
        raise UserInactiveError(user_id=user_id)
    return wallet_id or await ledger.open_wallet(tx, ctx.clock(), user_id=user_id)


async def _wallets(tx: Transaction, caller: Caller, place: Place) -> list[int] | None:
    """Which wallets a list is about; None for all that there are."""
    if place.wallet_id is not None:
        await access.visible_wallet(tx, caller, place.wallet_id, Permission.READ_CREDITS)
        return [place.wallet_id]
    if place.user_id is not None:
        user_id = caller.user_for(place.user_id, Permission.READ_CREDITS)
        _, wallet_id = await access.place_of_user(tx, user_id)
        return [] if wallet_id is None else [wallet_id]
    if caller.by_key or caller.rules_the_house:
        return None
    return await alerts.wallets_of_user(tx, caller.own_user_in_house())


async def _own(tx: Transaction, caller: Caller, alert_id: int, *, lock: bool = False) -> Alert:
    """The alert, if it is the caller's; a stranger learns nothing, not even that it exists."""
    _require(caller)
    found = await alerts.one(tx, alert_id, lock=lock)
    if found is None:
        raise AlertNotFoundError
    if caller.rules_the_house or (caller.by_key and found.app_id == caller.app_id):
        return found
    if caller.by_key or found.wallet_id is None or found.app_id != HOUSE_APP_ID:
        raise AlertNotFoundError
    try:
        await access.visible_wallet(tx, caller, found.wallet_id, Permission.READ_CREDITS)
    except WalletNotFoundError:
        raise AlertNotFoundError from None
    return found


def _told(terms: AlertTerms) -> dict[str, object]:
    """The terms, for the audit log."""
    told = {
        "kind": str(terms.kind),
        "amount_micro": terms.amount_micro,
        "margin_micro": terms.margin_micro,
        "span": None if terms.span is None else str(terms.span),
        "rearm_percent": terms.rearm_percent,
        "percents": None if terms.percents is None else list(terms.percents),
    }
    return {name: value for name, value in told.items() if value is not None}
