"""A job that runs out of credits: show the offers and a link, wait until somebody paid, and go on where it stopped.

Needs API_BASE_URL and API_KEY. The user's id is the argument.
"""

from __future__ import annotations

import os
import sys
import time

from credit_sdk import Client, InsufficientCreditsError

COST = 150
PATIENCE_SECONDS = 600
LOOK_EVERY_SECONDS = 2


def main(user_id: int) -> None:
    """One job, paid for once, however often it has to wait for credits."""
    job_key = f"job_{os.urandom(8).hex()}"
    resume: str | None = None
    with Client(os.environ["API_BASE_URL"], api_key=os.environ["API_KEY"]) as client:
        while True:
            try:
                done = client.transfers.spend(
                    user_id, COST, description="A long job", idempotency_key=job_key, resume=resume
                )
            except InsufficientCreditsError as short:
                resume = short.resume_token
                tell(short)
                wait_for(client, user_id, short.facts["requested_micro"])
            else:
                break
    print(f"Done: {COST} credits spent, {done.wallet_after.available} left.")


def tell(short: InsufficientCreditsError) -> None:
    """What an app would show to its user."""
    print(f"{short.facts['shortfall_micro'] / 1_000_000:g} credits are missing. What would do:")
    for offer in short.offers:
        credits = offer["credits_micro"] // 1_000_000
        price = f"{offer['amount_minor']} {offer['currency']} (smallest unit)"
        print(f"  {offer['quantity']} x {offer['name']}: {credits} credits for {price}")
    print(f"Pay here: {short.pay_url or short.facts['pay_url_reason']}", flush=True)


def wait_for(client: Client, user_id: int, micro: int) -> None:
    """Look now and then; an app with webhooks of its own would rather be told."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while client.wallets.list(user_id).data[0].available_micro < micro:
        if time.monotonic() > deadline:
            sys.exit("Nobody paid. The token stays good: run the same request with it later.")
        time.sleep(LOOK_EVERY_SECONDS)


if __name__ == "__main__":
    main(int(sys.argv[1]))
