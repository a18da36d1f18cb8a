"""Somebody's open transaction on one wallet must delay that wallet's credits only."""

from __future__ import annotations

import psycopg
import pytest

from payments.desk import Till, add_user
from tallybook.domain.identity.callers import Caller
from tallybook.usecases import checkouts
from tallybook.worker.main import work_off

pytestmark = pytest.mark.timeout(60)


async def test_a_wallet_that_is_held_open_delays_its_own_credits_only(till: Till) -> None:
    stuck = await till.open("pack_100")
    other_user = add_user(till.database, "eve@example.com")
    opened = await checkouts.open_checkout(
        till.ctx,
        Caller(user_id=other_user),
        reference="pack_250",
        quantity=1,
        success_url=stuck.success_url,
        cancel_url=stuck.cancel_url,
        user_id=None,
        mode="payment",
        key=None,
    )
    for checkout in (stuck, opened.checkout):
        till.pay(checkout)
        for event in till.events(checkout):
            if event["type"] == "checkout.session.completed":
                await till.deliver(event)

    with psycopg.connect(till.database.superuser_url) as holder:
        holder.execute("SELECT 1 FROM tallybook.wallets WHERE wallet_id = %s FOR UPDATE", [stuck.wallet_id])
        await work_off(till.ctx)
        while_held = (till.credits(), till.credits(other_user))
        holder.rollback()
    till.ask("UPDATE tallybook.stripe_events SET next_attempt_at = now() WHERE status = 'retry'")
    await work_off(till.ctx)

    assert while_held == (0, 250)
    assert (till.credits(), till.credits(other_user)) == (100, 250)


async def test_3d_secure_grants_when_passed_and_not_when_failed(till: Till) -> None:
    for passed, credits in ((False, 0), (True, 100)):
        checkout = await till.open("pack_100")
        till.pay(checkout, card="4000002500003155", authenticate=passed)

        await till.deliver_all(checkout)

        assert till.credits() == credits
