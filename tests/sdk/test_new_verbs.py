"""The SDK against the service: batches, give-backs, holds that grow, lots and budgets."""

from __future__ import annotations

import pytest
from running_service import Running

from credit_sdk import Client
from credit_sdk.batches import BatchItem
from credit_sdk.errors import (
    BatchRefusedError,
    BudgetExceededError,
    GiveBackExceedsError,
    HoldNotFoundError,
    PermissionDeniedError,
    TokenRevokedError,
)

M = 1_000_000


def _client(running: Running) -> Client:
    return Client(running.base_url, api_key=running.api_key)


def _available(client: Client, user: int) -> int:
    [wallet] = client.wallets.list(user).data
    return wallet.available_micro


def test_a_batch_is_booked_and_its_all_or_nothing_is_kept(running: Running) -> None:
    with _client(running) as client:
        user = running.user_id
        client.transfers.grant(user, 100)

        each = client.transfers.batch([BatchItem(user=user, credits=5) for _ in range(3)])
        with pytest.raises(BatchRefusedError) as refused:
            client.transfers.batch(
                [BatchItem(user=user, credits=amount) for amount in (1, 10_000)], mode="all"
            )

        assert (each.posted, each.refused) == (3, 0)
        assert refused.value.facts["index"] == 1
        assert _available(client, user) == 85 * M


def test_what_was_spent_is_given_back_to_its_lot(running: Running) -> None:
    with _client(running) as client:
        user = running.user_id
        client.transfers.grant(user, 100)
        spent = client.transfers.spend(user, 30)

        back = client.transfers.give_back(spent.id, 10)
        with pytest.raises(GiveBackExceedsError):
            client.transfers.give_back(spent.id, 21)

        [lot] = client.wallets.lots(back.wallet).data
        assert (back.kind, back.amount_micro, lot.available_micro) == ("give_back", 10 * M, 80 * M)


def test_a_hold_is_extended_shared_out_and_listed(running: Running) -> None:
    with _client(running) as client:
        user = running.user_id
        client.transfers.grant(user, 100)
        parent = client.holds.place(user, 50, lifetime_seconds=60)

        extended = client.holds.extend(parent.id, 3_600)
        child = client.holds.place(None, 20, parent=parent.id)
        client.holds.capture(child.id, 5)
        client.holds.capture(parent.id, 45)

        assert (extended.expires_at - extended.placed_at).total_seconds() > 3_000
        listed = client.holds.list(user).data
        assert [(hold.id, hold.parent, hold.settled_by) for hold in listed] == [
            (child.id, parent.id, "capture"),
            (parent.id, None, "capture"),
        ]
        assert _available(client, user) == 50 * M


def test_a_budget_holds(running: Running) -> None:
    with _client(running) as client:
        user = running.user_id
        client.transfers.grant(user, 100)
        team = client.budgets.create(user, "team", limit=10)
        run = client.budgets.create(user, "run", parent=team.id, kind="run")

        client.transfers.spend(user, 8, budget=run.id)
        with pytest.raises(BudgetExceededError) as refused:
            client.transfers.spend(user, 3, budget=run.id)
        client.budgets.update(team.id, limit=None)
        client.transfers.spend(user, 3, budget=run.id)

        assert refused.value.facts["budget"] == team.id
        assert client.budgets.get(team.id).spent_micro == 11 * M


def test_a_sub_agent_works_out_of_a_hold_by_its_token(running: Running) -> None:
    with _client(running) as client:
        user = running.user_id
        client.transfers.grant(user, 100)
        run = client.holds.place(user, 50)
        handed_on = client.holds.hand_on(run.id, idempotency_key="agent")

        with Client(running.base_url, hold_token=handed_on.token) as agent:
            placed = agent.holds.place(None, 20)
            settled = agent.holds.capture(placed.id, 5)
            with pytest.raises(PermissionDeniedError):
                agent.transfers.spend(user, 1)
            with pytest.raises(PermissionDeniedError):
                agent.wallets.list(user)
            with pytest.raises(HoldNotFoundError):
                agent.holds.release(run.id)
            seen = agent.holds.get(run.id)
            client.holds.release(run.id)
            with pytest.raises(TokenRevokedError):
                agent.holds.get(placed.id)

        assert placed.wallet_after is settled.wallet_after is None
        assert (seen.remaining_micro, seen.expires_at.replace(microsecond=0)) == (
            45 * M,
            handed_on.expires_at,
        )
        assert handed_on.token not in repr(handed_on)
        assert _available(client, user) == 95 * M
