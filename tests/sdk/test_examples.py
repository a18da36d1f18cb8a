"""The SDK's examples run to their end against a running Tallybook."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from running_service import EMAIL, Running

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(running: Running, example: str, **more: str) -> str:
    env = {"API_BASE_URL": running.base_url, "API_KEY": running.api_key} | more
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / example), str(running.user_id)],
        env=env,
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
