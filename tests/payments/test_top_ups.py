"""Auto top-up: the whole gap in one charge, one at a time, exactly once; and when it is not charged any more."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio

from payments.cardholder import Cardholder, losing
from payments.desk import Till
from tallybook.domain.money import Credits, Money
from tallybook.usecases.cards import completing, rules, saved_methods

pytestmark = pytest.mark.timeout(120)
DAY = timedelta(days=1)


@pytest_asyncio.fixture
async def ada(till: Till) -> Cardholder:
    """A customer with a good card, 60 credits, and a rule that keeps 50 there."""
    holder = Cardholder(till)
    await holder.save("pm_card_visa")
    await holder.rule()
    await holder.give(60)
    return holder


async def test_a_spend_below_the_threshold_is_topped_up_by_one_charge(ada: Cardholder) -> None:
    assert await ada.round() == 0
    await ada.spend(20)

    assert await ada.round() == 1

    assert ada.till.credits() == 140
    [charge] = ada.charges()
    assert (charge["amount"], charge["currency"], charge["status"]) == (1000, "usd", "succeeded")
    assert ada.till.ask("SELECT source, reference, paid_minor, credits_micro FROM tallybook.payments") == [
        ("top_up", charge["id"], 1000, 100_000_000)
    ]
    assert ada.announced() == ["top_up.succeeded"]
    assert await ada.round() == 0


async def test_the_whole_gap_is_closed_in_one_charge(ada: Cardholder) -> None:
    await ada.rule(threshold=Credits.whole(450), monthly_cap=Money(50_000, "usd"))

    await ada.round()

    assert [charge["amount"] for charge in ada.charges()] == [4000]
    assert ada.till.credits() == 460


async def test_its_own_webhooks_grant_no_second_time(ada: Cardholder) -> None:
    await ada.spend(20)
    await ada.round()

    await ada.hear()
    await ada.hear()

    assert (ada.till.credits(), ada.till.grants()) == (140, 2)
    assert ("payment_intent.succeeded", "done", "already_granted") in ada.till.inbox()


async def test_pitfall_14_many_workers_at_once_charge_once(ada: Cardholder) -> None:
    await ada.spend(20)

    await asyncio.gather(*(ada.round() for _ in range(6)))

    assert len(ada.charges()) == 1
    assert ada.till.credits() == 140


async def test_pitfall_14_nothing_is_charged_while_an_outcome_is_unknown(ada: Cardholder) -> None:
    await ada.spend(20)
    async with losing(ada.till, "/v1/payment_intents") as cut:
        await Cardholder(cut).round()
    assert (ada.till.credits(), len(ada.charges())) == (40, 1)

    await ada.spend(10)
    await ada.round()

    assert (ada.till.credits(), len(ada.charges())) == (30, 1)


async def test_pitfall_15_an_unknown_outcome_is_asked_again_under_the_same_key(ada: Cardholder) -> None:
    await ada.spend(20)
    async with losing(ada.till, "/v1/payment_intents") as cut:
        await Cardholder(cut).round()

    await ada.round(later=timedelta(minutes=3))

    assert (ada.till.credits(), len(ada.charges())) == (140, 1)
    assert ada.top_ups() == [("succeeded", 1000, None)]


async def test_pitfall_15_the_same_amount_is_charged_again_in_the_same_minute(ada: Cardholder) -> None:
    for _ in range(3):
        await ada.spend(ada.till.credits() - 40)
        await ada.round()
        assert ada.till.credits() == 140

    assert [charge["amount"] for charge in ada.charges()] == [1000, 1000, 1000]


async def test_once_keys_are_forgotten_an_unknown_charge_is_looked_up_and_not_repeated(
    ada: Cardholder,
) -> None:
    await ada.spend(20)
    async with losing(ada.till, "/v1/payment_intents") as cut:
        await Cardholder(cut).round()

    await ada.round(later=2 * DAY)

    assert (ada.till.credits(), len(ada.charges())) == (140, 1)


async def test_a_decline_waits_and_the_third_in_a_row_stops_it(till: Till) -> None:
    ada = Cardholder(till)
    await ada.save("pm_card_chargeCustomerFail")
    await ada.rule()

    await ada.round()
    assert await ada.round() == 0
    await ada.round(later=timedelta(hours=2))
    assert ada.stopped() is None
    assert await ada.round(later=timedelta(hours=4)) == 0
    await ada.round(later=timedelta(hours=15))
    assert ada.stopped() == "declined_too_often"
    assert await ada.round(later=30 * DAY) == 0

    assert ada.top_ups() == [("failed", 1000, "generic_decline")] * 3
    assert ada.announced() == ["top_up.failed"] * 3
    assert {charge["status"] for charge in ada.charges()} == {"canceled"}


async def test_pitfall_15_a_decline_that_no_webhook_tells_of_sets_back_at_once(till: Till) -> None:
    ada = Cardholder(till)
    await ada.save("pm_card_chargeCustomerFail")
    await ada.rule()

    await ada.round()

    # No event was delivered, and yet the rule knows.
    assert till.inbox() == []
    assert till.ask(
        "SELECT declines, not_before > now() + interval '50 minutes' FROM tallybook.top_up_rules"
    ) == [(1, True)]


@pytest.mark.parametrize(
    ("card", "code"), [("4000000000009987", "lost_card"), ("4000000000009979", "stolen_card")]
)
async def test_a_final_decline_stops_it_at_once(ada: Cardholder, card: str, code: str) -> None:
    purse = await saved_methods.get(ada.till.ctx, ada.till.caller, user_id=None)
    ada.till.sandbox.control(f"payment_methods/{purse.methods[0].id}/becomes", card=card)
    await ada.spend(20)

    await ada.round()

    assert ada.stopped() == "card_refused"
    assert ada.top_ups() == [("failed", 1000, code)]
    assert await ada.round(later=30 * DAY) == 0


async def test_another_card_lets_it_go_on(till: Till) -> None:
    ada = Cardholder(till)
    await ada.rule()
    await ada.round()
    assert (ada.stopped(), ada.announced()) == ("no_saved_card", ["top_up.failed"])

    await ada.save("pm_card_visa")
    await ada.round()

    assert (ada.stopped(), till.credits()) == (None, 100)


async def test_no_more_than_the_months_cap_is_charged(ada: Cardholder) -> None:
    await ada.rule(monthly_cap=Money(2500, "usd"))
    for _ in range(2):
        await ada.spend(ada.till.credits() - 40)
        await ada.round()
    await ada.spend(ada.till.credits() - 40)

    await ada.round()
    await ada.round()

    assert (len(ada.charges()), ada.till.credits()) == (2, 40)
    assert ada.announced() == ["top_up.succeeded", "top_up.succeeded", "top_up.capped"]
    await ada.round(later=32 * DAY)
    assert ada.till.credits() == 140


async def test_a_gap_larger_than_the_cap_is_closed_as_far_as_it_allows(ada: Cardholder) -> None:
    await ada.rule(threshold=Credits.whole(450), monthly_cap=Money(2500, "usd"))

    await ada.round()

    assert [charge["amount"] for charge in ada.charges()] == [2000]


async def test_3_d_secure_is_handed_to_the_customer_and_grants_when_they_passed(till: Till) -> None:
    ada = Cardholder(till)
    await ada.save("pm_card_authenticationRequired")
    await ada.rule()

    await ada.round()

    assert ada.top_ups() == [("needs_action", 1000, "authentication_required")]
    assert ada.announced() == ["top_up.needs_action"]
    [[facts]] = till.ask("SELECT facts FROM tallybook.announcements")
    assert facts["complete_url"].startswith("http://localhost:3000/top-ups/pin_")
    assert await ada.round() == 0
    done = await _complete(ada)
    assert done.redirect_url is not None
    [charge] = ada.charges()
    till.sandbox.control(f"payment_intents/{charge['id']}/authenticate")
    await ada.hear()
    assert (till.credits(), ada.stopped()) == (100, None)


async def test_pitfall_14_a_top_up_that_waits_is_given_up_when_the_customer_paid_otherwise(
    till: Till,
) -> None:
    ada = Cardholder(till)
    await ada.save("pm_card_authenticationRequired")
    await ada.rule()
    await ada.round()
    checkout = await till.open("pack_100")
    till.pay(checkout)
    await till.deliver_all(checkout)

    await ada.round(later=timedelta(minutes=16))

    assert ada.top_ups()[0][0] == "canceled"
    assert till.credits() == 100
    [charge, _] = ada.charges()
    assert charge["status"] == "canceled"


async def test_a_top_up_that_nobody_completes_is_given_up_and_counts_as_declined(till: Till) -> None:
    ada = Cardholder(till)
    await ada.save("pm_card_authenticationRequired")
    await ada.rule()
    await ada.round()

    await ada.round(later=DAY + timedelta(minutes=1))

    assert ada.top_ups()[0][0] == "canceled"
    assert till.ask("SELECT declines FROM tallybook.top_up_rules") == [(1,)]


async def test_a_rule_that_is_switched_off_or_removed_charges_nothing(ada: Cardholder) -> None:
    await ada.spend(20)
    await ada.rule(enabled=False)
    assert await ada.round() == 0
    await rules.end(ada.till.ctx, ada.till.caller, user_id=None)

    assert await ada.round() == 0


async def test_a_card_that_was_removed_is_not_charged(ada: Cardholder) -> None:
    purse = await saved_methods.get(ada.till.ctx, ada.till.caller, user_id=None)
    await saved_methods.let_go(ada.till.ctx, ada.till.caller, purse.methods[0].id, user_id=None)
    await ada.spend(20)

    await ada.round()

    assert (ada.charges(), ada.stopped()) == ([], "no_saved_card")


async def _complete(ada: Cardholder) -> completing.Completed:
    [[number]] = ada.till.ask("SELECT number FROM tallybook.payment_intents")
    return await completing.complete(ada.till.ctx, ada.till.caller, number, return_url=None, key="complete-1")
