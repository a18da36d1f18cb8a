"""What has to be done from time to time, whoever asks."""

from __future__ import annotations

from datetime import timedelta

from tallybook.postgres import remembered
from tallybook.usecases.context import Context

SECRETS_KEPT = timedelta(hours=24)
"""How long a retry of a request that made a key or a session gets the same one again."""


async def forget_secrets(ctx: Context) -> int:
    """Forget remembered answers that hold keys or tokens, once nobody retries them any more; how many."""
    async with ctx.db.transaction() as tx:
        return await remembered.forget_secrets(tx, ctx.clock() - SECRETS_KEPT)
