"""A customer's rule for auto top-up: set it, look at it, end it, and see what it did."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tallybook.domain.catalog.links import find
from tallybook.domain.catalog.pricing import unit_price
from tallybook.domain.errors import (
    AmountNotSoldError,
    ModeMismatchError,
    PriceNotFoundError,
    TopUpRuleNotFoundError,
    UserInactiveError,
)
from tallybook.domain.identity.callers import Caller
from tallybook.domain.money import Money
from tallybook.domain.payments.payment_intents import PaymentIntent
from tallybook.domain.payments.payments import Source
from tallybook.domain.payments.top_ups import TopUpRule, TopUpTerms, month_start
from tallybook.postgres import access, audit, catalog, ledger, payment_intents, top_ups
from tallybook.postgres.pool import Transaction
from tallybook.usecases.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A rule, and what it has charged in this month of UTC."""

    rule: TopUpRule
    charged: Money


async def put(ctx: Context, caller: Caller, terms: TopUpTerms, *, user_id: int | None) -> Standing:
    """Set the rule of a user's wallet; the same once more begins it anew, also after it was stopped.

    Raises:
        PriceNotFoundError, ModeMismatchError, CatalogNotPushedError: a pack that cannot be bought so.
        AmountNotSoldError: credits at a rate, and there is none in this currency.
        InvalidRequestError, AmountOutOfRangeError: terms that make no sense.
    """
    owner = caller.cardholder(user_id)
    kept = await _on_sale(ctx, terms.checked())
    async with ctx.db.transaction() as tx:
        active, _ = await access.place_of_user(tx, owner)
        if not active:
            raise UserInactiveError(user_id=owner)
        now = ctx.clock()
        wallet_id = await ledger.open_wallet(tx, now, user_id=owner)
        before = await top_ups.rule(tx, wallet_id, lock=True)
        rule = await top_ups.keep(tx, now, wallet_id=wallet_id, user_id=owner, terms=kept)
        await audit.record(
            tx,
            now,
            caller.actor,
            "top_up.set",
            ("wallet", str(wallet_id)),
            before=None if before is None else _told(before.terms),
            after=_told(kept),
        )
        return await _standing(ctx, tx, rule)


async def get(ctx: Context, caller: Caller, *, user_id: int | None) -> Standing:
    """The rule of a user's wallet.

    Raises:
        TopUpRuleNotFoundError: there is none.
    """
    owner = caller.cardholder(user_id)
    async with ctx.db.snapshot() as tx:
        _, wallet_id = await access.place_of_user(tx, owner)
        rule = None if wallet_id is None else await top_ups.rule(tx, wallet_id)
        if rule is None:
            raise TopUpRuleNotFoundError
        return await _standing(ctx, tx, rule)


async def end(ctx: Context, caller: Caller, *, user_id: int | None) -> None:
    """Charge nothing by itself any more; what is in flight is settled as it comes.

    Raises:
        TopUpRuleNotFoundError: there is none.
    """
    owner = caller.cardholder(user_id)
    async with ctx.db.transaction() as tx:
        _, wallet_id = await access.place_of_user(tx, owner)
        rule = None if wallet_id is None else await top_ups.rule(tx, wallet_id, lock=True)
        if rule is None:
            raise TopUpRuleNotFoundError
        await top_ups.remove(tx, rule.wallet_id)
        subject = ("wallet", str(rule.wallet_id))
        before = _told(rule.terms)
        await audit.record(tx, ctx.clock(), caller.actor, "top_up.ended", subject, before=before)


async def page(
    ctx: Context, caller: Caller, *, user_id: int | None, before: int, limit: int
) -> list[PaymentIntent]:
    """Up to ``limit`` top-ups of a user's wallet, newest first, with numbers below ``before``."""
    owner = caller.cardholder(user_id)
    async with ctx.db.snapshot() as tx:
        _, wallet_id = await access.place_of_user(tx, owner)
        if wallet_id is None:
            return []
        return await payment_intents.page(tx, wallet_id, source=Source.TOP_UP, before=before, limit=limit)


async def _on_sale(ctx: Context, terms: TopUpTerms) -> TopUpTerms:
    """The terms with the pack's permanent name, if what they ask for is sold in their currency."""
    currency = terms.monthly_cap.currency
    if terms.lookup_key is None:
        if ctx.catalog.rate(currency) is None:
            raise AmountNotSoldError(currency=currency)
        return terms
    async with ctx.db.snapshot() as tx:
        links = await catalog.links(tx)
    product = find(ctx.catalog, links, terms.lookup_key)
    if product is None:
        raise PriceNotFoundError
    if product.mode != "payment":
        raise ModeMismatchError
    unit_price(product, links.get(product.lookup_key), currency)
    return replace(terms, lookup_key=product.lookup_key)


async def _standing(ctx: Context, tx: Transaction, rule: TopUpRule) -> Standing:
    currency, since = rule.terms.monthly_cap.currency, month_start(ctx.clock())
    charged = await payment_intents.charged_since(tx, rule.wallet_id, currency, since)
    return Standing(rule=rule, charged=charged)


def _told(terms: TopUpTerms) -> dict[str, object]:
    """The terms, for the audit log."""
    return {
        "enabled": terms.enabled,
        "threshold_micro": terms.threshold.micro,
        "lookup_key": terms.lookup_key,
        "quantity": terms.quantity,
        "credits_micro": None if terms.credits is None else terms.credits.micro,
        "monthly_cap_minor": terms.monthly_cap.minor,
        "currency": terms.monthly_cap.currency,
    }
