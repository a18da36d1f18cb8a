"""The intake run: database, intake and worker are killed in turn while Stripe's events arrive.

Packs are bought, plans renewed, payments refunded and disputed. In the end every event that Stripe ever had is in the
inbox and settled, every payment is booked once, and each wallet has the credits of the money that was kept.
``TALLYBOOK_FAULTS_SECONDS`` and ``TALLYBOOK_FAULTS_SEED`` as in the bank run.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import httpx
import psycopg
import pytest
import running_service
from faults import books, checks, money
from faults.bank import Bank, open_bank
from faults.buyers import Buyer
from faults.clients import Client
from faults.journal import Journal
from faults.killer import ENOUGH, kill_in_turn
from faults.run import Outcome, Run
from faults.stripes_side import KINDS, MoneyBack, Subscriber
from faults.test_bank_run import SECONDS, SEED

ACCOUNTS = 8
SUBSCRIBERS = 3
PAUSE_SECONDS = (0.1, 0.6)
CROWD = 100
# A machine that is busy takes a minute to start three processes anew, three times.
PATIENCE_SECONDS = 600.0


class IntakeRun(Run):
    """Events of every kind instead of clients; what a kill cuts off are deliveries and events half done."""

    def __init__(self, bank: Bank, journal: Journal, *, seed: int, seconds: float) -> None:
        super().__init__(bank, journal, seed=seed, seconds=seconds)
        self.subscribers: list[Subscriber] = []
        self._cut_off: set[int] = set()
        for victim in self.victims[:2]:
            victim.damage = self._deliveries_cut_off
            victim.ripe = self._deliveries_wait

    async def _open(self, client: Client) -> None:
        """Nobody gets anything for nothing here: what wallets have in the end is what was paid for."""
        del client

    async def _traffic(self, clients: list[Client], buyers: list[Buyer]) -> None:
        del clients
        end = time.monotonic() + self.seconds
        stripe, http = buyers[0].stripe, buyers[0].http
        self.subscribers = [
            Subscriber(account, self._rng(), http, stripe, self.journal, self.run_id, self._crowded)
            for account in self.bank.accounts[:SUBSCRIBERS]
        ]
        for subscriber in self.subscribers:
            await subscriber.subscribe(self.bank)
        back = MoneyBack(self._rng(), stripe, self.journal, self._crowded)

        def over() -> bool:
            hit = all(victim.done for victim in self.victims)
            return hit and time.monotonic() > end and back.acts >= len(KINDS)

        try:
            async with asyncio.timeout(self.seconds + PATIENCE_SECONDS), asyncio.TaskGroup() as group:
                turns = [[victim] for victim in self.victims]
                killing = group.create_task(kill_in_turn(turns, self._rng(), PAUSE_SECONDS, over))
                for buyer in buyers:
                    # Who lives on a test clock buys nothing beside the plan.
                    buyer.accounts = self.bank.accounts[SUBSCRIBERS:]
                    group.create_task(buyer.run(killing.done))
                for subscriber in self.subscribers:
                    group.create_task(subscriber.run(killing.done))
                group.create_task(back.run(killing.done))
        except TimeoutError:
            kills = [kill for victim in self.victims for kill in victim.kills]
            raise AssertionError(f"the kills do not hit: {kills} {self.journal.counts}") from None

    async def _judge(self, stripe: httpx.AsyncClient, paid: dict[str, bool]) -> list[str]:
        found = books.read(self.bank.database.superuser_url)
        plans = {one.customer: one.order for one in self.subscribers}
        said = await money.stripes_word(stripe, self.journal.purchases, plans)
        ours = money.our_word(self.bank.database.superuser_url)
        returned = {one.reference for one in said.paid if one.is_returned}
        purchases = [one for one in self.journal.purchases if one.session not in returned]
        self.journal.counts["events"] = len(said.events)
        return [
            *self.journal.faults,
            *checks.final_state_faults(found),
            *checks.history_faults(found),
            *checks.zero_sum_faults(found),
            *checks.payment_faults(found, purchases, paid),
            *checks.verify_faults(found),
            *money.money_faults(said, ours),
            *money.inbox_faults(said, ours),
        ]

    def _deliveries_cut_off(self) -> int:
        """How many deliveries were ever seen to wait for another try."""
        self._cut_off |= {one["id"] for one in self._pending() if one["attempts"]}
        return len(self._cut_off)

    def _crowded(self) -> bool:
        """Whether enough waits already, at Stripe or in the inbox; while the database is away nobody knows."""
        waiting = len(self._pending())
        try:
            [row] = self.bank.rows(
                "SELECT count(*) AS events FROM tallybook.stripe_events WHERE settled_at IS NULL"
            )
        except psycopg.OperationalError:
            return waiting > CROWD
        return waiting + int(row["events"]) > CROWD

    def _deliveries_wait(self) -> bool:
        return bool(self._pending())

    def _pending(self) -> list[dict[str, int]]:
        answer = httpx.get(
            f"{self.bank.sandbox.base_url}/_sandbox/deliveries", params={"status": "pending"}, timeout=30
        )
        found: list[dict[str, int]] = answer.json()["data"]
        return found


@pytest.mark.timeout(SECONDS + 1200)
def test_no_event_is_lost_or_acts_twice_while_intake_worker_and_database_are_killed_in_turn(
    tmp_path: Path,
) -> None:
    print(f"TALLYBOOK_FAULTS_SEED={SEED} TALLYBOOK_FAULTS_SECONDS={SECONDS:g}")
    journal = Journal.at(tmp_path / "journal.jsonl")
    try:
        with open_bank(tmp_path, accounts=ACCOUNTS) as bank:
            outcome = asyncio.run(IntakeRun(bank, journal, seed=SEED, seconds=SECONDS).carry_out())
            verified = running_service.run_cli(bank.serve.env, "ledger", "verify", "--json")
    finally:
        journal.close()
    print(outcome.summary())

    assert outcome.faults == [], "\n".join(outcome.faults[:20])
    assert verified["faults"] == []
    _the_kills_hit(outcome)
    for what in ("renewals", "redeliveries", "events", *KINDS):
        assert journal.counts[what] > 0, f"no {what}"
    assert sum(outcome.paid.values()) > 0, "nothing was bought"


def _the_kills_hit(outcome: Outcome) -> None:
    for victim in ("postgres", "service", "worker"):
        mine = [kill for kill in outcome.kills if kill.victim == victim]
        assert len(mine) >= ENOUGH, f"{victim} was killed {len(mine)} times only"
        assert all(kill.pid_before != kill.pid_after for kill in mine), f"{victim} outlived a kill"
        assert sum(kill.hit for kill in mine) > 0, f"no kill of {victim} cut anything off"
