"""Plants of pitfalls 1 to 6: credits that come twice or not at all, because events come twice, late or in any order."""

from __future__ import annotations

from pitfalls.plants import Change, Plant

FULFILMENT = "tallybook/usecases/fulfilment.py"
INVOICING = "tallybook/usecases/subscriptions/invoicing.py"
SETTLING = "tallybook/usecases/subscriptions/settling.py"
CHECKOUTS = "tallybook/domain/payments/checkouts.py"
INBOX = "tallybook/postgres/sql/inbox.sql"
FENCES = "tallybook/postgres/sql/fences.sql"
SUBSCRIPTIONS = "tallybook/postgres/sql/subscriptions.sql"

_PAID_IS_FINAL = Change(
    CHECKOUTS, "    if checkout.status is Status.PAID:\n        return", "    if False:\n        return"
)
_NO_GRANT_KEY = Change(FULFILMENT, "key=checkout.grant_key,", 'key=f"{checkout.grant_key}:{ctx.clock()}",')
_BOOKED_BEFORE = "if moved or await payments.by_reference(tx, report.id) is not None:"
_FOLLOWED = "        report = await stripe.subscription(subscription_id)\n"

PLANTS = (
    Plant(
        1,
        "The inbox keeps an event once, by Stripe's id.",
        {"test_pitfall_01_the_same_webhook_fifty_times_at_once_grants_once": "== [(50, 'done')]"},
        (
            Change(
                INBOX,
                "    :event_id, :type, :api_version, :livemode,",
                "    :event_id || '_' || gen_random_uuid(), :type, :api_version, :livemode,",
            ),
        ),
    ),
    Plant(
        1,
        "A checkout is granted once: what is paid is final, and behind that the ledger's key names the session.",
        {"test_pitfall_01_replaying_done_events_grants_nothing_more": "4000 == 1000"},
        (_PAID_IS_FINAL, _NO_GRANT_KEY),
    ),
    Plant(
        2,
        "Whoever grants decides under the customer's lease and the checkout's row lock; who finds the wallet locked"
        " looks again, and behind all of that the ledger has a unique key.",
        {"test_pitfall_02_events_and_return_pages_at_once_grant_once": "000 == 1000"},
        (
            Change(
                FENCES,
                "\nWHERE customer_fences.leased_until <= :now\n",
                "\nWHERE true OR customer_fences.leased_until <= :now\n",
            ),
            Change(FENCES, "AND fence = :fence FOR UPDATE;", "AND (fence = :fence OR true);"),
            Change(
                FULFILMENT,
                "    found = await checkouts.by_session(tx, report.id, lock=True)\n",
                "    found = await checkouts.by_session(tx, report.id)\n"
                '    await __import__("asyncio").sleep(0.3)\n',
            ),
            Change(
                FULFILMENT,
                "ledger.post(tx, ctx.clock(), [posting], wait=wait)",
                "ledger.post(tx, ctx.clock(), [posting], wait=True)",
            ),
            _NO_GRANT_KEY,
        ),
    ),
    Plant(
        2,
        "An invoice moves its credits once: its row and its payment say so under the lock, and behind them the ledger's"
        " key.",
        {"test_pitfall_02_every_event_of_a_first_payment_at_once_and_again_grants_once": "== (100, 1)"},
        (
            Change(INVOICING, _BOOKED_BEFORE, "if False:"),
            Change(
                INVOICING,
                'key=f"stripe:invoice:{report.id}:grant" +',
                'key=f"stripe:invoice:{books.ctx.clock()}:grant" +',
            ),
        ),
    ),
    Plant(
        3,
        "An event is marked done with its effect and not when a worker takes it.",
        {"test_pitfall_03_an_event_is_tried_again_later_and_dies_in_the_end": "'done', None) != ("},
        (
            Change(
                INBOX,
                "    status = 'processing', attempts = attempts + 1,",
                "    status = 'done', attempts = attempts + 1,",
            ),
            Change(
                INBOX,
                "AND lease_id = :lease_id AND status = 'processing'\nRETURNING",
                "AND lease_id = :lease_id\nRETURNING",
            ),
        ),
    ),
    Plant(
        3,
        "A lease on an event runs out, and whoever comes next takes the event over.",
        {"test_pitfall_03_an_event_whose_worker_died_is_taken_over": "(0, 0) == (0, 1)"},
        (
            Change(
                INBOX,
                "WHERE status IN ('received', 'processing', 'retry') AND next_attempt_at <= :now",
                "WHERE status IN ('received', 'retry') AND next_attempt_at <= :now",
            ),
        ),
    ),
    Plant(
        4,
        "What a subscription is like is fetched afresh: the body of an event is a hint.",
        {"test_pitfall_04_created_after_updated_leaves_the_subscription_active": "'incomplete'> is <"},
        (
            Change(
                SETTLING,
                _FOLLOWED,
                _FOLLOWED
                + "        if report is not None and lease is not None:\n"
                + "            async with ctx.db.snapshot() as tx:\n"
                + "                _, raw = await inbox.one(tx, lease.event_id)\n"
                + '            told = __import__("json").loads(raw)["data"]["object"]\n'
                + '            if told["object"] == "subscription":\n'
                + '                status = type(report.status)(told["status"])\n'
                + '                report = __import__("dataclasses").replace(report, status=status)\n',
            ),
        ),
    ),
    Plant(
        4,
        "No time stamp decides what is newer.",
        {
            "test_pitfall_04_changes_within_one_second_are_all_followed": "[False, False, False] == [True, False, True]"
        },
        (
            Change(
                SUBSCRIPTIONS,
                "AND status NOT IN ('canceled', 'incomplete_expired');",
                "AND status NOT IN ('canceled', 'incomplete_expired') AND (followed_at IS NULL"
                " OR date_trunc('second', followed_at) < date_trunc('second', :now::timestamptz));",
            ),
        ),
    ),
    Plant(
        5,
        "A plan's session grants nothing; its invoices do.",
        {"test_pitfall_05_session_and_invoice_of_one_first_payment_grant_once_in_every_order": "200 == 100"},
        (Change(CHECKOUTS, '        if checkout.mode == "subscription":\n', "        if False:\n"),),
    ),
    Plant(
        6,
        "What an import wrote down as paid is paid, whatever grants from now on.",
        {"test_pitfall_06_old_webhooks_and_the_reconciler_grant_nothing_for_what_was_imported": "107 == 7"},
        (Change(INVOICING, _BOOKED_BEFORE, "if moved:"),),
    ),
)
