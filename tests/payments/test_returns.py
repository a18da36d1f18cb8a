"""What changes of plans return goes from the lots before them, in whatever order their invoices are heard of."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payments.subscriber import GOOD_CARD, START, Subscriber, utc
from tallybook.domain.ids import LedgerId
from tallybook.domain.money import Credits
from tallybook.domain.payments.returns import BroughtLot, OwingInvoice, Place, returns

pytestmark = pytest.mark.timeout(120)
LATER = datetime(2027, 1, 1, tzinfo=UTC)


def lot(day: int, brought: int) -> BroughtLot:
    """A lot of an invoice of a day, of which nothing was returned yet."""
    return BroughtLot(
        payment_id=day,
        lot=LedgerId(1, day),
        place=Place(created=LATER + timedelta(days=day), number="", invoice_id=f"in_{day}"),
        brought=Credits(brought),
        returned=Credits(0),
    )


def owes(day: int, owed: int) -> OwingInvoice:
    """An invoice of a day that owes so much."""
    return OwingInvoice(
        place=Place(created=LATER + timedelta(days=day), number="", invoice_id=f"in_{day}_owes"),
        owed=Credits(owed),
        taken_back=Credits(0),
    )


def test_what_is_owed_goes_from_the_newest_lots_up_to_it_and_never_more_than_they_brought() -> None:
    lots = [lot(1, 100), lot(2, 40), lot(5, 1000)]

    found = returns([owes(3, 90), owes(4, 500)], lots)

    assert list(found.of_lot.values()) == [100, 40, 0]
    assert found.for_invoice == {"in_3_owes": 90, "in_4_owes": 50}


ROWS = st.lists(st.tuples(st.integers(0, 9), st.integers(1, 50)), max_size=6, unique_by=lambda row: row[0])


@given(ROWS, ROWS, st.randoms())
def test_neither_the_order_of_invoices_nor_that_of_lots_matters(
    bought: list[tuple[int, int]], owed: list[tuple[int, int]], dice: Any
) -> None:
    lots, owing = [lot(*row) for row in bought], [owes(*row) for row in owed]
    once = returns(owing, lots)

    dice.shuffle(lots)
    dice.shuffle(owing)

    assert returns(owing, lots) == once
    assert sum(once.of_lot.values()) == sum(once.for_invoice.values()) <= sum(micro for _, micro in owed)


def downgrade(clocked: Subscriber) -> None:
    """Half of the month is left, and somebody changes to the smallest plan at the dashboard."""
    till = clocked.till
    price = till.stripe_get("/v1/prices", **{"lookup_keys[]": "plan_starter"})["data"][0]["id"]
    [found] = till.stripe_get("/v1/subscriptions", customer=clocked.customer_id)["data"]
    form = {"items[0][id]": found["items"]["data"][0]["id"], "items[0][price]": price}
    till.stripe_post(f"/v1/subscriptions/{found['id']}", proration_behavior="always_invoice", **form)


def about(events: list[dict[str, Any]], invoice_id: str) -> list[dict[str, Any]]:
    """The events whose object is this one."""
    return [event for event in events if event["data"]["object"]["id"] == invoice_id]


async def test_a_downgrade_that_is_heard_of_before_its_period_takes_the_credits_when_they_come(
    clocked: Subscriber,
) -> None:
    till = clocked.till
    opened = await clocked.open("plan_business")
    till.pay(opened.checkout, card=GOOD_CARD)
    clocked.advance(START + timedelta(days=15, hours=12))
    downgrade(clocked)
    [change, first] = till.stripe_get("/v1/invoices", customer=clocked.customer_id)["data"]
    heard = clocked.events()

    await clocked.hear(about(heard, change["id"]))
    before = till.credits()
    await clocked.hear(about(heard, first["id"]))
    after = till.credits()
    await clocked.hear(heard)

    assert before == 0
    assert 1045 < after == till.credits() < 1055
    assert [(outcome, credits < 0) for _, _, outcome, credits in clocked.invoices()] == [
        ("granted", False),
        ("taken_back", True),
    ]


@pytest.mark.parametrize("refund_first", [True, False])
async def test_a_refund_and_a_downgrade_of_one_period_take_no_more_than_it_brought_in_either_order(
    clocked: Subscriber, *, refund_first: bool
) -> None:
    till = clocked.till
    await clocked.subscribe("plan_business")
    clocked.advance(utc(2027, 2, 15))
    await clocked.hear()
    newest, _ = till.stripe_get("/v1/charges", customer=clocked.customer_id)["data"]
    till.stripe_post("/v1/refunds", payment_intent=newest["payment_intent"])
    back = clocked.events()
    downgrade(clocked)
    change = clocked.events()

    for heard in (back, change) if refund_first else (change, back):
        await clocked.hear(heard)

    assert till.credits() == 2000
    [[returned]] = till.ask(
        "SELECT returned_micro FROM tallybook.payment_lots ORDER BY lot_version DESC LIMIT 1"
    )
    assert 949_000_000 < returned < 951_000_000
    made = till.stripe_get("/v1/refunds", payment_intent=newest["payment_intent"])["data"][0]
    till.sandbox.control(f"refunds/{made['id']}/settle", outcome="fail")
    await clocked.hear()
    [[available]] = till.ask("SELECT available_micro FROM tallybook.wallets")
    assert available == 4_000_000_000 - returned
