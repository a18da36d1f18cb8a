"""An existing Stripe account moves in: customers become users, once, with their plans and what they paid before."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from running_service import environment, run_cli

from payments.desk import OPERATOR, Till
from tallybook.domain.errors import InvalidCredentialsError, InvalidRequestError, ReconciliationBusyError
from tallybook.domain.money import Credits
from tallybook.domain.payments.importing import Grants, Imported, Options
from tallybook.usecases import sessions
from tallybook.usecases.reconciling import runs
from tallybook.worker.importing import import_stripe
from tallybook.worker.main import work_off
from tallybook.worker.reconciling import reconcile

pytestmark = pytest.mark.timeout(180)
HISTORY = Options(grants=Grants.HISTORY)


def a_customer(till: Till, email: str | None, **more: str) -> str:
    """A customer of before."""
    form = more if email is None else {"email": email, **more}
    return str(till.stripe_post("/v1/customers", **form)["id"])


def price_of(till: Till, lookup_key: str) -> str:
    """The Stripe price of a product of ours."""
    [[found]] = till.ask(
        "SELECT stripe_price_id FROM tallybook.catalog_links WHERE lookup_key = %s", lookup_key
    )
    return str(found)


def subscribed(till: Till, customer: str, price: str) -> dict[str, Any]:
    """A customer of before subscribes and pays."""
    form = {"customer": customer, "items[0][price]": price}
    card = till.stripe_post("/v1/payment_methods/pm_card_visa/attach", customer=customer)["id"]
    made = till.stripe_post("/v1/subscriptions", **form, default_payment_method=card)
    assert made["status"] == "active", made
    assert isinstance(made, dict)
    return made


def bought(till: Till, customer: str, price: str) -> dict[str, Any]:
    """A customer of before buys at a checkout of before."""
    form = {"mode": "payment", "customer": customer, "success_url": "https://a.example/"}
    lines = {"line_items[0][price]": price, "line_items[0][quantity]": "2"}
    session = till.stripe_post("/v1/checkout/sessions", **form, **lines)
    till.sandbox.control(f"checkout/sessions/{session['id']}/pay", card="4242424242424242")
    found = till.stripe_get(f"/v1/checkout/sessions/{session['id']}")
    assert isinstance(found, dict)
    return found


async def took(till: Till, options: Options = HISTORY, *, applies: bool = True) -> dict[str, Imported]:
    """One import; what became of each customer."""
    return {
        one.customer_id: one async for one, _ in import_stripe(till.ctx, OPERATOR, options, applies=applies)
    }


def user_of(till: Till, customer: str) -> int | None:
    """Whose a customer is."""
    rows = till.ask("SELECT user_id FROM tallybook.stripe_customers WHERE stripe_customer_id = %s", customer)
    return int(rows[0][0]) if rows else None


async def test_a_customer_comes_with_plan_history_and_credits_and_again_brings_nothing(shop: Till) -> None:
    grace = a_customer(shop, "Grace@example.com")
    subscribed(shop, grace, price_of(shop, "plan_starter"))
    bought(shop, grace, price_of(shop, "package_starter"))

    dry = await took(shop, applies=False)
    before = user_of(shop, grace)
    done = await took(shop)
    user = user_of(shop, grace)
    again = await took(shop)

    assert before is None
    assert user is not None
    plan = shop.ctx.catalog.by_lookup_key("plan_starter")
    assert plan is not None
    whole = 2000 + plan.credits.micro // 1_000_000
    for one in (dry[grace], done[grace]):
        assert (one.outcome, one.payments, one.granted) == ("created", 2, Credits.whole(whole))
    assert shop.credits(user) == whole
    assert (again[grace].outcome, again[grace].payments, again[grace].granted.micro) == ("known", 0, 0)
    assert shop.credits(user) == whole
    [[status, source]] = shop.ask(
        "SELECT s.status, (SELECT string_agg(DISTINCT source, ',') FROM tallybook.payments)"
        " FROM tallybook.subscriptions AS s WHERE user_id = %s",
        user,
    )
    assert (status, source) == ("active", "import")


async def test_pitfall_09_a_payment_of_nothing_is_written_down_once_too(shop: Till) -> None:
    """Without a payment intent only the invoice itself says that it is known."""
    grace = a_customer(shop, "grace@example.com")
    form = {"customer": grace, "items[0][price]": price_of(shop, "plan_starter"), "trial_period_days": "7"}
    assert shop.stripe_post("/v1/subscriptions", **form)["status"] == "trialing"

    done = await took(shop)
    again = await took(shop)

    assert (done[grace].payments, again[grace].payments, shop.grants()) == (1, 0, 0)
    assert shop.ask("SELECT paid_minor, source FROM tallybook.payments") == [(0, "import")]


async def test_pitfall_06_old_webhooks_and_the_reconciler_grant_nothing_for_what_was_imported(
    shop: Till,
) -> None:
    """The source of grants changes, and what was paid before must not count again."""
    grace = a_customer(shop, "grace@example.com")
    subscribed(shop, grace, price_of(shop, "plan_starter"))
    bought(shop, grace, price_of(shop, "package_starter"))
    await took(shop, Options(grants=Grants.BALANCES, balances={grace: Credits.whole(7)}))
    user = user_of(shop, grace)

    for event in reversed(shop.stripe_get("/v1/events", limit=100)["data"]):
        await shop.deliver(event)
    await work_off(shop.ctx)
    asked = await runs.request(shop.ctx, OPERATOR, applies=True)
    run = await reconcile(shop.ctx, asked, grace=timedelta(seconds=-5))

    assert shop.credits(user) == 7
    assert (run.differences, run.notices, shop.grants()) == (0, 0, 1)


async def test_what_was_paid_since_it_became_ours_is_left_to_webhooks(shop: Till) -> None:
    grace = a_customer(shop, "grace@example.com")
    await took(shop)
    shop.ask("UPDATE tallybook.stripe_customers SET created_at = created_at - interval '1 minute'")
    subscribed(shop, grace, price_of(shop, "plan_starter"))

    again = await took(shop, Options())
    asked = await runs.request(shop.ctx, OPERATOR, applies=True)
    await reconcile(shop.ctx, asked, grace=timedelta(seconds=-5))

    plan = shop.ctx.catalog.by_lookup_key("plan_starter")
    assert plan is not None
    assert again[grace].payments == 0
    assert shop.credits(user_of(shop, grace)) == plan.credits.micro // 1_000_000


async def test_a_refund_after_the_import_takes_back_what_the_payment_brought(shop: Till) -> None:
    grace = a_customer(shop, "grace@example.com")
    session = bought(shop, grace, price_of(shop, "package_starter"))
    other = bought(shop, grace, price_of(shop, "package_starter"))
    shop.stripe_post("/v1/refunds", payment_intent=other["payment_intent"])
    await took(shop)
    user = user_of(shop, grace)
    after_import = shop.credits(user)

    shop.stripe_post("/v1/refunds", payment_intent=session["payment_intent"])
    asked = await runs.request(shop.ctx, OPERATOR, applies=True)
    await reconcile(shop.ctx, asked, grace=timedelta(seconds=-5))

    assert (after_import, shop.credits(user)) == (2000, 0)


async def test_only_payments_of_the_window_bring_credits_and_all_are_written_down(shop: Till) -> None:
    grace = a_customer(shop, "grace@example.com")
    bought(shop, grace, price_of(shop, "package_starter"))

    done = await took(shop, Options(grants=Grants.HISTORY, since=datetime.now(UTC) + timedelta(hours=1)))

    assert (done[grace].payments, done[grace].granted.micro, shop.grants()) == (1, 0, 0)


async def test_customers_who_share_an_email_are_never_merged_silently(shop: Till) -> None:
    first, second = a_customer(shop, "Twins@example.com"), a_customer(shop, "twins@example.com")
    nobody = a_customer(shop, None)

    refused = await took(shop)
    linked = (user_of(shop, first), user_of(shop, second))
    chosen = await took(shop, Options(grants=Grants.HISTORY, chosen=frozenset({second})))

    assert linked == (None, None)
    assert [refused[one].conflicts for one in (first, second)] == [("email_shared",)] * 2
    assert refused[nobody].conflicts == ("no_email",)
    assert chosen[first].conflicts == ("email_shared",)
    assert chosen[second].outcome == "created"
    assert (user_of(shop, first), user_of(shop, second) is not None) == (None, True)


async def test_who_signed_up_with_an_email_gets_its_customer_only_when_that_is_said(shop: Till) -> None:
    ada = a_customer(shop, "ADA@example.com")
    bought(shop, ada, price_of(shop, "package_starter"))

    refused = await took(shop)
    nothing = (user_of(shop, ada), shop.credits())
    linked = await took(shop, Options(grants=Grants.HISTORY, links_existing=True))
    other = a_customer(shop, "ada@EXAMPLE.com")
    third = await took(shop, Options(grants=Grants.HISTORY, links_existing=True, chosen=frozenset({other})))

    assert (refused[ada].conflicts, nothing) == (("user_exists",), (None, 0))
    assert (linked[ada].outcome, user_of(shop, ada), shop.credits()) == ("linked", shop.user_id, 2000)
    assert third[other].conflicts == ("user_has_customer",)
    assert user_of(shop, other) is None


async def test_an_imported_user_has_no_password_that_anybody_knows(shop: Till) -> None:
    a_customer(shop, "grace@example.com")
    await took(shop)

    for password in ("", "-", "!", "grace@example.com"):
        with pytest.raises(InvalidCredentialsError):
            await sessions.sign_in(shop.ctx, email="grace@example.com", password=password)


async def test_prices_that_stand_for_nothing_are_told_and_mapped_by_hand(shop: Till) -> None:
    grace = a_customer(shop, "grace@example.com")
    product = shop.stripe_post("/v1/products", name="Of before")["id"]
    form = {"product": product, "currency": "usd", "unit_amount": "1000", "recurring[interval]": "month"}
    price = shop.stripe_post("/v1/prices", **form)["id"]
    subscribed(shop, grace, price)

    dry = await took(shop, applies=False)
    with pytest.raises(InvalidRequestError):
        await took(shop, Options(prices={price: "plan_of_nobody"}))
    with pytest.raises(InvalidRequestError):
        await took(shop, Options(prices={"price_none": "plan_starter"}))
    mapped = await took(shop, Options(grants=Grants.HISTORY, prices={price: "plan_starter"}))

    plan = shop.ctx.catalog.by_lookup_key("plan_starter")
    assert plan is not None
    assert dry[grace].unknown_prices == (price,)
    assert (mapped[grace].unknown_prices, mapped[grace].granted) == ((), plan.credits)
    [[lookup_key]] = shop.ask(
        "SELECT lookup_key FROM tallybook.subscriptions WHERE stripe_price_id = %s", price
    )
    assert lookup_key == "plan_starter"


async def test_opening_balances_are_granted_once_and_a_changed_one_is_told(shop: Till) -> None:
    by_id, by_field = (
        a_customer(shop, "a@example.com"),
        a_customer(shop, "b@example.com", **{"metadata[c]": "2.5"}),
    )
    unreadable = a_customer(shop, "c@example.com", **{"metadata[c]": "many"})

    def given(credits: int) -> Options:
        balances = {by_id: Credits.whole(credits)}
        return Options(grants=Grants.BALANCES, balances=balances, balance_field="c")

    first = await took(shop, given(5))
    same = await took(shop, given(5))
    changed = await took(shop, given(6))

    assert (first[by_id].opening, first[by_field].opening) == (Credits.whole(5), Credits(2_500_000))
    assert first[unreadable].conflicts == ("balance_unreadable",)
    assert (same[by_id].opening.micro, same[by_id].conflicts) == (0, ())
    assert (changed[by_id].opening.micro, changed[by_id].conflicts) == (0, ("balance_changed",))
    assert shop.credits(user_of(shop, by_id)) == 5


async def test_an_import_that_was_stopped_goes_on_where_it_was(shop: Till) -> None:
    for number in range(3):
        bought(shop, a_customer(shop, f"{number}@example.com"), price_of(shop, "package_starter"))

    stream = import_stripe(shop.ctx, OPERATOR, HISTORY, applies=True)
    first, _ = await anext(stream)
    with pytest.raises(ReconciliationBusyError):
        await took(shop)
    await stream.aclose()  # type: ignore[attr-defined]
    rest = await took(shop)
    again = await took(shop)

    assert len(rest) == 2
    assert first.customer_id not in rest
    assert {one.outcome for one in again.values()} == {"known"}
    assert (len(again), shop.grants()) == (3, 3)


async def test_the_command_line_tries_and_imports_and_reconciles(shop: Till, tmp_path: Path) -> None:
    grace = a_customer(shop, "grace@example.com")
    env = environment(shop.database, shop.sandbox.base_url, 8000, "a-signing-secret")
    balances = tmp_path / "balances.csv"
    balances.write_text("email,credits\ngrace@example.com,5\n")
    words = ("import-stripe", "--grant", "balances", "--balances", str(balances), "--json")

    dry = await asyncio.to_thread(run_cli, env, *words)
    nobody = user_of(shop, grace)
    done = await asyncio.to_thread(run_cli, env, *words, "--apply")
    agreed = await asyncio.to_thread(run_cli, env, "reconcile", "--json", "--grace", "0")
    listed = await asyncio.to_thread(run_cli, env, "findings", "list", "--json")

    assert (dry["dry_run"], dry["created"], dry["opening"], nobody) == (True, 1, "5", None)
    assert (done["created"], done["opening"]) == (1, "5")
    assert (agreed["dry_run"], agreed["differences"], listed) == (True, 0, [])
    assert json.dumps(done["report"])
