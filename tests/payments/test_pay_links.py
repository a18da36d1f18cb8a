"""Links for paying: sealed, good for a day, for the wallet's user only; Stripe hears of one when it is followed."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from payments.desk import Till, default_catalog, system_clock
from tallybook.domain.errors import (
    BillingError,
    InsufficientCreditsError,
    PayLinkExpiredError,
    PayLinkInvalidError,
    PermissionDeniedError,
    PriceNotFoundError,
    UserInactiveError,
)
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.money import Credits
from tallybook.domain.payments.pay_links import LINK_LIFETIME
from tallybook.postgres import ledger
from tallybook.postgres.shop import Shop
from tallybook.security.sealing import Sealer
from tallybook.usecases import checkouts, fulfilment, paying, wallets

APP = Caller(app_id=1, by_key=True)


async def refused(
    till: Till, *, credits: int = 5, caller: Caller | None = None, **more: Any
) -> dict[str, Any]:
    """The facts of a spend that is refused."""
    terms = {"key": None, "user_id": till.user_id} | more
    if "wallet_id" in terms:
        terms.pop("user_id")
    with pytest.raises(InsufficientCreditsError) as short:
        await wallets.spend(till.ctx, caller or APP, credits=Credits.whole(credits), **terms)
    return short.value.facts


async def a_token(till: Till, **more: Any) -> str:
    """The token of a refused spend's link."""
    return str((await refused(till, **more))["pay_url"]).rpartition("/")[2]


async def follow(till: Till, token: str, lookup_key: str = "package_starter") -> checkouts.Opened:
    """What choosing an offer on the page does."""
    order = await paying.order(till.ctx, token, lookup_key)
    return await checkouts.open_checkout(
        till.ctx,
        order.caller,
        reference=order.offer.lookup_key,
        quantity=order.offer.quantity,
        success_url=order.success_url,
        cancel_url=order.cancel_url,
        user_id=None,
        mode="payment",
        key=order.key,
    )


def at(till: Till, moment: datetime) -> Till:
    """The same till at another time."""
    return till.but(clock=lambda: moment)


def sessions_at_stripe(till: Till) -> int:
    """How many sessions there are for our customer at Stripe."""
    customers = till.ask("SELECT stripe_customer_id FROM tallybook.stripe_customers")
    known = {row[0] for row in customers if row[0]}
    return sum(
        session["customer"] in known
        for session in till.stripe_get("/v1/checkout/sessions", limit=100)["data"]
    )


async def test_a_refusal_names_offers_a_link_and_a_token_beside_what_it_always_said(till: Till) -> None:
    facts = await refused(till)

    assert facts["shortfall_micro"] == facts["requested_micro"] == 5_000_000
    assert facts["available_micro"] == 0
    assert [offer["lookup_key"] for offer in facts["offers"]] == [
        "package_starter",
        "pack_100",
        "pack_250",
        "pack_500",
        "package_basic",
    ]
    assert facts["pay_url"].startswith("http://localhost:3000/pay/tbp_")
    assert facts["resume_token"].startswith("tbj_1_")
    assert "pay_url_reason" not in facts


async def test_what_the_ledger_stores_is_the_bare_refusal_and_a_replay_gets_a_fresh_link(till: Till) -> None:
    first = await refused(till, key="job")

    again = await refused(at(till, system_clock() + timedelta(hours=30)), key="job")

    [[stored]] = till.ask("SELECT facts FROM tallybook.refusals")
    assert stored.keys() == {
        "requested_micro",
        "available_micro",
        "held_micro",
        "debt_micro",
        "shortfall_micro",
    }
    assert again["pay_url"] != first["pay_url"]
    assert again["resume_token"] == first["resume_token"]
    later = at(till, system_clock() + timedelta(hours=30))
    assert not (await paying.bill(later.ctx, again["pay_url"].rpartition("/")[2])).is_covered
    with pytest.raises(PayLinkExpiredError):
        await paying.bill(later.ctx, first["pay_url"].rpartition("/")[2])


async def test_a_refusal_asks_the_database_for_nothing_that_it_knows(till: Till) -> None:
    await refused(till)
    till.ask("UPDATE tallybook.catalog_links SET amount_minor = 99")

    known = await refused(till)
    later = await refused(at(till, system_clock() + timedelta(minutes=1)))

    assert known["offers"][0]["amount_minor"] == 1000
    assert later["offers"][0]["amount_minor"] == 99


async def test_refusals_that_come_at_once_read_the_prices_once_and_all_get_them(till: Till) -> None:
    shop = Shop(till.ctx.db, default_catalog(), public_url="http://localhost:3000", stripe=True)
    fresh = till.but(shop=shop)

    found = await asyncio.gather(*(refused(fresh) for _ in range(20)))

    assert all(len(facts["offers"]) == 5 for facts in found)


async def test_an_organisations_wallet_gets_offers_and_says_why_there_is_no_link(till: Till) -> None:
    [[number]] = till.ask(
        "INSERT INTO tallybook.organisations (name, created_at) VALUES ('Friends', now())"
        " RETURNING organisation_id"
    )
    async with till.ctx.db.transaction() as tx:
        wallet_id = await ledger.open_wallet(tx, system_clock(), organisation_id=number)

    facts = await refused(till, wallet_id=wallet_id)

    assert len(facts["offers"]) == 5
    assert (facts["pay_url"], facts["pay_url_reason"]) == (None, "organisation_wallet")
    assert facts["resume_token"]


async def test_an_app_that_may_not_sell_gets_no_link_and_neither_does_anyone_without_stripe_or_offers(
    till: Till,
) -> None:
    spender = Caller(app_id=1, by_key=True, permissions=frozenset({Permission.CONSUME_CREDITS}))
    no_stripe = till.but(shop=Shop(till.ctx.db, default_catalog(), public_url="http://x", stripe=False))

    facts = [
        await refused(till, caller=spender),
        await refused(no_stripe),
        await refused(till, credits=900_000_000),
    ]

    assert [(fact["pay_url"], fact["pay_url_reason"]) for fact in facts] == [
        (None, "purchase_not_permitted"),
        (None, "stripe_not_configured"),
        (None, "nothing_on_sale"),
    ]


async def test_stripe_hears_nothing_until_an_offer_is_chosen(till: Till) -> None:
    token = await a_token(till)
    bill = await paying.bill(till.ctx, token)
    before = sessions_at_stripe(till)
    customers = till.ask("SELECT count(*) FROM tallybook.stripe_customers")

    opened = await follow(till, token)

    assert (before, customers) == (0, [(0,)])
    assert sessions_at_stripe(till) == 1
    assert bill.shortfall == Credits.whole(5)
    assert opened.checkout.user_id == till.user_id
    assert opened.checkout.credits == Credits.whole(1000)


async def test_a_link_followed_twice_opens_one_checkout_and_another_offer_another(till: Till) -> None:
    token = await a_token(till)

    first = await follow(till, token)
    again = await follow(till, token)
    other = await follow(till, token, "pack_250")

    assert (first.replayed, again.replayed, other.replayed) == (False, True, False)
    assert again.checkout.url == first.checkout.url
    assert other.checkout.url != first.checkout.url
    assert sessions_at_stripe(till) == 2


async def test_after_the_checkout_expired_the_same_link_opens_a_new_one(till: Till) -> None:
    token = await a_token(till)
    first = await follow(till, token)
    till.ask("UPDATE tallybook.checkouts SET status = 'expired'")

    second = await follow(till, token)
    till.ask("UPDATE tallybook.checkouts SET expires_at = now() - interval '1 second' WHERE status = 'open'")
    third = await follow(till, token)

    assert len({opened.checkout.checkout_id for opened in (first, second, third)}) == 3
    assert not (second.replayed or third.replayed)


async def test_a_paid_link_says_that_nothing_is_missing_and_sells_no_more(till: Till) -> None:
    token = await a_token(till)
    opened = await follow(till, token)
    till.pay(opened.checkout)
    await till.deliver_all(opened.checkout)

    bill = await paying.bill(till.ctx, token)

    assert (bill.is_covered, bill.offers) == (True, [])
    with pytest.raises(PriceNotFoundError):
        await follow(till, token)
    assert till.credits() == 1000


async def test_who_comes_back_settles_their_own_payment_and_no_other(till: Till) -> None:
    token = await a_token(till)
    opened = await follow(till, token)
    stranger = await till.open()
    till.ask(
        "INSERT INTO tallybook.users (email, email_key, password_hash, sessions_valid_from, created_at, updated_at)"
        " VALUES ('bob@example.com', 'bob@example.com', '-', now(), now(), now())"
    )
    till.ask(
        "UPDATE tallybook.checkouts SET user_id = user_id + 1 WHERE checkout_id = %s", stranger.checkout_id
    )
    till.pay(opened.checkout)
    # Also when the link itself has expired meanwhile.
    late = at(till, system_clock() + LINK_LIFETIME)

    settled = await fulfilment.return_from_checkout(
        late.ctx, paying.returning(late.ctx, token), str(opened.checkout.stripe_session_id)
    )

    assert settled.outcome == "granted"
    with pytest.raises(BillingError) as refusal:
        await fulfilment.return_from_checkout(
            till.ctx, paying.returning(till.ctx, token), str(stranger.stripe_session_id)
        )
    assert refusal.value.code == "checkout_not_found"


def in_form(raw: bytes) -> str:
    """Bytes in the form of a token."""
    return "tbp_" + base64.urlsafe_b64encode(raw).decode().rstrip("=")


def forgeries(token: str) -> Iterator[str]:
    """Tokens that we did not make."""
    yield ""
    yield "tbp_"
    yield token[:-1]
    yield token + "A"
    yield token + "="
    yield token.removeprefix("tbp_")
    yield from (
        token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        for place in range(4, len(token))
    )
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    yield from (token[:-1] + letter for letter in alphabet if letter != token[-1])
    made_up = json.dumps([1, 1, 1, 1, 99999999999]).encode()
    yield in_form(made_up)
    yield in_form(Sealer("another secret" * 4).seal_json([1, 1, 1, 1, 9**10], "pay link"))


async def test_no_forged_or_changed_link_is_believed(till: Till) -> None:
    token = await a_token(till)
    elsewhere = in_form(till.ctx.sealer.seal_json([1, 1, 1, 1, 9**10], "another use"))

    for forged in [*forgeries(token), elsewhere]:
        with pytest.raises(PayLinkInvalidError):
            await paying.bill(till.ctx, forged)
        with pytest.raises(PayLinkInvalidError):
            await paying.order(till.ctx, forged, "pack_100")
        with pytest.raises(PayLinkInvalidError):
            paying.returning(till.ctx, forged)


async def test_a_link_ends_after_a_day(till: Till) -> None:
    now = system_clock()
    token = await a_token(at(till, now))

    before = at(till, now + LINK_LIFETIME - timedelta(seconds=2))
    after = at(till, now + LINK_LIFETIME)

    assert (await paying.bill(before.ctx, token)).offers
    for ask in (paying.bill(after.ctx, token), paying.order(after.ctx, token, "pack_100")):
        with pytest.raises(PayLinkExpiredError):
            await ask


async def test_a_link_is_no_sign_in_and_dies_with_its_user(till: Till) -> None:
    token = await a_token(till)
    buyer = paying.returning(till.ctx, token)

    with pytest.raises(PermissionDeniedError):
        await wallets.wallet_of_user(till.ctx, buyer, None)
    with pytest.raises(PermissionDeniedError):
        await wallets.spend(till.ctx, buyer, credits=Credits.whole(1), key=None)
    with pytest.raises(PermissionDeniedError):
        buyer.user_for(till.user_id + 1, Permission.PURCHASE_CREDITS)
    with psycopg.connect(till.database.superuser_url, autocommit=True) as connection:
        connection.execute("UPDATE tallybook.users SET is_active = false")
    with pytest.raises(UserInactiveError):
        await paying.bill(till.ctx, token)
    with pytest.raises(UserInactiveError):
        await follow(till, token)


async def test_what_a_link_does_not_offer_cannot_be_bought_with_it(till: Till) -> None:
    token = await a_token(till)

    for lookup_key in ("plan_starter", "package_enterprise", "nothing"):
        with pytest.raises(PriceNotFoundError):
            await follow(till, token, lookup_key)

    assert sessions_at_stripe(till) == 0
