"""The typed clients: ``Client`` blocks, ``AsyncClient`` is awaited; every call exists on both, written once.

What a call sends and answers stands in ``requests*.py``; how it is sent, judged and tried again in
``transport.py``.
"""

from __future__ import annotations

from types import TracebackType
from typing import Generic, Self, TypedDict, Unpack

from credit_sdk import requests, requests_of_apps, requests_of_checkouts, requests_of_identity
from credit_sdk.amounts import Amount
from credit_sdk.metering import AsyncMetered, Metered, Terms, TermsGiven
from credit_sdk.operations import Group, Operation, S
from credit_sdk.requests import Request, T, Target
from credit_sdk.retries import RetryLimits
from credit_sdk.transport import Awaiting, Blocking, Connection


class Patience(TypedDict, total=False):
    """How long a client tries; the seconds are for one attempt."""

    timeout_seconds: float
    connect_timeout_seconds: float
    retries: RetryLimits


class Wallets(Group[S]):
    """Balances and history."""

    get = Operation(requests.wallet)
    list = Operation(requests.wallets)
    transfers = Operation(requests.history)


class Transfers(Group[S]):
    """Spend and add credits."""

    spend = Operation(requests.spend)
    grant = Operation(requests.grant)
    get = Operation(requests.transfer)


class Holds(Group[S]):
    """Credits set aside for work of unknown cost."""

    place = Operation(requests.place)
    capture = Operation(requests.capture)
    release = Operation(requests.release)
    get = Operation(requests.hold)


class Products(Group[S]):
    """What can be bought."""

    list = Operation(requests_of_checkouts.products)


class Checkouts(Group[S]):
    """Purchases."""

    create = Operation(requests_of_checkouts.create_checkout)
    get = Operation(requests_of_checkouts.checkout)


class Users(Group[S]):
    """Accounts of people."""

    create = Operation(requests_of_identity.create_user)
    get = Operation(requests_of_identity.user)
    me = Operation(requests_of_identity.me)


class Sessions(Group[S]):
    """Sign in and out."""

    create = Operation(requests_of_identity.create_session)
    refresh = Operation(requests_of_identity.refresh_session)
    delete = Operation(requests_of_identity.delete_session)


class Apps(Group[S]):
    """Apps and their API keys; needs an admin's session."""

    create = Operation(requests_of_apps.create_app)
    list = Operation(requests_of_apps.apps)
    get = Operation(requests_of_apps.app)
    update = Operation(requests_of_apps.update_app)
    create_key = Operation(requests_of_apps.create_key)
    list_keys = Operation(requests_of_apps.keys)
    delete_key = Operation(requests_of_apps.delete_key)
    create_database_login = Operation(requests_of_apps.create_database_login)


class _Calls(Generic[S]):
    """The groups of both clients, over one sender."""

    def __init__(self, sender: S) -> None:
        self._sender: S = sender
        self.wallets: Wallets[S] = Wallets(sender)
        self.transfers: Transfers[S] = Transfers(sender)
        self.holds: Holds[S] = Holds(sender)
        self.products: Products[S] = Products(sender)
        self.checkouts: Checkouts[S] = Checkouts(sender)
        self.users: Users[S] = Users(sender)
        self.sessions: Sessions[S] = Sessions(sender)
        self.apps: Apps[S] = Apps(sender)


class Client(_Calls[Blocking]):
    """The blocking client. Threads may share it; it may be made before a fork.

    ``api_key`` acts for the app, ``session_token`` for a signed-in user; with both, for the user
    within the app. Further keyword arguments are those of ``Patience``: ``timeout_seconds``,
    ``connect_timeout_seconds``, ``retries``.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        session_token: str | None = None,
        **patience: Unpack[Patience],
    ) -> None:
        """Nothing is connected before the first call.

        Raises:
            SettingsError: the address is none.
        """
        super().__init__(
            Blocking(Connection(base_url=base_url, api_key=api_key, session_token=session_token, **patience))
        )

    def send(self, request: Request[T]) -> T:
        """Send a request that was described by hand; the groups do this for theirs."""
        return self._sender.send(request)

    def metered(self, user: Target, estimate: Amount, **terms: Unpack[TermsGiven]) -> Metered:
        """Hold ``estimate`` credits while a block runs, then charge what it used.

        ``with client.metered(user, estimate) as job:`` places the hold; ``job.used(credits)`` and
        ``job.record(micro)`` count; at the end what was counted is captured, never more than was
        held, and the rest is available again. When the block fails, the hold is released and
        nothing is charged, unless ``charge_on_failure=True``. Further keyword arguments are those
        of ``metering.Terms``: ``lifetime_seconds``, ``on_expiry``, ``charge_on_failure``,
        ``description``, ``service``, ``metadata``, ``idempotency_key``.

        Raises:
            InsufficientCreditsError: not enough to hold; the block does not run.
            HoldUnsettledError: the service was away at the end; the hold expires by itself.
        """
        return Metered(self._sender, Terms(user=user, estimate=estimate, **terms))

    def close(self) -> None:
        """Give the connections back; a later call opens new ones."""
        self._sender.close()

    def __enter__(self) -> Self:
        """The client itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()


class AsyncClient(_Calls[Awaiting]):
    """The same calls, awaited; for one event loop. See ``Client`` for the arguments."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        session_token: str | None = None,
        **patience: Unpack[Patience],
    ) -> None:
        """Nothing is connected before the first call.

        Raises:
            SettingsError: the address is none.
        """
        super().__init__(
            Awaiting(Connection(base_url=base_url, api_key=api_key, session_token=session_token, **patience))
        )

    async def send(self, request: Request[T]) -> T:
        """Send a request that was described by hand; the groups do this for theirs."""
        return await self._sender.send(request)

    def metered(self, user: Target, estimate: Amount, **terms: Unpack[TermsGiven]) -> AsyncMetered:
        """As ``Client.metered``, for ``async with``."""
        return AsyncMetered(self._sender, Terms(user=user, estimate=estimate, **terms))

    async def close(self) -> None:
        """Give the connections back; a later call opens new ones."""
        await self._sender.close()

    async def __aenter__(self) -> Self:
        """The client itself."""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        await self.close()
