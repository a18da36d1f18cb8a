"""An app that fails open: a client of either kind over a gate before a running service, with a customer of its own."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from running_service import Running
from sdk.gate import Gate

from credit_sdk import AsyncClient, Client, FailOpen, OutboxSpend
from credit_sdk.answers import Balances, PostedTransfer, Transfer

CREDIT = 1_000_000


class Shop:
    """A client of either kind that fails open, over a gate before a running service, with a customer of its own."""

    def __init__(self, running: Running, place: Path, kind: str, gate: Gate) -> None:
        self.running, self.gate = running, gate
        self.told: list[OutboxSpend] = []
        self._place, self._kind = place, kind
        self._made: list[Client | AsyncClient] = []
        with Client(running.base_url, api_key=running.api_key) as direct:
            self.user = direct.users.create(f"{kind}@example.com", "a long password of the tests").user_id
            direct.transfers.grant(self.user, 100)
        self.client = self.another()

    def another(self, **more: Any) -> Client | AsyncClient:
        """A further client over the same outbox, as another process would have it."""
        terms = {
            "lease": 10,
            "outbox": self._place / f"{self._kind}.sqlite",
            "patience_seconds": 1.0,
            "pause_seconds": 0.05,
            "background": False,
            "on_uncollected": self.told.append,
        }
        make = Client if self._kind == "blocking" else AsyncClient
        made = make(self.gate.base_url, api_key=self.running.api_key, when_away=FailOpen(**terms | more))  # type: ignore[arg-type]
        self._made.append(made)
        return made

    async def call(
        self, what: str, *args: Any, client: Client | AsyncClient | None = None, **more: Any
    ) -> Any:
        """A call of either client."""
        noun, verb = what.split(".")
        answer = getattr(getattr(client or self.client, noun), verb)(*args, **more)
        return await answer if inspect.isawaitable(answer) else answer

    async def spend(self, credits: int | str, key: str, **more: Any) -> Any:
        """Spend of the customer."""
        return await self.call("transfers.spend", self.user, credits, idempotency_key=key, **more)

    async def pending(self) -> list[str]:
        """The keys of what is pending."""
        return [line.key for line in await self.call("outbox.pending")]

    def history(self) -> list[Transfer]:
        """What the service says happened, oldest first; asked directly, not through the gate."""
        with Client(self.running.base_url, api_key=self.running.api_key) as direct:
            [wallet] = direct.wallets.list(self.user).data
            return list(direct.wallets.transfers(wallet.id, limit=200).data)[::-1]

    def charges(self) -> dict[str | None, int]:
        """What was charged under which key, in credits."""
        found: dict[str | None, int] = {}
        for line in self.history():
            if line.credit == "usage":
                assert line.idempotency_key not in found
                found[line.idempotency_key] = line.amount_micro // CREDIT
        return found

    def left(self) -> Balances:
        """The customer's wallet now."""
        return self.history()[-1].wallet_after

    def spend_elsewhere(self, credits: int, key: str | None = None) -> PostedTransfer:
        """A spend by a client that shares nothing with this one but the app."""
        with Client(self.running.base_url, api_key=self.running.api_key) as direct:
            return direct.transfers.spend(self.user, credits, idempotency_key=key)

    def release_all_holds(self) -> None:
        """As the service does when they expire; behind the client's back."""
        with Client(self.running.base_url, api_key=self.running.api_key) as direct:
            for line in self.history():
                if line.kind == "hold" and line.hold is not None:
                    direct.holds.release(line.hold)

    async def close(self) -> None:
        for client in self._made:
            closing = client.close()
            if inspect.isawaitable(closing):
                await closing
