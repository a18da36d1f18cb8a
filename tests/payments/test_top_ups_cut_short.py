"""Auto top-up when something comes between: a worker that ends, a customer who wants it no more, a fault of ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

import pytest
import pytest_asyncio

from payments.cardholder import Cardholder, locked_out, losing
from payments.desk import Till, add_user
from tallybook.domain.catalog.products import Catalog
from tallybook.domain.money import Credits, Money
from tallybook.domain.rates import Rate
from tallybook.postgres import payment_intents
from tallybook.usecases.cards import beginning, rules, saved_methods

pytestmark = pytest.mark.timeout(120)


@pytest_asyncio.fixture
async def ada(till: Till) -> Cardholder:
    """A customer with a good card, 60 credits, and a rule that keeps 50 there."""
    holder = Cardholder(till)
    await holder.save("pm_card_visa")
    await holder.rule()
    await holder.give(60)
    return holder


async def test_a_wallet_that_cannot_be_charged_for_a_fault_of_ours_keeps_no_other_one_waiting(
    till: Till,
) -> None:
    faulty = Rate(credits=Credits(0), price=Money(1, "jpy"))
    till = till.but(catalog=Catalog(products=till.ctx.catalog.products, rates=(faulty,)))
    ada, bob = Cardholder(till), Cardholder(replace(till, user_id=add_user(till.database, "bob@example.com")))
    await ada.rule(lookup_key=None, credits=Credits.whole(10), monthly_cap=Money(1000, "jpy"))
    await bob.save("pm_card_visa")
    await bob.rule()

    assert await ada.round() == 1

    assert bob.till.credits() == 100


async def test_a_fault_of_the_installation_is_no_decline_of_the_card(ada: Cardholder) -> None:
    await ada.spend(20)
    async with locked_out(ada.till, "/v1/payment_intents") as locked:
        for hours in (0, 2, 4, 6):
            await Cardholder(locked).round(later=timedelta(hours=hours))

    assert [row[0] for row in ada.top_ups()] == ["failed"] * 4
    assert {row[2] for row in ada.top_ups()} == {"stripe_refused"}
    assert ada.stopped() is None
    await ada.round(later=timedelta(hours=8))
    assert ada.till.credits() == 140


async def test_a_charge_that_cannot_be_carried_on_for_a_fault_of_ours_keeps_no_other_one_waiting(
    ada: Cardholder,
) -> None:
    bob = Cardholder(replace(ada.till, user_id=add_user(ada.till.database, "bob@example.com")))
    await bob.rule()
    await bob.round()
    ada.till.ask("ALTER TABLE tallybook.payment_intents DROP CONSTRAINT payment_intents_check")
    ada.till.ask(
        "UPDATE tallybook.payment_intents SET status = 'open', stripe_id = 'pi_1', look_at = now() - interval '1 day'"
    )
    await ada.spend(20)
    async with losing(ada.till, "/v1/payment_intents") as cut:
        await Cardholder(cut).round()

    await ada.round(later=timedelta(minutes=3))

    assert ada.till.credits() == 140


async def _ends_the_rule(ada: Cardholder) -> None:
    await rules.end(ada.till.ctx, ada.till.caller, user_id=None)


async def _switches_it_off(ada: Cardholder) -> None:
    await ada.rule(enabled=False)


async def _is_paid_in_another_way(ada: Cardholder) -> None:
    await ada.give(20)


async def _is_frozen(ada: Cardholder) -> None:
    ada.till.ask("UPDATE tallybook.wallets SET is_frozen = true WHERE owner_user_id = %s", ada.till.user_id)


async def _is_deactivated(ada: Cardholder) -> None:
    ada.till.ask("UPDATE tallybook.users SET is_active = false WHERE user_id = %s", ada.till.user_id)


@pytest.mark.parametrize("bound", [False, True])
@pytest.mark.parametrize(
    "happens", [_ends_the_rule, _switches_it_off, _is_paid_in_another_way, _is_frozen, _is_deactivated]
)
async def test_a_top_up_that_was_begun_and_never_sent_is_dropped_once_it_is_not_wanted(
    ada: Cardholder, happens: Callable[[Cardholder], Awaitable[None]], bound: bool
) -> None:
    await _begin(ada, bound=bound)
    await happens(ada)

    await ada.round(later=timedelta(minutes=3))

    assert (ada.charges(), ada.top_ups()) == ([], [("canceled", 1000, None)])
    assert (
        ada.till.ask("SELECT 1 FROM tallybook.top_up_rules WHERE declines > 0 OR stopped IS NOT NULL") == []
    )
    assert ada.announced() == []


async def test_a_top_up_that_was_sent_is_granted_even_if_it_is_not_wanted_any_more(ada: Cardholder) -> None:
    await ada.spend(20)
    async with losing(ada.till, "/v1/payment_intents") as cut:
        await Cardholder(cut).round()
    await rules.end(ada.till.ctx, ada.till.caller, user_id=None)

    await ada.round(later=timedelta(minutes=3))

    assert (ada.till.credits(), len(ada.charges())) == (140, 1)


async def test_what_an_attempt_before_made_is_kept_and_no_second_charge_is_made(ada: Cardholder) -> None:
    await ada.spend(20)
    async with losing(ada.till, "/v1/payment_intents") as cut:
        await Cardholder(cut).round()
    # Stripe did not list it yet when it was looked up.
    ada.till.ask("UPDATE tallybook.payment_intents SET attempt = 2")

    await ada.round(later=timedelta(minutes=3))

    assert (ada.till.credits(), len(ada.charges())) == (140, 1)


async def _begin(ada: Cardholder, *, bound: bool) -> None:
    """What a worker leaves behind that ends before it asks Stripe."""
    await ada.spend(20)
    [wallet_id] = await beginning.due(ada.till.ctx, after=0, limit=1)
    purse = await saved_methods.get(ada.till.ctx, ada.till.caller, user_id=None)
    async with ada.till.ctx.db.transaction() as tx:
        begun = await beginning.begun(ada.till.ctx, tx, wallet_id)
        assert begun is not None
        if bound:
            customer_id, method_id = purse.customer_id, purse.methods[0].id
            now = ada.till.ctx.clock()
            await payment_intents.bind(tx, now, begun, customer_id=customer_id, method_id=method_id)
