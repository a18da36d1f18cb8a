"""What a superuser can do to the books without a trace inside the database; a plain module for tests of this folder.

A history is rewritten by removing it and posting another one through the ledger's own functions at the old times: so
every digest, lot and balance fits, whatever the formulas are.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from databases import TestDatabase
from psycopg import sql

Connection = psycopg.Connection[tuple[Any, ...]]


@contextmanager
def as_superuser(database: TestDatabase) -> Iterator[Connection]:
    """A connection for which no trigger, no foreign key and no right stands in the way."""
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("SET session_replication_role = replica")
        yield connection


def wallet_row(database: TestDatabase, wallet: int) -> str:
    """The row of a wallet, to be put back later."""
    with as_superuser(database) as connection:
        found = connection.execute(
            "SELECT to_jsonb(w) FROM tallybook.wallets AS w WHERE wallet_id = %s", [wallet]
        ).fetchone()
    assert found is not None
    return json.dumps(found[0])


def wipe(database: TestDatabase, wallet: int, *, back_to: str | None = None) -> None:
    """Remove all that belongs to a wallet; then put the row ``back_to`` in its place, if one is given."""
    with as_superuser(database) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.columns JOIN information_schema.tables"
            " USING (table_schema, table_name) WHERE table_schema = 'tallybook' AND table_type = 'BASE TABLE'"
            " AND column_name = 'wallet_id'"
        ).fetchall()
        for [table] in tables:
            connection.execute(
                sql.SQL("DELETE FROM tallybook.{} WHERE wallet_id = %s").format(sql.Identifier(table)),
                [wallet],
            )
        if back_to is not None:
            connection.execute(
                "INSERT INTO tallybook.wallets OVERRIDING SYSTEM VALUE"
                " SELECT (jsonb_populate_record(NULL::tallybook.wallets, %s)).*",
                [back_to],
            )


def do(database: TestDatabase, statement: str, *values: Any) -> int:
    """One statement as superuser; how many rows it touched."""
    with as_superuser(database) as connection:
        return connection.execute(statement.encode(), values).rowcount
