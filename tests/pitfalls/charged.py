"""Plants of pitfalls 11 to 15: customers made twice, charges made twice, and states that flip back."""

from __future__ import annotations

from pitfalls.once import CHECKOUTS, SETTLING, SUBSCRIPTIONS
from pitfalls.paid import CARDS_SETTLING, INTENTS
from pitfalls.plants import Change, Plant

BUYERS = "tallybook/usecases/buyers.py"
PLACING = "tallybook/usecases/subscriptions/placing.py"
MADE = "            made = await stripe.create_customer(\n"
_ENDED_STAYS = Change(SUBSCRIPTIONS, " AND status NOT IN ('canceled', 'incomplete_expired');", ";")

_NO_INDEX = Change(
    "tallybook/postgres/migrations/versions/0015_cards.sql",
    "CREATE UNIQUE INDEX payment_intents_one_top_up",
    "CREATE INDEX payment_intents_one_top_up",
)
_NOT_IN_FLIGHT = Change(
    "tallybook/postgres/sql/top_ups.sql",
    "        WHERE p.wallet_id = r.wallet_id AND p.source = 'top_up'\n",
    "        WHERE false AND p.wallet_id = r.wallet_id AND p.source = 'top_up'\n",
)

PLANTS = (
    Plant(
        11,
        "A user's customer is asked for under one key, that of the intent's row.",
        {
            "test_pitfall_11_two_first_checkouts_at_once_make_one_customer": "Left contains",
            "test_pitfall_11_everything_at_once_makes_one_customer_and_the_card_is_on_it": "Left contains",
        },
        (
            Change(BUYERS, MADE, f'            await __import__("asyncio").sleep(0.3)\n{MADE}'),
            Change(
                BUYERS,
                'idempotency_key=f"customer:{customer.intent_id}:{customer.attempt}",',
                'idempotency_key=f"customer:{ctx.clock()}",',
            ),
        ),
    ),
    Plant(
        11,
        "A customer who is gone from Stripe is made anew when something is bought.",
        {"test_pitfall_11_a_customer_who_was_deleted_at_stripe_buys_again": "No such customer"},
        (
            Change(
                BUYERS,
                "        if not missing or not await stripe.customer_is_gone(customer_id):\n",
                "        if True or not missing:\n",
            ),
        ),
    ),
    Plant(
        11,
        "A customer who is gone from Stripe is forgotten when Stripe tells.",
        {"test_pitfall_11_a_customer_deleted_at_stripe_is_made_anew": "== [(None,)]"},
        (
            Change(
                "tallybook/usecases/cards/saved_methods.py",
                "    if purse is None:\n        await customers.forget_customer",
                "    if False:\n        await customers.forget_customer",
            ),
        ),
    ),
    Plant(
        11,
        "What Stripe refuses under a key is asked for under the next one.",
        {
            "test_pitfall_11_an_email_that_changed_after_an_unknown_outcome_does_not_stick": "Keys for idempotent"
        },
        (
            Change(
                BUYERS,
                "                customer = await customers.next_attempt(tx, ctx.clock(), customer)\n",
                "                raise\n",
            ),
        ),
    ),
    Plant(
        12,
        "A refund that we asked for is known by its intent, which is written down before Stripe is asked.",
        {
            "test_pitfall_12_the_webhook_before_our_own_commit_finds_the_intent": "[('intended',)] == [('made',)]"
        },
        (
            Change(
                "tallybook/stripe/money_back.py",
                "        refunds=tuple(refund_of(raw) for raw in given),\n",
                '        refunds=tuple(refund_of({**raw, "metadata": {}}) for raw in given),\n',
            ),
        ),
    ),
    Plant(
        12,
        "A subscription that is heard of before we know its id is that of the attempt which it names.",
        {"test_pitfall_12_events_before_our_own_commit_find_the_attempt": "stripe_subscription_id_key"},
        (
            Change(
                SETTLING,
                "    if account is None or report.our_id is None or report.deployment",
                "    if True or report.our_id is None or report.deployment",
            ),
        ),
    ),
    Plant(
        12,
        "A session that cannot be closed is asked what it became.",
        {"test_pitfall_12_a_session_that_was_paid_unseen_is_not_sold_a_second_time": "DID NOT RAISE"},
        (
            Change(
                PLACING,
                "        await settling.settle_session(ctx, session_id)\n        return False\n",
                "        return True\n",
            ),
        ),
    ),
    Plant(
        13,
        "A subscription that has ended is never followed again.",
        {"test_pitfall_13_a_subscription_that_has_ended_never_lives_again": "'active'> is <"},
        (_ENDED_STAYS,),
    ),
    Plant(
        13,
        "Neither does a repair bring it to life: it is left to people, and behind that its row stays.",
        {"test_pitfall_13_a_canceled_subscription_is_followed_and_never_comes_to_life_again": "'active' =="},
        (
            _ENDED_STAYS,
            Change(
                "tallybook/domain/payments/comparing.py",
                "    mendable = report is not None and not (known is not None and known.status.has_ended)\n",
                "    mendable = report is not None\n",
            ),
        ),
    ),
    Plant(
        13,
        "A paid checkout is judged no more, and behind that its row stays.",
        {
            "test_pitfall_13_a_paid_checkout_stays_paid_whatever_is_said_later": "'expired' == 'already_granted'"
        },
        (
            Change(
                CHECKOUTS,
                "    if checkout.status is Status.PAID:\n        return",
                "    if False:\n        return",
            ),
            Change(
                "tallybook/postgres/sql/checkouts.sql",
                "WHERE checkout_id = :checkout_id AND status <> 'paid';",
                "WHERE checkout_id = :checkout_id;",
            ),
        ),
    ),
    Plant(
        13,
        "An invoice's row stays paid or void.",
        {"test_pitfall_13_a_paid_invoice_stays_paid_whatever_is_said_later": "'open', 'granted', 100) !="},
        (
            Change(
                "tallybook/postgres/sql/subscription_invoices.sql",
                "CASE WHEN i.status IN ('paid', 'void') THEN i.status ELSE excluded.status END",
                "excluded.status",
            ),
        ),
    ),
    Plant(
        14,
        "A user has one place in a family of plans: a unique index over attempts and living subscriptions.",
        {"test_pitfall_14_two_tabs_leave_one_session_that_can_be_paid": "3 == 1"},
        (
            Change(
                "tallybook/postgres/migrations/versions/0012_subscriptions.sql",
                "CREATE UNIQUE INDEX subscriptions_one_of_a_family",
                "CREATE INDEX subscriptions_one_of_a_family",
            ),
        ),
    ),
    Plant(
        14,
        "What was open is closed at Stripe before another session is handed out.",
        {"test_pitfall_14_a_second_tab_takes_the_place_of_the_first": "'open' == 'expired'"},
        (
            Change(
                PLACING,
                '        await stripe.expire_session(session_id, idempotency_key=f"expire:{session_id}")\n',
                "        return True\n",
            ),
        ),
    ),
    Plant(
        14,
        "An attempt that was seen without a session is given up only if it still has none.",
        {
            "test_pitfall_14_who_was_seen_unopened_is_not_given_up_once_a_session_is_open": "('abandoned', 'abandoned')"
        },
        (
            Change(
                SUBSCRIPTIONS,
                "AND (status = 'intended' OR NOT :unopened::boolean);",
                "AND :unopened::boolean IS NOT NULL;",
            ),
        ),
    ),
    Plant(
        14,
        "A wallet has one top-up in flight: a unique index, and before it the look for one.",
        {
            "test_pitfall_14_many_workers_at_once_charge_once": "== 1",
            "test_pitfall_14_nothing_is_charged_while_an_outcome_is_unknown": "(130, 2) == (30, 1)",
        },
        (_NO_INDEX, _NOT_IN_FLIGHT),
    ),
    Plant(
        14,
        "A top-up that waits for its customer is given up once they paid in another way.",
        {
            "test_pitfall_14_a_top_up_that_waits_is_given_up_when_the_customer_paid_otherwise": "'needs_action' =="
        },
        (
            Change(
                "tallybook/usecases/cards/charging.py",
                "    return not await _is_wanted(ctx, found)\n",
                "    return False\n",
            ),
        ),
    ),
    Plant(
        15,
        "A charge's key is its row and its attempt: the same for a repetition.",
        {"test_pitfall_15_an_unknown_outcome_is_asked_again_under_the_same_key": "(140, 2) == (140, 1)"},
        (
            Change(
                INTENTS,
                'return f"payment_intent:{self.intent_id}:{self.attempt}"',
                'return f"payment_intent:{datetime.now()}"',
            ),
        ),
    ),
    Plant(
        15,
        "A charge's key is its row and its attempt: no amount and no time is in it.",
        {"test_pitfall_15_the_same_amount_is_charged_again_in_the_same_minute": "40 == 140"},
        (
            Change(
                INTENTS,
                'return f"payment_intent:{self.intent_id}:{self.attempt}"',
                'return f"payment_intent:{self.wallet_id}:{self.price.minor}:{self.created_at:%Y-%m-%d}"',
            ),
        ),
    ),
    Plant(
        15,
        "The answer to a charge sets its rule back, with or without a webhook.",
        {
            "test_pitfall_15_a_decline_that_no_webhook_tells_of_sets_back_at_once": "[(0, False)] == [(1, True)]"
        },
        (
            Change(
                CARDS_SETTLING,
                "        if moved and found.source is Source.TOP_UP:\n",
                "        if lease is not None and moved and found.source is Source.TOP_UP:\n",
            ),
        ),
    ),
)
