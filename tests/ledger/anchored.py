"""A ledger with anchors, for tests of this folder: what it does on a day, and how its anchors are read and forged."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from databases import FrozenClock, TestDatabase
from ledger.books import Books
from ledger.rewriting import wallet_row, wipe

from tallybook.domain.errors import InsufficientCreditsError
from tallybook.domain.ledger.requests import Fault
from tallybook.usecases import anchor_checks, anchors, books
from tallybook.usecases.anchor_checks import Comparison
from tallybook.usecases.anchors import Exported
from tallybook.usecases.context import Context


def unwatched(*_: object) -> None:
    return None


class AnchoredLedger:
    """Books with a folder of anchors; wallets are numbered from 1 in the order of opening."""

    def __init__(self, ctx: Context, books: Books, clock: FrozenClock, folder: Path) -> None:
        self.ctx = ctx
        self.books = books
        self.clock = clock
        self.folder = folder
        self.unmoved: dict[int, str] = {}
        """The rows of wallets as they were before anything moved."""

    async def open(self) -> None:
        """A wallet with a hundred credits."""
        wallet = await self.books.a_wallet()
        self.unmoved[wallet] = wallet_row(self.database, wallet)
        await self.books.grant(wallet, 100, key="opening")

    @property
    def database(self) -> TestDatabase:
        return self.books.database

    async def day(self, *, spends: tuple[int, ...]) -> None:
        """A day on which every wallet spends these credits, and asks once for more than it has."""
        self.clock.advance(days=1)
        self.books.now = self.clock.now
        for wallet in (1, 2, 3):
            for place, credits in enumerate(spends):
                await self.books.spend(wallet, credits, key=f"{self.clock.now:%d}-{place}")
            with pytest.raises(InsufficientCreditsError):
                await self.books.spend(wallet, 5000, key=f"{self.clock.now:%d}-refused")

    async def anchor(self) -> Exported:
        return await anchors.export(self.ctx, self.folder, progress=unwatched)

    async def compare(self, **given: Any) -> Comparison:
        return await anchor_checks.compare(self.ctx, self.folder, progress=unwatched, **given)

    async def faults(self) -> list[Fault]:
        return (await self.compare()).faults

    async def inside(self) -> list[Fault]:
        """What the checks inside the database find."""
        _, faults = await books.verify(self.ctx)
        return list(faults)

    def files(self) -> list[Path]:
        return sorted(self.folder.glob("anchor-*"))


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.open(path)]


def write(path: Path, lines: list[dict[str, Any]], *, seal: bool) -> None:
    """Put other lines into an anchor; with ``seal`` it looks whole by itself."""
    texts = [json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in lines]
    if seal:
        texts[-1] = json.dumps({"sha256": hashlib.sha256(b"".join(texts[:-1])).hexdigest()}).encode() + b"\n"
    path.chmod(0o644)
    path.write_bytes(gzip.compress(b"".join(texts)))


async def rewrite(ledger: AnchoredLedger, wallet: int, *, second: int) -> None:
    """Replace a wallet's history by one in which the spend after the first cost something else."""
    found = await ledger.books.rows(
        "SELECT version, key, amount_micro / 1000000 AS credits, app_id, created_at FROM tallybook.transfers"
        f" WHERE wallet_id = {wallet} ORDER BY version"
    )
    refused = await ledger.books.rows(
        f"SELECT key, created_at FROM tallybook.refusals WHERE wallet_id = {wallet}"
    )
    wipe(ledger.database, wallet, back_to=ledger.unmoved[wallet])
    for line in found:
        ledger.books.now = line["created_at"]
        if line["version"] == 1:
            await ledger.books.grant(wallet, line["credits"], key=line["key"])
        else:
            credits = second if line["version"] == 3 else line["credits"]
            await ledger.books.spend(wallet, credits, key=line["key"], app_id=line["app_id"])
        for refusal in refused:
            if refusal["created_at"] == line["created_at"] and line["version"] in {3, 5, 6}:
                with pytest.raises(InsufficientCreditsError):
                    await ledger.books.spend(wallet, 5000, key=refusal["key"])
