"""Failing open against a running Tallybook: it is shut away, loses answers, is killed and comes back."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from running_service import Running
from sdk.gate import Gate, gate_before

from credit_sdk import AsyncClient, Client, FailOpen, LeaseExhaustedError, OutboxSpend
from credit_sdk.answers import Balances, PostedTransfer, Transfer
from credit_sdk.errors import ServiceUnreachableError

CREDIT = 1_000_000


@pytest.fixture
def gate(running: Running) -> Iterator[Gate]:
    """A gate before the service."""
    with gate_before(running.base_url) as found:
        yield found


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


@pytest_asyncio.fixture
async def shops(running: Running, gate: Gate, tmp_path: Path) -> AsyncIterator[list[Shop]]:
    """A shop of either kind, each with a customer who has a hundred credits."""
    found = [Shop(running, tmp_path, kind, gate) for kind in ("blocking", "awaited")]
    yield found
    for shop in found:
        await shop.close()


async def test_spends_go_on_while_the_service_is_away_and_settle_when_it_is_back(shops: list[Shop]) -> None:
    for shop in shops:
        with pytest.raises(ServiceUnreachableError) as caught:
            shop.gate.lose(2, b"unknown")
            await shop.spend(5, "unknown")
        assert caught.value.may_have_acted, "there is no lease yet, so that it is said to be unknown"
        await asyncio.sleep(0.1)
        unknown = await shop.spend(5, "unknown")
        first = await shop.spend(1, "online")
        shop.gate.shut()
        away = await shop.spend(2, "away-1", description="Printed", service="print", metadata={"pages": 3})
        await shop.spend(3, "away-2")
        with pytest.raises(LeaseExhaustedError) as refused:
            await shop.spend(6, "away-3")
        assert await shop.pending() == ["away-1", "away-2"]
        shop.gate.open()
        settled = await shop.call("outbox.settle")

        assert (unknown.replayed, unknown.pending, first.pending, away.pending) == (True, False, False, True)
        assert refused.value.facts["room_micro"] == 5 * CREDIT
        assert refused.value.idempotency_key == "away-3"
        assert (settled.collected, settled.uncollected, settled.pending) == (2, 0, 0)
        assert shop.charges() == {"unknown": 5, "online": 1, "away-1": 2, "away-2": 3}
        [line] = [line for line in shop.history() if line.idempotency_key == "away-1"]
        assert (line.kind, line.description, line.service) == ("capture", "Printed", "print")
        assert line.metadata == {"pages": 3}


async def test_without_a_lease_it_fails_closed(shops: list[Shop]) -> None:
    for shop in shops:
        shop.gate.shut()
        with pytest.raises(LeaseExhaustedError) as caught:
            await shop.spend(1, "away")

        assert caught.value.facts["reason"] == "no_lease"
        assert await shop.pending() == []
        shop.gate.open()


async def test_a_spend_whose_answer_was_lost_is_charged_once(shops: list[Shop]) -> None:
    for shop in shops:
        await shop.spend(1, "online")
        shop.gate.lose(2, b"lost")
        lost = await shop.spend(4, "lost")
        [line] = await shop.call("outbox.pending")
        assert shop.gate.still_to_lose == 0
        settled = await shop.call("outbox.settle")

        assert (lost.pending, line.step, settled.collected) == (True, "spend", 1)
        assert shop.charges() == {"online": 1, "lost": 4}
        [charged] = [line for line in shop.history() if line.idempotency_key == "lost"]
        assert charged.kind == "spend"
        await shop.call("outbox.release_leases")
        assert (shop.left().available_micro, shop.left().held_micro) == (95 * CREDIT, 0)


async def test_the_service_may_be_killed_and_started_again(shops: list[Shop]) -> None:
    for shop in shops:
        await shop.spend(1, "online")
        shop.running.service.kill()
        # The gate accepts and finds nobody behind it: from here that looks like a lost answer.
        asked = await shop.spend(4, "asked")
        # And within the pause nobody is asked at all.
        shop.client, unasked_by = shop.another(pause_seconds=60), shop.client
        await shop.spend(1, "opens-the-pause")
        await shop.spend(2, "unasked")
        lines = await shop.call("outbox.pending", client=unasked_by)
        shop.running.service.start()
        settled = await shop.call("outbox.settle")

        assert asked.pending
        assert [(line.key, line.step) for line in lines] == [
            ("asked", "spend"),
            ("opens-the-pause", "spend"),
            ("unasked", "capture"),
        ]
        assert settled.collected == 3
        assert shop.charges() == {"online": 1, "asked": 4, "opens-the-pause": 1, "unasked": 2}
