"""What crosses a limit is announced once, whoever looks and how often; and again only after it was armed again."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from alerts.desk import OPERATOR, Desk, burn_rate, low_balance, spend_threshold

from tallybook.domain.alerts.alerts import AlertChange, Span
from tallybook.domain.money import MICRO
from tallybook.usecases import alerts


async def test_a_low_balance_is_announced_once_under_repeated_passes(desk: Desk) -> None:
    wallet = await desk.a_wallet(credits=100)
    alert = await desk.set_alert(wallet, low_balance(10))

    await desk.spend(wallet, 90)
    assert await desk.look() == 0
    await desk.spend(wallet, 1)
    found = [await desk.look() for _ in range(5)]

    assert found == [1, 0, 0, 0, 0]
    [told] = desk.announced(wallet, alert)
    assert (told["kind"], told["facts"]["available_micro"]) == ("alert.low_balance", 9 * MICRO)
    assert told["happened_at"] == desk.clock()


async def test_it_is_armed_again_only_above_the_margin(desk: Desk) -> None:
    wallet = await desk.a_wallet(credits=20)
    alert = await desk.set_alert(wallet, low_balance(10, margin=5))

    # Down, up into the margin and down, up to the margin and down.
    await desk.spend(wallet, 11)
    await desk.grant(wallet, 5)
    await desk.look()
    await desk.spend(wallet, 5)
    await desk.look()
    assert desk.crossed(wallet, alert) == [(2, None)]
    await desk.grant(wallet, 6)
    await desk.look()
    await desk.spend(wallet, 6)
    await desk.look()

    assert desk.crossed(wallet, alert) == [(2, None), (6, None)]


async def test_a_dip_between_two_passes_is_noticed(desk: Desk) -> None:
    wallet = await desk.a_wallet(credits=100)
    alert = await desk.set_alert(wallet, low_balance(10))
    await desk.look()

    await desk.spend(wallet, 95)
    await desk.grant(wallet, 95)
    await desk.spend(wallet, 96)
    await desk.grant(wallet, 96)
    await desk.look()

    assert desk.crossed(wallet, alert) == [(2, None), (4, None)]


async def test_a_balance_within_a_request_is_no_balance(desk: Desk) -> None:
    wallet = await desk.a_wallet(credits=5)
    alert = await desk.set_alert(wallet, low_balance(10))
    await desk.claw_back(wallet, 105)
    await desk.look()

    # It comes as a grant of 100 and a repayment of 100: nothing was ever available.
    await desk.grant(wallet, 100)
    await desk.look()

    assert desk.crossed(wallet, alert) == [(1, None)]


async def test_what_is_low_already_is_said_at_once_by_an_alert_of_its_own_and_not_by_a_default(
    desk: Desk,
) -> None:
    low, empty = await desk.a_wallet(credits=5), await desk.a_wallet()
    default = await desk.set_alert(None, low_balance(10))
    own = [await desk.set_alert(wallet, low_balance(10)) for wallet in (low, empty)]

    await desk.look()

    assert [row["facts"]["alert"] for row in desk.announced()] == [f"alr_{one.alert_id}" for one in own]
    desk.clock.advance(minutes=1)
    await desk.spend(low, 1)
    await desk.look()
    assert desk.crossed(low, default) == [(2, None)]


async def test_a_default_and_an_own_alert_both_watch(desk: Desk) -> None:
    default = await desk.set_alert(None, low_balance(10))
    desk.clock.advance(minutes=1)
    wallet, other = await desk.a_wallet(credits=100), await desk.a_wallet(credits=100)
    own = await desk.set_alert(wallet, low_balance(50))

    for one in (wallet, other):
        await desk.spend(one, 60)
        await desk.look(wallets=1)
        await desk.spend(one, 35)
        await desk.look(wallets=1)

    assert desk.crossed(wallet, own) == [(2, None)]
    assert desk.crossed(wallet, default) == desk.crossed(other, default) == [(3, None)]
    assert desk.crossed(other, own) == []


async def test_a_burn_rate_is_announced_and_armed_again_when_the_rate_has_fallen(desk: Desk) -> None:
    wallet = await desk.a_wallet(credits=1000)
    alert = await desk.set_alert(wallet, burn_rate(100, Span.HOUR))

    await desk.spend(wallet, 100)
    await desk.look()
    assert desk.crossed(wallet, alert) == []
    desk.clock.advance(minutes=30)
    await desk.spend(wallet, 1)
    await desk.look()
    assert desk.crossed(wallet, alert) == [(3, None)]
    # An hour after the first: only one credit of it is left in the hour.
    desk.clock.advance(minutes=30)
    await desk.spend(wallet, 99)
    desk.clock.advance(minutes=1)
    await desk.spend(wallet, 10)
    await desk.look()

    assert desk.crossed(wallet, alert) == [(3, None), (5, None)]
    assert desk.announced(wallet)[-1]["facts"]["spent_micro"] == 110 * MICRO


@pytest.mark.parametrize(("span", "slot_seconds"), [(Span.HOUR, 60), (Span.DAY, 1440)])
async def test_a_span_is_sixty_slots_however_often_it_was_looked_at(
    desk: Desk, span: Span, slot_seconds: int
) -> None:
    for slots, expected in ((59, [(4, None)]), (60, [])):
        wallet = await desk.a_wallet(credits=1000)
        alert = await desk.set_alert(wallet, burn_rate(100, span))
        await desk.spend(wallet, 60)
        await desk.look()
        desk.clock.advance(seconds=(slots - 1) * slot_seconds)
        await desk.spend(wallet, 10)
        await desk.look()
        desk.clock.advance(seconds=slot_seconds)
        await desk.spend(wallet, 31)
        await desk.look()

        assert desk.crossed(wallet, alert) == expected


async def test_a_budgets_percentages_are_announced_once_in_a_month_of_utc(desk: Desk) -> None:
    desk.clock.now = datetime(2026, 11, 30, 23, 59, 58, tzinfo=UTC)
    wallet = await desk.a_wallet(credits=1000)
    alert = await desk.set_alert(wallet, spend_threshold(100))

    await desk.spend(wallet, 85)
    await desk.give_back(wallet, 50)
    await desk.look()
    desk.clock.advance(seconds=1)
    await desk.spend(wallet, 60)
    await desk.look()
    assert desk.crossed(wallet, alert) == [(2, 50), (2, 80)]
    # The first instant of December: the sums begin anew.
    desk.clock.advance(seconds=1)
    await desk.spend(wallet, 50)
    await desk.look()

    assert desk.crossed(wallet, alert) == [(2, 50), (2, 80), (5, 50)]
    assert [row["facts"]["period"] for row in desk.announced(wallet)] == ["2026-11", "2026-11", "2026-12"]


async def test_a_threshold_set_in_the_middle_counts_what_was_spent_before(desk: Desk) -> None:
    wallet = await desk.a_wallet(credits=1000)
    await desk.spend(wallet, 40)
    desk.clock.advance(days=2)
    await desk.spend(wallet, 40)
    alert = await desk.set_alert(wallet, spend_threshold(100))
    by_day = await desk.set_alert(wallet, spend_threshold(100, Span.DAY, (40, 50)))
    await desk.look()

    await desk.spend(wallet, 1)
    await desk.look()

    assert desk.crossed(wallet, alert) == [(4, 50), (4, 80)]
    assert desk.crossed(wallet, by_day) == [(4, 40)]


async def test_a_changed_alert_begins_anew_and_an_ended_one_is_silent(desk: Desk) -> None:
    wallet = await desk.a_wallet(credits=100)
    changed = await desk.set_alert(wallet, low_balance(10))
    ended = await desk.set_alert(wallet, low_balance(10))
    await desk.spend(wallet, 95)
    await desk.look()

    await alerts.end(desk.ctx, OPERATOR, ended.alert_id)
    await alerts.change(desk.ctx, OPERATOR, changed.alert_id, AlertChange(amount_micro=8 * MICRO))
    await alerts.change(desk.ctx, OPERATOR, changed.alert_id, AlertChange(amount_micro=8 * MICRO))
    await desk.look()

    assert desk.crossed(wallet, changed) == [(2, None), (2, None)]
    await desk.grant(wallet, 95)
    await desk.spend(wallet, 95)
    await desk.look()
    assert len(desk.crossed(wallet, changed)) == 3
    assert desk.crossed(wallet, ended) == [(2, None)]


async def test_a_low_balance_set_later_does_not_count_a_spend_twice(desk: Desk) -> None:
    wallet = await desk.a_wallet(credits=1000)
    budget = await desk.set_alert(wallet, spend_threshold(100))
    await desk.spend(wallet, 45)
    await desk.look()

    await desk.set_alert(wallet, low_balance(10))
    await desk.look()
    await desk.spend(wallet, 4)
    await desk.look()
    assert desk.crossed(wallet, budget) == []
    await desk.spend(wallet, 1)
    await desk.look()

    assert desk.crossed(wallet, budget) == [(4, 50)]
