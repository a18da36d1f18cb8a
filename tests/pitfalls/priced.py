"""Plants of pitfalls 19 and 20: amounts in the units of their currency, and credits that were bound beforehand."""

from __future__ import annotations

from pitfalls.once import CHECKOUTS, FULFILMENT
from pitfalls.paid import CARDS_SETTLING, INTENTS, INVOICES
from pitfalls.plants import Change, Plant

CARDS = "tallybook/stripe/cards.py"
RATES = "tallybook/domain/rates.py"

PLANTS = (
    Plant(
        19,
        "Stripe is asked for minor units as they are, whatever the currency.",
        {
            "test_pitfall_19_an_amount_at_a_rate_counts_in_its_own_minor_units": "(150000, 'jpy') ==",
            "test_pitfall_19_a_product_is_sold_in_several_currencies": "Right contains one more item",
            "test_pitfall_19_credits_are_topped_up_at_a_rate_in_its_own_minor_units": "[] ==",
        },
        (
            Change(
                CARDS,
                '        "amount": order.price.minor,\n',
                '        "amount": order.price.minor * (100 if order.price.exponent == 0 else 1),\n',
            ),
        ),
    ),
    Plant(
        19,
        "An amount of three decimals must end in zero.",
        {"test_pitfall_19_three_decimals_end_in_zero": "Stripe refused: Amounts in kwd"},
        (
            Change(
                RATES,
                "    if not 0 < price.minor <= MINOR_MAX or (price.exponent == 3 and price.minor % 10):\n",
                "    if not 0 < price.minor <= MINOR_MAX:\n",
            ),
        ),
    ),
    Plant(
        19,
        "What credits cost is rounded up to what Stripe can charge.",
        {"test_pitfall_19_credits_at_a_rate_are_those_of_the_money": "'kwd' != 'kwd'"},
        (Change(RATES, "        if self.price.exponent == 3:\n", "        if False:\n"),),
    ),
    Plant(
        19,
        "An invoice's line is reckoned in minor units as they are.",
        {
            "test_pitfall_19_currencies_without_and_with_three_decimals_are_reckoned_in_their_own_units": "10000000000"
        },
        (
            Change(
                INVOICES,
                "    charged = line.amount.minor - (",
                "    charged = line.amount.minor * (100 if line.amount.exponent == 0 else 1) - (",
            ),
        ),
    ),
    Plant(
        20,
        "The credits of a payment form are those that were bound when it was opened.",
        {"test_pitfall_20_what_was_bound_is_granted_whatever_the_catalogue_says_later": "35 == 700"},
        (
            Change(
                CARDS_SETTLING,
                "        found.wallet_id,\n        found.credits,\n",
                "        found.wallet_id,\n        type(found.credits)("
                "ctx.catalog.by_lookup_key(found.lookup_key).credits.micro * found.quantity),\n",
            ),
        ),
    ),
    Plant(
        20,
        "The credits of a checkout are those that were bound when it was opened.",
        {"test_pitfall_20_a_price_changed_after_a_checkout_was_opened_does_not_matter": "5 == 100"},
        (
            Change(
                FULFILMENT,
                "        checkout.wallet_id,\n        checkout.credits,\n",
                "        checkout.wallet_id,\n        type(checkout.credits)("
                "ctx.catalog.by_lookup_key(checkout.lookup_key).credits.micro * checkout.quantity),\n",
            ),
        ),
    ),
    Plant(
        20,
        "Stripe prices that a plan was once sold at are remembered.",
        {
            "test_pitfall_20_a_plan_that_was_repriced_still_brings_its_credits_to_who_has_the_old_price": "0 == 100"
        },
        (
            Change(
                "tallybook/postgres/sql/catalog.sql",
                "WHERE stripe_price_id = any(:stripe_price_ids);",
                "WHERE stripe_price_id = any(:stripe_price_ids)"
                " AND stripe_price_id IN (SELECT l.stripe_price_id FROM tallybook.catalog_links AS l);",
            ),
        ),
    ),
    Plant(
        20,
        "The amount of a payment form is compared with what was bound.",
        {"test_pitfall_20_an_amount_that_was_changed_at_stripe_grants_nothing": "(100, 1) == (0, 0)"},
        (
            Change(
                INTENTS,
                '        "amount": report.amount == found.price.minor\n',
                '        "amount": True or report.amount == found.price.minor\n',
            ),
        ),
    ),
    Plant(
        20,
        "What a session says of mode, currency and amount is compared with what was bound.",
        {"test_pitfall_20_a_payment_of_other_terms_is_recorded_and_never_grants": "1 == 0"},
        (
            Change(
                CHECKOUTS,
                "    fault = _mismatch(checkout, report, livemode=livemode)\n",
                "    fault = None\n",
            ),
        ),
    ),
)
