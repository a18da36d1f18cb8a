"""Plants of pitfalls 7 to 10: what was not paid, what was paid with nothing, and whose payment it is."""

from __future__ import annotations

from pitfalls.once import CHECKOUTS, FULFILMENT, INVOICING, SETTLING
from pitfalls.plants import Change, Plant

GATEWAY = "tallybook/stripe/gateway.py"
CARDS_SETTLING = "tallybook/usecases/cards/settling.py"
INTENTS = "tallybook/domain/payments/payment_intents.py"
INTENTS_SQL = "tallybook/postgres/sql/payment_intents.sql"
INVOICES = "tallybook/domain/payments/invoices.py"

_ONLY_PAID_INVOICES = Change(
    INVOICES,
    '    if report.status != PAID:\n        return InvoiceJudgement(outcome="not_paid")',
    '    if report.status not in (PAID, "open"):\n        return InvoiceJudgement(outcome="not_paid")',
)
_ONLY_PAID_SESSIONS = Change(
    CHECKOUTS, "    if report.payment_status in PAID:\n", "    if report.payment_status is not None:\n"
)

PLANTS = (
    Plant(
        7,
        "A session that is complete is granted only if it is paid, too.",
        {"test_pitfall_07_a_delayed_payment_grants_when_it_succeeds_and_not_before": "(1000, 'paid') =="},
        (_ONLY_PAID_SESSIONS,),
    ),
    Plant(
        7,
        "An invoice whose payment is under way is not paid.",
        {"test_pitfall_07_a_delayed_first_payment_grants_when_it_arrives_and_not_before": "100 == 0"},
        (_ONLY_PAID_INVOICES,),
    ),
    Plant(
        8,
        "Credits of a plan come with a paid invoice, whatever the subscription's state is said to be.",
        {"test_pitfall_08_subscription_events_alone_never_grant": "(2000, 1) == (0, 0)"},
        (_ONLY_PAID_INVOICES,),
    ),
    Plant(
        8,
        "Who comes back is believed as little: the session is asked whether it is complete, and whether it is paid.",
        {
            "test_pitfall_08_coming_back_without_having_paid_brings_nothing": "('granted', 'already_granted') =="
        },
        (
            Change(
                CHECKOUTS, '    if report.status != "complete":\n', '    if report.status == "expired":\n'
            ),
            _ONLY_PAID_SESSIONS,
        ),
    ),
    Plant(
        9,
        "A session is granted by its own id, and needs no payment intent.",
        {"test_pitfall_09_a_checkout_that_costs_nothing_has_no_payment_intent_and_is_granted": "0 == 100"},
        (
            Change(
                CHECKOUTS,
                "    if 0 < (report.amount_total or 0) <= report.amount_refunded:\n",
                "    if not report.payment_intent_id or 0 < (report.amount_total or 0) <= report.amount_refunded:\n",
            ),
        ),
    ),
    Plant(
        9,
        "An invoice is granted under its own id, not under its payment intent's.",
        {"test_pitfall_09_a_coupon_of_the_whole_price_still_brings_a_periods_credits": "200 == 300"},
        (
            Change(
                INVOICING,
                'key=f"stripe:invoice:{report.id}:grant" +',
                'key=f"stripe:invoice:{report.payment_intent_id}:grant" +',
            ),
        ),
    ),
    Plant(
        9,
        "An invoice without a payment intent is judged like any other.",
        {
            "test_pitfall_09_a_trial_brings_its_credits_once_for_ever": "('trialing', 0) == ('trialing', 100)",
            "test_pitfall_09_a_code_for_all_of_it_grants_the_period_without_a_payment_intent": "0 == 100",
        },
        (
            Change(
                INVOICING,
                "    judgement = judge_invoice(report, plans, now)\n",
                '    if report.payment_intent_id is None:\n        return "not_paid"\n'
                "    judgement = judge_invoice(report, plans, now)\n",
            ),
        ),
    ),
    Plant(
        9,
        "An import knows a past payment by its own id too.",
        {"test_pitfall_09_a_payment_of_nothing_is_written_down_once_too": "(1, 1, 0) == (1, 0, 0)"},
        (
            Change(
                "tallybook/usecases/importing/customers.py",
                "        if one.reference not in booked\n",
                "        if (one.payment_intent_id is None or one.reference not in booked)\n",
            ),
        ),
    ),
    Plant(
        10,
        "A session is ours by the id that we stored, not by what its metadata say; behind that its terms must fit.",
        {"test_pitfall_10_a_session_that_we_did_not_open_never_grants_even_with_our_metadata": "1 == 0"},
        (
            Change(
                FULFILMENT,
                '    if known is None:\n        return await _without_effect(ctx, lease, "foreign")\n    assert known.',
                "    if known is None:\n"
                "        named = await configured(ctx.stripe).session(stripe_session_id)\n"
                "        async with ctx.db.snapshot() as tx:\n"
                '            known = await checkouts.by_id(tx, int(named.metadata["checkout_id"][4:]))\n'
                "    assert known.",
            ),
            Change(
                FULFILMENT,
                "    found = await checkouts.by_session(tx, report.id, lock=True)\n",
                '    found = await checkouts.by_id(tx, int(report.metadata["checkout_id"][4:]))\n',
            ),
            Change(
                CHECKOUTS,
                "    fault = _mismatch(checkout, report, livemode=livemode)\n",
                "    fault = None\n",
            ),
        ),
    ),
    Plant(
        10,
        "A payment intent is ours by the id that we stored, not by whose customer pays it.",
        {
            "test_pitfall_10_an_intent_that_we_did_not_start_never_grants_even_with_our_metadata": "(100, 1) == (0, 0)"
        },
        (
            Change(
                INTENTS_SQL,
                "SELECT * FROM tallybook.payment_intents WHERE stripe_id = :stripe_id;",
                "SELECT * FROM tallybook.payment_intents WHERE stripe_id = :stripe_id OR status = 'open';",
            ),
            Change(
                INTENTS_SQL,
                "SELECT * FROM tallybook.payment_intents WHERE stripe_id = :stripe_id FOR UPDATE;",
                "SELECT * FROM tallybook.payment_intents WHERE stripe_id = :stripe_id OR status = 'open' FOR UPDATE;",
            ),
            Change(INTENTS, '"intent": report.id == found.stripe_id,', '"intent": True,'),
        ),
    ),
    Plant(
        10,
        "The payment intent of a session is given metadata of its own.",
        {"test_pitfall_10_the_payment_intent_gets_its_own_copy_of_the_metadata": "KeyError: 'checkout_id'"},
        (
            Change(
                GATEWAY,
                '            wanted["payment_intent_data"] = {"metadata": metadata}\n',
                "",
            ),
        ),
    ),
    Plant(
        10,
        "The subscription of a session is given metadata of its own.",
        {"test_pitfall_10_a_checkouts_subscription_names_its_attempt": "KeyError: 'subscription_id'"},
        (Change(GATEWAY, '{"metadata": {**metadata, **order.subscription_metadata}}', '{"metadata": {}}'),),
    ),
    Plant(
        10,
        "A subscription without metadata is known by its customer and its price.",
        {"test_pitfall_10_a_subscription_that_was_made_at_stripe_is_adopted_by_its_customer": "got 0"},
        (
            Change(
                SETTLING,
                "    if user_id is None or terms is None or product is None",
                "    if report.our_id is None or user_id is None or terms is None or product is None",
            ),
        ),
    ),
)
