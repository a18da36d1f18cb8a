"""Nobody edits the books: the service's role cannot, the owner is refused, and what a superuser does is found."""

from __future__ import annotations

from collections.abc import AsyncIterator

import psycopg
import pytest
import pytest_asyncio
from databases import TestDatabase
from ledger.books import Books

from tallybook.domain.errors import InsufficientCreditsError
from tallybook.domain.ledger.requests import Fault, Note
from tallybook.postgres import verifying

LEDGER_TABLES = ("wallets", "transfers", "refusals", "notes", "holds", "lots", "lot_moves", "claims")


@pytest_asyncio.fixture
async def books(database: TestDatabase) -> AsyncIterator[Books]:
    async with Books.open(database) as opened:
        wallet = await opened.a_wallet(credits=100)
        other = await opened.a_wallet(credits=50)
        held = await opened.hold(wallet, 20, key="h", note=Note(description="a job"))
        assert held.hold is not None
        await opened.capture(held.hold, 5, key="c", final=False)
        await opened.spend(other, 7, key="s", note=Note(description="print", metadata={"pages": 2}))
        with pytest.raises(InsufficientCreditsError):
            await opened.spend(wallet, 5000, key="refused")
        yield opened


async def verified(books: Books) -> list[Fault]:
    """Every broken promise, each wallet looked at by itself."""
    async with books.db.snapshot() as tx:
        ranges = await verifying.ranges(tx, transfers=1)
        return [fault for wallets in ranges for fault in await verifying.verify(tx, wallets)]


@pytest.mark.parametrize("table", LEDGER_TABLES)
@pytest.mark.parametrize("verb", ["INSERT", "UPDATE", "DELETE", "TRUNCATE"])
def test_the_services_role_may_not_write_ledger_tables(database: TestDatabase, table: str, verb: str) -> None:
    with psycopg.connect(database.service_url) as connection:
        columns = connection.execute(
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = 'tallybook' AND table_name = %s",
            [table],
        ).fetchall()
    assert columns
    column = columns[1][0]
    statement = {
        "INSERT": f"INSERT INTO tallybook.{table} ({column}) VALUES (DEFAULT)",
        "UPDATE": f"UPDATE tallybook.{table} SET {column} = {column}",
        "DELETE": f"DELETE FROM tallybook.{table}",
        "TRUNCATE": f"TRUNCATE tallybook.{table}",
    }[verb]

    with (
        psycopg.connect(database.service_url) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(statement)


@pytest.mark.parametrize("table", ["transfers", "refusals", "lot_moves", "claims", "audit_log"])
@pytest.mark.parametrize("verb", ["UPDATE", "DELETE", "TRUNCATE"])
def test_even_the_owner_may_not_edit_history(
    database: TestDatabase, books: Books, table: str, verb: str
) -> None:
    column = {"audit_log": "action", "claims": "object_id"}.get(table, "wallet_id")
    statement = {
        "UPDATE": f"UPDATE tallybook.{table} SET {column} = {column}",
        "DELETE": f"DELETE FROM tallybook.{table}",
        "TRUNCATE": f"TRUNCATE tallybook.{table} CASCADE",
    }[verb]

    with psycopg.connect(database.owner_url) as connection, pytest.raises(psycopg.Error) as refused:
        connection.execute(statement)

    assert refused.value.sqlstate == "TB001"


@pytest.mark.ledger_tampered
@pytest.mark.parametrize(
    ("statement", "check"),
    [
        (
            "UPDATE tallybook.transfers SET amount_micro = 1 WHERE wallet_id = 1 AND version = 2",
            "running_balances",
        ),
        (
            "UPDATE tallybook.transfers SET created_at = 'yesterday' WHERE wallet_id = 1 AND version = 2",
            "chain",
        ),
        ("UPDATE tallybook.transfers SET app_id = 9 WHERE wallet_id = 2 AND version = 2", "chain"),
        ("UPDATE tallybook.transfers SET key = 'other' WHERE wallet_id = 2 AND version = 2", "chain"),
        ("UPDATE tallybook.transfers SET digest = sha256('x') WHERE wallet_id = 2 AND version = 2", "chain"),
        ("DELETE FROM tallybook.transfers WHERE wallet_id = 2 AND version = 1", "transfer_numbers"),
        ("DELETE FROM tallybook.transfers WHERE wallet_id = 2 AND version = 2", "wallet_row"),
        (
            "UPDATE tallybook.wallets SET available_micro = available_micro + 1 WHERE wallet_id = 1",
            "wallet_row",
        ),
        (
            "UPDATE tallybook.wallets SET version = 9223372036854775807 WHERE wallet_id = 1",
            "wallet_row",
        ),
        ("UPDATE tallybook.wallets SET debt_micro = 1, available_micro = 0 WHERE wallet_id = 1", "zero_sum"),
        ("DELETE FROM tallybook.wallets WHERE wallet_id = 2", "wallet_missing"),
        ("UPDATE tallybook.holds SET captured_micro = captured_micro + 1 WHERE wallet_id = 1", "hold_row"),
        ("UPDATE tallybook.wallets SET front_micro = front_micro - 1 WHERE wallet_id = 1", "lot_row"),
        (
            "UPDATE tallybook.lot_moves SET amount_micro = 1 WHERE wallet_id = 1 AND version = 1",
            "transfer_lots",
        ),
        ("DELETE FROM tallybook.lots WHERE wallet_id = 2", "lot_row"),
        ("UPDATE tallybook.lots SET price_minor = 1 WHERE wallet_id = 1", "lot_terms"),
        ("UPDATE tallybook.lots SET expires_at = '2030-01-01' WHERE wallet_id = 2", "lot_terms"),
        ("UPDATE tallybook.holds SET app_id = 9 WHERE wallet_id = 1", "hold_terms"),
        ("UPDATE tallybook.holds SET expires_at = '2030-01-01' WHERE wallet_id = 1", "hold_terms"),
        ("UPDATE tallybook.refusals SET code = 'balance_limit' WHERE wallet_id = 1", "refusal"),
        ("UPDATE tallybook.wallets SET owner_user_id = 99 WHERE wallet_id = 2", "chain"),
        ("UPDATE tallybook.notes SET description = 'another job' WHERE wallet_id = 1", "note"),
        (
            """INSERT INTO tallybook.refusals SELECT wallet_id, app_id, key, terms, 'insufficient_credits', '{}', 1,
            created_at, digest FROM tallybook.transfers WHERE wallet_id = 2 AND key = 's'""",
            "answered_twice",
        ),
    ],
)
async def test_a_row_changed_by_a_superuser_is_found_and_named(
    database: TestDatabase, books: Books, statement: str, check: str
) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("SET session_replication_role = replica")
        assert connection.execute(statement).rowcount == 1

    faults = await verified(books)

    wallet = 1 if "wallet_id = 1" in statement else 2
    assert (wallet, check) in {(fault.wallet_id, fault.check) for fault in faults}


async def test_an_erased_note_leaves_the_chain_whole(database: TestDatabase, books: Books) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute("DELETE FROM tallybook.notes")

    assert await verified(books) == []
