"""Links for paying what a refusal lacked: what one shows, what it orders, and whose purchases it may look at.

Whoever holds the link may buy credits for the wallet's user, and nothing else: it signs nobody in.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from tallybook.domain.catalog.offers import Offer
from tallybook.domain.errors import PayLinkExpiredError, PriceNotFoundError, UserInactiveError
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.money import Credits
from tallybook.domain.payments.checkouts import Checkout, Status
from tallybook.domain.payments.pay_links import PayLink
from tallybook.domain.payments.return_urls import PLACEHOLDER
from tallybook.postgres import checkouts, ledger
from tallybook.postgres.pool import Transaction
from tallybook.security import pay_links
from tallybook.usecases.context import Context

_ATTEMPTS_MAX = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Bill:
    """What a link shows: how much is missing, and the offers that cover it; none once nothing is missing any more."""

    shortfall: Credits
    is_covered: bool
    offers: list[Offer]


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """The checkout to open for a chosen offer: by whom, under which key, and where the customer comes back to."""

    caller: Caller
    offer: Offer
    key: str
    success_url: str
    cancel_url: str


async def bill(ctx: Context, token: str) -> Bill:
    """What a link is about. Stripe is not asked, and nothing changes.

    Raises:
        PayLinkInvalidError, PayLinkExpiredError: not ours, or its time is over.
        UserInactiveError: the user was switched off meanwhile.
    """
    link = pay_links.read(ctx.sealer, token)
    return await _bill(ctx, link)


async def order(ctx: Context, token: str, lookup_key: str) -> Order:
    """What to open a checkout with for the chosen offer.

    The same link and offer give the same key while that checkout waits for its customer, so that following a link
    twice opens it once; when it was paid, failed or has expired, the next one.

    Raises:
        PriceNotFoundError: the link does not offer that (any more). And as ``bill``.
    """
    link = pay_links.read(ctx.sealer, token)
    shown = await _bill(ctx, link)
    offer = next((one for one in shown.offers if one.lookup_key == lookup_key), None)
    if offer is None:
        raise PriceNotFoundError("This is not offered here (any more): choose again.")
    buyer = buyer_of(link)
    async with ctx.db.snapshot() as tx:
        key = await _free_key(ctx, tx, buyer, token, offer)
    page = f"{ctx.shop.public_url}/pay/{token}"
    success_url = f"{page}/done?session_id={PLACEHOLDER}"
    return Order(caller=buyer, offer=offer, key=key, success_url=success_url, cancel_url=page)


def returning(ctx: Context, token: str) -> Caller:
    """Who comes back from Stripe with a link; it may have expired while the customer paid.

    Raises:
        PayLinkInvalidError: not ours.
    """
    return buyer_of(pay_links.read(ctx.sealer, token))


def buyer_of(link: PayLink) -> Caller:
    """The link as a caller: the wallet's user, who may buy here and do nothing else."""
    return Caller(user_id=link.user_id, permissions=frozenset({Permission.PURCHASE_CREDITS}))


async def _bill(ctx: Context, link: PayLink) -> Bill:
    now = ctx.clock()
    if now >= link.expires_at:
        raise PayLinkExpiredError
    async with ctx.db.snapshot() as tx:
        wallet = await ledger.wallet(tx, link.wallet_id)
    if not wallet.owner_is_active:
        raise UserInactiveError
    if link.is_covered(available_micro=wallet.available_micro, debt_micro=wallet.debt_micro):
        return Bill(shortfall=link.shortfall, is_covered=True, offers=[])
    desk = await ctx.shop.desk(now, link.wallet_id, link.shortfall)
    return Bill(shortfall=link.shortfall, is_covered=False, offers=desk.offers)


async def _free_key(ctx: Context, tx: Transaction, buyer: Caller, token: str, offer: Offer) -> str:
    now = ctx.clock()
    for attempt in range(1, _ATTEMPTS_MAX + 1):
        key = pay_links.checkout_key(ctx.sealer, token, offer.lookup_key, offer.quantity, attempt)
        scoped = buyer.scoped_key(key)
        assert scoped is not None
        assert buyer.user_id is not None
        found = await checkouts.by_key(tx, user_id=buyer.user_id, app_id=buyer.app_id, key=scoped)
        if found is None or _still_waits(found, now):
            return key
    raise PayLinkExpiredError("This link was used up: let the app try again, and it gets a new one.")


def _still_waits(checkout: Checkout, now: datetime) -> bool:
    if checkout.status not in (Status.INTENDED, Status.OPEN, Status.PROCESSING):
        return False
    return checkout.status is Status.PROCESSING or checkout.expires_at is None or now < checkout.expires_at
