"""Carrying the catalogue to Stripe: never twice, and only what changed."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import pytest

from payments.desk import OPERATOR, Till
from tallybook.domain.catalog.links import Change
from tallybook.domain.catalog.products import Catalog
from tallybook.domain.errors import AdminRequiredError, CatalogError
from tallybook.usecases import catalog

pytestmark = pytest.mark.timeout(60)
ONE = """
[[packs]]
lookup_key = "pack_one"
name = "One"
description = "One hundred"
credits = 100
amount_minor = {amount}
"""


async def push(till: Till, text: str | None = None, **how: Any) -> list[Change]:
    """Push the default catalogue, or the one in the text."""
    at = till if text is None else till.but(catalog=Catalog.parse(text))
    options: dict[str, Any] = {"dry_run": False, "progress": lambda _: None} | how
    return await catalog.push(at.ctx, OPERATOR, **options)


def at_stripe(till: Till) -> tuple[int, int]:
    """How many products and active prices Stripe has."""
    products = till.stripe_get("/v1/products", limit=100)["data"]
    prices = till.stripe_get("/v1/prices", limit=100, active="true")["data"]
    return len(products), len(prices)


async def test_a_dry_run_says_what_would_change_and_changes_nothing(bare_till: Till) -> None:
    changes = await push(bare_till, dry_run=True)

    assert {change.action for change in changes} == {"create"}
    assert len(changes) == 12
    assert at_stripe(bare_till) == (0, 0)
    assert bare_till.ask("SELECT count(*) FROM tallybook.catalog_links") == [(0,)]


async def test_a_push_makes_everything_once_and_a_second_one_nothing(bare_till: Till) -> None:
    heard: list[Change] = []
    first = await push(bare_till, progress=heard.append)

    second = await push(bare_till)

    assert Counter(change.action for change in first) == {"create": 12}
    assert heard == first
    assert Counter(change.action for change in second) == {"unchanged": 12}
    assert at_stripe(bare_till) == (12, 12)
    offers = await catalog.offers(bare_till.ctx)
    assert all((offer.price_id or "").startswith("price_") for offer in offers)


async def test_two_pushes_at_once_make_everything_once(bare_till: Till) -> None:
    await asyncio.gather(push(bare_till), push(bare_till), push(bare_till))

    assert at_stripe(bare_till) == (12, 12)


async def test_a_push_whose_end_was_lost_is_finished_by_the_next(bare_till: Till) -> None:
    await push(bare_till)
    bare_till.ask("TRUNCATE tallybook.catalog_links")

    await push(bare_till)

    assert at_stripe(bare_till) == (12, 12)
    assert bare_till.ask("SELECT count(*) FROM tallybook.catalog_links") == [(12,)]


async def test_a_new_amount_is_a_new_price_that_takes_the_lookup_key_also_back_and_forth(
    bare_till: Till,
) -> None:
    actions, amounts = [], []
    for amount in (1000, 1200, 1000, 1200):
        [change] = await push(bare_till, ONE.format(amount=amount))
        actions.append(change.action)
        [price] = bare_till.stripe_get("/v1/prices", active="true", **{"lookup_keys[]": "pack_one"})["data"]
        amounts.append(price["unit_amount"])
        assert bare_till.ask("SELECT stripe_price_id, amount_minor FROM tallybook.catalog_links") == [
            (price["id"], amount)
        ]

    assert actions == ["create", "reprice", "reprice", "reprice"]
    assert amounts == [1000, 1200, 1000, 1200]
    assert at_stripe(bare_till) == (1, 1)


async def test_new_words_change_the_product_and_keep_the_price(bare_till: Till) -> None:
    await push(bare_till, ONE.format(amount=1000))

    [change] = await push(bare_till, ONE.format(amount=1000).replace("One hundred", "A hundred"))

    assert change.action == "rename"
    [product] = bare_till.stripe_get("/v1/products")["data"]
    assert product["description"] == "A hundred"
    assert at_stripe(bare_till) == (1, 1)


async def test_a_price_that_the_settings_name_is_sold_at_what_stripe_says(bare_till: Till) -> None:
    product = bare_till.stripe_post("/v1/products", name="Made by hand")
    price = bare_till.stripe_post("/v1/prices", product=product["id"], unit_amount=1500, currency="eur")
    forced = bare_till.but(
        catalog=Catalog.parse(ONE.format(amount=1000)).with_prices({"pack_one": price["id"]})
    )

    checkout = await forced.open("pack_one")
    [change] = await push(forced)
    forced.pay(checkout)
    await forced.deliver_all(checkout)

    assert (checkout.price.minor, checkout.price.currency) == (1500, "eur")
    assert change.action == "adopt"
    assert at_stripe(bare_till) == (1, 1)
    assert forced.credits() == 100


async def test_a_price_in_a_currency_without_decimals_is_bought_as_it_is(bare_till: Till) -> None:
    yen = bare_till.but(catalog=Catalog.parse('currency = "jpy"\n' + ONE.format(amount=500)))
    await push(yen)
    checkout = await yen.open("pack_one", quantity=2)

    yen.pay(checkout)
    await yen.deliver_all(checkout)

    assert str(checkout.price) == "1000 JPY"
    assert yen.credits() == 200


async def test_pitfall_20_a_price_changed_after_a_checkout_was_opened_does_not_matter(
    bare_till: Till,
) -> None:
    await push(bare_till, ONE.format(amount=1000))
    early = bare_till.but(catalog=Catalog.parse(ONE.format(amount=1000)))
    checkout = await early.open("pack_one")
    dearer = ONE.format(amount=9900).replace("credits = 100", "credits = 5")
    await push(bare_till, dearer)

    early.pay(checkout)
    await bare_till.but(catalog=Catalog.parse(dearer)).deliver_all(checkout)

    assert early.credits() == 100


async def test_a_setting_with_a_price_that_stripe_lacks_is_refused(bare_till: Till) -> None:
    forced = bare_till.but(
        catalog=Catalog.parse(ONE.format(amount=1000)).with_prices({"pack_one": "price_none"})
    )

    with pytest.raises(CatalogError, match=r"pack_one.*price_none"):
        await push(forced)


async def test_only_an_admin_pushes(bare_till: Till) -> None:
    with pytest.raises(AdminRequiredError):
        await catalog.push(bare_till.ctx, bare_till.caller, dry_run=True, progress=lambda _: None)
