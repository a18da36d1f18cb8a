"""Passes that meet, die or are cut: what is announced does not depend on them."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from alerts.desk import OPERATOR, Desk, burn_rate, low_balance, spend_threshold

from tallybook.domain.alerts.alerts import Verdict
from tallybook.domain.errors import DatabaseUnavailableError
from tallybook.postgres import alerts as door
from tallybook.postgres.pool import Transaction
from tallybook.usecases import alerts


async def test_two_workers_at_once_announce_once(desk: Desk) -> None:
    wallets = [await desk.a_wallet(credits=100) for _ in range(20)]
    for wallet in wallets:
        await desk.set_alert(wallet, low_balance(10))
        await desk.set_alert(wallet, spend_threshold(100))

    async def worker() -> None:
        for _ in range(40):
            await alerts.evaluate(desk.ctx, wallets=3, transfers=3)
            await asyncio.sleep(0)

    async def spender(wallet: int) -> None:
        for _ in range(19):
            await desk.spend(wallet, 5)

    await asyncio.gather(*(worker() for _ in range(4)), *(spender(wallet) for wallet in wallets))
    await desk.look()

    assert len(desk.announced()) == 20 * 3
    for wallet in wallets:
        assert len(desk.announced(wallet)) == 3


async def test_who_comes_while_another_evaluates_leaves_it_to_them(desk: Desk) -> None:
    wallet = await desk.a_wallet(credits=5)
    await desk.set_alert(wallet, low_balance(10))

    async with desk.ctx.db.transaction() as tx:
        first = await _evaluated(desk, tx)
        second = await alerts.evaluate(desk.ctx)

    assert (first, second.verdict) == (1, Verdict.BUSY)
    assert len(desk.announced(wallet)) == 1


async def test_a_pass_that_dies_before_its_commit_is_made_again(desk: Desk) -> None:
    wallet = await desk.a_wallet(credits=5)
    alert = await desk.set_alert(wallet, low_balance(10))

    with pytest.raises(DatabaseUnavailableError):
        async with desk.ctx.db.transaction() as tx:
            assert await _evaluated(desk, tx) == 1
            with psycopg.connect(desk.database.superuser_url, autocommit=True) as connection:
                connection.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                    " WHERE datname = current_database() AND state = 'idle in transaction'"
                )
    assert desk.announced() == []

    assert await desk.look() == 1
    assert desk.crossed(wallet, alert) == [(1, None)]


async def test_even_a_state_that_is_lost_does_not_announce_twice(desk: Desk) -> None:
    wallet = await desk.a_wallet(credits=100)
    await desk.set_alert(wallet, low_balance(10))
    await desk.set_alert(wallet, spend_threshold(50))
    await desk.spend(wallet, 95)
    assert await desk.look() == 4
    with psycopg.connect(desk.database.superuser_url) as connection:
        connection.execute("DELETE FROM tallybook.alert_states")
        connection.execute("DELETE FROM tallybook.alert_watches")
        connection.execute(
            "INSERT INTO tallybook.alert_watches (wallet_id, behind_at) VALUES (%s, now())", [wallet]
        )

    assert await desk.look() == 0


async def test_a_hot_wallet_is_read_in_parts_and_does_not_keep_the_others_waiting(desk: Desk) -> None:
    hot, other = await desk.a_wallet(credits=1000), await desk.a_wallet(credits=100)
    alert = await desk.set_alert(hot, low_balance(10))
    await desk.set_alert(other, low_balance(10))
    await desk.look()
    for _ in range(33):
        await desk.spend(hot, 30)
    await desk.spend(other, 95)

    passes = [await alerts.evaluate(desk.ctx, transfers=10) for _ in range(2)]

    assert {done.verdict for done in passes} == {Verdict.BEHIND}
    assert len(desk.announced(other)) == 1
    assert desk.announced(hot) == []
    await desk.grant(hot, 5)
    await desk.spend(hot, 10)
    await desk.look(transfers=10)
    assert desk.crossed(hot, alert) == [(36, None)]


async def test_wallets_that_a_pass_has_no_room_for_come_in_the_next(desk: Desk) -> None:
    await desk.set_alert(None, low_balance(10))
    desk.clock.advance(minutes=1)
    wallets = [await desk.a_wallet(credits=20) for _ in range(7)]
    for wallet in wallets:
        await desk.spend(wallet, 15)

    await desk.look(wallets=5, transfers=3)

    assert [row["wallet_id"] for row in desk.announced()] == wallets


async def test_a_pass_is_not_cut_within_a_request(desk: Desk) -> None:
    wallet = await desk.a_wallet(credits=1000)
    alert = await desk.set_alert(wallet, burn_rate(100))
    await desk.spend(wallet, 150)
    hold = await desk.hold(wallet, 200)
    await desk.look()
    desk.clock.advance(hours=2)

    # Transfers 4 and 5: a pass of one transfer would end between the capture and the release that belongs to it.
    await desk.capture(hold, 150)
    await desk.look(transfers=1)

    assert desk.crossed(wallet, alert) == [(2, None), (5, None)]


async def test_announcements_cannot_be_edited(desk: Desk) -> None:
    wallet = await desk.a_wallet(credits=5)
    await desk.set_alert(wallet, low_balance(10))
    await desk.look()

    for url in (desk.database.service_url, desk.database.superuser_url):
        for change in (
            "UPDATE tallybook.announcements SET kind = 'a.b'",
            "DELETE FROM tallybook.announcements",
        ):
            with (
                psycopg.connect(url) as connection,
                pytest.raises(psycopg.Error, match=r"denied|append only"),
            ):
                connection.execute(change)


async def test_nothing_is_kept_of_a_default_that_ended(desk: Desk) -> None:
    default = await desk.set_alert(None, low_balance(10))
    desk.clock.advance(minutes=1)
    wallet = await desk.a_wallet(credits=5)
    await desk.look()
    assert desk.rows("SELECT wallet_id FROM tallybook.alert_watches") == [{"wallet_id": wallet}]

    await alerts.end(desk.ctx, OPERATOR, default.alert_id)
    await desk.look()

    assert desk.rows("SELECT wallet_id FROM tallybook.alert_watches") == []


async def _evaluated(desk: Desk, tx: Transaction) -> int:
    """A pass inside a transaction of the test's own."""
    done = await door.evaluate(tx, desk.clock(), wallets=100, transfers=100)
    return done.announced
