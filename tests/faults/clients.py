"""Clients of the bank run: they spend, grant, hold, capture and release over HTTP, and repeat themselves.

Everything random comes from the generator that they are given. What is true is not judged here.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from faults.journal import SETTLING, Entry, Journal

CREDIT = 1_000_000
THINK_SECONDS = 0.04
AWAY_SECONDS = 0.5
"""A client that got no answer leaves the machine to those who come back."""

TIMEOUT_SECONDS = 8.0
UNSETTLED_MOST = 200
"""With more unknowns than this, clients ask for old ones before they begin anything new."""

# The last is what comes out of the HTTP client when a connection is reset in the moment in which it was made.
CUT_OFF = (httpx.TransportError, AttributeError)


@dataclass(frozen=True, slots=True)
class Account:
    """A customer and the wallet."""

    user_id: int
    wallet_id: int


@dataclass(slots=True)
class Client:
    """One caller with the app's key."""

    number: int
    rng: random.Random
    http: httpx.AsyncClient
    journal: Journal
    accounts: list[Account]
    run_id: str
    _made: int = 0
    _lost: int = 0

    async def run(self, over: Callable[[], bool]) -> None:
        """Act until it is over."""
        while not over():
            lost = self._lost
            await self._act()
            await asyncio.sleep(self.rng.random() * (THINK_SECONDS if self._lost == lost else AWAY_SECONDS))

    async def send(self, entry: Entry) -> None:
        """Send an entry's request, the first time or again, and write down what came."""
        seen = self.journal.versions[entry.wallet_id]
        entry.asked += 1
        answer = await self._post(entry, entry.body)
        if answer is None:
            return
        body: dict[str, Any] = answer.json()
        if entry.status is None and entry.lost and "Idempotent-Replayed" in answer.headers:
            self.journal.counts["booked while the answer was lost"] += 1
        self.journal.answered(entry, answer.status_code, body)
        if "wallet_after" in body and "Idempotent-Replayed" not in answer.headers:
            self.journal.saw(entry.wallet_id, body["wallet_after"], at_least=seen + 1)

    async def settle(self, entry: Entry) -> None:
        """Send until some answer settles it, with pauses."""
        while entry.status is None:
            await self.send(entry)
            if entry.status is None:
                await asyncio.sleep(0.05 + 0.2 * self.rng.random())

    def ask(self, op: str, account: Account, amount_micro: int, *, seed: bool = False) -> Entry:
        """Write down a new spend, grant or hold; ``seed`` takes the seed route (whole credits only)."""
        body: dict[str, Any] = {"amount_micro": amount_micro}
        if seed:
            verb = {"spend": "spend", "grant": "add"}[op]
            path = f"/api/financial/credits/{account.user_id}/{verb}"
            credits, odd = divmod(amount_micro, CREDIT)
            assert odd == 0, "the seed routes take credits, and no float is an amount here"
            return self._intend(op, account.wallet_id, path, {"credits": credits}, amount_micro)
        if op == "hold":
            path = "/v1/holds"
        else:
            path = "/v1/transfers"
            body["type"] = op
        if self.rng.random() < 0.5:
            body["wallet"] = f"wal_{account.wallet_id}"
        else:
            body["user_id"] = account.user_id
        return self._intend(op, account.wallet_id, path, body, amount_micro)

    def ask_capture(self, hold: Entry, amount_micro: int, *, final: bool) -> Entry:
        """Write down a capture of a hold that was placed."""
        assert hold.answer is not None
        name = str(hold.answer["id"])
        body = {"amount_micro": amount_micro, "final": final}
        path = f"/v1/holds/{name}/capture"
        return self._intend("capture", hold.wallet_id, path, body, amount_micro, hold=name)

    def ask_release(self, hold: Entry) -> Entry:
        """Write down a release of a hold that was placed."""
        assert hold.answer is not None
        name = str(hold.answer["id"])
        return self._intend("release", hold.wallet_id, f"/v1/holds/{name}/release", {}, 0, hold=name)

    async def misuse(self, entry: Entry) -> None:
        """Send a settled key with other terms."""
        assert entry.status is not None
        answer = await self._post(entry, entry.body | {"description": "other terms"})
        if answer is not None:
            self.journal.misused(entry, answer.status_code, answer.json())

    async def look(self, account: Account) -> None:
        """Read a wallet: what any answer showed before must still be so."""
        seen = self.journal.versions[account.wallet_id]
        try:
            answer = await self.http.get(f"/v1/wallets/wal_{account.wallet_id}")
        except CUT_OFF:
            return
        if answer.status_code == 200:
            self.journal.counts["reads"] += 1
            self.journal.saw(account.wallet_id, answer.json(), at_least=seen)

    async def _act(self) -> None:
        roll = self.rng.random()
        entries = self.journal.entries
        crowded = len(self.journal.unsettled) > UNSETTLED_MOST
        if not entries or (roll < 0.68 and not crowded):
            entry = self._anything()
            # Now and then a client that is in a hurry sends it twice at once.
            await asyncio.gather(*(self.send(entry) for _ in range(2 if roll < 0.05 else 1)))
            if entry.status is None and self.rng.random() < 0.5:
                await asyncio.sleep(0.3 * self.rng.random())
                await self.send(entry)
        elif roll < 0.86:
            unknown = self.journal.unknown if crowded or self.rng.random() < 0.3 else []
            await self.send(self.rng.choice(unknown or entries))
        elif roll < 0.93:
            settled = self.rng.choice(entries)
            if settled.status is not None:
                await self.misuse(settled)
        else:
            await self.look(self.rng.choice(self.accounts))

    def _anything(self) -> Entry:
        account = self.rng.choice(self.accounts)
        roll, seed = self.rng.random(), self.rng.random() < 0.3
        amount = self.rng.randint(1, 5) * CREDIT
        odd = 0 if seed else self.rng.randint(0, CREDIT - 1)
        if roll < 0.38:
            return self.ask("spend", account, amount + odd, seed=seed)
        if roll < 0.58:
            return self.ask("grant", account, amount + odd, seed=seed)
        if roll < 0.78 or not self.journal.holds:
            return self.ask("hold", account, amount + odd)
        # Mostly a fresh hold, sometimes one that is long settled: that must be refused, and change nothing.
        recent = self.journal.holds[-40:] if self.rng.random() < 0.9 else self.journal.holds
        hold = self.rng.choice(recent)
        if roll < 0.92:
            most = hold.amount_micro + (CREDIT if self.rng.random() < 0.1 else 0)
            return self.ask_capture(hold, self.rng.randint(1, most), final=self.rng.random() < 0.6)
        return self.ask_release(hold)

    def _intend(
        self,
        op: str,
        wallet_id: int,
        path: str,
        body: dict[str, Any],
        amount_micro: int,
        hold: str | None = None,
    ) -> Entry:
        self._made += 1
        entry = Entry(
            number=len(self.journal.entries),
            client=self.number,
            op=op,
            wallet_id=wallet_id,
            key=f"{self.run_id}-{self.number}-{self._made}",
            path=path,
            body=body,
            amount_micro=amount_micro,
            hold=hold,
        )
        self.journal.intend(entry)
        return entry

    async def _post(self, entry: Entry, body: dict[str, Any]) -> httpx.Response | None:
        """The answer if it settles anything; else that is written down."""
        try:
            answer = await self.http.post(entry.path, json=body, headers={"Idempotency-Key": entry.key})
        except CUT_OFF as failure:
            self._lost += 1
            self.journal.lost(entry, f"connection: {type(failure).__name__}")
            return None
        if answer.status_code in SETTLING:
            return answer
        self._lost += 1
        if answer.status_code == 503:
            self.journal.lost(entry, str(answer.json()["code"]))
            if "Retry-After" not in answer.headers:
                self.journal.faults.append(f"503 without Retry-After: {answer.text}")
        else:
            self.journal.lost(entry, f"status {answer.status_code}")
            self.journal.faults.append(f"{entry.path} answered {answer.status_code}: {answer.text[:300]}")
        return None
