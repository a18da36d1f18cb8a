"""Spend once a second, whether the service is there or not: within a lease, settled when it is back.

Stop the service while this runs, and start it again. Needs API_BASE_URL and API_KEY. The user's id is the argument, and
after it, optionally, how many times to spend. The outbox is the file OUTBOX, by default outbox.sqlite in this folder.
"""

from __future__ import annotations

import os
import sys
import time

from credit_sdk import Client, CreditError, FailOpen, OutboxSpend

PACE_SECONDS = float(os.environ.get("PACE_SECONDS", "1"))


def report(lost: OutboxSpend) -> None:
    """Somebody should know."""
    print(f"Could not be collected: {lost.amount_micro} micro-credits of {lost.key}: {lost.problem}")


def main(user_id: int, times: int) -> None:
    """Spend a hundredth of a credit, again and again."""
    terms = FailOpen(
        lease=1,
        outbox=os.environ.get("OUTBOX", "outbox.sqlite"),
        patience_seconds=1,
        pause_seconds=1,
        on_uncollected=report,
    )
    run = os.urandom(4).hex()
    with Client(os.environ["API_BASE_URL"], api_key=os.environ["API_KEY"], when_away=terms) as client:
        for number in range(times):
            try:
                spent = client.transfers.spend(user_id, "0.01", idempotency_key=f"{run}-{number}")
            except CreditError as problem:
                print(f"{number}: refused, {problem}")
            else:
                print(f"{number}: {'from the lease' if spent.pending else spent.id}", flush=True)
            time.sleep(PACE_SECONDS)
        until = time.monotonic() + 60
        while (left := client.outbox.settle()).pending and time.monotonic() < until:
            time.sleep(PACE_SECONDS)
        print(f"Settled; {left.pending} pending.")
        client.outbox.release_leases()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 30)
