"""Plants of pitfalls 16 to 18: credits follow the money that is kept, through refunds, disputes and changes of plan."""

from __future__ import annotations

from pitfalls.paid import INVOICES
from pitfalls.plants import Change, Plant

HANDLED = "tallybook/domain/payments/handled.py"
MONEY_BACK = "tallybook/domain/payments/money_back.py"
AT_STRIPE = "tallybook/stripe/money_back.py"
CHANGES = "tallybook/domain/payments/subscriptions.py"

PLANTS = (
    Plant(
        16,
        "Of what is due in all, only the difference to what was taken before is posted.",
        {
            "test_pitfall_16_partial_refunds_add_up_and_take_no_more_than_their_part": "== [667, 334, 0]",
            "test_pitfall_16_events_of_refunds_in_any_order_and_twice_take_the_same": "== 650",
        },
        (
            Change(
                MONEY_BACK,
                "            Move(lot=lot.id, house=house, micro=micro - lot.posted[house])\n",
                "            Move(lot=lot.id, house=house, micro=micro)\n",
            ),
            Change(MONEY_BACK, "            if micro != lot.posted[house]\n", "            if micro\n"),
        ),
    ),
    Plant(
        16,
        "A refund that failed gave nothing back.",
        {
            "test_pitfall_16_a_refund_that_waits_counts_and_one_that_fails_gives_the_credits_again": "600 == 1000"
        },
        (
            Change(
                MONEY_BACK,
                'GIVEN_BACK = frozenset({"pending", "requires_action", "succeeded"})',
                'GIVEN_BACK = frozenset({"pending", "requires_action", "succeeded", "failed"})',
            ),
        ),
    ),
    Plant(
        17,
        "Events of refunds and disputes are worked on.",
        {
            "test_pitfall_17_a_refund_from_stripes_dashboard_takes_all_credits_back": "(1000, 0, 0) == (0, 0, 0)",
            "test_pitfall_17_an_open_dispute_takes_the_payments_credits": "(1000, 0, 0) == (0, 0, 0)",
        },
        (Change(HANDLED, "    | CHARGE_TYPES\n    | REFUND_TYPES\n    | DISPUTE_TYPES\n", ""),),
    ),
    Plant(
        17,
        "A dispute leads to its charge; it is none.",
        {"test_pitfall_17_an_open_dispute_takes_the_payments_credits": "(1000, 0, 0) == (0, 0, 0)"},
        (Change(AT_STRIPE, '"dispute": gateway.v1.disputes,', '"dispute": gateway.v1.charges,'),),
    ),
    Plant(
        17,
        "A dispute that was won has its money back, and its credits.",
        {"test_pitfall_17_a_dispute_that_is_won_gives_back_what_it_took": "(0, 0, 300) == (700, 0, 0)"},
        (
            Change(
                MONEY_BACK,
                "        return self.status in WITHDRAWN or (",
                '        return self.status in WITHDRAWN | {"won"} or (',
            ),
        ),
    ),
    Plant(
        17,
        "What was spent of money that went back is owed.",
        {
            "test_pitfall_17_what_was_spent_of_a_refunded_payment_becomes_debt_and_is_paid_first": "== (0, 0, 700)"
        },
        (
            Change(
                MONEY_BACK,
                "        return max(0, gross - unused) + min(gross, unused - self.expired_micro)\n",
                "        return min(gross, unused - self.expired_micro)\n",
            ),
        ),
    ),
    Plant(
        17,
        "Each event of a dispute tells of it, not its opening alone.",
        {"test_pitfall_17_a_dispute_whose_opening_was_missed_is_seen_with_its_end": "[(0, 0, 0, 0)] =="},
        (Change(HANDLED, '        "charge.dispute.closed",\n', ""),),
    ),
    Plant(
        18,
        "A line brings the part of the plan's credits that was charged of its price, negative ones too.",
        {
            "test_pitfall_18_a_proration_from_the_dashboard_takes_credits_back_with_the_money": "950000000 <",
            "test_pitfall_18_switching_to_and_fro_at_the_dashboard_makes_no_credits_under_a_coupon": "<= (200000000",
        },
        (
            Change(
                INVOICES,
                "    return Credits(round(Fraction(plan.credits.micro * charged, plan.price.minor)))\n",
                "    return Credits(plan.credits.micro * line.quantity)\n",
            ),
        ),
    ),
    Plant(
        18,
        "A proration counts after discounts.",
        {"test_pitfall_18_credits_follow_the_lines_of_a_paid_invoice": "('no_credits', 0)"},
        (Change(INVOICES, "(line.discount_minor if line.is_proration else 0)", "0"),),
    ),
    Plant(
        18,
        "A smaller plan waits for the next period, and the plan that was paid for is taken up again for nothing.",
        {"test_pitfall_18_going_down_and_up_again_makes_neither_credits_nor_charges": "Effect.UNDONE"},
        (
            Change(
                CHANGES,
                "    return Effect.NOW if longer or wanted.total > paid.total else Effect.NEXT_PERIOD\n",
                "    return Effect.NOW if longer or True else Effect.NEXT_PERIOD\n",
            ),
            Change(CHANGES, "        return Effect.UNDONE\n", "        return Effect.NOW\n"),
        ),
    ),
    Plant(
        18,
        "Only a subscription's own lines count, and of a bill by hand only its prorations.",
        {"test_pitfall_18_credits_follow_the_lines_of_a_paid_invoice": "('other_reason', 0)"},
        (
            Change(
                INVOICES,
                "    if line.subscription_id is None:\n        return False\n",
                "    if True:\n        return True\n",
            ),
        ),
    ),
)
