"""Links for paying: sealed, good for a day, for the wallet's user only; Stripe hears of one when it is followed."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest

from payments.desk import Till, system_clock
from payments.refusals import a_token, at
from tallybook.domain.errors import (
    BillingError,
    PayLinkExpiredError,
    PayLinkInvalidError,
    PermissionDeniedError,
    PriceNotFoundError,
    UserInactiveError,
)
from tallybook.domain.identity.callers import Permission
from tallybook.domain.money import Credits
from tallybook.domain.payments.checkouts import Opened
from tallybook.domain.payments.pay_links import LINK_LIFETIME, PayLink
from tallybook.security import pay_links
from tallybook.security.sealing import Sealer
from tallybook.usecases import checkouts, fulfilment, paying, wallets

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


async def follow(till: Till, token: str, lookup_key: str = "package_starter") -> Opened:
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


def sessions_at_stripe(till: Till) -> int:
    """How many sessions there are for our customer at Stripe."""
    customers = till.ask("SELECT stripe_customer_id FROM tallybook.stripe_customers")
    known = {row[0] for row in customers if row[0]}
    return sum(
        session["customer"] in known
        for session in till.stripe_get("/v1/checkout/sessions", limit=100)["data"]
    )


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


async def test_the_way_back_is_our_own_page_also_when_other_pages_have_another_address(till: Till) -> None:
    elsewhere = till.but(pages_url="https://shop.example.com")
    token = await a_token(elsewhere)

    opened = await follow(elsewhere, token)

    page = f"http://localhost:3000/pay/{token}"
    assert opened.checkout.success_url == f"{page}/done?session_id={{CHECKOUT_SESSION_ID}}"
    assert opened.checkout.cancel_url == page


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
    yield from (token[:-1] + letter for letter in ALPHABET.replace(token[-1], ""))
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


@pytest.mark.parametrize("wallet_id", [1, 12, 123])
def test_a_link_has_one_spelling_whatever_its_length(wallet_id: int) -> None:
    """The last character of base64 may have bits that count for nothing."""
    sealer, day = Sealer("a secret" * 8), system_clock() + LINK_LIFETIME
    link = PayLink(wallet_id=wallet_id, user_id=1, requested=Credits(1), shortfall=Credits(1), expires_at=day)
    token = pay_links.make(sealer, link)

    for letter in ALPHABET.replace(token[-1], ""):
        with pytest.raises(PayLinkInvalidError):
            pay_links.read(sealer, token[:-1] + letter)

    assert pay_links.read(sealer, token).wallet_id == wallet_id


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
