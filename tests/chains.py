"""The hash chain as somebody else would check it: the rows of a test's database, and none of the service's SQL."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from tallybook.domain.ledger.chain import ChainCheck, ChainedTransfer, ChainedWallet
from tallybook.domain.ledger.requests import Fault

COLUMNS = ", ".join(ChainedTransfer.__slots__)


def chain_faults(connection: psycopg.Connection[Any]) -> list[Fault]:
    """Whatever does not fit in the chains of all wallets."""
    check, found = ChainCheck(), list[Fault | None]()
    with connection.cursor(row_factory=dict_row) as cursor:
        wallets = cursor.execute(
            f"SELECT {', '.join(ChainedWallet.__slots__)} FROM tallybook.wallets ORDER BY wallet_id"
        ).fetchall()
        for wallet in wallets:
            found.append(check.wallet(ChainedWallet(**wallet)))
            rows = cursor.execute(
                f"SELECT {COLUMNS} FROM tallybook.transfers WHERE wallet_id = %s ORDER BY version",
                [wallet["wallet_id"]],
            )
            found += [check.transfer(ChainedTransfer(**row)) for row in rows]
    found.append(check.end())
    return [fault for fault in found if fault is not None]
