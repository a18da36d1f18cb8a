"""What each business event asks of the ledger: all flows on one page.

| event                     | recipe      | debit                | credit                                  |
|---------------------------|-------------|----------------------|-----------------------------------------|
| a paid pack or package    | purchase    | purchases            | available (then available → debt)       |
| a paid period of a plan   | plan_period | subscriptions        | available (then available → debt)       |
| the trial of a plan       | trial       | promotions           | available (then available → debt)       |
| an admin or an app adds   | adjustment  | adjustments          | available (then available → debt)       |
| an app spends             | spend       | available            | usage                                   |
| work of unknown cost      | hold        | available            | held                                    |
| what the work cost        | capture     | held                 | usage; if final, held → available       |
| the work did not happen   | release     | held                 | available                               |
| money that went back      | clawback    | available, then debt | refunded or disputed                    |
| money that came again     | restore     | refunded or disputed | available (then available → debt)       |
| usage that did not count  | give_back   | usage                | available (then available → debt)       |
| a sub-hold                | hold        | held                 | held                                    |
| what its time has run out | (in SQL)    | available            | expired                                 |

Whether the accounts may move (enough credits, hold still open, same terms on a retry) is decided under the
wallet's lock by ``postgres/functions/post_v2.sql``, and nowhere else.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from tallybook.domain.ids import LedgerId
from tallybook.domain.ledger.requests import Account, HoldPolicy, Note, Posting
from tallybook.domain.money import Credits, Money, positive

HOLD_LIFETIME_DEFAULT_SECONDS = 900
HOLD_LIFETIME_MAX_SECONDS = 7 * 24 * 3600


def _noted(posting: Posting, note: Note | None) -> Posting:
    if note is None:
        return posting
    metadata = dict(note.metadata) if note.metadata else None
    return replace(posting, description=note.description, service=note.service, metadata=metadata)


def _addition(
    wallet_id: int, credits: Credits, note: Note | None, *, key: str | None, app_id: int = 0, **lot: Any
) -> Posting:
    """What brings a lot; the house's, unless an app is named."""
    amount = positive(credits).micro
    posting = Posting(op="grant", wallet_id=wallet_id, app_id=app_id, key=key, amount_micro=amount, **lot)
    return _noted(posting, note)


def purchase(
    wallet_id: int, credits: Credits, *, paid: Money, reference: str, key: str, note: Note | None = None
) -> Posting:
    """Credits bought with money; ``reference`` names the checkout session, ``paid`` is for the whole lot."""
    return _addition(
        wallet_id,
        credits,
        note,
        key=key,
        house=Account.PURCHASES,
        source="purchase",
        price_minor=paid.minor,
        currency=paid.currency,
        reference=reference,
    )


def plan_period(
    wallet_id: int,
    credits: Credits,
    *,
    paid: Money | None,
    reference: str,
    key: str,
    expires_at: datetime | None,
    note: Note,
) -> Posting:
    """Credits of a plan for money; ``reference`` names the invoice, ``paid`` its money if all of it is this lot's."""
    return _addition(
        wallet_id,
        credits,
        note,
        key=key,
        house=Account.SUBSCRIPTIONS,
        source="subscription",
        price_minor=None if paid is None else paid.minor,
        currency=None if paid is None else paid.currency,
        lot_expires_at=expires_at,
        reference=reference,
    )


def trial(
    wallet_id: int, credits: Credits, *, reference: str, key: str, expires_at: datetime | None, note: Note
) -> Posting:
    """Credits of a plan's trial, which cost nothing."""
    return _addition(
        wallet_id,
        credits,
        note,
        key=key,
        house=Account.PROMOTIONS,
        source="promotion",
        lot_expires_at=expires_at,
        reference=reference,
    )


def adjustment(
    wallet_id: int,
    credits: Credits,
    *,
    app_id: int,
    key: str | None,
    note: Note | None = None,
    expires_at: datetime | None = None,
) -> Posting:
    """Credits added by hand: an admin, the command line, or an app that may grant."""
    return _addition(
        wallet_id,
        credits,
        note,
        key=key,
        app_id=app_id,
        house=Account.ADJUSTMENTS,
        source="adjustment",
        lot_expires_at=expires_at,
    )


def spend(
    wallet_id: int,
    credits: Credits,
    *,
    app_id: int,
    key: str | None,
    note: Note | None = None,
    budget_id: int | None = None,
) -> Posting:
    """Credits used at once, at a cost known beforehand; they count at the budget and at those above it."""
    return _noted(
        Posting(
            op="spend",
            wallet_id=wallet_id,
            app_id=app_id,
            key=key,
            amount_micro=positive(credits).micro,
            house=Account.USAGE,
            budget_id=budget_id,
        ),
        note,
    )


def hold(
    wallet_id: int,
    credits: Credits,
    *,
    app_id: int,
    key: str | None,
    lifetime_seconds: int = HOLD_LIFETIME_DEFAULT_SECONDS,
    on_expiry: HoldPolicy = HoldPolicy.RELEASE,
    estimate: Credits | None = None,
    session_user_id: int | None = None,
    parent: LedgerId | None = None,
    note: Note | None = None,
    budget_id: int | None = None,
) -> Posting:
    """Credits set aside before the work; ``estimate`` is what ``capture_estimate`` would take at expiry.

    ``session_user_id`` is the user whose session places it; None when the app itself does. With a ``parent`` it is
    taken out of that hold instead of what is available.
    """
    return _noted(
        Posting(
            op="hold",
            wallet_id=wallet_id,
            app_id=app_id,
            key=key,
            amount_micro=positive(credits).micro,
            lifetime_seconds=lifetime_seconds,
            on_expiry=on_expiry,
            estimate_micro=None if estimate is None else estimate.micro,
            session_user_id=session_user_id,
            parent_version=None if parent is None else parent.version,
            budget_id=budget_id,
        ),
        note,
    )


def capture(
    hold_id: LedgerId,
    credits: Credits,
    *,
    app_id: int,
    key: str | None,
    final: bool = True,
    allow_excess: bool = False,
    note: Note | None = None,
) -> Posting:
    """Take what the work cost; a final capture gives the rest back and may be of zero.

    With ``allow_excess`` what is beyond the hold is spent from what is available, all of it or nothing.
    """
    return _noted(
        Posting(
            op="capture",
            wallet_id=hold_id.wallet_id,
            app_id=app_id,
            key=key,
            amount_micro=credits.micro if final and credits.micro == 0 else positive(credits).micro,
            hold_version=hold_id.version,
            final=final,
            allow_excess=allow_excess or None,
        ),
        note,
    )


def release(hold_id: LedgerId, *, app_id: int, key: str | None, note: Note | None = None) -> Posting:
    """Give everything that is left of a hold back."""
    return _noted(
        Posting(
            op="release", wallet_id=hold_id.wallet_id, app_id=app_id, key=key, hold_version=hold_id.version
        ),
        note,
    )


def clawback(
    wallet_id: int,
    credits: Credits,
    *,
    house: Account,
    key: str,
    lot: LedgerId | None = None,
    note: Note | None = None,
) -> Posting:
    """Credits whose money went back (``house``: refunded or disputed); what was spent already becomes debt."""
    return _noted(
        Posting(
            op="clawback",
            wallet_id=wallet_id,
            app_id=0,
            key=key,
            amount_micro=positive(credits).micro,
            house=house,
            lot_version=None if lot is None else lot.version,
        ),
        note,
    )


def restore(
    wallet_id: int,
    credits: Credits,
    *,
    house: Account,
    key: str,
    priority: int,
    expires_at: datetime | None,
    reference: str | None,
    note: Note | None = None,
) -> Posting:
    """Credits taken back for money that came again: a refund that failed, a dispute that was won; debt is paid first.

    ``priority``, ``expires_at`` and ``reference`` are those of the lot for which they were taken.
    """
    return _addition(
        wallet_id,
        credits,
        note,
        key=key,
        house=house,
        source="refund_failed" if house is Account.REFUNDED else "dispute_won",
        priority=priority,
        lot_expires_at=expires_at,
        reference=reference,
    )


def give_back(
    transfer_id: LedgerId, credits: Credits | None, *, app_id: int, key: str | None, note: Note | None = None
) -> Posting:
    """Credits of a spend or a capture back to the lots they came from; None is all that was not given back yet."""
    return _noted(
        Posting(
            op="give_back",
            wallet_id=transfer_id.wallet_id,
            app_id=app_id,
            key=key,
            amount_micro=None if credits is None else positive(credits).micro,
            undoes_version=transfer_id.version,
        ),
        note,
    )
