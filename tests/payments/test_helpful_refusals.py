"""What a refusal for want of credits says: offers, a link for paying and a resume token, at next to no cost."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from payments.desk import Till, default_catalog, system_clock
from payments.refusals import at, refused
from tallybook.domain.errors import PayLinkExpiredError
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.postgres import ledger
from tallybook.postgres.shop import Shop
from tallybook.usecases import paying


async def test_a_refusal_names_offers_a_link_and_a_token_beside_what_it_always_said(till: Till) -> None:
    facts = await refused(till)

    assert facts["shortfall_micro"] == facts["requested_micro"] == 5_000_000
    assert facts["available_micro"] == 0
    assert [offer["lookup_key"] for offer in facts["offers"]] == [
        "package_starter",
        "pack_100",
        "pack_250",
        "pack_500",
        "package_basic",
    ]
    assert facts["pay_url"].startswith("http://localhost:3000/pay/tbp_")
    assert facts["resume_token"].startswith("tbj_1_")
    assert "pay_url_reason" not in facts


async def test_what_the_ledger_stores_is_the_bare_refusal_and_a_replay_gets_a_fresh_link(till: Till) -> None:
    first = await refused(till, key="job")

    again = await refused(at(till, system_clock() + timedelta(hours=30)), key="job")

    [[stored]] = till.ask("SELECT facts FROM tallybook.refusals")
    assert stored.keys() == {
        "requested_micro",
        "available_micro",
        "held_micro",
        "debt_micro",
        "shortfall_micro",
    }
    assert again["pay_url"] != first["pay_url"]
    assert again["resume_token"] == first["resume_token"]
    later = at(till, system_clock() + timedelta(hours=30))
    assert not (await paying.bill(later.ctx, again["pay_url"].rpartition("/")[2])).is_covered
    with pytest.raises(PayLinkExpiredError):
        await paying.bill(later.ctx, first["pay_url"].rpartition("/")[2])


async def test_a_refusal_asks_the_database_for_nothing_that_it_knows(till: Till) -> None:
    await refused(till)
    till.ask("UPDATE tallybook.catalog_links SET amount_minor = 99")

    known = await refused(till)
    later = await refused(at(till, system_clock() + timedelta(minutes=1)))

    assert known["offers"][0]["amount_minor"] == 1000
    assert later["offers"][0]["amount_minor"] == 99


async def test_refusals_that_come_at_once_read_the_prices_once_and_all_get_them(till: Till) -> None:
    shop = Shop(till.ctx.db, default_catalog(), public_url="http://localhost:3000", stripe=True)
    fresh = till.but(shop=shop)

    found = await asyncio.gather(*(refused(fresh) for _ in range(20)))

    assert all(len(facts["offers"]) == 5 for facts in found)


async def test_an_organisations_wallet_gets_offers_and_says_why_there_is_no_link(till: Till) -> None:
    [[number]] = till.ask(
        "INSERT INTO tallybook.organisations (name, created_at) VALUES ('Friends', now())"
        " RETURNING organisation_id"
    )
    async with till.ctx.db.transaction() as tx:
        wallet_id = await ledger.open_wallet(tx, system_clock(), organisation_id=number)

    facts = await refused(till, wallet_id=wallet_id)

    assert len(facts["offers"]) == 5
    assert (facts["pay_url"], facts["pay_url_reason"]) == (None, "organisation_wallet")
    assert facts["resume_token"]


async def test_an_app_that_may_not_sell_gets_no_link_and_neither_does_anyone_without_stripe_or_offers(
    till: Till,
) -> None:
    spender = Caller(app_id=1, by_key=True, permissions=frozenset({Permission.CONSUME_CREDITS}))
    no_stripe = till.but(shop=Shop(till.ctx.db, default_catalog(), public_url="http://x", stripe=False))

    facts = [
        await refused(till, caller=spender),
        await refused(no_stripe),
        await refused(till, credits=900_000_000),
    ]

    assert [(fact["pay_url"], fact["pay_url_reason"]) for fact in facts] == [
        (None, "purchase_not_permitted"),
        (None, "stripe_not_configured"),
        (None, "nothing_on_sale"),
    ]
