"""Exporting anchors: when they are due, who does it, what a crash leaves, how large they are."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from databases import SECRET, FrozenClock, TestDatabase
from ledger.anchored import AnchoredLedger, unwatched
from ledger.rewriting import do
from structlog.testing import capture_logs

from tallybook.domain.errors import AnchorFailedError
from tallybook.security.anchor_files import AnchorFolder
from tallybook.usecases import anchor_checks, anchors
from tallybook.usecases.context import Context
from tallybook.worker.main import run_worker

MANY = 100_000


def many_transfers(database: TestDatabase, *, wallets: int) -> None:
    """A hundred thousand transfers in so many wallets, as they look to an anchor; nothing else of them is true."""
    each = MANY // wallets
    do(
        database,
        "INSERT INTO tallybook.users (email, email_key, password_hash, sessions_valid_from, created_at, updated_at)"
        " SELECT n || '@example.com', n || '@example.com', '-', now(), now(), now() FROM generate_series(1, %s) AS n",
        wallets,
    )
    do(
        database,
        "INSERT INTO tallybook.wallets (owner_user_id, version, digest, created_at, updated_at)"
        " SELECT user_id, %s, sha256(convert_to(user_id || '/' || %s, 'UTF8')), now(), now() FROM tallybook.users"
        " WHERE email NOT LIKE 'user%%'",
        each,
        each,
    )
    do(
        database,
        "INSERT INTO tallybook.transfers (wallet_id, version, kind, debit, credit, amount_micro, available_after,"
        " held_after, debt_after, app_id, created_at, digest) SELECT w.wallet_id, n, 'grant', 'purchases',"
        " 'available', 1, n, 0, 0, 1, now(), sha256(convert_to(w.wallet_id || '/' || n, 'UTF8'))"
        " FROM tallybook.wallets AS w, generate_series(1, %s) AS n WHERE w.wallet_id > 3",
        each,
    )


@pytest.fixture
def due(ctx: Context, tmp_path: Path) -> Context:
    """A context whose worker anchors every day."""
    return replace(ctx, anchors_dir=tmp_path / "kept" / "anchors")


async def test_an_anchor_is_due_when_the_newest_is_a_day_old(due: Context, clock: FrozenClock) -> None:
    first = await anchors.export_when_due(due)
    clock.advance(hours=23, minutes=59)
    early = await anchors.export_when_due(due)
    clock.advance(minutes=1)
    second = await anchors.export_when_due(due)

    assert first is not None and second is not None
    assert (first.number, early, second.number, second.before) == (1, None, 2, first.digest)


async def test_without_a_folder_no_anchor_is_due(ctx: Context) -> None:
    assert await anchors.export_when_due(ctx) is None


async def test_a_clock_that_was_set_back_does_not_put_anchors_out_of_order(
    due: Context, clock: FrozenClock
) -> None:
    assert due.anchors_dir is not None
    first = await anchors.export(due, due.anchors_dir, progress=unwatched)
    clock.advance(hours=-3)

    second = await anchors.export(due, due.anchors_dir, progress=unwatched)

    compared = await anchor_checks.compare(due, due.anchors_dir, progress=unwatched)
    assert (second.taken_at, compared.faults) == (first.taken_at, [])


async def test_of_many_workers_that_find_an_anchor_due_one_exports_it(due: Context) -> None:
    exported = await asyncio.gather(*(anchors.export_when_due(due) for _ in range(8)))

    assert [found.number for found in exported if found is not None] == [1]


async def test_who_asks_while_another_process_exports_is_told_so(due: Context) -> None:
    assert due.anchors_dir is not None

    with (
        AnchorFolder(due.anchors_dir).exporting(),
        pytest.raises(AnchorFailedError, match="Another process"),
    ):
        await anchors.export(due, due.anchors_dir, progress=unwatched)


async def _while_working(ctx: Context, until: Callable[[], bool]) -> None:
    stop = asyncio.Event()
    working = asyncio.create_task(run_worker(ctx, stop))
    deadline = time.monotonic() + 20
    while not until():
        assert time.monotonic() < deadline, "it did not come to that"
        await asyncio.sleep(0.02)
    stop.set()
    await working


async def test_the_worker_exports_what_is_due(due: Context) -> None:
    assert due.anchors_dir is not None
    place = AnchorFolder(due.anchors_dir)

    with capture_logs() as logs:
        await _while_working(due, lambda: any(line["event"] == "anchor_exported" for line in logs))

    assert place.files()

    assert [line["event"] for line in logs if line["event"].startswith("anchor")] == ["anchor_exported"]


async def test_a_worker_that_cannot_export_says_so_again_and_again(due: Context, tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file where the folder should be")
    hurried = replace(due, anchor_every_seconds=0)

    with capture_logs() as logs:
        await _while_working(
            hurried, lambda: sum(line["event"] == "anchor_not_exported" for line in logs) > 1
        )

    [failure, *_] = [line for line in logs if line["event"] == "anchor_not_exported"]
    assert (failure["log_level"], failure["code"]) == ("error", "anchor_failed")


@pytest.mark.ledger_tampered
@pytest.mark.parametrize("wallets", [1, 1000])
async def test_an_anchor_of_a_hundred_thousand_transfers_is_small_and_the_next_one_tiny(
    anchored: AnchoredLedger, wallets: int
) -> None:
    many_transfers(anchored.database, wallets=wallets)
    for path in [*anchored.files(), anchored.folder / "heads.cache"]:
        path.unlink()

    large = await anchored.anchor()
    do(
        anchored.database,
        "INSERT INTO tallybook.transfers SELECT wallet_id, version + 1, kind, debit, credit, amount_micro,"
        " available_after, held_after, debt_after, app_id, NULL, NULL, NULL, NULL, NULL, NULL, NULL, created_at,"
        " sha256('next') FROM tallybook.transfers WHERE wallet_id = 4 ORDER BY version DESC LIMIT 1",
    )
    do(anchored.database, "UPDATE tallybook.wallets SET version = version + 1 WHERE wallet_id = 4")
    small = await anchored.anchor()

    assert large.transfers > MANY * 0.99
    assert large.path.stat().st_size < 8 * large.transfers
    assert (small.transfers, small.path.stat().st_size < 1000) == (1, True)
    assert await anchored.faults() == []


@pytest.mark.ledger_tampered
async def test_a_row_in_the_middle_of_a_hundred_thousand_is_named(anchored: AnchoredLedger) -> None:
    many_transfers(anchored.database, wallets=1)
    await anchored.anchor()
    do(
        anchored.database,
        "UPDATE tallybook.transfers SET digest = sha256('x') WHERE wallet_id = 4 AND version > 54321",
    )

    [fault] = await anchored.faults()

    assert (fault.wallet_id, fault.version) == (4, 54322)


@pytest.mark.ledger_tampered
@pytest.mark.parametrize("late", [0, 0.05, 0.15])
async def test_a_killed_export_leaves_no_half_anchor(
    anchored: AnchoredLedger, late: float, tmp_path: Path
) -> None:
    many_transfers(anchored.database, wallets=100)
    env = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG"}} | {
        "DATABASE_URL": anchored.database.service_url,
        "MIGRATION_DATABASE_URL": anchored.database.owner_url,
        "TALLYBOOK_SECRET_KEY": SECRET,
    }
    child = subprocess.Popen(  # noqa: ASYNC220 - nothing else runs meanwhile
        [sys.executable, "-m", "tallybook", "ledger", "anchor", "--to", str(anchored.folder)],
        env=env,
        cwd=tmp_path,
    )
    try:
        while not list(anchored.folder.glob(".draft-*")) and child.poll() is None:
            time.sleep(0.002)  # noqa: ASYNC251
        time.sleep(late)  # noqa: ASYNC251
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()

    left = len(anchored.files())
    if late == 0:
        assert (child.returncode, left) == (-signal.SIGKILL, 3), "it was killed while it wrote"
    assert await anchored.faults() == []
    await anchored.anchor()
    assert len(anchored.files()) == left + 1
    assert list(anchored.folder.glob(".draft-*")) == []
    assert await anchored.faults() == []
