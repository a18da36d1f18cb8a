"""A process that streams over a hold, charging parts, until somebody kills it.

Run as a program: its terms come as a line of JSON; it says ``held HOLD`` and goes on with what its key had begun, if
anything. Once it has streamed what it was told to, it waits.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

from credit_sdk import Client

USED = 5
PART = 2


def say(*words: object) -> None:
    """Say a line, at once."""
    print(*words, flush=True)


def stream(client: Client, given: dict[str, Any]) -> None:
    """Metered work, charged in parts while it runs; the hold is kept alive."""
    terms = {name: given[name] for name in ("lifetime_seconds", "on_expiry", "idempotency_key")}
    with client.metered(given["user"], given["held"], heartbeat=True, capture_every=PART, **terms) as job:
        say("held", job.hold.id)
        for _ in range(USED):
            job.used(1)
        sys.stdin.readline()


def place(client: Client, given: dict[str, Any]) -> None:
    """A hold that the app settles itself, with an estimate below what is held."""
    key = given["idempotency_key"]
    terms = {name: given[name] for name in ("lifetime_seconds", "on_expiry", "estimate")}
    hold = client.holds.place(given["user"], given["held"], idempotency_key=key, **terms)
    say("held", hold.id)
    for part in range(USED // PART):
        client.holds.capture(hold.id, PART, final=False, idempotency_key=f"{key}.{part}")
    sys.stdin.readline()


def main() -> None:
    """Do what the line says."""
    given = json.loads(sys.stdin.readline())
    with Client(given["base_url"], api_key=os.environ["API_KEY"]) as client:
        (place if "estimate" in given else stream)(client, given)


if __name__ == "__main__":
    main()
