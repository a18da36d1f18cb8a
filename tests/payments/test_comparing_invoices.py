"""What of an invoice differs from our books, and who can mend it: the pure rule."""

from __future__ import annotations

import pytest

from payments.test_invoice_judgement import NOW, PLANS, invoice, line
from tallybook.domain.money import Credits
from tallybook.domain.payments.comparing import compare_invoice
from tallybook.domain.payments.invoices import InvoiceReport, KnownInvoice, judge_invoice
from tallybook.domain.payments.reconciling import Finding, Repair, Severity

IN_EURO = invoice(line(999, currency="eur"), currency="eur", amount_paid_minor=999)


def booked(status: str, outcome: str) -> KnownInvoice:
    """An invoice in our books that moved nothing."""
    return KnownInvoice(
        stripe_invoice_id="in_1",
        number="A-1",
        status=status,
        billing_reason="subscription_cycle",
        currency="eur",
        tax_minor=0,
        total_minor=999,
        amount_due_minor=999,
        amount_paid_minor=999,
        hosted_invoice_url=None,
        attempt_count=1,
        next_payment_attempt_at=None,
        stripe_created=NOW,
        outcome=outcome,
        granted=Credits(0),
        taken_back=Credits(0),
    )


def differs(report: InvoiceReport, known: KnownInvoice | None, *, ours: bool = True) -> Finding | None:
    """What differs of an invoice that no payment was booked for."""
    return compare_invoice(report, known, None, judge_invoice(report, PLANS, NOW), ours=ours)


def test_a_plan_that_was_paid_in_another_currency_is_for_people() -> None:
    found = differs(IN_EURO, booked("paid", "mismatch_currency"))

    assert found is not None
    assert (found.code, found.severity, found.repair) == ("amount_differs", Severity.DIFFERENCE, None)
    assert "mismatch_currency" in found.found


@pytest.mark.parametrize("known", [None, booked("open", "not_paid")])
def test_settling_follows_its_state_and_the_finding_stays(known: KnownInvoice | None) -> None:
    before = differs(IN_EURO, known)
    after = differs(IN_EURO, booked("paid", "mismatch_currency"))

    assert before is not None
    assert after is not None
    assert (before.code, before.repair, before.repair_object) == ("amount_differs", Repair.INVOICE, "in_1")
    assert after.code == before.code


def test_another_currency_is_nothing_while_it_is_not_paid_or_not_ours() -> None:
    unpaid = invoice(line(999, currency="eur"), currency="eur", status="open")
    foreign = differs(IN_EURO, None, ours=False)

    assert differs(unpaid, booked("open", "not_paid")) is None
    assert foreign is not None
    assert foreign.severity is Severity.NOTICE


def test_one_in_the_currency_of_its_price_is_granted_by_settling() -> None:
    found = differs(invoice(line(999), amount_paid_minor=999), booked("paid", "seen"))

    assert found is not None
    assert (found.code, found.repair) == ("paid_not_granted", Repair.INVOICE)
