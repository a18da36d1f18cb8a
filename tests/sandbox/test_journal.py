"""The journal: every answer of the API and every event that was sent, one line each, over restarts and kills."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import stripe

from sandbox.process import start
from sandbox.receiver import Receiver
from stripe_sandbox.journal import JOURNAL_VARIABLE
from stripe_sandbox.kinds import API_VERSION

pytestmark = pytest.mark.timeout(60)


def lines(journal: Path) -> list[dict[str, Any]]:
    """Everything that was kept."""
    return [json.loads(line) for line in journal.read_text().splitlines()]


def test_it_keeps_what_callers_and_webhooks_got(tmp_path: Path, receiver: Receiver) -> None:
    journal = tmp_path / "journal"
    sandbox = start(options=("--journal", str(journal)))
    sandbox.control(
        "webhook_endpoints", url=receiver.url, secret="whsec_journal", enabled_events=["customer.created"]
    )
    made = sandbox.client().v1.customers.create({"name": "Zoë\nLee"})
    with pytest.raises(stripe.InvalidRequestError):
        sandbox.client().v1.customers.retrieve("cus_nobody")
    receiver.wait(1)
    sandbox.stop()

    kept = lines(journal)
    answers = [line for line in kept if line["kind"] == "answer"]
    [event] = [line for line in kept if line["kind"] == "event"]
    assert [(line["method"], line["path"], line["status"]) for line in answers] == [
        ("POST", "/v1/customers", 200),
        ("GET", "/v1/customers/cus_nobody", 404),
    ]
    assert answers[0]["body"]["name"] == "Zoë\nLee"
    assert answers[1]["body"]["error"]["code"] == "resource_missing"
    assert {line["version"] for line in kept} == {API_VERSION}
    assert (event["url"], event["outcome"]) == (receiver.url, 200)
    assert event["body"]["data"]["object"]["id"] == made.id
    assert event["body"] == json.loads(receiver.requests[0].body)
    assert stat.S_IMODE(journal.stat().st_mode) == 0o600


def test_a_killed_one_loses_nothing_and_the_next_one_goes_on(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    first = start(options=("--journal", str(journal)))
    first.client().v1.customers.create({"name": "Ada"})
    first.kill()
    with journal.open("ab") as torn:
        torn.write(b'{"kind": "answ')

    second = start(options=("--journal", str(journal)))
    second.client().v1.customers.create({"name": "Grace"})
    second.stop()

    ada, cut, grace = journal.read_text().splitlines()
    assert (json.loads(ada)["body"]["name"], json.loads(grace)["body"]["name"]) == ("Ada", "Grace")
    assert cut == '{"kind": "answ'


def test_the_environment_names_it_for_a_sandbox_that_another_program_starts(tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    process = subprocess.Popen(
        [sys.executable, "-m", "stripe_sandbox", "--port", "0", "--quiet"],
        stdout=subprocess.PIPE,
        env=os.environ | {JOURNAL_VARIABLE: str(journal)},
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    process.terminate()
    process.communicate(timeout=30)

    assert b"ready on" in line
    assert journal.exists()
