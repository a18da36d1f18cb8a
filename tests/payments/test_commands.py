"""The command line of the catalogue and of events, as an operator and as a script use it."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from running_service import environment, run_cli

from payments.desk import Till
from payments.money import bought

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
def env(bare_till: Till) -> dict[str, str]:
    """The settings of an installation over the till's database and sandbox."""
    return environment(bare_till.database, bare_till.sandbox.base_url, 8000, "a-signing-secret")


def people_see(env: dict[str, str], *arguments: str) -> tuple[int, str]:
    """Run a command without --json; its status, and everything it prints."""
    done = subprocess.run(
        [sys.executable, "-m", "tallybook", *arguments],
        env=env | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


async def test_the_catalogue_is_shown_tried_and_pushed(bare_till: Till, env: dict[str, str]) -> None:
    before = await asyncio.to_thread(run_cli, env, "catalog", "show", "--json")
    tried = await asyncio.to_thread(run_cli, env, "catalog", "push", "--dry-run", "--json")
    untouched = bare_till.stripe_get("/v1/products")["data"]
    pushed = await asyncio.to_thread(run_cli, env, "catalog", "push", "--json")
    status, table = await asyncio.to_thread(people_see, env, "catalog", "show")

    assert (before[0]["product"], before[0]["price"], before[0]["stripe_price"]) == (
        "package_starter",
        "10.00 USD",
        None,
    )
    assert {line["action"] for line in tried} == {"create"}
    assert untouched == []
    assert [line["product"] for line in pushed] == [line["product"] for line in before]
    assert status == 0
    assert "package_enterprise" in table
    assert "price_" in table


async def test_events_are_listed_shown_and_replayed(bare_till: Till, env: dict[str, str]) -> None:
    event = {
        "id": "evt_of_the_tests",
        "object": "event",
        "type": "product.updated",
        "livemode": False,
        "created": 1763700000,
        "data": {"object": {"id": "cus_1", "object": "customer"}},
    }
    await bare_till.deliver(event)

    listed = await asyncio.to_thread(run_cli, env, "events", "list", "--status", "ignored", "--json")
    shown = await asyncio.to_thread(run_cli, env, "events", "show", "evt_of_the_tests", "--json")
    replayed = await asyncio.to_thread(
        run_cli, env, "events", "replay", "--since", "2020-01-01", "--status", "ignored", "--json"
    )
    unchosen = await asyncio.to_thread(people_see, env, "events", "replay")
    missing = await asyncio.to_thread(people_see, env, "events", "show", "evt_none")

    assert [(line["event"], line["outcome"]) for line in listed] == [("evt_of_the_tests", "unhandled_type")]
    assert shown["body"] == event
    assert replayed == {"replayed": ["evt_of_the_tests"]}
    assert bare_till.inbox() == [("product.updated", "received", None)]
    assert bare_till.ask("SELECT action FROM tallybook.audit_log") == [("events.replayed",)]
    assert unchosen[0] == 1
    assert "invalid_request" in unchosen[1]
    assert missing[0] == 1
    assert "event_not_found" in missing[1]


async def test_payments_are_listed_and_refunded_and_wallets_frozen(till: Till) -> None:
    env = environment(till.database, till.sandbox.base_url, 8000, "a-signing-secret")
    await bought(till)

    tried = await asyncio.to_thread(run_cli, env, "refund", "pay_1", "--amount", "400", "--preview", "--json")
    made = await asyncio.to_thread(run_cli, env, "refund", "pay_1", "--amount", "400", "--json")
    [listed] = await asyncio.to_thread(run_cli, env, "payments", "list", "--json")
    shown = await asyncio.to_thread(run_cli, env, "payments", "show", "pay_1", "--json")
    frozen = await asyncio.to_thread(run_cli, env, "credits", "freeze", str(till.user_id), "--json")
    thawed = await asyncio.to_thread(run_cli, env, "credits", "thaw", str(till.user_id), "--json")
    status, said = await asyncio.to_thread(people_see, env, "refund", "pay_1", "--amount", "601")

    assert (tried["would_take_credits"], tried["becomes_debt"]) == ("400", "0")
    assert (made["given_back"], made["taken_back"]) == ("4.00 USD", "400")
    assert (listed["payment"], listed["refunded"]) == ("pay_1", "4.00 USD")
    assert shown["refunds"] == [f"{made['refund']}: 4.00 USD, succeeded"]
    assert (frozen["frozen"], thawed["frozen"]) == (True, False)
    assert (status, "More than refunds" in said) == (1, True)
    assert till.credits() == 600
