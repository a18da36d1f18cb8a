"""The SDK against a running Tallybook: every call of both clients, and CreditSDK over the API."""

from __future__ import annotations

import inspect
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from running_service import ADMIN_EMAIL, ADMIN_PASSWORD, EMAIL, Running

from credit_sdk import AsyncClient, Client, CreditSDK, InsufficientCreditsError, RetryLimits
from credit_sdk.errors import (
    ApiKeyInvalidError,
    ApiKeyRevokedError,
    CaptureExceedsHoldError,
    EmailTakenError,
    HoldSettledError,
    IdempotencyKeyReusedError,
    InvalidCredentialsError,
    PriceNotFoundError,
    ResumeTokenInvalidError,
    TokenRevokedError,
    UserNotFoundError,
    WalletNotFoundError,
)

BACK = {"success_url": "http://127.0.0.1/success", "cancel_url": "http://127.0.0.1/cancel"}


class Either:
    """One way to call both clients: what the blocking one answers is awaited as it is."""

    def __init__(self, client: Client | AsyncClient) -> None:
        self._client = client

    async def __call__(self, what: str, /, *args: Any, **more: Any) -> Any:
        noun, verb = what.split(".")
        answer = getattr(getattr(self._client, noun), verb)(*args, **more)
        return await answer if inspect.isawaitable(answer) else answer


class Clients:
    """Both clients of a running service, with any credentials; closed after the test."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._made: list[Client | AsyncClient] = []

    def __call__(self, api_key: str | None = None, session_token: str | None = None) -> list[Either]:
        url = self._running.base_url
        key = api_key if api_key or session_token else self._running.api_key
        made: list[Client | AsyncClient] = [
            Client(url, api_key=key, session_token=session_token),
            AsyncClient(url, api_key=key, session_token=session_token),
        ]
        self._made += made
        return [Either(client) for client in made]

    async def close(self) -> None:
        for client in self._made:
            if isinstance(client, Client):
                client.close()
            else:
                await client.close()


@pytest_asyncio.fixture
async def clients(running: Running) -> AsyncIterator[Clients]:
    """Makes both clients."""
    made = Clients(running)
    yield made
    await made.close()


async def test_spending_and_adding_credits(running: Running, clients: Clients) -> None:
    for call in clients():
        user = running.user_id
        granted = await call("transfers.grant", user, 100, description="A gift")
        spent = await call(
            "transfers.spend", user, "0.25", service="chat", metadata={"tokens": 7}, idempotency_key=str(call)
        )
        again = await call(
            "transfers.spend", user, "0.25", service="chat", metadata={"tokens": 7}, idempotency_key=str(call)
        )
        [wallet] = (await call("wallets.list", user)).data
        line = await call("transfers.get", spent.id)
        page = await call("wallets.transfers", wallet.id, limit=1)
        rest = await call("wallets.transfers", wallet.id, limit=1, after=page.next_cursor)

        assert (again.id, again.replayed, spent.replayed) == (spent.id, True, False)
        assert wallet == await call("wallets.get", wallet.id)
        assert wallet.version == spent.wallet_after.version
        assert (line.service, line.metadata, line.idempotency_key) == ("chat", {"tokens": 7}, str(call))
        assert [entry.id for entry in (*page.data, *rest.data)] == [spent.id, granted.id]
        await call("transfers.spend", wallet.id, wallet.available)


async def test_refusals_arrive_as_their_classes(running: Running, clients: Clients) -> None:
    for call in clients():
        user = running.user_id
        with pytest.raises(InsufficientCreditsError) as caught:
            await call("transfers.spend", user, 5)
        assert caught.value.facts["shortfall_micro"] == 5_000_000
        assert caught.value.status == 402

        with pytest.raises(IdempotencyKeyReusedError):
            await call("transfers.spend", user, 6, idempotency_key=caught.value.idempotency_key)
        with pytest.raises(UserNotFoundError):
            await call("wallets.list", 10**9)
        with pytest.raises(WalletNotFoundError):
            await call("wallets.get", "wal_999999")
    for call in clients(api_key="no key at all"):
        with pytest.raises(ApiKeyInvalidError):
            await call("wallets.list", running.user_id)


async def test_a_refused_job_goes_on_with_its_token_once_there_are_credits(
    running: Running, clients: Clients
) -> None:
    for call in clients():
        for verb in ("transfers.spend", "holds.place"):
            with pytest.raises(InsufficientCreditsError) as caught:
                await call(verb, running.user_id, 5)
            running.grant(EMAIL, 5)
            job = {"idempotency_key": caught.value.idempotency_key, "resume": caught.value.resume_token}

            first, again = [await call(verb, running.user_id, 5, **job) for _ in range(2)]

            assert (again.id, first.replayed, again.replayed) == (first.id, False, True)
            assert running.balance() == 0
            with pytest.raises(ResumeTokenInvalidError):
                await call(verb, running.user_id, 4, **job)


async def test_holds_are_placed_captured_and_released(running: Running, clients: Clients) -> None:
    running.grant(EMAIL, 100)
    for call in clients():
        placed = await call("holds.place", running.user_id, 20, lifetime_seconds=60)
        with pytest.raises(CaptureExceedsHoldError):
            await call("holds.capture", placed.id, 21)
        part = await call("holds.capture", placed.id, "2.5", final=False)
        last = await call("holds.capture", placed.id, 5)
        hold = await call("holds.get", placed.id)
        with pytest.raises(HoldSettledError):
            await call("holds.release", placed.id)

        assert (part.captured_micro, part.released_micro) == (2_500_000, 0)
        assert (last.captured_micro, last.released_micro) == (5_000_000, 12_500_000)
        assert (hold.status, hold.captured_micro, hold.remaining_micro) == ("settled", 7_500_000, 0)
        other = await call("holds.place", running.user_id, 20)
        assert (await call("holds.release", other.id)).released_micro == 20_000_000
    assert running.balance() == 85_000_000


async def test_metered_work_is_charged_for_what_it_used(running: Running) -> None:
    running.grant(EMAIL, 100)
    user = running.user_id

    with Client(running.base_url, api_key=running.api_key) as client:
        with client.metered(user, 20) as job:
            assert running.balance() == 80_000_000
            job.used("2.5")
        with pytest.raises(LookupError), client.metered(user, 20) as job:
            job.used(5)
            raise LookupError("the model is gone")
    async with AsyncClient(running.base_url, api_key=running.api_key) as awaited:
        async with awaited.metered(user, 20) as job:
            job.used(25)
        with pytest.raises(InsufficientCreditsError):
            async with awaited.metered(user, 1000):
                job.used(1)

    assert running.balance() == 77_500_000


async def test_people_sign_up_sign_in_refresh_and_sign_out(running: Running, clients: Clients) -> None:
    for number, call in enumerate(clients()):
        email, password = f"new{number}@example.com", "a long password of the tests"
        user = await call("users.create", email, password)
        with pytest.raises(EmailTakenError):
            await call("users.create", email, password)
        with pytest.raises(InvalidCredentialsError):
            await call("sessions.create", email, "another password", app_id=running.app_id)
        session = await call("sessions.create", email, password, app_id=running.app_id)
        fresh = await call("sessions.refresh", session.refresh_token)

        assert user.user_id == session.user.user_id == fresh.user.user_id
        assert await call("users.get", user.user_id) == session.user
        for own in clients(session_token=fresh.session_token)[number : number + 1]:
            assert (await own("users.me")).email == email
            assert (await own("wallets.list")).data[0].owner.id == user.user_id
            await own("sessions.delete")
            with pytest.raises(TokenRevokedError):
                await own("users.me")


async def test_apps_are_registered_and_their_keys_rolled(running: Running, clients: Clients) -> None:
    with Client(running.base_url) as house:
        admin = house.sessions.create(ADMIN_EMAIL, ADMIN_PASSWORD)
    for call in clients(session_token=admin.session_token):
        app = await call("apps.create", "Print", permissions=["read_credits"], domain="print.example.com")
        changed = await call("apps.update", app.app_id, name="Print shop")
        second = await call("apps.create_key", app.app_id, label="second")
        revoked = await call("apps.delete_key", app.app_id, app.api_key_id)
        login = await call("apps.create_database_login", app.app_id)

        assert app.permissions == ("read_credits",)
        assert app.api_key not in repr(app)
        assert changed.name == (await call("apps.get", app.app_id)).name == "Print shop"
        assert app.app_id in [one.app_id for one in (await call("apps.list", limit=200)).data]
        assert [key.label for key in (await call("apps.list_keys", app.app_id)).data][-1] == "second"
        assert revoked.revoked_at is not None
        with Client(running.base_url, api_key=second.api_key) as client:
            assert client.wallets.list(running.user_id).data
        with Client(running.base_url, api_key=app.api_key) as client, pytest.raises(ApiKeyRevokedError):
            client.wallets.list(running.user_id)
        with CreditSDK(login.database_url) as sdk:
            assert sdk.get_balance(running.user_id) == 0


async def test_products_are_listed_and_a_checkout_is_opened(running: Running, clients: Clients) -> None:
    with Client(running.base_url) as nobody:
        products = {product.id: product for product in nobody.products.list().data}
    back = {name: f"{running.base_url}/{name}" for name in BACK}
    for call in clients():
        checkout = await call("checkouts.create", "package_starter", user_id=running.user_id, **back)
        found = await call("checkouts.get", checkout.id)
        with pytest.raises(PriceNotFoundError):
            await call("checkouts.create", "package_nothing", user_id=running.user_id, **back)

        assert checkout.url is not None
        assert found.id == checkout.id
        assert checkout.credits_micro == products["package_starter"].credits_micro == 1000 * 10**6


def test_credit_sdk_means_the_same_over_the_api(running: Running) -> None:
    user = running.user_id
    with (
        CreditSDK(running.base_url, api_key=running.api_key) as api,
        CreditSDK(running.app_database_url) as sql,
    ):
        for sdk in (api, sql):
            assert sdk.add_credits(user, 10, "A gift", admin_id=1)
            assert sdk.consume_credits(user, "2.5", "Job", {"pages": 2})
            assert not sdk.consume_credits(user, 1000, "Job")
            assert sdk.can_afford(user, 7)
            with pytest.raises(UserNotFoundError):
                sdk.consume_credits(10**9, 1, "Job")
        assert api.get_balance(user) == sql.get_balance(user) == 15
        api.consume_credits(user, "0.5", "Job")
        assert sql.get_balance(user) == Decimal("14.5")


def test_one_key_spends_once_whichever_way_it_comes(running: Running) -> None:
    running.grant(EMAIL, 10)
    with Client(running.base_url, api_key=running.api_key) as client, ThreadPoolExecutor(16) as pool:
        answers = list(
            pool.map(lambda _: client.transfers.spend(running.user_id, 3, idempotency_key="job-1"), range(50))
        )

    assert len({answer.id for answer in answers}) == 1
    assert [answer.replayed for answer in answers].count(False) == 1
    assert running.balance() == 7_000_000


def test_the_service_may_die_and_come_back_during_a_call(running: Running) -> None:
    running.grant(EMAIL, 10)
    patient = RetryLimits(attempts=30, seconds=60)
    with (
        CreditSDK(running.base_url, api_key=running.api_key, retries=patient) as sdk,
        ThreadPoolExecutor(1) as pool,
    ):
        sdk.get_balance(running.user_id)
        running.service.kill()
        spending = pool.submit(sdk.consume_credits, running.user_id, 3, "Job")
        running.service.start()

        assert spending.result(60)
        assert sdk.get_balance(running.user_id) == 7
