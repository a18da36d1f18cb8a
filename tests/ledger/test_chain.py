"""The hash chain is computed a second time in plain Python: it gives what the SQL gives, and trusts none of it.

Every test that uses a database ends with it too (``tests/conftest.py``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from databases import TestDatabase
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ledger.books import Books
from ledger.rewriting import do
from psycopg.types.json import Jsonb

from tallybook.domain.ledger.chain import ChainCheck, ChainedTransfer, ChainedWallet, first_digest, link
from tallybook.domain.ledger.requests import Account, Note
from tallybook.usecases import books as verifying
from tallybook.usecases.context import Context

SMALL, LARGE = st.integers(1, 2**31 - 1), st.integers(-(2**63), 2**63 - 1)
DIGESTS = st.none() | st.binary(min_size=32, max_size=32)
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=40)
ROWS = st.builds(
    ChainedTransfer,
    wallet_id=LARGE,
    version=LARGE,
    kind=st.sampled_from(["spend", "hold", "delegate", "return", "grant"]) | TEXTS,
    debit=st.sampled_from(Account),
    credit=st.sampled_from(Account),
    amount_micro=LARGE,
    available_after=LARGE,
    held_after=LARGE,
    debt_after=LARGE,
    app_id=st.integers(-(2**31), 2**31 - 1),
    key=st.none() | TEXTS | st.just('resumed:1\x1fuser:1\x1f"\\\n\x7f\u2028Zoë 😀'),
    terms=DIGESTS,
    part_of=st.none() | SMALL,
    hold_version=st.none() | SMALL,
    lot_version=st.none() | SMALL,
    parent_version=st.none() | SMALL,
    undoes_version=st.none() | SMALL,
    on_lot_version=st.none() | SMALL,
    budget_ids=st.none() | st.lists(SMALL, max_size=3),
    legs=st.none() | st.integers(1, 9),
    note_digest=DIGESTS,
    detail_digest=DIGESTS,
    created_at=st.datetimes(datetime(1901, 1, 1), datetime(9000, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
    form=st.sampled_from([1, 2]),
    digest=st.just(b""),
)


@given(row=ROWS, previous=st.binary(min_size=32, max_size=32))
@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_python_and_sql_compute_the_same_digest(
    database: TestDatabase, row: ChainedTransfer, previous: bytes
) -> None:
    plain: dict[str, Any] = {
        name: f"\\x{value.hex()}" if isinstance(value, bytes) else value
        for name, value in asdict(row).items()
    }
    plain["created_at"] = row.created_at.isoformat()
    with psycopg.connect(database.superuser_url) as connection:
        found = connection.execute(
            f"SELECT tallybook.transfer_digest_v{row.form}(%s, r)"
            " FROM jsonb_populate_record(NULL::tallybook.transfers, %s) AS r",
            [previous, Jsonb(plain)],
        ).fetchone()

    assert found is not None
    assert link(previous, row) == found[0]


@given(user=st.none() | SMALL, organisation=st.none() | SMALL)
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_python_and_sql_begin_a_chain_alike(
    database: TestDatabase, user: int | None, organisation: int | None
) -> None:
    with psycopg.connect(database.superuser_url) as connection:
        found = connection.execute(
            "SELECT tallybook.first_digest_v1(%s::bigint, %s::bigint)", [user, organisation]
        ).fetchone()

    assert found == (first_digest(user, organisation),)


# The worked example of docs/anchors.md.
EXAMPLE = ChainedTransfer(
    wallet_id=12,
    version=1,
    kind="grant",
    debit="adjustments",
    credit="available",
    amount_micro=5_000_000,
    available_after=5_000_000,
    held_after=0,
    debt_after=0,
    app_id=3,
    key="job-1",
    terms=b"\x11" * 32,
    part_of=None,
    hold_version=None,
    lot_version=None,
    parent_version=None,
    undoes_version=None,
    on_lot_version=1,
    budget_ids=None,
    legs=1,
    note_digest=None,
    detail_digest=b"\x22" * 32,
    created_at=datetime(2026, 11, 21, 12, 0, 0, 250_000, tzinfo=UTC),
    form=2,
    digest=b"",
)


@pytest.mark.parametrize(
    ("form", "digest"),
    [
        (1, "0f4786b58e83380ba3f2e5fd320fc9d5f9a3afe0a64544b24fa3312b116e8c45"),
        (2, "d9fc85a3e810d6edfb30d252d7bcc63873805457196c29331f966a5eae65f47b"),
    ],
)
def test_the_example_of_the_document_has_the_digest_that_it_says(form: int, digest: str) -> None:
    assert first_digest(7, None).hex() == "41519ad4c048bf4c4b41dec21dd8a8af00d3cd45a1ee45443154613447b45461"
    assert link(first_digest(7, None), replace(EXAMPLE, form=form)).hex() == digest


@pytest_asyncio.fixture
async def books(database: TestDatabase) -> AsyncIterator[Books]:
    """Two wallets with all that a chain covers, and one that nothing ever happened to."""
    async with Books.open(database) as opened:
        wallet = await opened.a_wallet(credits=100)
        other = await opened.a_wallet(credits=50)
        await opened.a_wallet()
        held = await opened.hold(wallet, 20, key="h\x1f😀", note=Note(description="a job"))
        assert held.hold is not None
        await opened.capture(held.hold, 5, key="c", final=True)
        await opened.spend(other, 7, key="s", note=Note(description="print", metadata={"pages": 2}))
        yield opened


async def test_a_whole_ledger_is_found_whole(ctx: Context, books: Books) -> None:
    told: list[int] = []

    found = await verifying.recompute(ctx, progress=told.append)

    assert found.faults == []
    assert found.transfers == 6
    assert told


@pytest.mark.ledger_tampered
@pytest.mark.parametrize(
    ("statement", "place"),
    [
        ("UPDATE tallybook.transfers SET amount_micro = 1 WHERE wallet_id = 1 AND version >= 2", (1, 2)),
        ("UPDATE tallybook.transfers SET key = 'x' WHERE wallet_id = 2 AND version = 2", (2, 2)),
        ("UPDATE tallybook.transfers SET digest = sha256('') WHERE wallet_id = 1 AND version = 3", (1, 3)),
        ("UPDATE tallybook.transfers SET form = 1 WHERE wallet_id = 1 AND version = 1", (1, 1)),
        ("DELETE FROM tallybook.transfers WHERE wallet_id = 1 AND version = 2", (1, 3)),
        ("DELETE FROM tallybook.transfers WHERE wallet_id = 1 AND version = 4", (1, 4)),
        ("DELETE FROM tallybook.wallets WHERE wallet_id = 1", (1, 1)),
        ("UPDATE tallybook.wallets SET owner_user_id = 99 WHERE wallet_id = 2", (2, 1)),
        ("UPDATE tallybook.wallets SET owner_user_id = 99 WHERE wallet_id = 3", (3, 0)),
        ("UPDATE tallybook.wallets SET digest = sha256('') WHERE wallet_id = 2", (2, 2)),
    ],
)
async def test_the_first_row_that_does_not_fit_is_named_also_when_the_database_lies(
    ctx: Context, books: Books, database: TestDatabase, statement: str, place: tuple[int, int]
) -> None:
    assert do(database, statement) > 0
    with psycopg.connect(database.superuser_url) as connection:
        connection.execute(
            "CREATE OR REPLACE FUNCTION tallybook.verify_v3(p_first bigint DEFAULT 0, p_last bigint DEFAULT 0)"
            " RETURNS TABLE (wallet_id bigint, version bigint, check_name text, detail text)"
            " LANGUAGE sql STABLE AS 'SELECT 1, 1, NULL, NULL WHERE false'"
        )

    _, by_the_database = await verifying.verify(ctx)
    found = await verifying.recompute(ctx, progress=lambda _: None)

    assert by_the_database == []
    assert (found.faults[0].wallet_id, found.faults[0].version) == place
    assert found.faults[0].check == "chain_in_python"


def test_a_form_that_nobody_knows_is_a_fault_and_not_a_crash() -> None:
    check = ChainCheck()
    check.wallet(
        ChainedWallet(
            wallet_id=12, owner_user_id=7, owner_organisation_id=None, version=1, digest=EXAMPLE.digest
        )
    )

    fault = check.transfer(replace(EXAMPLE, form=3))

    assert fault is not None and "unknown form 3" in fault.detail
    assert check.end() is None
    with pytest.raises(ValueError, match="3"):
        link(b"", replace(EXAMPLE, form=3))


def test_times_before_1970_and_2000_have_a_form_too() -> None:
    early = replace(EXAMPLE, form=1, created_at=datetime(1970, 1, 1, tzinfo=UTC) - timedelta(microseconds=1))

    assert link(b"", early) != link(b"", replace(early, created_at=datetime(1970, 1, 1, tzinfo=UTC)))


def test_a_gap_is_found_also_where_every_digest_fits() -> None:
    begin = first_digest(7, None)
    first = replace(EXAMPLE, digest=link(begin, EXAMPLE))
    third = replace(EXAMPLE, version=3)
    third = replace(third, digest=link(first.digest, third))
    check = ChainCheck()
    check.wallet(
        ChainedWallet(
            wallet_id=12, owner_user_id=7, owner_organisation_id=None, version=3, digest=third.digest
        )
    )

    faults = [check.transfer(first), check.transfer(third), check.end()]

    assert [fault and (fault.version, fault.detail) for fault in faults] == [
        None,
        (3, "follows transfer 1"),
        None,
    ]
