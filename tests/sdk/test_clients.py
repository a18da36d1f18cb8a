"""The typed clients: the twins are the same calls, and each call sends what its description says."""

from __future__ import annotations

import asyncio
import inspect
import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from sdk.scripted_service import BALANCES, MOMENT, POSTED, Step, scripted

from credit_sdk import AsyncClient, Client
from credit_sdk.errors import SettingsError
from credit_sdk.operations import Group

WALLET = {
    **BALANCES,
    "id": "wal_12",
    "owner": {"kind": "user", "id": 7},
    "created_at": MOMENT,
    "updated_at": MOMENT,
}
USER = {
    "user_id": 7,
    "email": "user@example.com",
    "role": "customer",
    "is_active": True,
    "created_at": MOMENT,
}
LINE = {**POSTED, "debit": "available", "credit": "usage", "metadata": {"pages": 2}}


def calls_of(client: object) -> dict[str, inspect.Signature]:
    return {
        f"{noun}.{verb}": inspect.signature(getattr(group, verb))
        for noun, group in vars(client).items()
        if isinstance(group, Group)
        for verb in dir(type(group))
        if not verb.startswith("_") and callable(getattr(group, verb))
    }


def test_both_clients_have_the_same_calls_with_the_same_signatures() -> None:
    blocking, awaited = calls_of(Client("http://localhost")), calls_of(AsyncClient("http://localhost"))

    assert blocking == awaited
    assert len(blocking) >= 25


def test_every_call_says_what_it_does() -> None:
    client = Client("http://localhost")

    for name in calls_of(client):
        noun, verb = name.split(".")
        assert getattr(getattr(client, noun), verb).__doc__, name


def test_a_wallet_is_read_with_its_credits() -> None:
    with scripted(Step(status=200, body=WALLET)) as service, Client(service.base_url) as client:
        wallet = client.wallets.get("wal_12")

    assert (wallet.available, wallet.owner.id, wallet.created_at.tzname()) == (95, 7, "UTC")
    assert service.received[0].path == "/v1/wallets/wal_12"


def test_history_is_read_page_by_page() -> None:
    first = Step(status=200, body={"data": [LINE], "has_more": True, "next_cursor": "trf_12_2"})
    last = Step(status=200, body={"data": [], "has_more": False, "next_cursor": None})

    with scripted(first, last) as service, Client(service.base_url) as client:
        page = client.wallets.transfers("wal_12", limit=1)
        rest = client.wallets.transfers("wal_12", limit=1, after=page.next_cursor)

    assert page.data[0].metadata == {"pages": 2}
    assert rest.data == ()
    assert service.received[1].path == "/v1/wallets/wal_12/transfers?limit=1&after=trf_12_2"


def test_an_id_cannot_leave_its_place_in_the_path() -> None:
    with scripted(Step(status=200, body=WALLET)) as service, Client(service.base_url) as client:
        client.wallets.get("../apps?x=1")

    assert service.received[0].path == "/v1/wallets/..%2Fapps%3Fx%3D1"


def test_a_session_token_and_an_api_key_travel_together() -> None:
    with (
        scripted(Step(status=204)) as service,
        Client(service.base_url + "/", api_key="a-key", session_token="a-token") as client,
    ):
        client.sessions.delete()

    [request] = service.received
    assert (request.method, request.path) == ("DELETE", "/v1/sessions/current")
    assert request.headers["x-api-key"] == "a-key"
    assert request.headers["authorization"] == "Bearer a-token"


def test_a_hold_token_is_the_one_bearer() -> None:
    with scripted(Step(status=204)) as service, Client(service.base_url, hold_token="a-token") as client:
        client.sessions.delete()

    [request] = service.received
    assert request.headers["authorization"] == "Bearer a-token"
    for made in (Client, AsyncClient):
        with pytest.raises(SettingsError):
            made("http://localhost", session_token="one", hold_token="two")


def test_secrets_do_not_show_when_an_answer_is_printed() -> None:
    body = {
        "session_token": "tok-1",
        "refresh_token": "ref-1",
        "expires_in": 900,
        "token_type": "Bearer",
        "user": USER,
    }

    with scripted(Step(body=body)) as service, Client(service.base_url) as client:
        session = client.sessions.create("user@example.com", "a password", app_id="app_1")

    assert session.session_token == "tok-1"
    assert "tok-1" not in repr(session)
    assert "ref-1" not in repr(session)


async def test_one_async_client_serves_many_tasks() -> None:
    with scripted(Step(body=POSTED)) as service:
        async with AsyncClient(service.base_url, api_key="a-key") as client:
            await asyncio.gather(*(client.transfers.spend(7, 1) for _ in range(20)))

    assert len(service.booked) == 20


def test_threads_share_one_client() -> None:
    with (
        scripted(Step(body=POSTED)) as service,
        Client(service.base_url, api_key="a-key") as client,
        ThreadPoolExecutor(8) as pool,
    ):
        answers = list(pool.map(lambda _: client.transfers.spend(7, 1), range(40)))

    assert len(answers) == len(service.booked) == 40


def _spend_in_child(client: Client, queue: Any) -> None:
    queue.put(client.transfers.spend(7, 1, idempotency_key="child").id)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_has_connections_of_its_own() -> None:
    fork = multiprocessing.get_context("fork")
    queue = fork.SimpleQueue()

    with scripted(Step(body=POSTED)) as service, Client(service.base_url, api_key="a-key") as client:
        client.transfers.spend(7, 1, idempotency_key="before")
        child = fork.Process(target=_spend_in_child, args=(client, queue))
        child.start()
        child.join(20)
        client.transfers.spend(7, 1, idempotency_key="after")

    assert child.exitcode == 0
    assert queue.get() == "trf_12_2"
    assert set(service.booked) == {"before", "child", "after"}


def test_an_address_without_a_scheme_is_refused() -> None:
    with pytest.raises(SettingsError, match="http"):
        Client("localhost:8000")
