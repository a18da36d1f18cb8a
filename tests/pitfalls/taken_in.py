"""Plants of pitfalls 21 to 25: what events may look like, what never comes, and what is answered."""

from __future__ import annotations

from pitfalls.kept import HANDLED
from pitfalls.once import SETTLING
from pitfalls.plants import Change, Plant

HANDLERS = "tallybook/worker/handlers.py"
INTAKE = "tallybook/usecases/intake.py"

_IS_SESSION = "    elif event.type in SESSION_TYPES:\n"
_INVOICE = "    found = await configured(ctx.stripe).invoice(stripe_invoice_id)\n"

PLANTS = (
    Plant(
        21,
        "A session is fetched at our own version; how an event shows it does not matter.",
        {"test_pitfall_21_a_payment_is_granted_whatever_version_tells_of_it": "0 == 1000"},
        (
            Change(
                HANDLERS,
                _IS_SESSION,
                _IS_SESSION
                + '        one = __import__("tallybook.postgres.inbox", fromlist=["one"]).one\n'
                + "        async with ctx.db.snapshot() as tx:\n"
                + "            _, raw = await one(tx, event.lease.event_id)\n"
                + '        __import__("json").loads(raw)["data"]["object"]["payment_status"]\n',
            ),
        ),
    ),
    Plant(
        21,
        "An invoice is fetched at our own version; how an event shows it does not matter.",
        {"test_pitfall_21_an_event_of_an_old_version_needs_nothing_but_its_id": "0 == 100"},
        (
            Change(
                SETTLING,
                _INVOICE,
                "    async with ctx.db.snapshot() as tx:\n"
                "        _, raw = await inbox.one(tx, lease.event_id)\n"
                '    told = __import__("json").loads(raw)["data"]["object"]\n'
                '    if not told.get("paid", told.get("status") == "paid"):\n'
                '        return await _without_effect(ctx, lease, "not_paid")\n' + _INVOICE,
            ),
        ),
    ),
    Plant(
        21,
        "An event of a version that nobody tested raises an alarm.",
        {"test_pitfall_21_a_version_that_nobody_tested_raises_one_alarm": "[] == [('error',"},
        (
            Change(
                "tallybook/domain/payments/sightings.py",
                "    return api_version is not None and api_version not in VERSIONS_TESTED\n",
                "    return False\n",
            ),
        ),
    ),
    Plant(
        22,
        "An invoice without a subscription is left alone.",
        {
            "test_pitfall_22_invoices_without_a_subscription_and_of_strangers_are_recorded": "['None', 'foreign'] =="
        },
        (
            Change(
                SETTLING,
                "    if subscription_id is None or found.customer_id is None:\n"
                '        return await _without_effect(ctx, lease, "no_subscription")\n',
                "",
            ),
        ),
    ),
    Plant(
        23,
        "Events that never came are fetched.",
        {"test_pitfall_23_webhooks_that_never_came_are_made_up_for_by_the_same_handlers": "0 > 0"},
        (
            Change(
                "tallybook/usecases/reconciling/events.py",
                "            missing += await _store(ctx, page, applies=applies)\n",
                "            missing += 0\n",
            ),
        ),
    ),
    Plant(
        23,
        "Stripe's objects are held against the books.",
        {
            "test_pitfall_23_a_payment_without_any_event_is_found_and_granted_once": "('paid_not_granted',",
            "test_pitfall_23_a_dispute_is_taken_back_and_when_it_is_won_restored": "(1000, 0, 0) == (0, 0, 0)",
        },
        (
            Change(
                "tallybook/usecases/reconciling/objects.py",
                "    for kind in (_sessions, _invoices, _subscriptions, _money_back, _intents, _payments):\n",
                "    for kind in (_payments,):\n",
            ),
        ),
    ),
    Plant(
        24,
        "What is not ours is recorded and answered like anything else.",
        {
            "test_pitfall_24_what_is_not_ours_is_taken_with_2xx_on_every_path": "'another account'): 413",
            "test_pitfall_24_events_of_another_account_and_of_other_kinds_are_recorded_and_left_alone": "other_account",
        },
        (
            Change(
                INTAKE,
                "        ignored_as = await _ignored_as(ctx, tx, event)\n",
                "        ignored_as = await _ignored_as(ctx, tx, event)\n"
                "        if ignored_as is not None:\n            raise RequestTooLargeError(ignored_as)\n",
            ),
        ),
    ),
    Plant(
        24,
        "Only an address that takes events as it stands is registered: Stripe follows no redirect.",
        {"test_pitfall_24_a_url_that_takes_no_events_is_refused": "DID NOT RAISE"},
        (
            Change(
                "tallybook/domain/payments/endpoints.py",
                "    if parts.path not in INTAKE_URLS.values() or parts.query",
                '    if parts.path.rstrip("/") not in INTAKE_URLS.values() or parts.query',
            ),
        ),
    ),
    Plant(
        25,
        "The signature is verified over the body's bytes.",
        {"test_pitfall_25_a_signature_counts_for_the_bytes_as_they_came": "'/api/v1/webhooks/stripe': 400"},
        (
            Change(
                "tallybook/api/families/webhooks.py",
                "    return await request.body()\n",
                '    return __import__("json").dumps(await request.json()).encode()\n',
            ),
        ),
    ),
    Plant(
        25,
        "Events of the other mode are left alone, by the intake and behind it by the worker.",
        {"test_pitfall_25_events_of_the_other_mode_are_recorded_and_never_grant": "== (0, 0)"},
        (
            Change(HANDLED, "    if not same_mode:\n", "    if False:\n"),
            Change(HANDLERS, "    if event.livemode != ctx.livemode:\n", "    if False:\n"),
        ),
    ),
)
