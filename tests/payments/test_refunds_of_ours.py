"""Refunds from our side: asked for once, made once, whatever is lost on the way; refunds that wait and that fail."""

from __future__ import annotations

import asyncio

import pytest
from sandbox.process import KEY

from payments.desk import OPERATOR, Till
from payments.money import balances, books, bought, refund
from tallybook.domain.errors import (
    IdempotencyKeyReusedError,
    PaymentNotFoundError,
    PermissionDeniedError,
    RefundExceedsError,
    RefundNotPossibleError,
    StripeRefusedError,
    StripeUnavailableError,
)
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.money import Credits
from tallybook.stripe.gateway import PINNED_API_VERSION, StripeGateway
from tallybook.usecases import money_back, payments, wallets

pytestmark = pytest.mark.timeout(90)


async def ask(
    till: Till, key: str = "one", amount: int | None = None, caller: Caller = OPERATOR
) -> money_back.Made:
    """Ask for a refund of the first payment."""
    return await money_back.refund(till.ctx, caller, 1, amount_minor=amount, reason=None, key=key)


def at_stripe(till: Till, made: money_back.Made) -> int:
    """How many refunds the payment has at Stripe."""
    listed = till.stripe_get("/v1/refunds", payment_intent=made.payment.stripe_payment_intent_id, limit=100)
    return len(listed["data"])


async def test_a_refund_from_our_side_gives_the_money_and_takes_the_credits(till: Till) -> None:
    checkout = await bought(till)

    made = await ask(till, amount=400)
    await till.deliver_all(checkout)

    assert (made.refund.status, made.refund.amount.minor, made.payment.refundable_minor) == (
        "succeeded",
        400,
        600,
    )
    assert balances(till) == (600, 0, 0)
    assert books(till) == [(400, 0, 400, 0)]
    assert ("payment.refunded",) in till.ask(
        "SELECT action FROM tallybook.audit_log WHERE actor_kind = 'operator'"
    )


async def test_one_key_refunds_once_however_often_and_at_once_it_is_asked(till: Till) -> None:
    await bought(till)

    made = await asyncio.gather(*(ask(till, amount=300) for _ in range(5)))
    again = await ask(till, amount=300)

    assert len({one.refund.id for one in made}) == 1
    assert again.replayed
    assert at_stripe(till, again) == 1
    assert till.credits() == 700


async def test_a_key_with_other_terms_is_refused(till: Till) -> None:
    await bought(till)
    await ask(till, amount=300)

    with pytest.raises(IdempotencyKeyReusedError):
        await ask(till, amount=301)


async def test_the_rest_is_bound_when_it_is_asked_for(till: Till) -> None:
    await bought(till)
    await ask(till, "part", amount=300)

    first = await ask(till, "rest")
    second = await ask(till, "rest")

    assert first.refund.amount.minor == 700
    assert second.refund.id == first.refund.id
    assert balances(till) == (0, 0, 0)


async def test_no_more_than_is_left_is_given_back(till: Till) -> None:
    await bought(till)
    await ask(till, "part", amount=300)

    with pytest.raises(RefundExceedsError) as refused:
        await ask(till, "more", amount=701)

    assert refused.value.facts == {"refundable_minor": 700}


async def test_an_unknown_outcome_is_asked_again_with_the_same_key(till: Till) -> None:
    await bought(till)
    nowhere = StripeGateway(KEY, api_base="http://127.0.0.1:9", api_version=PINNED_API_VERSION)
    with pytest.raises(StripeUnavailableError):
        await ask(till.but(stripe=nowhere), amount=300)
    await nowhere.close()
    intended = till.ask("SELECT status, attempt FROM tallybook.refund_intents")

    made = await ask(till, amount=300)

    assert intended == [("intended", 1)]
    assert at_stripe(till, made) == 1
    assert till.credits() == 700


async def test_a_refund_whose_answer_was_lost_is_found_and_not_made_again(till: Till) -> None:
    checkout = await bought(till)
    await ask(till, amount=300)
    till.ask("UPDATE tallybook.refund_intents SET status = 'intended', stripe_refund_id = NULL, attempt = 7")

    made = await ask(till, amount=300)
    await till.deliver_all(checkout)

    assert at_stripe(till, made) == 1
    assert till.credits() == 700


async def test_pitfall_12_the_webhook_before_our_own_commit_finds_the_intent(till: Till) -> None:
    checkout = await bought(till)
    await ask(till, amount=300)
    till.ask("UPDATE tallybook.refund_intents SET status = 'intended', stripe_refund_id = NULL")
    till.ask("UPDATE tallybook.payments SET refunded_minor = 0")

    await till.deliver_all(checkout)

    assert till.ask("SELECT status FROM tallybook.refund_intents") == [("made",)]
    assert books(till) == [(300, 0, 300, 0)]


async def test_what_stripe_refuses_is_tried_under_a_new_key(till: Till) -> None:
    checkout = await bought(till)
    refund(till, checkout)

    with pytest.raises(StripeRefusedError):
        await ask(till, amount=300)

    assert till.ask("SELECT status, attempt FROM tallybook.refund_intents") == [("refused", 2)]
    assert till.credits() == 1000


async def test_only_admins_and_apps_that_may_refund_do(till: Till) -> None:
    await bought(till)
    key = Caller(app_id=0, by_key=True, permissions=frozenset({Permission.REFUND_PAYMENTS}))
    grants = Caller(app_id=0, by_key=True, permissions=frozenset({Permission.GRANT_CREDITS}))

    for stranger in (till.caller, grants):
        with pytest.raises(PermissionDeniedError):
            await ask(till, caller=stranger)
        with pytest.raises(PermissionDeniedError):
            await payments.preview_refund(till.ctx, stranger, 1, amount_minor=None)
    made = await ask(till, caller=key)

    assert made.refund.amount.minor == 1000


async def test_a_payment_without_money_and_one_that_is_none_are_not_refunded(till: Till) -> None:
    await bought(till)
    till.ask("UPDATE tallybook.payments SET stripe_payment_intent_id = NULL")

    with pytest.raises(RefundNotPossibleError):
        await ask(till)
    with pytest.raises(PaymentNotFoundError):
        await money_back.refund(till.ctx, OPERATOR, 2, amount_minor=None, reason=None, key="none")


async def test_a_preview_says_what_the_refund_then_does(till: Till) -> None:
    await bought(till)
    await wallets.grant(till.ctx, OPERATOR, credits=Credits.whole(50), key="bonus", user_id=till.user_id)
    await wallets.spend(till.ctx, till.caller, credits=Credits.whole(700), key="job")
    await wallets.place_hold(till.ctx, till.caller, credits=Credits.whole(100), key="work")

    found = await payments.preview_refund(till.ctx, OPERATOR, 1, amount_minor=900)
    untouched = balances(till)
    await ask(till, amount=900)

    said = (found.credits, found.from_payment, found.from_others, found.debt, found.held)
    assert said == tuple(map(Credits.whole, (900, 200, 50, 650, 100)))
    assert untouched == (250, 100, 0)
    assert balances(till) == (0, 100, 650)


async def test_pitfall_16_a_refund_that_waits_counts_and_one_that_fails_gives_the_credits_again(
    till: Till,
) -> None:
    checkout = await till.open()
    till.pay(checkout, card="4000000000007726")
    await till.deliver_all(checkout)
    pending = refund(till, checkout, amount="400")
    assert pending["status"] == "pending", pending
    await till.deliver_all(checkout)
    waiting = till.credits()
    till.sandbox.control(f"refunds/{pending['id']}/settle", outcome="fail")

    await till.deliver_all(checkout)

    assert waiting == 600
    assert till.credits() == 1000
    assert books(till) == [(0, 0, 0, 0)]


async def test_what_a_failed_refund_took_pays_the_debt_first_when_it_comes_again(till: Till) -> None:
    checkout = await bought(till)
    await wallets.spend(till.ctx, till.caller, credits=Credits.whole(900), key="job")
    made = await ask(till)
    owed = balances(till)
    till.sandbox.control(f"refunds/{made.refund.id}/settle", outcome="fail")

    await till.deliver_all(checkout)

    assert owed == (0, 0, 900)
    assert balances(till) == (100, 0, 0)


async def test_a_payment_whose_only_refund_failed_before_the_grant_is_granted_whole(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    given = refund(till, checkout)
    await till.deliver_all(checkout)
    nothing = till.credits()
    till.sandbox.control(f"refunds/{given['id']}/settle", outcome="fail")

    await till.deliver_all(checkout)

    assert nothing == 0
    assert till.credits() == 1000
    assert await till.status(checkout) == "paid"
