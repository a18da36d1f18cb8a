"""Paying a checkout session in every way it can end, and the events that tell of it."""

import pytest
import stripe

from sandbox.conftest import Shop

pytestmark = pytest.mark.timeout(60)


def types(events: list[stripe.Event]) -> list[str]:
    """Return the types in order."""
    return [event.type for event in events]


def test_a_paid_session_tells_its_story_in_order(shop: Shop) -> None:
    session = shop.session(metadata={"order": "7"}, payment_intent_data={"metadata": {"row": "9"}})
    mark = shop.last_event()

    answer = shop.pay(session, card="4242424242424242")

    assert answer["outcome"] == "succeeded"
    assert answer["url"] == f"https://shop.example/done?session={session.id}"
    events = shop.events_since(mark)
    assert types(events) == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "invoice.created",
        "invoice.finalized",
        "invoice_payment.paid",
        "invoice.paid",
        "invoice.payment_succeeded",
        "checkout.session.completed",
    ]
    done = events[-1].data.object
    assert (done["payment_status"], done["status"], done["amount_total"]) == (
        "paid",
        "complete",
        1000,
    )
    assert done["metadata"].to_dict() == {"order": "7"}
    intent = shop.client.v1.payment_intents.retrieve(done["payment_intent"])
    assert intent.metadata.to_dict() == {"row": "9"}
    assert events[-1].api_version == stripe.api_version
    assert events[-1].livemode is False


def test_an_expanded_session_carries_lines_charge_invoice_and_customer(shop: Shop) -> None:
    session = shop.session(line_items=[{"price": shop.price, "quantity": 3}])
    shop.pay(session)

    whole = shop.client.v1.checkout.sessions.retrieve(
        session.id,
        {
            "expand": [
                "line_items",
                "customer",
                "payment_intent.latest_charge.balance_transaction",
                "invoice.payments",
            ]
        },
    )

    assert whole.line_items is not None
    assert [(line.quantity, line.amount_total) for line in whole.line_items.data] == [(3, 3000)]
    assert whole.customer.email == "ada@example.com"  # type: ignore[union-attr]
    charge = whole.to_dict()["payment_intent"]["latest_charge"]
    assert charge["balance_transaction"]["net"] == 3000 - 117
    assert whole.invoice.status == "paid"  # type: ignore[union-attr]
    payments = whole.invoice.payments.data  # type: ignore[union-attr]
    assert payments[0].payment.payment_intent == whole.payment_intent.id  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("4000000000000002", "card_declined", "generic_decline"),
        ("4000000000009995", "card_declined", "insufficient_funds"),
        ("4000000000000069", "expired_card", None),
        ("4000000000000127", "incorrect_cvc", None),
        ("4000000000000119", "processing_error", None),
    ],
)
def test_a_declined_card_leaves_the_session_open(
    shop: Shop, card: str, code: str, decline_code: str | None
) -> None:
    session = shop.session()
    mark = shop.last_event()

    answer = shop.pay(session, card=card)

    error = answer["error"]
    assert isinstance(error, dict)
    assert (answer["outcome"], error["code"], error.get("decline_code")) == (
        "declined",
        code,
        decline_code,
    )
    assert types(shop.events_since(mark)) == [
        "payment_intent.created",
        "charge.failed",
        "payment_intent.payment_failed",
    ]
    after = shop.client.v1.checkout.sessions.retrieve(session.id)
    assert (after.status, after.payment_status) == ("open", "unpaid")


def test_a_declined_session_can_be_paid_with_another_card(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, card="4000000000000002")

    answer = shop.pay(session, card="4242424242424242")

    assert answer["outcome"] == "succeeded"
    charges = shop.client.v1.charges.list({"customer": shop.customer})
    assert sorted(charge.status for charge in charges.data) == ["failed", "succeeded"]


def test_a_session_is_paid_once(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session)

    second = shop.sandbox.http().post(f"/_sandbox/checkout/sessions/{session.id}/pay", json={})

    assert second.status_code == 400
    assert second.json()["error"]["code"] == "checkout_session_not_open"
    assert len(shop.client.v1.charges.list({"customer": shop.customer}).data) == 1


def test_authentication_passes_or_fails_as_chosen(shop: Shop) -> None:
    session = shop.session()

    waiting = shop.pay(session, card="4000002500003155")
    failed = shop.pay(session, card="4000002500003155", authenticate="fail")
    passed = shop.pay(session, card="4000002500003155", authenticate="complete")

    assert waiting["outcome"] == "requires_action"
    assert "/3ds/pi_" in str(waiting["url"])
    assert failed["outcome"] == "declined"
    assert failed["error"]["code"] == "payment_intent_authentication_failure"  # type: ignore[index]
    assert passed["outcome"] == "succeeded"


def test_a_bank_debit_completes_first_and_pays_later(shop: Shop) -> None:
    session = shop.session()
    mark = shop.last_event()

    shop.pay(session, method="bank")
    before = shop.client.v1.checkout.sessions.retrieve(session.id)
    shop.sandbox.control(f"checkout/sessions/{session.id}/settle", outcome="succeed")

    assert (before.status, before.payment_status, before.invoice) == ("complete", "unpaid", None)
    story = types(shop.events_since(mark))
    assert story[:4] == [
        "payment_intent.created",
        "charge.pending",
        "payment_intent.processing",
        "checkout.session.completed",
    ]
    assert story[4:6] == ["charge.succeeded", "payment_intent.succeeded"]
    assert story[-1] == "checkout.session.async_payment_succeeded"
    after = shop.client.v1.checkout.sessions.retrieve(session.id)
    assert after.payment_status == "paid"
    assert after.invoice is not None


def test_a_bank_debit_that_fails_never_becomes_paid(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, method="bank")
    mark = shop.last_event()

    shop.sandbox.control(f"checkout/sessions/{session.id}/settle", outcome="fail")

    assert types(shop.events_since(mark)) == [
        "charge.failed",
        "payment_intent.payment_failed",
        "checkout.session.async_payment_failed",
    ]
    after = shop.client.v1.checkout.sessions.retrieve(session.id)
    assert after.payment_status == "unpaid"


def test_a_free_session_needs_no_payment(shop: Shop) -> None:
    free = {"currency": "usd", "unit_amount": 0, "product_data": {"name": "Gift"}}
    session = shop.session(line_items=[{"price_data": free, "quantity": 1}], invoice_creation=None)
    mark = shop.last_event()

    shop.pay(session)

    events = shop.events_since(mark)
    assert types(events) == ["checkout.session.completed"]
    done = events[0].data.object
    assert (done["payment_status"], done["payment_intent"]) == ("no_payment_required", None)


def test_an_expired_session_cannot_be_paid(shop: Shop) -> None:
    session = shop.session()
    shop.pay(session, card="4000000000000002")
    mark = shop.last_event()

    expired = shop.client.v1.checkout.sessions.expire(session.id)

    assert (expired.status, expired.url) == ("expired", None)
    assert types(shop.events_since(mark)) == [
        "payment_intent.canceled",
        "checkout.session.expired",
    ]
    with pytest.raises(stripe.InvalidRequestError):
        shop.client.v1.checkout.sessions.expire(session.id)


def test_a_price_changed_after_opening_does_not_change_the_session(shop: Shop) -> None:
    session = shop.session()
    shop.client.v1.prices.update(shop.price, {"active": False})

    shop.pay(session)

    paid = shop.client.v1.checkout.sessions.retrieve(session.id)
    assert (paid.payment_status, paid.amount_total) == ("paid", 1000)


def test_a_guest_becomes_a_customer_when_an_invoice_is_wanted(shop: Shop) -> None:
    session = shop.session(customer=None)

    shop.pay(session, email="grace@example.com")

    paid = shop.client.v1.checkout.sessions.retrieve(session.id, {"expand": ["customer"]})
    assert paid.customer.email == "grace@example.com"  # type: ignore[union-attr]
    assert paid.customer_details is not None
    assert paid.customer_details.email == "grace@example.com"
