"""The official Stripe CLI, pointed at the sandbox, triggers what Tallybook listens to; the books stay true.

What the CLI makes belongs to no order of ours: every event must be settled, and none may bring a credit.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest
from contract.recorder import record
from contract.stripe_cli import TOOL, StripeCli
from databases import TestDatabase
from running_service import Running, running_service
from sandbox.process import Running as Sandbox
from sandbox.process import running as running_sandbox

from tallybook.domain.payments.handled import HANDLED_TYPES

pytestmark = pytest.mark.timeout(240)

# The events of a customer and a card that a billing service listens to, beside those that are worked on.
LISTENED_TO = HANDLED_TYPES | {
    "payment_intent.requires_action",
    "payment_intent.processing",
    "payment_intent.canceled",
    "setup_intent.succeeded",
    "setup_intent.setup_failed",
    "payment_method.attached",
    "payment_method.detached",
    "payment_method.automatically_updated",
    "customer.updated",
    "customer.deleted",
}
AT_ONCE = 3
SETTLED = 120
# The catalogue is pushed before the service answers: its events wait as long as that takes.
PATIENT = ("--retry-first", "0.05", "--retry-longest", "0.5", "--retry-attempts", "1000")


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> StripeCli:
    """The CLI."""
    return StripeCli(tmp_path_factory.mktemp("stripe_cli"))


@pytest.fixture
def triggered(database: TestDatabase, tmp_path: Path) -> Iterator[Running]:
    """A service with its worker, beside a sandbox that nobody else uses."""
    with (
        running_sandbox(options=PATIENT) as sandbox,
        running_service(database, sandbox, tmp_path) as found,
    ):
        yield found


def table_of_missing() -> set[str]:
    """The events that the tool's page says are not to be had from the CLI."""
    text = (TOOL / "README.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| `")]
    return {row.strip("`") for row in rows}


def told(sandbox: Sandbox) -> dict[str, str]:
    """Type of every event of a sandbox, by id."""
    events: dict[str, str] = {}
    after: dict[str, str] = {}
    http = sandbox.http()
    while True:
        page = http.get("/v1/events", params={"limit": "100"} | after).json()
        events |= {event["id"]: event["type"] for event in page["data"]}
        if not page["has_more"]:
            return events
        after = {"starting_after": page["data"][-1]["id"]}


def undelivered(sandbox: Sandbox) -> int:
    """How many deliveries have not ended."""
    health = httpx.get(f"{sandbox.base_url}/_sandbox/health").json()
    return int(sum(count for status, count in health["deliveries"].items() if status != "succeeded"))


def test_what_the_cli_cannot_trigger_is_written_down(cli: StripeCli) -> None:
    assert LISTENED_TO - cli.events == table_of_missing()


def test_the_cli_triggers_every_event_that_we_listen_to_and_nothing_is_granted(
    cli: StripeCli, triggered: Running
) -> None:
    sandbox = triggered.sandbox
    wanted = sorted(LISTENED_TO & cli.events)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = dict(
            zip(wanted, pool.map(lambda name: cli.trigger(name, sandbox.base_url), wanted), strict=True)
        )

    failures = {name: one.stdout + one.stderr for name, one in done.items() if one.returncode}
    assert failures == {}
    assert set(wanted) - set(told(sandbox).values()) == set()
    inbox = settled_inbox(triggered)
    assert {(status, outcome) for _, status, outcome in inbox if status not in {"done", "ignored"}} == set()
    assert set(told(sandbox).values()) - {kind for kind, _, _ in inbox} == set()
    with psycopg.connect(triggered.database.superuser_url) as connection:
        [[transfers]] = connection.execute("SELECT count(*) FROM tallybook.transfers").fetchall()
        [[payments]] = connection.execute("SELECT count(*) FROM tallybook.payments").fetchall()
        faults = connection.execute("SELECT * FROM tallybook.verify_v3()").fetchall()
    assert (transfers, payments, faults) == (0, 0, [])
    assert record(sandbox.base_url).deviations == []


def settled_inbox(running: Running) -> list[tuple[str, str, str | None]]:
    """Type, status and outcome of all events, once all were delivered and none waits."""
    deadline = time.monotonic() + SETTLED
    while True:
        with psycopg.connect(running.database.superuser_url) as connection:
            rows = connection.execute("SELECT type, status, outcome FROM tallybook.stripe_events").fetchall()
        waiting = [row for row in rows if row[1] in {"received", "retry", "processing"}]
        missing = undelivered(running.sandbox)
        if not waiting and not missing:
            return rows
        assert time.monotonic() < deadline, (missing, waiting)
        time.sleep(0.1)
