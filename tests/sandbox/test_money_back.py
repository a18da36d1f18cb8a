"""Money that comes back: refunds that fail or wait, disputes that are won, lost or closed, and the balance."""

from typing import Any

import pytest
import stripe

from sandbox import life as playing
from sandbox.life import DAY, Life
from sandbox.process import Running

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def life(sandbox: Running, client: stripe.StripeClient) -> Life:
    """A customer."""
    return playing.begin(sandbox, client, "2026-04-01")


def charged(life: Life, card: str = "pm_card_visa", amount: int = 5000, currency: str = "usd") -> str:
    """Take a payment and return its charge."""
    params: Any = {"amount": amount, "currency": currency, "customer": life.customer, "confirm": True}
    intent = life.client.v1.payment_intents.create(params | {"payment_method": card})
    return str(intent.latest_charge)


def dispute_of(life: Life, charge: str) -> stripe.Dispute:
    """Wait for the dispute that a test card brings."""
    disputes = life.client.v1.disputes
    life.settled(lambda: disputes.list({"charge": charge}).data)
    return disputes.list({"charge": charge}).data[0]


def entries(life: Life, source: str) -> list[tuple[str, int, int]]:
    """Return category, amount and fee of the balance entries of an object, oldest first."""
    found = life.client.v1.balance_transactions.list({"source": source}).data
    return [(entry.reporting_category, entry.amount, entry.fee) for entry in reversed(found)]


def test_a_refund_that_fails_brings_the_money_back(life: Life) -> None:
    charge = charged(life, "pm_card_refundFail")

    refund = life.client.v1.refunds.create({"charge": charge, "amount": 2000})
    refunds = life.client.v1.refunds
    life.settled(lambda: refunds.retrieve(refund.id).status == "failed")

    after = life.client.v1.charges.retrieve(charge)
    failed = refunds.retrieve(refund.id)
    assert (refund.status, after.amount_refunded, after.refunded) == ("succeeded", 0, False)
    assert failed.failure_balance_transaction
    assert entries(life, refund.id) == [("refund", -2000, 0), ("refund_failure", 2000, 0)]
    told = life.told("refund.*", "charge.*")
    assert told[-6:] == [
        "charge.refunded",
        "refund.updated",
        "refund.updated",
        "charge.refund.updated",
        "refund.failed",
        "charge.updated",
    ]
    fallen = life.events("charge.updated")[-1]["data"]
    assert (fallen["previous_attributes"], fallen["object"]["amount_refunded"]) == (
        {"amount_refunded": 2000},
        0,
    )


def test_a_refund_can_be_pending_first(life: Life) -> None:
    charge = charged(life, "pm_card_pendingRefund")

    refund = life.client.v1.refunds.create({"charge": charge})
    life.settled(lambda: life.client.v1.refunds.retrieve(refund.id).status == "succeeded")

    assert (refund.status, refund.pending_reason) == ("pending", "processing")
    assert life.client.v1.charges.retrieve(charge).refunded is True


def test_the_desk_refunds_and_lets_any_refund_fail(life: Life) -> None:
    charge = charged(life)

    refund = life.sandbox.control(f"charges/{charge}/refund", amount=1500)
    life.sandbox.control(f"refunds/{refund['id']}/settle", outcome="fail", reason="expired_or_canceled_card")

    event = life.events("refund.created")[-1]
    assert event["request"]["id"] is None
    failed = life.client.v1.refunds.retrieve(str(refund["id"]))
    assert (failed.status, failed.failure_reason) == ("failed", "expired_or_canceled_card")
    assert life.client.v1.refunds.create({"charge": charge}).amount == 5000


def test_a_disputed_card_takes_the_money_and_a_fee_and_winning_returns_it(life: Life) -> None:
    charge = charged(life, "pm_card_createDispute")
    dispute = dispute_of(life, charge)

    with pytest.raises(stripe.InvalidRequestError) as refused:
        life.client.v1.refunds.create({"charge": charge})
    won = life.client.v1.disputes.update(dispute.id, {"evidence": {"uncategorized_text": "winning_evidence"}})

    assert (dispute.status, dispute.amount, dispute.reason) == ("needs_response", 5000, "fraudulent")
    assert refused.value.code == "charge_disputed"
    assert (won.status, won.evidence_details.submission_count) == ("won", 1)
    assert entries(life, dispute.id) == [("dispute", -5000, 1500), ("dispute_reversal", 5000, 0)]
    assert life.client.v1.charges.retrieve(charge).disputed is True
    kinds = [
        event.type for event in life.client.v1.events.list({"types": ["charge.dispute.*"], "limit": 5}).data
    ]
    assert list(reversed(kinds)) == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.updated",
        "charge.dispute.closed",
        "charge.dispute.funds_reinstated",
    ]


def test_a_dispute_is_lost_by_closing_by_the_desk_or_by_silence(life: Life) -> None:
    disputes = life.client.v1.disputes
    closed, desk, silent = (
        life.sandbox.control(f"charges/{charged(life)}/dispute", reason="duplicate")["id"] for _ in range(3)
    )

    disputes.close(str(closed))
    life.sandbox.control(f"disputes/{desk}/lose")
    life.later(10 * DAY)

    assert [disputes.retrieve(str(one)).status for one in (closed, desk, silent)] == ["lost"] * 3
    assert entries(life, str(closed)) == [("dispute", -5000, 1500)]
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        disputes.close(str(closed))


def test_an_inquiry_takes_no_money_unless_it_becomes_a_dispute(life: Life) -> None:
    first = dispute_of(life, charged(life, "pm_card_createDisputeInquiry"))
    second = life.sandbox.control(f"charges/{charged(life)}/dispute", reason="inquiry")

    life.sandbox.control(f"disputes/{first.id}/close_warning")
    life.sandbox.control(f"disputes/{second['id']}/escalate")

    disputes = life.client.v1.disputes
    assert (first.status, disputes.retrieve(first.id).status) == ("warning_needs_response", "warning_closed")
    assert entries(life, first.id) == []
    assert disputes.retrieve(str(second["id"])).status == "needs_response"
    assert entries(life, str(second["id"])) == [("dispute", -5000, 1500)]


def test_evidence_can_be_kept_as_a_draft(life: Life) -> None:
    dispute = life.sandbox.control(f"charges/{charged(life)}/dispute")

    draft = life.client.v1.disputes.update(
        str(dispute["id"]), {"evidence": {"product_description": "Credits"}, "submit": False}
    )
    sent = life.client.v1.disputes.update(
        draft.id, {"metadata": {"case": "7"}, "evidence": {"customer_name": "Ada"}}
    )

    assert (draft.status, draft.evidence.product_description) == ("needs_response", "Credits")
    assert (sent.status, sent.metadata.to_dict()) == ("under_review", {"case": "7"})


def test_three_decimals_end_in_zero(life: Life) -> None:
    charge = life.client.v1.charges.retrieve(charged(life, amount=12340, currency="kwd"))

    with pytest.raises(stripe.InvalidRequestError, match="divisible by 10"):
        charged(life, amount=12345, currency="kwd")

    assert (charge.amount, charge.currency) == (12340, "kwd")
    assert life.client.v1.charges.retrieve(charged(life, amount=500, currency="jpy")).amount == 500
