"""One subscription seen from every side: the SDK, the command line, direct SQL and the old routes agree."""

from __future__ import annotations

import asyncio
import time

import psycopg
import pytest
from running_service import EMAIL, PASSWORD, Running, environment, run_cli

from credit_sdk import Client
from credit_sdk.errors import AlreadySubscribedError, PromotionCodeError
from payments.subscriber import Subscriber

pytestmark = pytest.mark.timeout(180)
PATIENCE_SECONDS = 60.0


def test_a_plan_is_begun_paid_changed_and_ended_by_the_sdk(running: Running) -> None:
    # Signed in to the house: no app has a card charged for another plan.
    with Client(running.base_url) as nobody:
        token = nobody.sessions.create(EMAIL, PASSWORD).session_token
    with Client(running.base_url, session_token=token) as client:
        begun = client.subscriptions.begin("plan_starter")
        assert begun.client_secret is not None
        intent = begun.client_secret.partition("_secret")[0]
        paid = running.sandbox.http().post(
            f"/v1/payment_intents/{intent}/confirm", data={"payment_method": "pm_card_visa"}
        )
        paid.raise_for_status()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while client.subscriptions.get(begun.id).invoices[0].granted_micro == 0:
            assert time.monotonic() < deadline, "the webhook brings no credits"
            time.sleep(0.05)

        shown = client.subscriptions.preview(begun.id, "plan_business")
        changed = client.subscriptions.change(
            begun.id, "plan_business", proration_date=shown.proration_date, idempotency_key="up"
        )
        again = client.subscriptions.change(
            begun.id, "plan_business", proration_date=shown.proration_date, idempotency_key="up"
        )
        with pytest.raises(AlreadySubscribedError) as refused:
            client.checkouts.create(
                "plan_starter",
                mode="subscription",
                success_url="https://a.example",
                cancel_url="https://a.example",
            )
        paused = client.subscriptions.pause(begun.id)
        resumed = client.subscriptions.resume(begun.id)
        leaving = client.subscriptions.cancel(begun.id)
        staying = client.subscriptions.reactivate(begun.id)
        ended = client.subscriptions.cancel(begun.id, at="now")
        [listed] = client.subscriptions.list().data
        wallet = client.wallets.list().data[0]

    assert (shown.effect, changed.plan, changed.replayed, again.replayed) == (
        "now",
        "plan_business",
        False,
        True,
    )
    assert refused.value.facts["subscription"] == begun.id
    assert (paused.paused, resumed.paused) == (True, False)
    assert (leaving.cancel_at_period_end, staying.cancel_at_period_end) == (True, False)
    assert (ended.status, listed.status, listed.id) == ("canceled", "canceled", begun.id)
    assert wallet.available_micro == 100_000_000 + shown.credits_micro


def test_a_plan_is_put_off_and_taken_back_by_the_sdk(running: Running) -> None:
    with Client(running.base_url) as nobody:
        token = nobody.sessions.create(EMAIL, PASSWORD).session_token
    with Client(running.base_url, session_token=token) as client:
        with pytest.raises(PromotionCodeError):
            client.subscriptions.begin("plan_starter", promotion_code="SPRING25")
        begun = client.subscriptions.begin("plan_starter", address={"country": "DE"})
        assert begun.client_secret is not None
        intent = begun.client_secret.partition("_secret")[0]
        running.sandbox.http().post(
            f"/v1/payment_intents/{intent}/confirm", data={"payment_method": "pm_card_visa"}
        ).raise_for_status()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while client.subscriptions.get(begun.id).status != "active":
            assert time.monotonic() < deadline, "the webhook does not come"
            time.sleep(0.05)

        shown = client.subscriptions.preview(begun.id, "plan_business", at="period_end")
        waiting = client.subscriptions.change(begun.id, "plan_business", at="period_end")
        back = client.subscriptions.change(begun.id, "plan_starter")
        [invoice] = client.subscriptions.get(begun.id).invoices

    assert (shown.effect, shown.charged_minor, shown.next_period_minor) == ("next_period", 0, 9999)
    assert (waiting.plan, waiting.pending_plan, waiting.paid_plan) == (
        "plan_business",
        "plan_business",
        "plan_starter",
    )
    assert waiting.pending_from == waiting.current_period_end
    assert (back.plan, back.pending_plan, back.pending_from) == ("plan_starter", None, None)
    assert (invoice.net_minor, invoice.tax_minor, invoice.total_minor) == (999, 0, 999)


async def test_operators_see_and_end_subscriptions_on_the_command_line(ada: Subscriber) -> None:
    found = await ada.subscribe("plan_professional")
    env = environment(ada.till.database, ada.till.sandbox.base_url, 8000, "a-signing-secret")
    stripe_id = found.stripe_subscription_id or ""

    listed = await asyncio.to_thread(run_cli, env, "subscriptions", "list", "--status", "active", "--json")
    shown = await asyncio.to_thread(run_cli, env, "subscriptions", "show", stripe_id, "--json")
    ada.till.sandbox.http().delete(f"/v1/subscriptions/{stripe_id}")
    refreshed = await asyncio.to_thread(run_cli, env, "subscriptions", "refresh", stripe_id, "--json")

    assert [(one["stripe"], one["plan"]) for one in listed] == [(stripe_id, "plan_professional")]
    assert [(one["outcome"], one["granted"]) for one in shown["invoices"]] == [("granted", "500")]
    assert (refreshed["outcome"], refreshed["status"]) == ("already_granted", "canceled")


async def test_direct_sql_shows_subscriptions_to_apps_that_may_see_users(ada: Subscriber) -> None:
    found = await ada.subscribe("plan_starter")
    columns = "user_id, stripe_subscription_id, status, plan"

    with psycopg.connect(ada.till.database.superuser_url, autocommit=True) as connection:
        connection.execute("CREATE ROLE app_of_subscriptions LOGIN IN ROLE tallybook_apps")
        try:
            connection.execute(
                "INSERT INTO tallybook.apps (public_id, name, permissions, database_role, created_at, updated_at)"
                " VALUES ('app_s', 's', '{read_user_info}', 'app_of_subscriptions', now(), now())"
            )
            connection.execute("SET SESSION AUTHORIZATION app_of_subscriptions")
            rows = connection.execute(f"SELECT {columns} FROM apps.stripe_subscriptions").fetchall()
            connection.execute("RESET SESSION AUTHORIZATION")
            connection.execute("UPDATE tallybook.apps SET permissions = '{}' WHERE public_id = 'app_s'")
            connection.execute("SET SESSION AUTHORIZATION app_of_subscriptions")
            hidden = connection.execute("SELECT count(*) FROM apps.stripe_subscriptions").fetchall()
            connection.execute("RESET SESSION AUTHORIZATION")
        finally:
            connection.execute("DROP ROLE app_of_subscriptions")

    assert rows == [(ada.till.user_id, found.stripe_subscription_id, "active", "plan_starter")]
    assert hidden == [(0,)]
