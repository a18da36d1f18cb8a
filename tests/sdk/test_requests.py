"""What calls send and how answers are read: batches, give-backs, holds that grow, lots, budgets and caps."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from sdk.scripted_service import MOMENT, PLACED, POSTED, SETTLED, Step, problem, scripted

from credit_sdk import AsyncClient, BatchItem, Client
from credit_sdk.errors import CreditError, InsufficientCreditsError

HOLD = {
    "id": "hld_12_3",
    "wallet": "wal_12",
    "status": "open",
    "placed_micro": 20_000_000,
    "captured_micro": 0,
    "released_micro": 0,
    "remaining_micro": 20_000_000,
    "on_expiry": "release",
    "expires_at": MOMENT,
    "placed_at": MOMENT,
}
LOT = {
    "id": "lot_12_1",
    "source": "purchase",
    "amount_micro": 100_000_000,
    "available_micro": 75_000_000,
    "held_micro": 20_000_000,
    "priority": 50,
    "expires_at": None,
    "price_minor": 1000,
    "currency": "usd",
    "reference": None,
    "created_at": MOMENT,
}
BUDGET = {
    "id": "bud_1",
    "wallet": "wal_12",
    "name": "Research",
    "kind": "team",
    "period": "month",
    "limit_micro": None,
    "spent_micro": 5,
    "held_micro": 0,
    "created_at": MOMENT,
    "colour": "a newer service may say more",
}
CAP = {**BUDGET, "app_id": "app_1", "limit_micro": 10_000_000}
POST = "POST"


@pytest.mark.parametrize(
    ("call", "args", "more", "answer", "sent"),
    [
        (
            "transfers.give_back",
            ["trf_12_2"],
            {},
            POSTED,
            (POST, "/v1/transfers/trf_12_2/give-back", {}),
        ),
        (
            "transfers.give_back",
            ["trf_12_2", "0.5"],
            {},
            POSTED,
            (POST, "/v1/transfers/trf_12_2/give-back", {"amount_micro": 500_000}),
        ),
        (
            "transfers.spend",
            [7, 1],
            {"budget": "bud_1"},
            POSTED,
            (
                POST,
                "/v1/transfers",
                {"user_id": 7, "type": "spend", "amount_micro": 1_000_000, "budget": "bud_1"},
            ),
        ),
        (
            "holds.place",
            [7, 20],
            {"parent": "hld_12_1", "budget": "bud_1"},
            PLACED,
            (
                POST,
                "/v1/holds",
                {
                    "user_id": 7,
                    "amount_micro": 20_000_000,
                    "parent": "hld_12_1",
                    "budget": "bud_1",
                },
            ),
        ),
        (
            "holds.extend",
            ["hld_12_3", 60],
            {},
            HOLD,
            (POST, "/v1/holds/hld_12_3/extend", {"lifetime_seconds": 60}),
        ),
        (
            "holds.hand_on",
            ["hld_12_3"],
            {"lifetime_seconds": 60},
            {"hold": "hld_12_3", "token": "tbh_1", "expires_at": MOMENT},
            (POST, "/v1/holds/hld_12_3/tokens", {"lifetime_seconds": 60}),
        ),
        (
            "holds.capture",
            ["hld_12_3", 25],
            {"allow_excess": True, "service": "chat", "metadata": {"a": 1}},
            SETTLED,
            (
                POST,
                "/v1/holds/hld_12_3/capture",
                {
                    "amount_micro": 25_000_000,
                    "final": True,
                    "allow_excess": True,
                    "service": "chat",
                    "metadata": {"a": 1},
                },
            ),
        ),
        (
            "holds.list",
            ["wal_12"],
            {"status": "left_behind", "limit": 5},
            {"data": [HOLD]},
            ("GET", "/v1/holds?wallet=wal_12&status=left_behind&limit=5", None),
        ),
        ("wallets.lots", ["wal_12"], {}, {"data": [LOT]}, ("GET", "/v1/wallets/wal_12/lots", None)),
        (
            "budgets.create",
            [7, "Research"],
            {"kind": "team", "parent": "bud_9", "limit": "2.5", "period": "month"},
            BUDGET,
            (
                POST,
                "/v1/budgets",
                {
                    "user_id": 7,
                    "name": "Research",
                    "kind": "team",
                    "parent": "bud_9",
                    "limit_micro": 2_500_000,
                    "period": "month",
                },
            ),
        ),
        ("budgets.list", [7], {}, {"data": [BUDGET]}, ("GET", "/v1/budgets?user_id=7", None)),
        ("budgets.get", ["bud_1"], {}, BUDGET, ("GET", "/v1/budgets/bud_1", None)),
        (
            "budgets.update",
            ["bud_1"],
            {"limit": 3},
            BUDGET,
            ("PATCH", "/v1/budgets/bud_1", {"limit_micro": 3_000_000}),
        ),
        (
            "budgets.update",
            ["bud_1"],
            {"limit": None},
            BUDGET,
            ("PATCH", "/v1/budgets/bud_1", {"limit_micro": None}),
        ),
        (
            "caps.set",
            ["app_1", 10],
            {},
            CAP,
            ("PUT", "/v1/caps", {"app_id": "app_1", "limit_micro": 10_000_000}),
        ),
        ("caps.set", ["app_1", None], {}, CAP, ("PUT", "/v1/caps", {"app_id": "app_1", "limit_micro": None})),
        ("caps.list", [], {}, {"data": [CAP]}, ("GET", "/v1/caps", None)),
    ],
)
async def test_a_call_sends_what_the_route_expects(
    call: str, args: list[Any], more: dict[str, Any], answer: dict[str, Any], sent: tuple[str, str, Any]
) -> None:
    noun, verb = call.split(".")
    answers = []

    with scripted(Step(status=200, body=answer)) as service:
        async with AsyncClient(service.base_url) as awaited:
            with Client(service.base_url) as blocking:
                for client in (blocking, awaited):
                    found = getattr(getattr(client, noun), verb)(*args, **more)
                    answers.append(await found if inspect.isawaitable(found) else found)

    assert [(got.method, got.path, got.body) for got in service.received] == [sent, sent]
    assert answers[0] == answers[1]
    assert all(bool(got.key) == (got.method == POST) for got in service.received)


def test_lots_holds_and_budgets_are_read_with_their_fields() -> None:
    pages = [
        Step(status=200, body={"data": [body]}) for body in (LOT, {**HOLD, "parent": "hld_12_1"}, BUDGET)
    ]

    with scripted(*pages) as service, Client(service.base_url) as client:
        [lot], [hold], [budget] = (
            client.wallets.lots("wal_12").data,
            client.holds.list(7).data,
            client.budgets.list(7).data,
        )

    assert (lot.available_micro, lot.expires_at, lot.price_minor) == (75_000_000, None, 1000)
    assert (hold.parent, hold.remaining_micro) == ("hld_12_1", 20_000_000)
    assert (budget.limit_micro, budget.spent_micro) == (None, 5)


def test_a_batch_is_answered_item_by_item() -> None:
    answer = {
        "posted": 1,
        "refused": 1,
        "results": [
            {"status": "posted", "replayed": True, "transfer": POSTED},
            {
                "status": "refused",
                "problem": {
                    "code": "insufficient_credits",
                    "status": 402,
                    "detail": "Short.",
                    "shortfall_micro": 7,
                },
            },
        ],
    }
    items = [
        BatchItem(user=7, credits=5, idempotency_key="a", metadata={"n": 1}),
        BatchItem(user="wal_9", credits="0.5", type="grant", description="A gift"),
    ]

    with scripted(Step(status=200, body=answer)) as service, Client(service.base_url) as client:
        found = client.transfers.batch(items, idempotency_key="run-1")

    [sent] = service.received
    assert (sent.path, sent.key) == ("/v1/transfers/batch", "run-1")
    assert sent.body == {
        "mode": "each",
        "items": [
            {
                "user_id": 7,
                "type": "spend",
                "amount_micro": 5_000_000,
                "idempotency_key": "a",
                "metadata": {"n": 1},
            },
            {"wallet": "wal_9", "type": "grant", "amount_micro": 500_000, "description": "A gift"},
        ],
    }
    assert (found.posted, found.refused) == (1, 1)
    first, second = found.results
    assert first.transfer is not None
    assert first.transfer.replayed
    assert isinstance(second.error, InsufficientCreditsError)
    assert (second.error.status, second.error.facts) == (402, {"shortfall_micro": 7})


def test_a_batch_of_all_or_nothing_raises_with_the_item_that_was_refused() -> None:
    refused = problem(409, "batch_refused", index=1, item_code="insufficient_credits", item_detail="Short.")

    with (
        scripted(refused) as service,
        Client(service.base_url) as client,
        pytest.raises(CreditError) as caught,
    ):
        client.transfers.batch([BatchItem(user=7, credits=1)] * 2, "all")

    assert caught.value.code == "batch_refused"
    assert caught.value.facts["index"] == 1
    assert service.received[0].body["mode"] == "all"


@pytest.mark.parametrize("many", [0, 10_001])
def test_a_batch_is_never_split_silently(many: int) -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ValueError, match="send parts of"):
        client.transfers.batch([BatchItem(user=7, credits=1)] * many)
