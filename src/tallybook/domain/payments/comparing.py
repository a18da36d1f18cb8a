"""Compares what Stripe says of an object with what our books say: each difference with the repair that it needs. Pure.

What is right is judged by the same rules as when a webhook tells of it; nothing here posts anything. A repair is the
name of the use case that a webhook would have run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from tallybook.domain.money import Money
from tallybook.domain.payments.checkouts import PAID, Checkout, Status, judge
from tallybook.domain.payments.invoices import InvoiceJudgement, InvoiceReport, KnownInvoice
from tallybook.domain.payments.money_back import Dispute, Refund, went_back
from tallybook.domain.payments.payments import Payment
from tallybook.domain.payments.reconciling import Finding, IntentReport, Kind, Repair, Severity
from tallybook.domain.payments.reports import SessionReport
from tallybook.domain.payments.subscriptions import Subscription, SubscriptionReport

_SUCCEEDED = "succeeded"
_AMOUNTS = ("mismatch_amount", "mismatch_currency")


def compare_session(
    report: SessionReport, known: Checkout | None, payment: Payment | None, *, livemode: bool
) -> Finding | None:
    """A checkout session; what it is worth is judged as when its webhook comes."""
    if known is None:
        if report.payment_status != "paid" or payment is not None:
            # One that is in the books without a checkout was imported.
            return None
        return _foreign(Kind.SESSION, report.id, f"paid, {_money(report)}", report.customer_id)
    wanted = judge(known, report, livemode=livemode)
    make = partial(
        Finding,
        kind=Kind.SESSION,
        object_id=report.id,
        customer_id=known.stripe_customer_id,
        user_id=known.user_id,
    )
    if known.status is Status.PAID:
        return _paid_session(report, known, payment, make)
    if wanted.outcome.startswith("mismatch"):
        return make(
            code="amount_differs" if wanted.outcome in _AMOUNTS else "session_differs",
            expected=f"{known.price} as it was opened",
            found=f"{_money(report)} ({wanted.outcome})",
        )
    mend = partial(make, found=f"{known.status}, no credits", repair=Repair.CHECKOUT, repair_object=report.id)
    if wanted.grants:
        return mend(code="paid_not_granted", expected=f"paid, {known.credits} credits")
    if wanted.status is not known.status:
        return mend(code="checkout_state_differs", expected=f"{wanted.status} ({wanted.outcome})")
    return None


def _paid_session(
    report: SessionReport, known: Checkout, payment: Payment | None, make: Callable[..., Finding]
) -> Finding | None:
    """One that is paid in our books: final, so nothing repairs it but people."""
    if report.status != "complete" or report.payment_status not in PAID:
        expected = f"not paid: {report.status}, {report.payment_status}"
        return make(code="granted_not_paid", expected=expected, found="paid and granted")
    if payment is not None and (payment.paid.minor, payment.paid.currency) != (
        report.amount_total,
        report.currency,
    ):
        return make(code="amount_differs", expected=_money(report), found=str(payment.paid))
    if known.mode == "payment" and payment is None:
        return make(code="payment_missing", expected="a payment", found="granted without one")
    return None


def compare_invoice(
    report: InvoiceReport,
    known: KnownInvoice | None,
    payment: Payment | None,
    judged: InvoiceJudgement,
    *,
    ours: bool,
) -> Finding | None:
    """An invoice of a subscription; ``judged`` is what it does to credits, by the rule of its webhook."""
    if report.subscription_id is None and not any(line.subscription_id for line in report.lines):
        return None
    if not ours:
        return _foreign(Kind.INVOICE, report.id, f"{report.status}, {_paid(report)}", report.customer_id)
    paid, status = report.status == "paid", None if known is None else known.status
    make = partial(Finding, kind=Kind.INVOICE, object_id=report.id, customer_id=report.customer_id)
    mend = partial(make, repair=Repair.INVOICE, repair_object=report.id)
    found = "not in the books" if known is None else f"{known.status}, {known.outcome}"
    if status == "paid" and not paid:
        code = "granted_not_paid" if known and known.granted.micro > 0 else "invoice_state_differs"
        return make(code=code, expected=str(report.status), found=found)
    if payment is not None and paid:
        if (payment.paid.minor, payment.paid.currency) == (report.amount_paid_minor, report.currency):
            return None
        return make(code="amount_differs", expected=_paid(report), found=str(payment.paid))
    if paid and judged.outcome.startswith("mismatch"):
        # Settling follows its state; that it brought nothing is for people.
        tell = make if status == "paid" else mend
        return tell(code="amount_differs", expected="as sold", found=f"{_paid(report)} ({judged.outcome})")
    if paid and judged.granted.micro > 0:
        expected = f"paid {_paid(report)}, {judged.granted} credits"
        return mend(code="paid_not_granted", expected=expected, found=found)
    if status not in (report.status, "void"):
        return mend(code="invoice_state_differs", expected=str(report.status), found=found)
    return None


def compare_subscription(
    stripe_id: str,
    report: SubscriptionReport | None,
    known: Subscription | None,
    *,
    user_id: int | None,
    is_a_plan: bool,
) -> Finding | None:
    """A subscription. One that has ended in our books never lives again, so then nothing repairs it but people.

    Of one that is not in the books: ``user_id`` is whose customer it has, ``is_a_plan`` whether its price is ours.
    """
    if known is None:
        assert report is not None, stripe_id
        state = f"{report.status}, {report.price_id}"
        if user_id is None or not is_a_plan:
            return _foreign(Kind.SUBSCRIPTION, stripe_id, state, report.customer_id)
        if report.status.has_ended:
            return None
        wanted = state, "not in the books"
    else:
        theirs = {} if report is None else _reported(report)
        ours = _booked(known)
        if theirs == ours:
            return None
        names = [name for name in ours if report is None or theirs[name] != ours[name]]
        wanted = (
            "unknown to Stripe" if report is None else ", ".join(f"{n}={theirs[n]}" for n in names),
            ", ".join(f"{n}={ours[n]}" for n in names),
        )
    mendable = report is not None and not (known is not None and known.status.has_ended)
    return Finding(
        code="subscription_state_differs",
        kind=Kind.SUBSCRIPTION,
        object_id=stripe_id,
        expected=wanted[0],
        found=wanted[1],
        repair=Repair.SUBSCRIPTION if mendable else None,
        repair_object=stripe_id if mendable else None,
        customer_id=known.stripe_customer_id if known else report.customer_id if report else None,
        user_id=known.user_id if known else user_id,
    )


def compare_money_back(
    payment_intent_id: str,
    payment: Payment | None,
    booked: tuple[Sequence[Refund], Sequence[Dispute]],
    seen: tuple[Sequence[Refund], Sequence[Dispute]],
) -> list[Finding]:
    """What went back of a payment: ``booked`` as our books have it, ``seen`` what of it Stripe was just asked for."""
    if payment is None:
        return []
    refunds = {one.id: one for one in booked[0]} | {one.id: one for one in seen[0]}
    disputes = {one.id: one for one in booked[1]} | {one.id: one for one in seen[1]}
    wanted = went_back(payment.paid, refunds.values(), disputes.values())
    mend = partial(
        Finding,
        kind=Kind.PAYMENT_INTENT,
        object_id=payment_intent_id,
        repair=Repair.MONEY_BACK,
        repair_object=payment_intent_id,
        customer_id=payment.stripe_customer_id,
        user_id=payment.user_id,
    )
    sums = {
        "refund": (wanted.refunded_minor, payment.refunded_minor),
        "dispute": (wanted.disputed_minor, payment.disputed_minor),
    }
    found = [
        mend(
            code=f"{name}_not_taken_back" if theirs > ours else f"{name}_not_restored",
            expected=str(Money(theirs, payment.paid.currency)),
            found=str(Money(ours, payment.paid.currency)),
        )
        for name, (theirs, ours) in sums.items()
        if theirs != ours
    ]
    told = [*_told(booked[0], seen[0]), *_told(booked[1], seen[1])]
    if told and not found:
        states = ", ".join(f"{one.id}: {one.status}" for one in told)
        found = [mend(code="money_back_state_differs", expected=states, found="another state")]
    return found


def compare_intent(
    report: IntentReport, payment: Payment | None, *, deployment: str | None
) -> Finding | None:
    """A payment intent that no session and no invoice of ours explains."""
    if report.status != _SUCCEEDED:
        return None if payment is None else _unpaid(payment, f"{report.status}")
    if payment is not None:
        if payment.paid == report.received or payment.reference != report.id:
            return None
        return Finding(
            code="amount_differs",
            kind=Kind.PAYMENT_INTENT,
            object_id=report.id,
            expected=str(report.received),
            found=str(payment.paid),
            customer_id=payment.stripe_customer_id,
            user_id=payment.user_id,
        )
    if deployment is not None and report.deployment == deployment:
        return Finding(
            code="paid_not_granted",
            kind=Kind.PAYMENT_INTENT,
            object_id=report.id,
            expected=f"paid, {report.received}",
            found="not in the books",
            repair=Repair.MONEY_BACK,
            repair_object=report.id,
            customer_id=report.customer_id,
        )
    return _foreign(Kind.PAYMENT_INTENT, report.id, f"paid, {report.received}", report.customer_id)


def missing_at_stripe(payment: Payment, kind: Kind) -> Finding:
    """A payment in our books whose object Stripe does not know."""
    return Finding(
        code="granted_not_paid",
        kind=kind,
        object_id=payment.reference,
        expected="unknown to Stripe",
        found=f"paid {payment.paid}, {payment.credits} credits",
        customer_id=payment.stripe_customer_id,
        user_id=payment.user_id,
    )


def _foreign(kind: Kind, object_id: str, state: str, customer_id: str | None) -> Finding:
    return Finding(
        code="foreign_object",
        kind=kind,
        object_id=object_id,
        severity=Severity.NOTICE,
        expected="nothing: it is not ours",
        found=state,
        customer_id=customer_id,
    )


def _unpaid(payment: Payment, state: str) -> Finding | None:
    if payment.paid.minor == 0:
        return None
    return Finding(
        code="granted_not_paid",
        kind=Kind.PAYMENT_INTENT,
        object_id=payment.stripe_payment_intent_id or payment.reference,
        expected=f"not paid: {state}",
        found=f"paid {payment.paid}, {payment.credits} credits",
        customer_id=payment.stripe_customer_id,
        user_id=payment.user_id,
    )


def _told(booked: Sequence[Refund | Dispute], seen: Sequence[Refund | Dispute]) -> list[Refund | Dispute]:
    """What our books have not heard of, or not in its present state."""
    known = {one.id: (one.status, one.amount) for one in booked}
    return [one for one in seen if known.get(one.id) != (one.status, one.amount)]


def _reported(one: SubscriptionReport) -> dict[str, object]:
    return {
        "status": str(one.status),
        "price": one.price_id,
        "quantity": one.quantity,
        "period_end": one.period_end,
        "cancel_at_period_end": one.cancel_at_period_end,
        "collection_paused": one.collection_paused,
    }


def _booked(one: Subscription) -> dict[str, object]:
    return {
        "status": str(one.status),
        "price": one.stripe_price_id,
        "quantity": one.quantity,
        "period_end": one.current_period_end,
        "cancel_at_period_end": one.cancel_at_period_end,
        "collection_paused": one.collection_paused,
    }


def _money(report: SessionReport) -> str:
    return str(Money(report.amount_total or 0, report.currency or "usd"))


def _paid(report: InvoiceReport) -> str:
    return str(Money(report.amount_paid_minor, report.currency))
