"""The bank run: random traffic over HTTP and paid checkouts while service, worker and PostgreSQL are killed.

``TALLYBOOK_FAULTS_SECONDS`` makes it longer, ``TALLYBOOK_FAULTS_SEED`` repeats the choices of a run (which of them meet
a kill depends on the machine). What the checks are is in ``docs/faults.md``.
"""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest
import running_service
from faults.bank import Bank, open_bank
from faults.journal import Journal
from faults.killer import the_kills_hit
from faults.run import Outcome, Run

SECONDS = float(os.environ.get("TALLYBOOK_FAULTS_SECONDS", "20"))
SEED = int(os.environ.get("TALLYBOOK_FAULTS_SEED", "0")) or random.SystemRandom().randrange(1, 10**9)
ACCOUNTS = 16


@pytest.mark.timeout(SECONDS + 600)
def test_a_bank_run_under_kills_breaks_no_promise(tmp_path: Path) -> None:
    print(f"TALLYBOOK_FAULTS_SEED={SEED} TALLYBOOK_FAULTS_SECONDS={SECONDS:g}")
    journal = Journal.at(tmp_path / "journal.jsonl")
    try:
        with open_bank(tmp_path, accounts=ACCOUNTS) as bank:
            outcome = asyncio.run(Run(bank, journal, seed=SEED, seconds=SECONDS).carry_out())
            verified = running_service.run_cli(bank.serve.env, "ledger", "verify", "--json")
            orphans = _orphans(bank)
    finally:
        journal.close()
    print(outcome.summary())

    assert outcome.faults == [], "\n".join(outcome.faults[:20])
    assert verified["faults"] == []
    assert orphans == []
    the_kills_hit(outcome.kills, outcome.journal.counts)
    _the_traffic_was_what_it_should_be(outcome)


def _orphans(bank: Bank) -> list[dict[str, object]]:
    """Events that are not settled; there must be none."""
    return bank.rows("SELECT event_id, status FROM tallybook.stripe_events WHERE settled_at IS NULL")


def _the_traffic_was_what_it_should_be(outcome: Outcome) -> None:
    """Nor does a run in which nothing happened, or nothing was ever refused."""
    counts = outcome.journal.counts
    for kind in ("spend 201", "spend 200", "spend 402", "grant 201", "grant 200", "hold 201", "hold 402"):
        assert counts[kind] > 0, f"no {kind}"
    for kind in ("capture 200", "capture 409", "release 200", "replays", "misuses", "reads", "redeliveries"):
        assert counts[kind] > 0, f"no {kind}"
    assert sum(outcome.paid.values()) > 0, "nothing was paid"
    assert not all(outcome.paid.values()), "everything was paid"
