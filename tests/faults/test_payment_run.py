"""The payment run: customers buy while the worker is killed twenty times and PostgreSQL three.

Who paid once receives once. The same journal and checks as the bank run, with buyers instead of clients.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import running_service
from faults.bank import open_bank
from faults.buyers import Buyer
from faults.clients import Client
from faults.journal import Journal
from faults.killer import kill_in_turn
from faults.run import PATIENCE_SECONDS, Run
from faults.test_bank_run import SEED

ACCOUNTS = 8
WORKER_KILLS = 20
POSTGRES_KILLS = 3
PAUSE_SECONDS = (0.1, 0.4)


class PaymentRun(Run):
    """Buyers instead of clients; the worker dies seven times for each death of PostgreSQL."""

    async def _traffic(self, clients: list[Client], buyers: list[Buyer]) -> None:
        del clients  # They only open the accounts, and settle at the end.
        postgres, _, worker = self.victims

        def over() -> bool:
            enough = len(worker.kills) >= WORKER_KILLS and len(postgres.kills) >= POSTGRES_KILLS
            return enough and worker.done

        turns = [*([[worker]] * 7), [postgres]]
        async with asyncio.timeout(self.seconds + PATIENCE_SECONDS), asyncio.TaskGroup() as group:
            killing = group.create_task(kill_in_turn(turns, self._rng(), PAUSE_SECONDS, over))
            for buyer in buyers:
                group.create_task(buyer.run(killing.done))


@pytest.mark.timeout(600)
def test_every_paid_session_is_granted_once_while_its_workers_are_killed(tmp_path: Path) -> None:
    print(f"TALLYBOOK_FAULTS_SEED={SEED}")
    journal = Journal.at(tmp_path / "journal.jsonl")
    try:
        with open_bank(tmp_path, accounts=ACCOUNTS) as bank:
            outcome = asyncio.run(PaymentRun(bank, journal, seed=SEED, seconds=60).carry_out())
            verified = running_service.run_cli(bank.serve.env, "ledger", "verify", "--json")
    finally:
        journal.close()
    print(outcome.summary())

    assert outcome.faults == [], "\n".join(outcome.faults[:20])
    assert verified["faults"] == []
    worker = [kill for kill in outcome.kills if kill.victim == "worker"]
    assert len(worker) >= WORKER_KILLS
    assert sum(kill.hit for kill in worker) > 0, "no kill of the worker cut anything off"
    assert sum(outcome.paid.values()) > WORKER_KILLS, "hardly anything was paid"
