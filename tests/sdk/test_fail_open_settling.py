"""Failing open: how what was taken while the service was away is settled."""

from __future__ import annotations

import asyncio

import pytest
from sdk.shops import CREDIT, Shop

from credit_sdk import Client, LeaseExhaustedError
from credit_sdk.errors import BudgetExceededError, IdempotencyKeyReusedError, InsufficientCreditsError


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
        assert never.value.facts["shortfall_micro"] == still.value.facts["shortfall_micro"] == CREDIT
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
        assert [line.kind for line in shop.history()].count("hold") == 1, "by extension"
        assert shop.charges()["away"] == 2


async def test_a_budget_that_a_lease_fills_can_be_spent_from_it(shops: list[Shop]) -> None:
    for shop in shops:
        team = await shop.call("budgets.create", shop.user, "team", limit=12)
        await shop.spend(1, "online", budget=team.id)
        answer = await shop.spend(5, "from-the-lease", budget=team.id)
        with pytest.raises(BudgetExceededError):
            await shop.spend(7, "too-much", budget=team.id)
        shop.gate.shut()
        await shop.spend(4, "away", budget=team.id)
        with pytest.raises(BudgetExceededError):
            await shop.spend(7, "too-much", budget=team.id)
        shop.gate.open()
        await shop.call("outbox.settle")

        assert (answer.kind, answer.pending) == ("capture", False)
        assert (await shop.call("budgets.get", team.id)).spent_micro == 10 * CREDIT
        await shop.call("outbox.release_leases")
        assert (await shop.call("budgets.get", team.id)).held_micro == 0


async def test_a_lease_expires_by_itself_and_nothing_unused_is_charged(shops: list[Shop]) -> None:
    for shop in shops:
        shop.client = shop.another(lifetime_seconds=2)
        await shop.spend(1, "online")
        shop.gate.shut()
        await shop.spend(2, "away")
        await asyncio.sleep(2)
        with pytest.raises(LeaseExhaustedError) as caught:
            await shop.spend(1, "too-late")
        await asyncio.sleep(2)
        shop.gate.open()
        settled = await shop.call("outbox.settle")

        assert caught.value.facts["reason"] == "expired"
        assert settled.collected == 1
        [line] = await shop.call("outbox.find", "away")
        assert line.step == "spend_third", "the hold was over"
        assert (shop.left().available_micro, shop.left().held_micro) == (97 * CREDIT, 0)
