"""The books as they lie in the database, read in one snapshot as superuser. Judged in ``checks.py``."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row

Row = dict[str, Any]


@dataclass(frozen=True)
class Books:
    """Rows of the ledger; transfers are ordered by wallet and version."""

    transfers: list[Row]
    wallets: list[Row]
    holds: list[Row]
    lots: list[Row]
    verified: list[Row]
    """What the ledger's own check finds."""

    @cached_property
    def by_wallet(self) -> dict[int, list[Row]]:
        """Transfers of each wallet, oldest first."""
        found: dict[int, list[Row]] = defaultdict(list)
        for row in self.transfers:
            found[row["wallet_id"]].append(row)
        return found

    @cached_property
    def by_key(self) -> dict[tuple[int, str], list[Row]]:
        """Transfers by wallet and key."""
        found: dict[tuple[int, str], list[Row]] = defaultdict(list)
        for row in self.transfers:
            if row["key"] is not None:
                found[row["wallet_id"], row["key"]].append(row)
        return found

    @cached_property
    def parts(self) -> dict[tuple[int, int], list[Row]]:
        """Transfers that belong to another of the same request, by wallet and that one's version."""
        found: dict[tuple[int, int], list[Row]] = defaultdict(list)
        for row in self.transfers:
            if row["part_of"] is not None:
                found[row["wallet_id"], row["part_of"]].append(row)
        return found

    @cached_property
    def of_hold(self) -> dict[tuple[int, int], list[Row]]:
        """Transfers of each hold, by wallet and version of the placing."""
        found: dict[tuple[int, int], list[Row]] = defaultdict(list)
        for row in self.transfers:
            if row["hold_version"] is not None:
                found[row["wallet_id"], row["hold_version"]].append(row)
        return found

    @cached_property
    def hold_rows(self) -> dict[tuple[int, int], Row]:
        """The row of each hold."""
        return {(row["wallet_id"], row["version"]): row for row in self.holds}


def read(superuser_url: str) -> Books:
    """Read everything at one moment."""
    questions = {
        "transfers": "SELECT wallet_id, version, kind, debit::text, credit::text, amount_micro,"
        " available_after, held_after, debt_after, app_id, key, part_of, hold_version"
        " FROM tallybook.transfers ORDER BY wallet_id, version",
        "wallets": "SELECT wallet_id, available_micro, held_micro, debt_micro, version FROM tallybook.wallets",
        "holds": "SELECT wallet_id, version, placed_micro, captured_micro, released_micro, remaining_micro,"
        " settled_at FROM tallybook.holds",
        "lots": "SELECT wallet_id, version, source, amount_micro, reference FROM tallybook.lots",
        "verified": "SELECT * FROM tallybook.verify_v3()",
    }
    with psycopg.Connection[DictRow].connect(superuser_url, row_factory=dict_row) as connection:
        connection.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        found = {name: connection.execute(text.encode()).fetchall() for name, text in questions.items()}
    return Books(**found)
