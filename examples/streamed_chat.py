"""A model that streams: charged for what it used when it ends, when the reader leaves, and when it fails; once.

The hold is extended while the stream runs, and each tenth of a credit is charged on the way. If this program is
killed, what was not charged yet follows from the hold's policy: here it is given back to the customer.

Needs API_BASE_URL and API_KEY. The user's id is the argument, and after it, optionally, how many words to read.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from decimal import Decimal

from credit_sdk import AsyncClient

CREDITS_PER_WORD = Decimal("0.01")
PACE_SECONDS = float(os.environ.get("PACE_SECONDS", "0.01"))
LIFETIME_SECONDS = int(os.environ.get("LIFETIME_SECONDS", "60"))


async def model(question: str) -> AsyncIterator[str]:
    """Stand in for a model; it goes on until nobody reads any more."""
    while True:
        for word in f"You asked: {question}".split():
            await asyncio.sleep(PACE_SECONDS)
            yield word


async def answer(client: AsyncClient, user_id: int, question: str, chat: str) -> AsyncGenerator[str, None]:
    """The words of the model. However this ends, the words that were given out are charged, once."""
    async with client.metered(
        user_id,
        estimate=5,
        description="Chat",
        service="chat",
        lifetime_seconds=LIFETIME_SECONDS,
        heartbeat=True,
        capture_every=Decimal("0.1"),
        # A reader who leaves closes this generator, which is an exception in here: charge it all the same.
        charge_on_failure=True,
        idempotency_key=chat,
    ) as job:
        async for word in model(question):
            job.used(CREDITS_PER_WORD)
            yield word


async def main(user_id: int, words: int) -> None:
    """Read so many words, then leave."""
    async with (
        AsyncClient(os.environ["API_BASE_URL"], api_key=os.environ["API_KEY"]) as client,
        aclosing(answer(client, user_id, "what does this cost?", f"chat-{os.urandom(8).hex()}")) as stream,
    ):
        count = 0
        async for word in stream:
            print(word, end=" ", flush=True)
            count += 1
            if count == words:
                break
    print(f"\nRead {count} words.")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 25))
