"""Disputes: credits are taken when one opens, stay taken when it is lost, and come again when it is won."""

from __future__ import annotations

import pytest

from payments.desk import OPERATOR, Till
from payments.money import balances, books, bought, deliver, dispute, refund
from tallybook.domain.errors import WalletFrozenError
from tallybook.domain.money import Credits
from tallybook.domain.payments.inbox import Selection
from tallybook.usecases import events, freezing, wallets
from tallybook.worker.main import work_off

pytestmark = pytest.mark.timeout(90)


async def test_pitfall_17_an_open_dispute_takes_the_payments_credits(till: Till) -> None:
    checkout = await bought(till)
    found = dispute(till, checkout)

    await till.deliver_all(checkout)

    assert balances(till) == (0, 0, 0)
    assert books(till) == [(0, 1000, 0, 1000)]
    assert till.ask("SELECT stripe_dispute_id, status, withdrawn FROM tallybook.disputes") == [
        (found, "needs_response", True)
    ]


async def test_pitfall_17_a_dispute_that_is_won_gives_back_what_it_took(till: Till) -> None:
    checkout = await bought(till)
    await wallets.spend(till.ctx, till.caller, credits=Credits.whole(300), key="job")
    found = dispute(till, checkout)
    await till.deliver_all(checkout)
    taken = balances(till)
    till.sandbox.control(f"disputes/{found}/win")

    await till.deliver_all(checkout)

    assert taken == (0, 0, 300)
    assert balances(till) == (700, 0, 0)
    assert books(till) == [(0, 0, 0, 0)]


async def test_a_dispute_that_is_lost_takes_nothing_more(till: Till) -> None:
    checkout = await bought(till)
    found = dispute(till, checkout)
    await till.deliver_all(checkout)
    till.sandbox.control(f"disputes/{found}/lose")

    await till.deliver_all(checkout)

    assert balances(till) == (0, 0, 0)
    assert books(till) == [(0, 1000, 0, 1000)]
    assert till.ask("SELECT count(*) FROM tallybook.payment_steps") == [(1,)]


async def test_an_inquiry_takes_nothing_until_it_becomes_a_dispute(till: Till) -> None:
    checkout = await bought(till)
    found = dispute(till, checkout, reason="inquiry")
    await till.deliver_all(checkout)
    asked = till.credits()
    till.sandbox.control(f"disputes/{found}/escalate")

    await till.deliver_all(checkout)

    assert asked == 1000
    assert balances(till) == (0, 0, 0)


async def test_an_inquiry_that_is_closed_never_took_anything(till: Till) -> None:
    checkout = await bought(till)
    found = dispute(till, checkout, reason="inquiry")
    till.sandbox.control(f"disputes/{found}/close_warning")

    await till.deliver_all(checkout)

    assert till.credits() == 1000
    assert till.ask("SELECT count(*) FROM tallybook.payment_steps") == [(0,)]


@pytest.mark.parametrize("turn", range(4))
async def test_a_disputes_events_in_any_order_and_twice_end_at_the_same(till: Till, turn: int) -> None:
    checkout = await bought(till)
    refund(till, checkout, amount="200")
    found = dispute(till, checkout)
    till.sandbox.control(f"disputes/{found}/win")
    wanted = [event for event in till.events(checkout) if "dispute" in event["type"]]
    wanted += [event for event in till.events(checkout) if "refund" in event["type"]]
    turned = wanted[2 * turn :] + wanted[: 2 * turn]
    mixed = [*turned, *reversed(turned)] if turn % 2 else [*reversed(turned), *turned]

    for event in mixed:
        await till.deliver(event)
        await work_off(till.ctx)

    assert len(wanted) >= 6
    assert balances(till) == (800, 0, 0)
    assert books(till) == [(200, 0, 200, 0)]


async def test_pitfall_17_a_dispute_whose_opening_was_missed_is_seen_with_its_end(till: Till) -> None:
    checkout = await bought(till)
    found = dispute(till, checkout)
    till.sandbox.control(f"disputes/{found}/lose")

    await deliver(till, checkout, "charge.dispute.closed")

    assert books(till) == [(0, 1000, 0, 1000)]


async def test_a_refund_and_a_dispute_never_take_more_than_the_payment_brought(till: Till) -> None:
    checkout = await bought(till)
    refund(till, checkout, amount="400")
    dispute(till, checkout, amount=1000)

    await till.deliver_all(checkout)

    assert balances(till) == (0, 0, 0)
    assert books(till) == [(400, 600, 400, 600)]


async def test_a_partial_dispute_takes_its_part(till: Till) -> None:
    checkout = await bought(till)
    dispute(till, checkout, amount=250)

    await till.deliver_all(checkout)

    assert till.credits() == 750


async def test_a_dispute_that_is_heard_of_before_its_payment_leaves_nothing_to_spend(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout)
    dispute(till, checkout)

    await deliver(till, checkout, "charge.dispute.created")
    first = balances(till)
    await till.deliver_all(checkout)

    assert first == balances(till) == (0, 0, 0)
    assert books(till) == [(0, 1000, 0, 1000)]


async def test_a_payment_that_is_disputed_at_once_is_granted_and_taken_back(till: Till) -> None:
    checkout = await till.open()
    till.pay(checkout, card="4000000000000259")

    await till.deliver_all(checkout)

    assert books(till) == [(0, 1000, 0, 1000)]


async def test_an_old_event_that_waited_ignored_is_worked_off_by_a_replay(till: Till) -> None:
    checkout = await bought(till)
    dispute(till, checkout)
    for event in till.events(checkout):
        await till.deliver(event)
    till.ask(
        "UPDATE tallybook.stripe_events SET status = 'ignored', outcome = 'not_yet_handled'"
        " WHERE type LIKE 'charge.dispute.%%'"
    )
    before = (await work_off(till.ctx), till.credits())

    for event_id, *_ in till.ask("SELECT event_id FROM tallybook.stripe_events WHERE status = 'ignored'"):
        await events.replay(till.ctx, OPERATOR, Selection(event_ids=(event_id,)))
    await work_off(till.ctx)

    assert before[1] == 1000
    assert till.credits() == 0


async def test_while_a_dispute_is_open_a_frozen_wallet_spends_nothing(till: Till) -> None:
    freezing_till = till.but(freeze_on_dispute=True)
    other = await bought(till)
    checkout = await bought(till)
    held = await wallets.place_hold(till.ctx, till.caller, credits=Credits.whole(10), key="before")
    assert held.hold is not None
    found = dispute(till, checkout)
    await freezing_till.deliver_all(checkout)

    with pytest.raises(WalletFrozenError):
        await wallets.spend(till.ctx, till.caller, credits=Credits.whole(1), key="job")
    with pytest.raises(WalletFrozenError):
        await wallets.place_hold(till.ctx, till.caller, credits=Credits.whole(1), key="work")
    captured = await wallets.capture_hold(
        till.ctx, till.caller, held.hold, credits=Credits.whole(4), key="done"
    )
    till.sandbox.control(f"disputes/{found}/win")
    await freezing_till.deliver_all(checkout)
    spent = await wallets.spend(till.ctx, till.caller, credits=Credits.whole(1), key="job again")

    assert other.stripe_session_id != checkout.stripe_session_id
    assert captured.amount_micro == 4_000_000
    assert spent.available_micro == 1995 * 1_000_000


async def test_without_the_setting_a_dispute_freezes_nothing(till: Till) -> None:
    await bought(till)
    checkout = await bought(till)
    dispute(till, checkout)
    await till.deliver_all(checkout)

    spent = await wallets.spend(till.ctx, till.caller, credits=Credits.whole(1), key="job")

    assert spent.available_micro == 999 * 1_000_000


async def test_an_admins_freeze_outlasts_a_dispute_and_the_other_way_round(till: Till) -> None:
    freezing_till = till.but(freeze_on_dispute=True)
    checkout = await bought(till)
    found = dispute(till, checkout)
    await freezing_till.deliver_all(checkout)
    [[wallet]] = till.ask("SELECT wallet_id FROM tallybook.wallets")

    both = await freezing.freeze(till.ctx, OPERATOR, wallet, frozen=True)
    till.sandbox.control(f"disputes/{found}/win")
    await freezing_till.deliver_all(checkout)
    admins = await wallets.wallet(till.ctx, till.caller, wallet)
    none = await freezing.freeze(till.ctx, OPERATOR, wallet, frozen=False)

    assert (both.is_frozen, admins.is_frozen, none.is_frozen) == (True, True, False)
    assert till.ask(
        "SELECT action FROM tallybook.audit_log WHERE action LIKE 'wallet.%%' ORDER BY audit_id"
    ) == [
        ("wallet.frozen",),
        ("wallet.thawed",),
    ]
