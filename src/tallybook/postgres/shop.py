"""What a refusal needs to know to be of help, kept in memory: refusals are frequent when a poor wallet is asked much.

What products cost at Stripe changes rarely and is read again after half a minute; whose wallet it is never changes.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

from tallybook.domain.catalog.offers import PayDesk, Ware, covering, wares
from tallybook.domain.catalog.products import Catalog
from tallybook.domain.errors import DatabaseUnavailableError
from tallybook.domain.money import Credits
from tallybook.postgres import catalog as catalog_links
from tallybook.postgres import ledger
from tallybook.postgres.pool import Database

WARES_LIFETIME = timedelta(seconds=30)
OWNERS_MAX = 50_000


class Shop:
    """What is sold and to whom; ``public_url`` is where our own pages are, ``stripe`` whether payments can be taken."""

    def __init__(self, db: Database, catalog: Catalog, *, public_url: str, stripe: bool) -> None:
        """Nothing is read before the first refusal."""
        self.public_url = public_url
        self._db = db
        self._catalog = catalog
        self._stripe = stripe
        self._wares: tuple[Ware, ...] | None = None
        self._wares_until: datetime | None = None
        self._reading = asyncio.Lock()
        self._owners: dict[int, int | None] = {}

    def owned(self, wallet_id: int, owner_user_id: int | None) -> None:
        """Remember whose wallet it is, seen on the way to a request; None is an organisation's."""
        if len(self._owners) >= OWNERS_MAX:
            self._owners.clear()
        self._owners[wallet_id] = owner_user_id

    async def desk(self, now: datetime, wallet_id: int, shortfall: Credits) -> PayDesk:
        """Where a wallet's shortfall can be paid."""
        return PayDesk(
            offers=covering(await self._on_sale(now), shortfall),
            owner_user_id=await self._owner(wallet_id),
            public_url=self.public_url,
            stripe=self._stripe,
        )

    async def _owner(self, wallet_id: int) -> int | None:
        if wallet_id not in self._owners:
            async with self._db.snapshot() as tx:
                self.owned(wallet_id, (await ledger.wallet(tx, wallet_id)).owner_user_id)
        return self._owners[wallet_id]

    async def _on_sale(self, now: datetime) -> tuple[Ware, ...]:
        """What is sold; while one request reads the prices again, the others use the ones that are known."""
        if self._wares is None or (self._are_due(now) and not self._reading.locked()):
            async with self._reading:
                if self._are_due(now):
                    await self._read(now)
        return self._wares or ()

    def _are_due(self, now: datetime) -> bool:
        return self._wares_until is None or now >= self._wares_until

    async def _read(self, now: datetime) -> None:
        try:
            async with self._db.snapshot() as tx:
                links = await catalog_links.links(tx)
        except DatabaseUnavailableError:
            # The refusal itself was answered; it comes with what is known, and the next one looks again.
            return
        self._wares = wares(self._catalog, links)
        self._wares_until = now + WARES_LIFETIME
