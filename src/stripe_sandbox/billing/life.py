"""What happens when an alarm rings: one small table from purpose to engine.

Leaves noticing that one is due to ``timekeeper``.
"""

from collections.abc import Callable

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


_TABLE: dict[str, Callable[[Call, Json], None]] = {
    invoices.FINALIZE: _finalize,
    invoices.RETRY: _retry,
    invoices.OVERDUE: collect.overdue,
    standing.PERIOD_END: renewing.turn,
    standing.UPCOMING: renewing.tell_upcoming,
    standing.TRIAL_WILL_END: renewing.tell_trial,
    standing.EXPIRE: renewing.expire,
    standing.CANCEL: renewing.cancel_now,
    standing.RESUME: renewing.collect_again,
}
