"""Whenever the reconciler has run, everything must be right; at the end it must stay so, whatever comes late."""

from __future__ import annotations

from datetime import datetime, timedelta

from payments.desk import OPERATOR
from payments.lives.life import Life
from payments.lives.money_acts import settle_hold
from payments.lives.money_kept import Kept
from tallybook.domain.payments.reconciling import FindingStatus, Severity
from tallybook.usecases import holds
from tallybook.usecases.reconciling import runs

MOMENT = timedelta(minutes=1)


async def made_right(life: Life) -> str:
    """The reconciler makes up for all that never came: what the customer has is the credits of the money kept."""
    # What the sandbox does a moment later, such as a dispute that a card announces, is done then.
    life.pass_time(MOMENT)
    await life.settle_all()
    run = await life.reconcile(since=since(life))
    await life.settle_all()
    check(life, life.money_kept(), "after the reconciler")
    return f"reconciled: {run.events_missing} events had not come, {run.repaired} of {run.found} repaired"


async def end(life: Life, *, last: int) -> None:
    """Some of the mail arrives, the reconciler makes up for the rest; what comes after that changes nothing."""
    while life.holds:
        life.happened(await settle_hold(life, 0, 50))
    await holds.settle_due(life.till.ctx)
    await life.mail.deliver(last)
    life.happened(await made_right(life))
    await life.mail.deliver(100)
    await life.mail.replay_some()
    await life.settle_all()
    assert life.balance()[1] == 0
    check(life, life.money_kept(), "after what came late")
    await finds_nothing(life)


def since(life: Life) -> datetime | None:
    """Who compares each night need not say since when; who did not for months has to."""
    return None if life.nightly else life.born - MOMENT


def check(life: Life, money: Kept, when: str) -> None:
    """What the customer has, less what they owe, is what they paid for less what they spent; each payment came once."""
    available, held, debt = life.balance()
    told = f"{when}: {money}, returned {money.returned()}, spent {life.spent}"
    booked = dict(
        life.till.ask(
            "SELECT reference, credits_micro FROM tallybook.payments WHERE user_id = %s", life.till.user_id
        )
    )
    due = {one.reference: one.credits for one in money.bought}
    assert {reference: due.get(reference) for reference in booked} == booked, told
    missing = [one for one in money.bought if one.reference not in booked]
    assert all(one.credits == one.gone for one in missing), (missing, told)
    assert available == 0 or debt == 0, (available, debt, told)
    has, must = available + held - debt, money.credits - life.spent
    assert has == must, f"the wallet has {has}, and must have {must}; {told}"


async def finds_nothing(life: Life) -> None:
    """Whoever compares once more finds no difference; what is told about others' objects is none."""
    run = await life.reconcile(applies=False, since=since(life))
    every = await runs.findings(life.till.ctx, OPERATOR, status=FindingStatus.OPEN, limit=100)
    differ = [one.finding for one in every if one.finding.severity is not Severity.NOTICE]
    assert not differ, differ
    assert (run.events_missing, run.differences) == (0, 0), run
