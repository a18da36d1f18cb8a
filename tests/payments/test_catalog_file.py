"""The catalogue file: the defaults of the documents, and what is said when a line is wrong."""

from __future__ import annotations

from dataclasses import replace

import pytest

from payments.desk import default_catalog
from tallybook.domain.catalog.links import Link, difference, find
from tallybook.domain.catalog.products import Catalog, Family
from tallybook.domain.errors import CatalogError
from tallybook.domain.money import Credits, Money
from tallybook.domain.payments.reports import PriceReport

PACK = """
[[packs]]
lookup_key = "pack_one"
name = "One"
description = "One hundred"
credits = 100
amount_minor = 1000
"""


def test_the_defaults_are_those_of_the_documents() -> None:
    found = {
        product.lookup_key: (str(product.credits), product.price.minor, product.interval)
        for product in default_catalog().on_sale
    }

    assert found == {
        "package_starter": ("1000", 1000, None),
        "package_basic": ("5500", 4500, None),
        "package_pro": ("13500", 10000, None),
        "package_business": ("35000", 22500, None),
        "package_enterprise": ("120000", 70000, None),
        "pack_100": ("100", 1000, None),
        "pack_250": ("250", 2000, None),
        "pack_500": ("500", 3500, None),
        "pack_1000": ("1000", 6000, None),
        "plan_starter": ("100", 999, "month"),
        "plan_professional": ("500", 2999, "month"),
        "plan_business": ("2000", 9999, "month"),
    }
    assert [p.id for p in default_catalog().on_sale if p.family is Family.PACKAGE] == [1, 2, 3, 4, 5]


def test_a_product_is_found_by_each_of_its_names_and_by_its_linked_price() -> None:
    catalog = default_catalog()
    link = Link(lookup_key="pack_100", product_id="prod_1", price_id="price_9", price=Money(1000, "usd"))

    names: list[str | int] = ["package_starter", "price_1234567890", 1]
    found = [find(catalog, {}, name) for name in names]
    linked = find(catalog, {"pack_100": link}, "price_9")

    assert {product.lookup_key for product in found if product} == {"package_starter"}
    assert linked is not None
    assert linked.lookup_key == "pack_100"
    assert find(catalog, {}, "price_9") is None
    assert find(catalog, {}, "1") is None


def test_a_family_or_a_product_that_is_switched_off_is_not_on_sale() -> None:
    text = PACK + PACK.replace("pack_one", "pack_two") + "enabled = false\n"

    some = Catalog.parse(text)
    none = Catalog.parse(text + "[families]\npacks = false\n")

    assert [product.lookup_key for product in some.on_sale] == ["pack_one"]
    assert none.on_sale == ()
    assert none.find("pack_one") is None


PLAN = PACK.replace("packs", "plans") + 'interval = "month"\n'


def test_what_a_plan_says_of_its_credits_and_its_trial_is_read() -> None:
    more = 'credits_expire = "period_end"\ntrial_days = 14\ntrial_credits = 20\nplan_family = "extra"\n'
    [plain] = Catalog.parse(PLAN).products
    [full] = Catalog.parse(PLAN + more).products

    assert (plain.plan_family, plain.credits_expire, plain.trial_days) == ("main", False, None)
    assert (full.plan_family, full.credits_expire, full.trial_days) == ("extra", True, 14)
    assert full.trial_credits == Credits.whole(20)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("packs = [", "not valid TOML"),
        ("pack = 1", "pack is not known here"),
        ("packs = 1", r"\[\[packs\]\]"),
        ("[families]\npacks = 1", "families.packs: say true or false"),
        ("families = 1", r"\[families\]"),
        (PACK.replace("credits = 100", "credits = 0"), "packs.pack_one.credits"),
        (PACK.replace("credits = 100", "credits = 1.5"), "packs.pack_one.credits"),
        (PACK.replace("credits = 100", "credits = true"), "packs.pack_one.credits"),
        (PACK.replace("1000", "-1"), "packs.pack_one.amount_minor"),
        (PACK.replace("1000", "100000000"), "packs.pack_one.amount_minor"),
        (PACK.replace("pack_one", "Pack One"), "lookup_key: use lower-case"),
        (PACK.replace('name = "One"', 'name = " "'), "packs.pack_one.name"),
        (PACK + 'currency = "USD"', "packs.pack_one.currency"),
        (PACK + 'interval = "month"', "interval is not known here"),
        (PACK + 'aliases = "x"', "packs.pack_one.aliases"),
        (PACK + "enabled = 1", "packs.pack_one.enabled"),
        (PACK + PACK, "pack_one is already taken"),
        (PACK + 'aliases = ["pack_one"]', "pack_one is already taken"),
        (PACK.replace("packs", "plans"), "plans.pack_one.interval"),
        (PACK.replace("packs", "packages"), "packages.pack_one.id"),
        (PLAN + 'credits_expire = "soon"', "plans.pack_one.credits_expire"),
        (PLAN + 'plan_family = "No such"', "plans.pack_one.plan_family"),
        (PLAN + "trial_days = 0", "plans.pack_one.trial_days"),
        (PLAN + "trial_credits = 5", "plans.pack_one.trial_credits: say trial_days too"),
        (PACK + "trial_days = 5", "trial_days is not known here"),
    ],
)
def test_a_wrong_line_is_named(text: str, said: str) -> None:
    with pytest.raises(CatalogError, match=said):
        Catalog.parse(text)


def test_settings_may_force_a_stripe_price_of_a_product_that_exists() -> None:
    catalog = Catalog.parse(PACK)

    forced = catalog.with_prices({"pack_one": "price_own"})

    assert forced.find("price_own") == forced.find("pack_one")
    with pytest.raises(CatalogError, match="pack_two"):
        catalog.with_prices({"pack_two": "price_own"})


def test_the_difference_to_stripe_is_named() -> None:
    [product] = Catalog.parse(PACK).on_sale
    same = PriceReport(
        id="price_1",
        product_id="prod_1",
        product_name="One",
        product_description="One hundred",
        price=Money(1000, "usd"),
        interval=None,
        lookup_key="pack_one",
        active=True,
    )

    actions = [
        difference(product, found).action
        for found in (
            None,
            same,
            replace(same, product_name="Two"),
            replace(same, price=Money(900, "usd")),
            replace(same, price=Money(1000, "eur")),
            replace(same, interval="month"),
        )
    ]

    assert actions == ["create", "unchanged", "rename", "reprice", "reprice", "reprice"]
