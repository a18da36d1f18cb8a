"""Failing open against a running Tallybook: it is shut away, loses answers, is killed and comes back."""

from __future__ import annotations

import asyncio

import pytest
from sdk.shops import CREDIT, Shop

from credit_sdk import LeaseExhaustedError
from credit_sdk.errors import ServiceUnreachableError


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
