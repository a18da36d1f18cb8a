"""Which offers cover a shortfall: the cheapest first, in any currency, and nothing that could not be bought."""

from __future__ import annotations

from tallybook.domain.catalog.links import Link
from tallybook.domain.catalog.offers import OFFERS_MAX, covering, wares
from tallybook.domain.catalog.products import Catalog
from tallybook.domain.money import Credits, Money


def shelf(
    *lines: tuple[str, int, int, str], plans: str = "", forced: dict[str, str] | None = None
) -> Catalog:
    """A catalogue of packs: lookup key, credits, price in minor units, currency."""
    packs = "".join(
        f'[[packs]]\nlookup_key = "{key}"\nname = "{key.title()}"\ndescription = "-"\ncredits = {credits}\n'
        f'amount_minor = {minor}\ncurrency = "{currency}"\n'
        for key, credits, minor, currency in lines
    )
    return Catalog.parse(packs + plans).with_prices(forced or {})


def pushed(catalog: Catalog, **prices: Money) -> dict[str, Link]:
    """Everything is at Stripe, at the catalogue's prices unless another is named."""
    return {
        product.lookup_key: Link(
            lookup_key=product.lookup_key,
            product_id="prod_1",
            price_id=f"price_{product.lookup_key}",
            price=prices.get(product.lookup_key, product.price),
        )
        for product in catalog.products
    }


def offered(catalog: Catalog, shortfall: Credits, **prices: Money) -> list[tuple[str, int, str]]:
    found = covering(wares(catalog, pushed(catalog, **prices)), shortfall)
    return [(offer.lookup_key, offer.quantity, str(offer.price)) for offer in found]


SMALL = ("small", 100, 1000, "usd")
LARGE = ("large", 1000, 6000, "usd")


def test_the_cheapest_that_covers_comes_first_with_as_many_as_are_needed() -> None:
    catalog = shelf(LARGE, SMALL)

    assert offered(catalog, Credits.whole(100)) == [("small", 1, "10.00 USD"), ("large", 1, "60.00 USD")]
    assert offered(catalog, Credits(100_000_001))[0] == ("small", 2, "20.00 USD")
    assert offered(catalog, Credits.whole(650)) == [("large", 1, "60.00 USD"), ("small", 7, "70.00 USD")]


def test_credits_and_price_are_for_the_whole_quantity() -> None:
    catalog = shelf(SMALL)

    [offer] = covering(wares(catalog, pushed(catalog)), Credits.whole(201))

    assert offer.facts == {
        "lookup_key": "small",
        "name": "Small",
        "quantity": 3,
        "credits_micro": 300_000_000,
        "amount_minor": 3000,
        "currency": "usd",
    }


def test_at_the_same_price_more_credits_come_first() -> None:
    catalog = shelf(SMALL, ("generous", 1000, 1000, "usd"))

    assert [key for key, *_ in offered(catalog, Credits.whole(5))] == ["generous", "small"]


def test_yen_have_no_hundredths_and_are_not_compared_with_dollars() -> None:
    yen = [("yen_large", 1000, 6000, "jpy"), ("yen_small", 100, 700, "jpy")]
    catalog = shelf(SMALL, *yen, LARGE)

    assert offered(catalog, Credits.whole(150)) == [
        ("small", 2, "20.00 USD"),
        ("yen_small", 2, "1400 JPY"),
        ("large", 1, "60.00 USD"),
        ("yen_large", 1, "6000 JPY"),
    ]
    assert offered(shelf(*yen), Credits.whole(150)) == [
        ("yen_small", 2, "1400 JPY"),
        ("yen_large", 1, "6000 JPY"),
    ]


def test_what_stripe_charges_is_what_is_offered() -> None:
    catalog = shelf(LARGE, SMALL)

    assert offered(catalog, Credits.whole(5), small=Money(7000, "usd"))[0] == ("large", 1, "60.00 USD")


def test_plans_switched_off_products_and_what_is_not_at_stripe_are_no_offers() -> None:
    same = 'name = "-"\ndescription = "-"\ncredits = 500\namount_minor = 1\n'
    plan = f'[[plans]]\nlookup_key = "plan"\n{same}interval = "month"\n'
    off = f'[[packs]]\nlookup_key = "off"\n{same}enabled = false\n'
    catalog = shelf(SMALL, LARGE, plans=off + plan, forced={"large": "price_of_the_settings"})
    links = pushed(catalog)

    found = covering(wares(catalog, links), Credits.whole(5))
    del links["small"]
    without = covering(wares(catalog, links), Credits.whole(5))

    assert [offer.lookup_key for offer in found] == ["small"], (
        "large is linked to another price than the settings'"
    )
    assert without == []


def test_what_no_checkout_could_sell_at_once_is_no_offer() -> None:
    dear = ("dear", 1_000_000, 60_000_000, "usd")
    catalog = shelf(SMALL, dear)

    assert (
        offered(catalog, Credits.whole(100_000))
        == [("dear", 1, "600000.00 USD"), ("small", 1000, "10000.00 USD")][::-1]
    )
    assert offered(catalog, Credits.whole(100_001)) == [("dear", 1, "600000.00 USD")], "1001 of small"
    assert offered(catalog, Credits.whole(1_000_001)) == [], (
        "two of dear cost more than Stripe charges at once"
    )


def test_only_a_few_offers_are_made() -> None:
    catalog = shelf(*((f"pack_{n}", n, 100 * n, "usd") for n in range(1, 20)))

    found = offered(catalog, Credits.whole(3))

    assert len(found) == OFFERS_MAX
    assert found[:3] == [("pack_3", 1, "3.00 USD"), ("pack_1", 3, "3.00 USD"), ("pack_4", 1, "4.00 USD")]
