"""What happens when an alarm rings: one small table from purpose to engine.

Leaves noticing that one is due to ``timekeeper``.
"""

from collections.abc import Callable

from stripe_sandbox import checkout, disputing, payment, refunding
from stripe_sandbox.alarms import Alarm
from stripe_sandbox.billing import collect, invoices, renewing, standing
from stripe_sandbox.call import Call
from stripe_sandbox.kinds import Json


def ring(call: Call, alarm: Alarm) -> None:
    """Do what an alarm was set for, unless its object is gone."""
    body = call.store.get(alarm.object_id)
    if body is not None and not body.get("deleted"):
        _TABLE[alarm.what](call, body)


def _finalize(call: Call, invoice: Json) -> None:
    if invoice["status"] == "draft":
        collect.advance(call, invoice)


def _retry(call: Call, invoice: Json) -> None:
    if invoice["status"] == "open":
        collect.attempt(call, invoice, automatic=True)


def _refund_fails(call: Call, refund: Json) -> None:
    if refund["status"] == "succeeded":
        refunding.fail(call, refund)


def _refund_succeeds(call: Call, refund: Json) -> None:
    if refund["status"] == "pending":
        refunding.succeed(call, refund)


def _settle(call: Call, intent: Json) -> None:
    if intent["status"] == "processing":
        notes = call.store.private(intent["payment_method"])
        checkout.settle(call, intent, paid=bool(notes["debit_paid"]))


_TABLE: dict[str, Callable[[Call, Json], None]] = {
    invoices.FINALIZE: _finalize,
    invoices.RETRY: _retry,
    invoices.OVERDUE: collect.overdue,
    disputing.DUE: disputing.ring_due,
    disputing.OPEN: disputing.ring_open,
    payment.SETTLE: _settle,
    refunding.FAIL: _refund_fails,
    refunding.SUCCEED: _refund_succeeds,
    standing.PERIOD_END: renewing.turn,
    standing.UPCOMING: renewing.tell_upcoming,
    standing.TRIAL_WILL_END: renewing.tell_trial,
    standing.EXPIRE: renewing.expire,
    standing.CANCEL: renewing.cancel_now,
    standing.RESUME: renewing.collect_again,
}
