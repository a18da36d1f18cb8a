"""Failing open: how what was taken while the service was away is settled."""

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
from credit_sdk.errors import IdempotencyKeyReusedError, InsufficientCreditsError

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


async def test_the_same_key_is_one_line_and_other_terms_are_refused(shops: list[Shop]) -> None:
    for shop in shops:
        other = shop.another()
        await shop.spend(1, "online")
        shop.gate.shut()
        first = await shop.spend(2, "away")
        again = await shop.spend(2, "away")
        shared = await shop.call("transfers.spend", shop.user, 2, idempotency_key="away", client=other)
        with pytest.raises(IdempotencyKeyReusedError):
            await shop.spend(3, "away")
        with pytest.raises(IdempotencyKeyReusedError):
            await shop.spend(2, "away", description="Another job")
        await shop.call("transfers.spend", shop.user, 5, idempotency_key="of-the-other", client=other)
        with pytest.raises(LeaseExhaustedError):
            await shop.spend(4, "too-much")
        shop.gate.open()
        online = await shop.spend(2, "away")
        settled = await shop.call("outbox.settle", client=other)
        after = await shop.spend(2, "away")

        assert (first.id, first.replayed) == (again.id, False)
        assert (again.replayed, shared.replayed, shared.id) == (True, True, first.id)
        assert online.pending, "an unsettled line is answered from the outbox"
        assert settled.collected == 2
        assert (after.pending, after.replayed, after.kind) == (False, True, "capture")
        assert after.id in [line.id for line in shop.history()]
        assert shop.charges() == {"online": 1, "away": 2, "of-the-other": 5}


async def test_a_hold_that_is_over_is_followed_by_a_plain_spend_or_told(shops: list[Shop]) -> None:
    for shop in shops:
        await shop.spend(1, "online")
        shop.gate.shut()
        await shop.spend(2, "away-1")
        await shop.spend(3, "away-2")
        shop.release_all_holds()
        shop.spend_elsewhere(97)
        shop.gate.open()
        settled = await shop.call("outbox.settle")
        again = await shop.call("outbox.settle")

        assert (settled.collected, settled.uncollected, settled.pending) == (1, 1, 0)
        assert (again.collected, again.uncollected, again.pending) == (0, 0, 0)
        [first] = await shop.call("outbox.find", "away-1")
        assert (first.state, first.step) == ("collected", "spend_third")
        [line] = await shop.call("outbox.uncollected")
        assert (line.key, line.amount_micro, line.problem) == ("away-2", 3 * CREDIT, "insufficient_credits")
        assert [told.key for told in shop.told] == ["away-2"]
        assert (await shop.spend(3, "away-2")).pending, "the first answer stands"
        with pytest.raises(IdempotencyKeyReusedError):
            shop.spend_elsewhere(2, "away-1")
        assert shop.left().available_micro == 0
        assert sorted(shop.charges().values()) == [1, 2, 97]


async def test_a_key_that_was_charged_elsewhere_is_not_charged_again(shops: list[Shop]) -> None:
    for shop in shops:
        await shop.spend(1, "online")
        shop.gate.shut()
        await shop.spend(2, "same-job")
        await shop.spend(3, "other-job")
        shop.spend_elsewhere(2, "same-job")
        shop.spend_elsewhere(4, "other-job")
        shop.gate.open()
        settled = await shop.call("outbox.settle")

        assert (settled.collected, settled.uncollected) == (1, 1)
        assert [(line.key, line.problem) for line in shop.told] == [("other-job", "idempotency_key_reused")]
        assert shop.charges() == {"online": 1, "same-job": 2, "other-job": 4}


async def test_the_last_credits_can_be_spent_although_a_lease_holds_them(shops: list[Shop]) -> None:
    for shop in shops:
        with pytest.raises(InsufficientCreditsError) as never:
            await shop.spend(101, "never")
        await shop.spend(85, "most")
        assert shop.left().available_micro == 5 * CREDIT
        answer = await shop.spend(7, "last")
        again = await shop.spend(7, "last")
        with pytest.raises(InsufficientCreditsError):
            await shop.spend(9, "too-much")
        with Client(shop.running.base_url, api_key=shop.running.api_key) as direct:
            direct.transfers.grant(shop.user, 200)
        with pytest.raises(InsufficientCreditsError) as still:
            await shop.spend(101, "never")
        shop.gate.shut()
        with pytest.raises(InsufficientCreditsError):
            await shop.spend(9, "too-much")
        shop.gate.open()

        assert (answer.kind, answer.pending, answer.replayed) == ("capture", False, False)
        assert (again.id, again.replayed) == (answer.id, True)
        assert never.value.facts == still.value.facts
        assert sorted(shop.charges().values()) == [7, 85]


async def test_a_drained_lease_is_replaced_and_its_rest_given_back(shops: list[Shop]) -> None:
    for shop in shops:
        await shop.spend(1, "online-1")
        shop.gate.shut()
        await shop.spend(6, "away-1")
        shop.gate.open()
        await shop.call("outbox.settle")
        await shop.spend(1, "online-2")

        holds = [line for line in shop.history() if line.kind in {"hold", "release"}]
        assert [(line.kind, line.amount_micro // CREDIT) for line in holds] == [
            ("hold", 10),
            ("hold", 10),
            ("release", 4),
        ]
        shop.gate.shut()
        await shop.spend(10, "away-2")
        shop.gate.open()
        await shop.call("outbox.settle")
        await shop.call("outbox.release_leases")
        assert (shop.left().available_micro, shop.left().held_micro) == (82 * CREDIT, 0)
        shop.gate.shut()
        with pytest.raises(LeaseExhaustedError):
            await shop.spend(1, "away-3")
        shop.gate.open()


async def test_the_background_settles_and_keeps_the_lease_alive(shops: list[Shop]) -> None:
    for shop in shops:
        shop.client = shop.another(background=True, lifetime_seconds=2, pause_seconds=0.2)
        await shop.spend(1, "online")
        await asyncio.sleep(3)
        shop.gate.shut()
        away = await shop.spend(2, "away")
        shop.gate.open()
        for _ in range(100):
            if not await shop.pending():
                break
            await asyncio.sleep(0.1)

        assert away.pending, "the lease was kept alive beyond its lifetime"
        assert shop.charges()["away"] == 2
