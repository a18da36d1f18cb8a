"""Answers to retried POSTs outside the ledger, kept in the transaction of their effect.

The answer comes in sealed: this module never sees what is in it. The ledger remembers its own answers.
"""

from __future__ import annotations

from datetime import datetime

from tallybook.domain.errors import IdempotencyKeyReusedError
from tallybook.postgres.pool import Transaction
from tallybook.postgres.statements import Statements

_SQL = Statements("remembered")


async def recall(tx: Transaction, scope: str, key: str, terms: bytes) -> bytes | None:
    """The sealed answer that this key got before, or None if the effect is still to be made, by us alone.

    Waits while another transaction works under the same key, so that the same request sent twice at once has one
    effect. ``terms`` is a code over what was asked for.

    Raises:
        IdempotencyKeyReusedError: the key was used for something else.
    """
    await tx.run(_SQL.lock, scope=scope, key=key)
    row = await tx.maybe(_SQL.recall, scope=scope, key=key)
    if row is None:
        return None
    if row["terms"] != terms:
        raise IdempotencyKeyReusedError
    return bytes(row["answer"])


async def remember(
    tx: Transaction, now: datetime, scope: str, key: str, *, terms: bytes, answer: bytes
) -> None:
    """Keep the sealed answer; call after ``recall`` gave None in the same transaction."""
    await tx.run(_SQL.remember, scope=scope, key=key, terms=terms, answer=answer, now=now)


async def forget_secrets(tx: Transaction, before: datetime) -> int:
    """Forget the answers with keys and tokens in them that were given before a moment; how many."""
    row = await tx.one(_SQL.forget_secrets, before=before)
    return int(row["forgotten"])
