"""The payment form: the server prices, the browser pays, and credits come once, from what Stripe says."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from payments.cardholder import Cardholder, losing
from payments.desk import OPERATOR, Till
from payments.form_filler import PACK, hear, open_form, pay, selling
from tallybook.domain.errors import (
    AmountNotSoldError,
    AmountOutOfRangeError,
    IdempotencyKeyReusedError,
    ModeMismatchError,
    PaymentIntentNotFoundError,
    PriceNotFoundError,
    StripeUnavailableError,
)
from tallybook.domain.identity.callers import Caller
from tallybook.usecases.cards import forms

pytestmark = pytest.mark.timeout(120)


async def test_the_form_is_priced_by_us_and_granted_when_stripe_has_the_money(till: Till) -> None:
    form = await open_form(till, quantity=3)
    assert form.client_secret is not None
    assert till.credits() == 0

    pay(till, form)
    await hear(till, form.intent.stripe_id)
    await hear(till, form.intent.stripe_id)

    assert (till.credits(), till.grants()) == (300, 1)
    assert till.ask("SELECT source, reference, paid_minor FROM tallybook.payments") == [
        ("payment_form", form.intent.stripe_id, 3000)
    ]


async def test_whoever_comes_back_is_granted_before_any_webhook(till: Till) -> None:
    form = await open_form(till)
    pay(till, form)

    seen = await asyncio.gather(*(forms.look(till.ctx, till.caller, form.intent.number) for _ in range(5)))

    assert {str(one.intent.status) for one in seen} == {"succeeded"}
    assert {one.client_secret for one in seen} == {None}
    assert (till.credits(), till.grants()) == (100, 1)


async def test_a_declined_card_leaves_the_form_open_for_another_one(till: Till) -> None:
    form = await open_form(till)
    pay(till, form, "pm_card_chargeDeclined")
    await hear(till, form.intent.stripe_id)
    assert (await forms.look(till.ctx, till.caller, form.intent.number)).client_secret is not None

    pay(till, form)
    await hear(till, form.intent.stripe_id)

    assert till.credits() == 100


async def test_a_key_starts_one_payment_and_other_terms_are_refused(till: Till) -> None:
    opened = await asyncio.gather(*(open_form(till, key="order-7") for _ in range(8)))
    assert len({one.intent.stripe_id for one in opened}) == 1

    with pytest.raises(IdempotencyKeyReusedError):
        await open_form(till, key="order-7", quantity=2)


async def test_an_unknown_outcome_is_asked_again_under_the_same_stripe_key(till: Till) -> None:
    async with losing(till, "/v1/payment_intents") as cut:
        with pytest.raises(StripeUnavailableError):
            await open_form(cut, key="order-7")

    await open_form(till, key="order-7")

    [[customer]] = till.ask("SELECT stripe_customer_id FROM tallybook.stripe_customers")
    assert len(till.stripe_get("/v1/payment_intents", customer=customer)["data"]) == 1


async def test_an_amount_alone_buys_nothing_without_a_rate(till: Till) -> None:
    with pytest.raises(AmountNotSoldError):
        await open_form(till, reference=None, amount_minor=2500, currency="usd")

    assert till.ask("SELECT count(*) FROM tallybook.payment_intents") == [(0,)]


async def test_what_is_not_sold_so_is_refused(till: Till) -> None:
    for wish, refusal in (
        ({"currency": "jpy"}, PriceNotFoundError),
        ({"reference": "nothing"}, PriceNotFoundError),
        ({"reference": "plan_starter"}, ModeMismatchError),
        ({"quantity": 0}, AmountOutOfRangeError),
    ):
        with pytest.raises(refusal):
            await open_form(till, **wish)


async def test_pitfall_20_what_was_bound_is_granted_whatever_the_catalogue_says_later(till: Till) -> None:
    form = await open_form(till, quantity=7)
    dearer = selling(till, PACK.replace("credits = 100", "credits = 5").replace("= 1000", "= 999900"))
    till.ask("UPDATE tallybook.catalog_links SET amount_minor = 999900 WHERE lookup_key = 'pack_100'")

    pay(till, form)
    await hear(dearer, form.intent.stripe_id)

    assert till.credits() == 700


async def test_pitfall_20_an_amount_that_was_changed_at_stripe_grants_nothing(till: Till) -> None:
    form = await open_form(till)
    till.stripe_post(f"/v1/payment_intents/{form.intent.stripe_id}", amount="50")

    pay(till, form)
    await hear(till, form.intent.stripe_id)

    assert (till.credits(), till.grants()) == (0, 0)
    assert ("payment_intent.succeeded", "done", "mismatch_amount") in till.inbox()


async def test_pitfall_10_an_intent_that_we_did_not_start_never_grants_even_with_our_metadata(
    till: Till,
) -> None:
    form = await open_form(till)
    ours = till.stripe_get(f"/v1/payment_intents/{form.intent.stripe_id}")
    copied = {f"metadata[{name}]": value for name, value in ours["metadata"].items()}
    foreign = till.stripe_post(
        "/v1/payment_intents",
        amount=1000,
        currency="usd",
        customer=ours["customer"],
        confirm="true",
        payment_method="pm_card_visa",
        return_url="http://localhost/",
        **copied,
    )
    assert foreign["status"] == "succeeded"

    await hear(till, foreign["id"])

    assert (till.credits(), till.grants()) == (0, 0)
    assert ("payment_intent.succeeded", "done", "foreign") in till.inbox()


async def test_anothers_payment_looks_like_none(till: Till) -> None:
    form = await open_form(till)

    with pytest.raises(PaymentIntentNotFoundError):
        await forms.look(till.ctx, replace(till.caller, user_id=till.user_id + 1), form.intent.number)
    with pytest.raises(PaymentIntentNotFoundError):
        await forms.look(till.ctx, Caller(user_id=till.user_id), 999_999)


async def test_only_the_app_that_opened_it_its_user_and_an_admin_get_its_secret(till: Till) -> None:
    [[app_id]] = till.ask(
        "INSERT INTO tallybook.apps (public_id, name, permissions, created_at, updated_at)"
        " VALUES ('app_shop', 'Shop', '{purchase_credits}', now(), now()) RETURNING app_id"
    )
    shop = Caller(app_id=app_id, by_key=True)
    wish = forms.Wish(reference="pack_100", quantity=1, amount_minor=None, currency=None, saves_method=False)
    form = await forms.open_form(till.ctx, shop, wish, user_id=till.user_id, key=None)

    for caller in (shop, Caller(app_id=app_id, user_id=till.user_id), till.caller, OPERATOR):
        assert (await forms.look(till.ctx, caller, form.intent.number)).client_secret is not None
    other = app_id + 1
    for caller in (Caller(app_id=other, by_key=True), Caller(app_id=other, user_id=till.user_id)):
        seen = await forms.look(till.ctx, caller, form.intent.number)
        assert (seen.intent.number, seen.client_secret) == (form.intent.number, None)


async def test_a_top_up_looks_like_none_to_every_app(till: Till) -> None:
    ada = Cardholder(till)
    await ada.save("pm_card_visa")
    await ada.rule()
    await ada.round()
    [[number]] = till.ask("SELECT number FROM tallybook.payment_intents")

    for caller in (Caller(app_id=7, by_key=True), Caller(app_id=7, user_id=till.user_id)):
        with pytest.raises(PaymentIntentNotFoundError):
            await forms.look(till.ctx, caller, number)
    for caller in (till.caller, OPERATOR):
        assert (await forms.look(till.ctx, caller, number)).intent.number == number
