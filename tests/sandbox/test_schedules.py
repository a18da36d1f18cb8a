"""Subscription schedules: begun from a subscription, changed, let go, canceled, and carried out when a period ends."""

from typing import Any

import pytest
import stripe

from sandbox import life as playing
from sandbox.life import LEEWAY, Life, at, day
from sandbox.process import Running

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def life(sandbox: Running, client: stripe.StripeClient) -> Life:
    """A customer with a good card, on 1 April."""
    return playing.begin(sandbox, client, "2026-04-01")


def begun(life: Life, subscription: dict[str, Any]) -> dict[str, Any]:
    """Put a subscription under a schedule."""
    wanted: Any = {"from_subscription": subscription["id"]}
    return life.client.v1.subscription_schedules.create(wanted).to_dict()


def then(life: Life, schedule: dict[str, Any], price: str, **phase: Any) -> dict[str, Any]:
    """Let another price come with the next period, for one."""
    running = schedule["phases"][0]
    same = [{"price": one["price"], "quantity": one["quantity"]} for one in running["items"]]
    now = {"items": same, "start_date": running["start_date"], "end_date": running["end_date"]}
    coming = {"items": [{"price": price}], "duration": {"interval": "month"}} | phase
    wanted: Any = {"phases": [now, coming], "end_behavior": "release"}
    return life.client.v1.subscription_schedules.update(schedule["id"], wanted).to_dict()


def price_of(life: Life, subscription: dict[str, Any]) -> str:
    """Return what a subscription is for now."""
    return str(life.subscription(subscription)["items"]["data"][0]["price"]["id"])


def test_a_schedule_is_made_from_a_subscription_and_changes_nothing(life: Life) -> None:
    subscription = life.subscribe(life.price(2000))

    made = begun(life, subscription)

    assert (made["status"], made["subscription"], made["end_behavior"]) == (
        "active",
        subscription["id"],
        "release",
    )
    assert [day(made["phases"][0][name]) for name in ("start_date", "end_date")] == [
        "2026-04-01",
        "2026-05-01",
    ]
    assert life.subscription(subscription)["schedule"] == made["id"]
    with pytest.raises(stripe.InvalidRequestError, match="already attached"):
        begun(life, subscription)


@pytest.mark.parametrize(
    ("before", "after", "ends"), [("year", "month", "2027-05-01"), ("month", "year", "2027-05-01")]
)
def test_the_next_phase_begins_with_its_own_rhythm_when_the_period_ends(
    life: Life, before: str, after: str, ends: str
) -> None:
    subscription = life.subscribe(life.price(2000, before))
    other = life.price(500, after)
    then(life, begun(life, subscription), other, duration={"interval": after})

    life.until(at("2027-04-01" if before == "year" else "2026-05-01") + LEEWAY)

    found = life.subscription(subscription)
    item = found["items"]["data"][0]
    assert (item["price"]["id"], day(item["current_period_end"])) == (other, ends)
    assert item["id"] != subscription["items"]["data"][0]["id"]
    assert life.client.v1.subscription_items.retrieve(item["id"]).price.id == other
    assert [(one["billing_reason"], one["total"], one["status"]) for one in life.invoices(subscription)] == [
        ("subscription_create", 2000, "paid"),
        ("subscription_cycle", 500, "paid"),
    ]


def test_a_schedule_lets_go_after_its_last_phase(life: Life) -> None:
    subscription = life.subscribe(life.price(2000))
    other = life.price(500)
    schedule = then(life, begun(life, subscription), other)

    life.until(at("2026-07-01") + LEEWAY)

    found = life.client.v1.subscription_schedules.retrieve(schedule["id"])
    assert (found.status, found.subscription, found.released_subscription) == (
        "released",
        None,
        subscription["id"],
    )
    assert life.subscription(subscription)["schedule"] is None
    assert [one["total"] for one in life.invoices(subscription)] == [2000, 500, 500, 500]
    assert life.told("subscription_schedule.created", "subscription_schedule.released") == [
        "subscription_schedule.created",
        "subscription_schedule.released",
    ]


def test_a_schedule_may_end_its_subscription(life: Life) -> None:
    subscription = life.subscribe(life.price(2000))
    schedule = begun(life, subscription)

    life.client.v1.subscription_schedules.update(schedule["id"], {"end_behavior": "cancel"})
    life.until(at("2026-05-01") + LEEWAY)

    assert life.subscription(subscription)["status"] == "canceled"
    assert len(life.invoices(subscription)) == 1


def test_what_was_let_go_goes_on_as_it_was(life: Life) -> None:
    plan = life.price(2000)
    subscription = life.subscribe(plan)
    schedule = then(life, begun(life, subscription), life.price(500))

    released = life.client.v1.subscription_schedules.release(schedule["id"])
    life.until(at("2026-05-01") + LEEWAY)

    assert (released.status, price_of(life, subscription)) == ("released", plan)
    with pytest.raises(stripe.InvalidRequestError, match="released"):
        life.client.v1.subscription_schedules.release(schedule["id"])


def test_canceling_either_cancels_both(life: Life) -> None:
    first, second = life.subscribe(life.price(2000)), life.subscribe(life.price(2000))
    schedules = [begun(life, first), begun(life, second)]

    life.client.v1.subscription_schedules.cancel(schedules[0]["id"])
    life.client.v1.subscriptions.cancel(second["id"])

    listed = life.client.v1.subscription_schedules.list({"customer": life.customer})
    assert [one.status for one in listed.data] == ["canceled", "canceled"]
    assert [life.subscription(one)["status"] for one in (first, second)] == ["canceled", "canceled"]


def test_how_it_ends_is_for_the_schedule_to_say_and_a_new_item_is_a_part_of_the_phase(life: Life) -> None:
    subscription = life.subscribe(life.price(2000))
    schedule = then(life, begun(life, subscription), life.price(500))

    with pytest.raises(stripe.InvalidRequestError, match="managed by the subscription schedule"):
        life.update(subscription, cancel_at_period_end=True)
    dear = life.price(3000)
    life.update(subscription, items=[{"id": subscription["items"]["data"][0]["id"], "price": dear}])

    phases = life.client.v1.subscription_schedules.retrieve(schedule["id"]).to_dict()["phases"]
    assert phases[0]["items"][0]["price"] == dear
    assert len(phases) == 2


def test_a_discount_ends_with_a_phase_unless_the_next_one_names_it(life: Life) -> None:
    totals = []
    for keeps in (True, False):
        coupon = life.client.v1.coupons.create({"percent_off": 50, "duration": "forever"}).id
        subscription = life.subscribe(life.price(2000), discounts=[{"coupon": coupon}])
        named = [{"discount": one} for one in subscription["discounts"]] if keeps else []
        then(life, begun(life, subscription), life.price(500), discounts=named)
        totals.append(subscription)
    life.until(at("2026-05-01") + LEEWAY)

    assert [life.invoices(one)[1]["total"] for one in totals] == [250, 500]


def test_the_preview_of_the_next_invoice_knows_the_next_phase(life: Life) -> None:
    subscription = life.subscribe(life.price(2000))
    then(life, begun(life, subscription), life.price(500))

    preview = life.client.v1.invoices.create_preview({"subscription": subscription["id"]})

    assert preview.total == 500


@pytest.mark.parametrize(
    ("phases", "param"),
    [
        ([{"items": [{"price": "{own}"}]}], "phases[0][end_date]"),
        ([{"items": [{"price": "{own}"}], "end_date": 10}], "phases[0][end_date]"),
        (
            [{"items": [{"price": "price_none"}], "duration": {"interval": "month"}}],
            "phases[0][items][0][price]",
        ),
        ([{"items": [{"price": "{other}"}], "duration": {"interval": "month"}}], "phases[0][items]"),
        (
            [{"items": [{"price": "{own}"}], "duration": {"interval": "month"}, "start_date": 10}],
            "phases[0][start_date]",
        ),
    ],
)
def test_phases_that_make_no_sense_are_refused(life: Life, phases: list[dict[str, Any]], param: str) -> None:
    own, other = life.price(2000), life.price(500)
    schedule = begun(life, life.subscribe(own))
    wanted: Any = [
        one | {"items": [{"price": one["items"][0]["price"].format(own=own, other=other)}]} for one in phases
    ]

    with pytest.raises(stripe.InvalidRequestError) as refused:
        life.client.v1.subscription_schedules.update(schedule["id"], {"phases": wanted})

    assert refused.value.param == param
