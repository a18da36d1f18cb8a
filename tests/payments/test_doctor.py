"""What doctor says of keys, secrets, prices, endpoints and events: each code is provoked once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from payments.desk import OPERATOR, Till, system_clock
from tallybook.domain.diagnosis.findings import Finding, Verdict
from tallybook.domain.payments.endpoints import INTAKE_URLS
from tallybook.stripe.gateway import PINNED_API_VERSION, StripeGateway
from tallybook.usecases import doctor, events, webhooks

pytestmark = pytest.mark.timeout(120)
SECRET = "whsec_" + "of_the_tests"


def codes(findings: Sequence[Finding], verdict: Verdict = Verdict.WRONG) -> set[str]:
    """The codes of this verdict, without what any test's server and catalogue have."""
    usual = {"durability_off", "no_admin", "anchors_off", "same_credits_other_price", "endpoint_missing"}
    return {finding.code for finding in findings if finding.verdict is verdict} - usual


def fit(till: Till, **changes: Any) -> Till:
    """A till that doctor finds nothing wrong with."""
    secrets = dict.fromkeys(INTAKE_URLS, (SECRET,))
    return till.but(**{"webhook_secrets": secrets, "own_addresses": frozenset({"pay.example"})} | changes)


def an_event(event_id: str, kind: str = "product.updated") -> dict[str, Any]:
    """An event about nothing of ours."""
    return {
        "id": event_id,
        "object": "event",
        "type": kind,
        "api_version": PINNED_API_VERSION,
        "livemode": False,
        "created": 1763700000,
        "data": {"object": {"id": "cus_1", "object": "customer"}},
    }


async def test_nothing_is_wrong_with_an_installation_that_is_set_up(till: Till) -> None:
    found = await doctor.examine(fit(till).ctx)

    assert codes(found) == set()
    assert codes(found, Verdict.NOTE) == set()
    assert "Prices at Stripe" in {finding.check for finding in found}
    assert all(
        finding.what_to_do and finding.code for finding in found if finding.verdict is not Verdict.FINE
    )


@pytest.mark.parametrize(
    ("form", "code", "verdict"),
    [
        ({"currency": "usd", "unit_amount": "1000", "active": "false"}, "price_inactive", Verdict.WRONG),
        ({"currency": "eur", "unit_amount": "1000"}, "price_other_currency", Verdict.WRONG),
        (
            {"currency": "usd", "unit_amount": "1000", "recurring[interval]": "month"},
            "price_other_interval",
            Verdict.WRONG,
        ),
        ({"currency": "usd", "unit_amount": "1"}, "price_other_amount", Verdict.NOTE),
    ],
)
async def test_a_price_that_cannot_sell_its_product(
    till: Till, form: dict[str, str], code: str, verdict: Verdict
) -> None:
    product = till.stripe_post("/v1/products", name="A pack")
    active = form.pop("active", "true")
    price = till.stripe_post("/v1/prices", product=product["id"], **form)
    till.stripe_post(f"/v1/prices/{price['id']}", active=active)
    forced = till.ctx.catalog.with_prices({"pack_100": price["id"]})

    found = await doctor.examine(fit(till, catalog=forced).ctx)

    assert codes(found, verdict) == {code}
    [finding] = [one for one in found if one.code == code]
    assert finding.check == "Price of pack_100"
    assert price["id"] in finding.found


@pytest.mark.parametrize(
    ("price_id", "code"),
    [
        ("prod_123", "product_id_as_price"),
        ("plan_123", "price_id_malformed"),
        ("price_of_live_mode", "price_not_found"),
    ],
)
async def test_an_id_that_is_no_price_of_this_account_and_mode(till: Till, price_id: str, code: str) -> None:
    forced = till.ctx.catalog.with_prices({"pack_100": price_id})

    assert codes(await doctor.examine(fit(till, catalog=forced).ctx)) == {code}


@pytest.mark.parametrize(
    ("secret", "code"),
    [
        ("", "webhook_secret_missing"),
        ("we_1234", "webhook_secret_is_no_secret"),
        ("sk_" + "test_1234", "webhook_secret_is_no_secret"),
        ("pk_" + "test_1234", "webhook_secret_is_no_secret"),
        ("nonsense", "webhook_secret_malformed"),
    ],
)
async def test_a_signing_secret_that_is_none(till: Till, secret: str, code: str) -> None:
    secrets = {"stripe": (SECRET,), "credits": (SECRET,), "v1": (secret,) if secret else ()}

    found = await doctor.examine(fit(till, webhook_secrets=secrets).ctx)

    assert codes(found) == {code}
    assert not secret or secret not in str(found)


async def test_test_and_live_mixed(till: Till) -> None:
    ctx = fit(till, livemode=True, pages_url="https://pay.example").ctx

    assert codes(await doctor.examine(ctx)) == {"stripe_account_mismatch"}


async def test_a_key_that_stripe_refuses_and_a_stripe_that_is_away(till: Till) -> None:
    nowhere = StripeGateway("sk_" + "test_x", api_base="http://127.0.0.1:9", api_version=PINNED_API_VERSION)
    refused = StripeGateway("no key", api_base=till.sandbox.base_url, api_version=PINNED_API_VERSION)

    away = codes(await doctor.examine(fit(till, stripe=nowhere).ctx))
    unknown = codes(await doctor.examine(fit(till, stripe=refused).ctx))
    await nowhere.close()
    await refused.close()

    assert away == {"stripe_unreachable"}
    assert unknown == {"stripe_key_refused"}


async def test_events_of_the_other_mode_are_told_of(till: Till) -> None:
    await till.deliver(an_event("evt_live") | {"livemode": True})

    assert codes(await doctor.examine(fit(till).ctx)) == {"events_of_other_mode"}


async def test_a_version_that_nobody_tested_is_told_of_for_a_week(till: Till) -> None:
    await till.deliver(an_event("evt_new") | {"api_version": "2031-01-01.zinnia"})
    later = fit(till, clock=lambda: system_clock() + timedelta(days=8))

    assert codes(await doctor.examine(fit(till).ctx), Verdict.NOTE) == {"stripe_version_drifted"}
    assert codes(await doctor.examine(later.ctx), Verdict.NOTE) == set()


async def test_dead_events_are_told_of_until_somebody_gives_them_up(till: Till) -> None:
    await till.deliver(an_event("evt_dead"))
    till.ask("UPDATE tallybook.stripe_events SET status = 'dead', outcome = NULL")

    dead = codes(await doctor.examine(fit(till).ctx))
    await events.give_up(till.ctx, OPERATOR, "evt_dead", reason="paid back by hand")
    given_up = codes(await doctor.examine(fit(till).ctx))

    assert (dead, given_up) == ({"events_dead"}, set())


async def test_a_worker_that_does_not_run_is_told_of(till: Till) -> None:
    await till.deliver(an_event("evt_waits", kind="checkout.session.expired"))

    soon = codes(await doctor.examine(fit(till).ctx))
    late = fit(till, clock=lambda: system_clock() + timedelta(minutes=11))

    assert (soon, codes(await doctor.examine(late.ctx))) == (set(), {"worker_behind"})


async def test_a_secret_that_was_rolled_is_told_of(bare_till: Till) -> None:
    old, new = SECRET + "_old", SECRET + "_new"
    begun = system_clock()
    secrets = dict.fromkeys(INTAKE_URLS, (new, old))
    till = fit(bare_till, webhook_secrets=secrets)
    await till.but(clock=lambda: begun).deliver(an_event("evt_1"), path="v1", secret=old)
    till.ask("UPDATE tallybook.webhook_sightings SET last_needed_at = last_needed_at - interval '25 hours'")
    await till.deliver(an_event("evt_2"), path="v1", secret=new)

    found = await doctor.examine(till.ctx)

    assert codes(found, Verdict.NOTE) == {"webhook_secret_spare"}
    assert old not in str(found)


async def test_endpoints_at_stripe_are_looked_at(bare_till: Till) -> None:
    till = fit(bare_till)
    made = await webhooks.register(
        till.ctx, OPERATOR, url="https://pay.example" + INTAKE_URLS["v1"], dry_run=False
    )
    before = await doctor.examine(till.ctx)
    till.stripe_post(f"/v1/webhook_endpoints/{made.endpoint_id}", disabled="true")
    till.stripe_post("/v1/webhook_endpoints", url="https://pay.example/hook", **{"enabled_events[]": "*"})

    found = codes(await doctor.examine(till.ctx))

    assert "Webhook endpoint" in {one.check for one in before if one.verdict is Verdict.FINE}
    # The catalogue is not at this empty sandbox.
    assert found - {"catalog_not_pushed"} == {"endpoint_disabled", "endpoint_wrong_path"}


async def test_events_that_stripe_cannot_deliver_are_told_of_unless_they_are_here(bare_till: Till) -> None:
    till = fit(bare_till, own_addresses=frozenset({"127.0.0.1:9"}))
    url = "http://127.0.0.1:9" + INTAKE_URLS["v1"]
    await webhooks.register(till.ctx, OPERATOR, url=url, dry_run=False)
    intent = till.stripe_post(
        "/v1/payment_intents",
        amount="1000",
        currency="usd",
        confirm="true",
        payment_method="pm_card_visa",
        return_url="https://else.example/ok",
    )
    assert intent["status"] == "succeeded", intent
    later = till.but(clock=lambda: system_clock() + timedelta(minutes=11))

    soon = codes(await doctor.examine(till.ctx))
    late = codes(await doctor.examine(later.ctx))
    for event in till.stripe_get("/v1/events", limit=100)["data"]:
        await bare_till.deliver(event)
    till.ask("UPDATE tallybook.stripe_events SET status = 'done'")
    here = codes(await doctor.examine(later.ctx))

    assert "deliveries_failing" not in soon
    assert "deliveries_failing" in late
    assert "deliveries_failing" not in here
