"""Postings that are written down in the audit log in the same transaction: additions, and all that the house does."""

from __future__ import annotations

from datetime import datetime

from tallybook.domain.clock import Clock
from tallybook.domain.errors import BillingError, WalletBusyError
from tallybook.domain.ledger.requests import Answer, Posting
from tallybook.postgres import audit, ledger
from tallybook.postgres.pool import Database, Transaction

_ACTS = {
    "grant": "credits.granted",
    "spend": "credits.spent",
    "hold": "hold.placed",
    "capture": "hold.captured",
    "release": "hold.released",
    "give_back": "credits.given_back",
}


async def post(db: Database, clock: Clock, actor: tuple[str, str], posting: Posting) -> Answer | BillingError:
    """Post on the fast lane; when another transaction holds the wallet, once more on the patient one.

    A refusal is given back and not raised, since it is committed too.
    """
    answer = await _posted(db, clock, actor, posting, patient=False)
    if isinstance(answer, WalletBusyError):
        async with db.turn(posting.wallet_id):
            answer = await _posted(db, clock, actor, posting, patient=True)
    return answer


async def _posted(
    db: Database, clock: Clock, actor: tuple[str, str], posting: Posting, *, patient: bool
) -> Answer | BillingError:
    async with db.transaction(patient=patient) as tx:
        now = clock()
        [answer] = await ledger.post(tx, now, [posting], wait=patient)
        await record(tx, now, actor, posting, answer)
    return answer


async def record(
    tx: Transaction, now: datetime, actor: tuple[str, str], posting: Posting, answer: Answer | BillingError
) -> None:
    """Write down what was posted just now; a refusal or a replay is nothing new."""
    if not isinstance(answer, Answer) or answer.replayed:
        return
    await audit.record(
        tx,
        now,
        actor,
        _ACTS[posting.op],
        ("wallet", str(posting.wallet_id)),
        after={"transfer": answer.transfer.wire("trf"), "amount_micro": answer.amount_micro},
    )
