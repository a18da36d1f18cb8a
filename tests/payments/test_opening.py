"""Opening a checkout: what is bound, what is retried safely, what is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from sandbox.process import KEY

from payments.desk import CANCEL, SUCCESS, Till, add_user
from tallybook.domain.errors import (
    AmountOutOfRangeError,
    CatalogNotPushedError,
    CheckoutNotFoundError,
    IdempotencyKeyReusedError,
    ModeMismatchError,
    PermissionDeniedError,
    PriceNotFoundError,
    StripeAccountMismatchError,
    StripeNotConfiguredError,
    StripeRefusedError,
    StripeUnavailableError,
    UrlNotAllowedError,
    UserInactiveError,
    UserNotFoundError,
)
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.payments.reports import SessionReport
from tallybook.stripe.gateway import PINNED_API_VERSION, StripeGateway
from tallybook.stripe.orders import SessionOrder
from tallybook.usecases import checkouts

pytestmark = pytest.mark.timeout(60)
APP_KEY = Caller(app_id=0, by_key=True)


async def test_a_session_carries_our_terms_and_names_our_checkout(till: Till) -> None:
    checkout = await till.open("package_basic", quantity=2)

    session = till.stripe_get(f"/v1/checkout/sessions/{checkout.stripe_session_id}")

    assert (session["amount_total"], session["currency"], session["mode"]) == (9000, "usd", "payment")
    assert session["client_reference_id"] == f"chk_{checkout.checkout_id}"
    assert session["metadata"]["checkout_id"] == f"chk_{checkout.checkout_id}"
    assert session["metadata"]["user_id"] == str(till.user_id)
    assert session["invoice_creation"]["enabled"] is True
    assert session["success_url"] == f"{SUCCESS}?session_id={{CHECKOUT_SESSION_ID}}"
    assert session["cancel_url"] == CANCEL
    assert checkout.url == session["url"]
    assert till.ask("SELECT object_kind, object_id, livemode FROM tallybook.claims") == [
        ("checkout_session", checkout.stripe_session_id, False)
    ]


async def test_pitfall_10_the_payment_intent_gets_its_own_copy_of_the_metadata(till: Till) -> None:
    checkout = await till.open()

    paid = till.pay(checkout)["session"]

    intent = till.stripe_get(f"/v1/payment_intents/{paid['payment_intent']}")
    assert intent["metadata"]["checkout_id"] == f"chk_{checkout.checkout_id}"


async def test_a_product_answers_to_its_alias_its_number_and_its_stripe_price(till: Till) -> None:
    [[linked]] = till.ask(
        "SELECT stripe_price_id FROM tallybook.catalog_links WHERE lookup_key = 'package_starter'"
    )

    opened = [await till.open(name) for name in ("price_1234567890", 1, linked)]

    assert {checkout.lookup_key for checkout in opened} == {"package_starter"}


async def test_a_key_opens_one_checkout_also_when_sent_twenty_times_at_once(till: Till) -> None:
    opened = await asyncio.gather(*(till.open(key="order-7") for _ in range(20)))

    assert len({checkout.stripe_session_id for checkout in opened}) == 1
    assert till.ask("SELECT count(*) FROM tallybook.checkouts") == [(1,)]


async def test_a_key_with_other_terms_is_refused(till: Till) -> None:
    await till.open("pack_100", key="order-7")

    for change in ({"reference": "pack_250"}, {"quantity": 2}, {"cancel_url": "http://localhost/"}):
        terms: dict[str, Any] = {"reference": "pack_100", **change}
        with pytest.raises(IdempotencyKeyReusedError):
            await till.open(key="order-7", **terms)


async def test_pitfall_11_two_first_checkouts_at_once_make_one_customer(till: Till) -> None:
    await asyncio.gather(*(till.open("pack_100") for _ in range(8)))

    [[customer]] = till.ask("SELECT stripe_customer_id FROM tallybook.stripe_customers")
    page = till.stripe_get("/v1/customers", limit=100)["data"]
    [[deployment]] = till.ask("SELECT deployment_id::text FROM tallybook.stripe_account")
    ours = [one["id"] for one in page if one["metadata"].get("deployment") == deployment]
    assert ours == [customer]


class ForgetfulGateway(StripeGateway):
    """Loses the first answer on its way back: the session is there, and we do not know."""

    lost = False

    async def open_session(self, order: SessionOrder, *, idempotency_key: str) -> SessionReport:
        """Open, and lose the answer once."""
        report = await super().open_session(order, idempotency_key=idempotency_key)
        if not self.lost:
            self.lost = True
            raise StripeUnavailableError
        return report


async def test_an_unknown_outcome_is_asked_again_under_the_same_stripe_key(till: Till) -> None:
    gateway = ForgetfulGateway(KEY, api_base=till.sandbox.base_url, api_version=PINNED_API_VERSION)
    forgetful = till.but(stripe=gateway)
    with pytest.raises(StripeUnavailableError):
        await forgetful.open(key="order-7")

    checkout = await forgetful.open(key="order-7")
    await gateway.close()

    [[customer]] = till.ask("SELECT stripe_customer_id FROM tallybook.stripe_customers")
    sessions = till.stripe_get("/v1/checkout/sessions", customer=customer)["data"]
    assert [session["id"] for session in sessions] == [checkout.stripe_session_id]


async def test_a_refusal_by_stripe_is_said_and_the_next_try_is_a_new_attempt(till: Till) -> None:
    [[price]] = till.ask("SELECT stripe_price_id FROM tallybook.catalog_links WHERE lookup_key = 'pack_1000'")
    till.ask(
        "UPDATE tallybook.catalog_links SET stripe_price_id = 'price_gone' WHERE lookup_key = 'pack_1000'"
    )
    with pytest.raises(StripeRefusedError, match="price_gone"):
        await till.open("pack_1000", key="order-7")
    till.ask("UPDATE tallybook.checkouts SET stripe_price_id = %s", price)

    checkout = await till.open("pack_1000", key="order-7")

    assert checkout.stripe_session_id is not None
    assert till.ask("SELECT attempt FROM tallybook.checkouts") == [(2,)]


@pytest.mark.parametrize(
    ("reference", "mode", "refusal"),
    [
        ("plan_starter", "payment", ModeMismatchError),
        ("package_starter", "subscription", ModeMismatchError),
        ("price_unknown", "payment", PriceNotFoundError),
        (99, "payment", PriceNotFoundError),
    ],
)
async def test_what_cannot_be_bought_so_is_refused(
    till: Till, reference: str | int, mode: str, refusal: type[Exception]
) -> None:
    with pytest.raises(refusal):
        await till.open(reference, mode=mode)

    assert till.ask("SELECT count(*) FROM tallybook.checkouts") == [(0,)]


@pytest.mark.parametrize("quantity", [0, -1, 1001])
async def test_a_quantity_out_of_range_is_refused(till: Till, quantity: int) -> None:
    with pytest.raises(AmountOutOfRangeError):
        await till.open(quantity=quantity)


async def test_in_live_mode_only_allowed_return_urls_are_taken(till: Till) -> None:
    live = till.but(livemode=True)

    with pytest.raises(UrlNotAllowedError):
        await live.open(success_url="https://evil.example/success")


async def test_a_database_of_test_mode_refuses_live_checkouts(till: Till) -> None:
    with pytest.raises(StripeAccountMismatchError):
        await till.but(livemode=True).open()


async def test_without_a_stripe_key_the_refusal_says_what_to_set(till: Till) -> None:
    with pytest.raises(StripeNotConfiguredError, match="STRIPE_SECRET_KEY"):
        await till.but(stripe=None).open()


async def test_an_app_key_buys_for_a_user_only_with_the_permission(till: Till) -> None:
    order: dict[str, Any] = {"reference": "pack_100", "quantity": 1, "mode": "payment", "key": None}
    urls: dict[str, Any] = {"success_url": SUCCESS, "cancel_url": CANCEL, "user_id": till.user_id}
    powerless = replace(APP_KEY, permissions=frozenset({Permission.READ_CREDITS}))

    opened = await checkouts.open_checkout(till.ctx, APP_KEY, **order, **urls)
    with pytest.raises(PermissionDeniedError):
        await checkouts.open_checkout(till.ctx, powerless, **order, **urls)

    assert opened.checkout.user_id == till.user_id


async def test_nobody_buys_for_another_for_nobody_or_while_inactive(till: Till) -> None:
    other = add_user(till.database, "eve@example.com")
    order: dict[str, Any] = {"reference": "pack_100", "quantity": 1, "mode": "payment", "key": None}
    urls: dict[str, Any] = {"success_url": SUCCESS, "cancel_url": CANCEL}

    with pytest.raises(PermissionDeniedError):
        await till.open("pack_100", user_id=other)
    with pytest.raises(UserNotFoundError):
        await checkouts.open_checkout(till.ctx, APP_KEY, user_id=999, **order, **urls)
    till.ask("UPDATE tallybook.users SET is_active = false WHERE user_id = %s", other)
    with pytest.raises(UserInactiveError):
        await checkouts.open_checkout(till.ctx, APP_KEY, user_id=other, **order, **urls)


async def test_a_checkout_is_seen_by_its_own_user_only(till: Till) -> None:
    checkout = await till.open()
    stranger = Caller(user_id=add_user(till.database, "eve@example.com"))

    seen = await checkouts.checkout(till.ctx, till.caller, checkout.checkout_id)

    assert seen == checkout
    for caller, number in ((stranger, checkout.checkout_id), (till.caller, 999)):
        with pytest.raises(CheckoutNotFoundError):
            await checkouts.checkout(till.ctx, caller, number)


async def test_before_the_catalogue_is_pushed_the_refusal_says_what_to_run(bare_till: Till) -> None:
    with pytest.raises(CatalogNotPushedError, match="tallybook catalog push"):
        await bare_till.open("package_starter")
