"""Read a balance, spend credits, and offer a checkout when they are short.

Needs DATABASE_URL (the app's own database login) or API_BASE_URL, and API_KEY. The user's id is the argument.
"""

from __future__ import annotations

import os
import sys

from credit_sdk import Client, CreditSDK

COST = 5


def main(user_id: int) -> None:
    """Spend once; running it again spends again, since each run is a job of its own."""
    base_url, api_key = os.environ["API_BASE_URL"], os.environ["API_KEY"]
    with CreditSDK(os.environ.get("DATABASE_URL") or base_url, api_key=api_key) as sdk:
        print(f"Before: {sdk.get_balance(user_id)} credits")
        if sdk.consume_credits(user_id, COST, "An example"):
            print(f"After: {sdk.get_balance(user_id)} credits")
            return
    with Client(base_url, api_key=api_key) as client:
        checkout = client.checkouts.create(
            "package_starter",
            success_url=f"{base_url}/credits/success",
            cancel_url=f"{base_url}/credits",
            user_id=user_id,
        )
    print(f"Not enough credits. Buy {checkout.credits_micro // 1_000_000} here: {checkout.url}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
