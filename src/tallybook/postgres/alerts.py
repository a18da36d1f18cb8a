"""The door to spend alerts: set, change, end and list them, evaluate them, read what was announced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime

from tallybook.domain.alerts.alerts import Alert, AlertKind, AlertTerms, Announcement, Pass, Span, Verdict
from tallybook.postgres.pool import Row, Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("alerts")
_ANNOUNCED = tuple(field.name for field in fields(Announcement))


async def add(
    tx: Transaction, now: datetime, *, wallet_id: int | None, app_id: int, terms: AlertTerms
) -> Alert:
    """Set an alert on a wallet (that exists), or on every wallet; the next pass begins it."""
    row = await tx.one(
        _SQL.add,
        wallet_id=wallet_id,
        app_id=app_id,
        kind=str(terms.kind),
        now=now,
        **_limits(terms),
    )
    await _watch(tx, now, wallet_id)
    return _alert(row)


async def change(tx: Transaction, now: datetime, alert_id: int, terms: AlertTerms) -> Alert:
    """Give an alert (that is there and locked) other terms; it begins anew."""
    changed = _alert(await tx.one(_SQL.change, alert_id=alert_id, now=now, **_limits(terms)))
    await _watch(tx, now, changed.wallet_id)
    return changed


async def end(tx: Transaction, now: datetime, alert_id: int) -> None:
    """End an alert; what it announced stays."""
    await tx.run(_SQL.end, alert_id=alert_id, now=now)


async def count_on_wallet(tx: Transaction, wallet_id: int, *, app_id: int) -> int:
    """How many alerts an app has on a wallet; nobody else sets one there until the transaction ends."""
    await tx.run(_SQL.lock_wallet, wallet_id=wallet_id)
    row = await tx.one(_SQL.on_wallet, wallet_id=wallet_id, app_id=app_id)
    return int(row["alerts"])


async def one(tx: Transaction, alert_id: int, *, lock: bool = False) -> Alert | None:
    """An alert that has not ended, or None; with ``lock`` nobody changes it until the transaction ends."""
    row = await tx.maybe(_SQL.locked if lock else _SQL.one, alert_id=alert_id)
    return None if row is None else _alert(row)


async def page(
    tx: Transaction, *, wallet_ids: Sequence[int] | None, app_id: int | None, after: int, limit: int
) -> list[Alert]:
    """Up to ``limit`` alerts with numbers above ``after``; on these wallets and of this app, if given."""
    if wallet_ids is None:
        rows = await tx.many(_SQL.after, app_id=app_id, after=after, limit=limit)
    else:
        rows = await tx.many(
            _SQL.after_on_wallets, wallet_ids=list(wallet_ids), app_id=app_id, after=after, limit=limit
        )
    return [_alert(row) for row in rows]


async def wallets_of_user(tx: Transaction, user_id: int) -> list[int]:
    """The wallets that a user may look at: their own, and those of their organisations."""
    return [row["wallet_id"] for row in await tx.many(_SQL.wallets_of_user, user_id=user_id)]


async def announcements(
    tx: Transaction, *, wallet_ids: Sequence[int] | None, app_id: int | None, before: int, limit: int
) -> list[Announcement]:
    """Up to ``limit`` announcements with numbers below ``before``, newest first.

    With ``app_id`` those that are for this app: its own, and the house's about these wallets or about its users.
    """
    if wallet_ids is None:
        rows = await tx.many(_SQL.announcements, app_id=app_id, before=before, limit=limit)
    else:
        rows = await tx.many(
            _SQL.announcements_of_wallets,
            wallet_ids=list(wallet_ids),
            app_id=app_id,
            before=before,
            limit=limit,
        )
    return [Announcement(**{name: row[name] for name in _ANNOUNCED}) for row in rows]


async def evaluate(tx: Transaction, now: datetime, *, wallets: int, transfers: int) -> Pass:
    """One pass: look at so many wallets of the round, and read about so many transfers."""
    row = await tx.one(_SQL.evaluate, now=now, wallets=wallets, transfers=transfers)
    return Pass(verdict=Verdict(row["verdict"]), announced=row["announced"])


async def _watch(tx: Transaction, now: datetime, wallet_id: int | None) -> None:
    if wallet_id is not None:
        await tx.run(_SQL.watch, wallet_id=wallet_id, now=now)


def _limits(terms: AlertTerms) -> dict[str, object]:
    return {
        "amount_micro": terms.amount_micro,
        "margin_micro": terms.margin_micro,
        "span": None if terms.span is None else str(terms.span),
        "rearm_percent": terms.rearm_percent,
        "percents": None if terms.percents is None else list(terms.percents),
    }


def _alert(row: Row) -> Alert:
    return Alert(
        alert_id=row["alert_id"],
        wallet_id=row["wallet_id"],
        app_id=row["app_id"],
        terms=AlertTerms(
            kind=AlertKind(row["kind"]),
            amount_micro=row["amount_micro"],
            margin_micro=row["margin_micro"],
            span=None if row["span"] is None else Span(row["span"]),
            rearm_percent=row["rearm_percent"],
            percents=None if row["percents"] is None else tuple(row["percents"]),
        ),
        revision=row["revision"],
        began_at=row["began_at"],
        created_at=row["created_at"],
    )
