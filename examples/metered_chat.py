"""Work of unknown cost: hold an estimate, charge what was used, charge nothing when the work fails.

Needs API_BASE_URL and API_KEY. The user's id is the argument.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from decimal import Decimal

from credit_sdk import AsyncClient, InsufficientCreditsError

CREDITS_PER_WORD = Decimal("0.01")


async def answer(question: str) -> AsyncIterator[str]:
    """Stand in for a model that streams."""
    for word in f"You asked: {question}".split():
        await asyncio.sleep(0.01)
        yield word


async def main(user_id: int) -> None:
    """Stream one answer and pay for its words."""
    async with AsyncClient(os.environ["API_BASE_URL"], api_key=os.environ["API_KEY"]) as client:
        try:
            async with client.metered(user_id, estimate=1, description="Chat", service="chat") as job:
                async for word in answer("what does this cost?"):
                    print(word, end=" ", flush=True)
                    job.used(CREDITS_PER_WORD)
        except InsufficientCreditsError as short:
            print(f"Not enough credits: {short.facts['shortfall_micro'] / 1_000_000:g} are missing.")
            return
    assert job.settled is not None
    left = job.settled.wallet_after
    assert left is not None
    print(f"\nCharged {job.recorded_micro} micro-credits, {left.available} credits left.")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
