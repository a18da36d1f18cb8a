"""A dispute from its opening to won, lost or closed as a warning, and the money that goes and comes back.

Source: docs.stripe.com/disputes. The evidence texts ``winning_evidence`` and ``losing_evidence`` decide a dispute
at once, as in Stripe's test mode. Leaves parameters to ``api`` and the desk's commands to ``control``.
"""

from stripe_sandbox import alarms
from stripe_sandbox.call import Call
from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json
from stripe_sandbox.shapes import disputes as shapes
from stripe_sandbox.shapes import payments

OPEN, DUE = "charge.dispute", "dispute.due"
INQUIRY = "inquiry"
CLOSED = frozenset({"won", "lost", "warning_closed"})
_FEE = 1500
_DAYS = 9
_INQUIRY_DAYS = 120
_DAY = 24 * 3600
_VERDICTS = {"winning_evidence": "won", "losing_evidence": "lost"}


def begin(call: Call, charge: Json, reason: str, *, amount: int | None = None) -> Json:
    """Open a dispute, or an inquiry, which takes no money yet."""
    if charge["status"] != "succeeded" or charge["disputed"]:
        message = f"Charge {charge['id']} cannot be disputed: it is {charge['status']} or disputed already."
        raise ApiError(message)
    warns = reason == INQUIRY
    left = charge["amount"] - charge["amount_refunded"]
    days = _INQUIRY_DAYS if warns else _DAYS
    fields = {
        "amount": left if amount is None else amount,
        "is_charge_refundable": warns,
        "reason": "fraudulent" if warns else reason,
        "status": "warning_needs_response" if warns else "needs_response",
    }
    dispute = shapes.dispute(call.now, charge, fields, due_by=call.now + days * _DAY)
    after = charge | {"disputed": True}
    call.save(after, "charge.updated", charge)
    call.add(dispute, "charge.dispute.created")
    alarms.put(call, dispute["id"], DUE, dispute["evidence_details"]["due_by"])
    _remember(call, dispute)
    return dispute if warns else _withdraw(call, dispute)


def escalate(call: Call, dispute: Json) -> Json:
    """Turn an inquiry into a dispute."""
    _need(dispute, "warning_needs_response", "warning_under_review")
    after = dispute | {"status": "needs_response", "is_charge_refundable": False}
    call.save(after, "charge.dispute.updated", dispute)
    _remember(call, after)
    return _withdraw(call, after)


def answer(call: Call, dispute: Json, evidence: Json, *, submit: bool) -> Json:
    """Add evidence, and hand it in unless it is only a draft."""
    if dispute["status"] in CLOSED:
        message = "This dispute is already closed"
        raise ApiError(message)
    details = dispute["evidence_details"] | {"has_evidence": True}
    after = dispute | {"evidence": dispute["evidence"] | evidence}
    if submit:
        details |= {"submission_count": details["submission_count"] + 1, "submission_method": "manual"}
        warns = dispute["status"].startswith("warning")
        after["status"] = "warning_under_review" if warns else "under_review"
    after["evidence_details"] = details
    call.save(after, "charge.dispute.updated", dispute)
    _remember(call, after)
    verdict = _VERDICTS.get(str(after["evidence"]["uncategorized_text"]))
    if not submit or verdict is None:
        return after
    return end(call, after, "warning_closed" if after["status"].startswith("warning") else verdict)


def end(call: Call, dispute: Json, status: str) -> Json:
    """Close a dispute; one that is won brings the money back."""
    if dispute["status"] in CLOSED:
        message = "This dispute is already closed"
        raise ApiError(message)
    if (status == "warning_closed") != dispute["status"].startswith("warning"):
        message = f"A dispute that is {dispute['status']} cannot become {status}."
        raise ApiError(message)
    alarms.drop(call, dispute["id"])
    after = dispute | {"status": status}
    if status == "won":
        entry = _entry(call, dispute, dispute["amount"], 0, "dispute_reversal")
        after["balance_transactions"] = [*dispute["balance_transactions"], entry]
    if status == "warning_closed":
        after["is_charge_refundable"] = True
    call.save(after, "charge.dispute.closed", dispute)
    _remember(call, after)
    if status == "won":
        call.emit("charge.dispute.funds_reinstated", after)
    return after


def ring_open(call: Call, charge: Json) -> None:
    """Open the dispute that a test card announces."""
    reason = call.store.private(charge["id"]).get("disputed")
    if reason and not charge["disputed"]:
        begin(call, charge, reason)


def ring_due(call: Call, dispute: Json) -> None:
    """Close a dispute that nobody answered, or an inquiry that led to nothing."""
    if dispute["status"] in ("needs_response", "under_review"):
        late = dispute["status"] == "needs_response"
        dispute["evidence_details"]["past_due"] = late
        if late:
            end(call, dispute, "lost")
    elif dispute["status"] not in CLOSED:
        end(call, dispute, "warning_closed")


def _withdraw(call: Call, dispute: Json) -> Json:
    entry = _entry(call, dispute, -dispute["amount"], _FEE, "dispute")
    after = dispute | {"balance_transactions": [*dispute["balance_transactions"], entry]}
    return call.save(after, "charge.dispute.funds_withdrawn")


def _entry(call: Call, dispute: Json, amount: int, fee: int, category: str) -> Json:
    entry = payments.balance_transaction(call.now, dispute, amount=amount, fee=fee, kind="adjustment")
    return call.add(entry | {"reporting_category": category})


def _remember(call: Call, dispute: Json) -> None:
    call.store.note(dispute["charge"], dispute_status=dispute["status"])


def _need(dispute: Json, *statuses: str) -> None:
    if dispute["status"] not in statuses:
        message = f"The dispute {dispute['id']} is {dispute['status']}."
        raise ApiError(message)
