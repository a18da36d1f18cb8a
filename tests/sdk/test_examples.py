"""The SDK's examples run to their end against a running Tallybook."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from running_service import EMAIL, Running

from credit_sdk import Client

EXAMPLES = Path(__file__).parents[2] / "examples"


def environment(running: Running) -> dict[str, str]:
    return {"API_BASE_URL": running.base_url, "API_KEY": running.api_key}


def run(running: Running, example: str, *arguments: str, **more: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / example), str(running.user_id), *arguments],
        env=environment(running) | more,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_job_waits_for_its_payment_and_goes_on(running: Running) -> None:
    waiting = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "resume_after_payment.py"), str(running.user_id)],
        env={"API_BASE_URL": running.base_url, "API_KEY": running.api_key},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert waiting.stdout is not None
    said = []
    for line in waiting.stdout:
        said.append(line.strip())
        if line.startswith("Pay here: "):
            break
    checkout = running.http().post(said[-1].removeprefix("Pay here: "), data={"offer": "pack_100"})
    session_id = checkout.headers["Location"].rpartition("/")[2]
    running.sandbox.control(f"checkout/sessions/{session_id}/pay", card="4242424242424242")

    rest, _ = waiting.communicate(timeout=60)

    assert said[0] == "150 credits are missing. What would do:"
    assert "2 x 100 Credits: 200 credits for 2000 usd (smallest unit)" in said
    assert rest == "Done: 150 credits spent, 50 left.\n"
    assert waiting.returncode == 0


def charges(running: Running) -> list[int]:
    """What was charged, oldest first, in micro-credits."""
    with Client(running.base_url, api_key=running.api_key) as client:
        [wallet] = client.wallets.list(running.user_id).data
        lines = client.wallets.transfers(wallet.id, limit=100).data[::-1]
        return [line.amount_micro for line in lines if line.credit == "usage"]


def test_a_stream_that_is_left_or_killed_is_charged_for_what_was_read(running: Running) -> None:
    running.grant(EMAIL, 20)

    left = run(running, "streamed_chat.py", "25")
    charged_when_left = charges(running)
    killed = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "streamed_chat.py"), str(running.user_id), "1000"],
        env=environment(running) | {"PACE_SECONDS": "0.02", "LIFETIME_SECONDS": "3"},
        stdout=subprocess.PIPE,
    )
    assert killed.stdout is not None
    deadline = time.monotonic() + 60
    while len(charges(running)) < len(charged_when_left) + 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    killed.kill()
    words = len(killed.communicate()[0].split())
    with Client(running.base_url, api_key=running.api_key) as client:
        while (
            held := client.holds.list(running.user_id, status="open").data
        ) and time.monotonic() < deadline:
            time.sleep(0.1)
        [last, first] = client.holds.list(running.user_id, status="all").data

    assert "Read 25 words." in left
    assert charged_when_left == [100_000, 100_000, 50_000]
    assert not held
    assert (first.settled_by, last.settled_by) == ("capture", "expiry")
    of_the_killed = charges(running)[3:]
    assert set(of_the_killed) == {100_000}, "whole parts, and by the policy nothing of the rest"
    assert 0 <= words * 10_000 - sum(of_the_killed) < 300_000
    assert running.balance() == 20_000_000 - 250_000 - sum(of_the_killed)


def test_spending_goes_on_while_the_service_is_away(running: Running, tmp_path: Path) -> None:
    running.grant(EMAIL, 20)
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "fail_open.py"), str(running.user_id), "60"],
        env=environment(running) | {"PACE_SECONDS": "0.1", "OUTBOX": str(tmp_path / "outbox.sqlite")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    said = []
    for line in process.stdout:
        said.append(line.strip())
        if line.startswith("3: "):
            running.service.kill()
        if line.startswith("12: "):
            running.service.start()
    process.communicate(timeout=60)

    assert [line for line in said if "refused" in line or "Could not" in line] == []
    assert "10: from the lease" in said
    assert said[-1] == "Settled; 0 pending."
    assert charges(running) == [10_000] * 60
    assert running.balance() == 20_000_000 - 600_000


def test_the_examples_spend_meter_and_offer_a_checkout(running: Running) -> None:
    short = run(running, "metered_chat.py")
    offer = run(running, "spend_credits.py")
    running.grant(EMAIL, 20)
    over_http = run(running, "spend_credits.py")
    over_sql = run(running, "spend_credits.py", DATABASE_URL=running.app_database_url)
    chat = run(running, "metered_chat.py")

    assert "1 are missing" in short
    assert "Buy 1000 here: http" in offer
    assert "After: 15 credits" in over_http
    assert "After: 10 credits" in over_sql
    assert "Charged 60000 micro-credits, 9.94 credits left." in chat


def test_sub_agents_work_by_a_token_out_of_one_hold(running: Running) -> None:
    running.grant(EMAIL, 20)

    said = run(running, "sub_agents.py").splitlines()

    assert said == [
        "research: charged 3 credits",
        "research: 7 credits are left, so no more work",
        "writing: charged 4 credits",
        "writing: 3 credits are left, so no more work",
        "The run gave 3 credits back.",
    ]
    assert charges(running) == [3_000_000, 4_000_000]
    assert running.balance() == 13_000_000
