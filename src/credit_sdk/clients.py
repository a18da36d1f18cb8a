"""The typed clients: ``Client`` blocks, ``AsyncClient`` is awaited; every call exists on both, written once.

The calls stand in ``groups.py``; how a request is sent, judged and tried again in ``transport.py``.
"""

from __future__ import annotations

from types import TracebackType
from typing import Self, TypedDict, Unpack

from credit_sdk.amounts import Amount
from credit_sdk.errors import SettingsError
from credit_sdk.groups import Calls
from credit_sdk.jobs import Terms, TermsGiven
from credit_sdk.metering import AsyncMetered, Metered
from credit_sdk.outbox.handles import AsyncOutbox, Outbox
from credit_sdk.outbox.senders import OpenAwaiting, OpenBlocking, sender_for
from credit_sdk.outbox.terms import FailOpen, WhenAway
from credit_sdk.requests import Request, T, Target
from credit_sdk.retries import RetryLimits
from credit_sdk.transport import Awaiting, Blocking, Connection

_CLOSED = "This client fails closed: only Client(…, when_away=FailOpen(…)) has an outbox."


class Patience(TypedDict, total=False):
    """How long a client tries; the seconds are for one attempt."""

    timeout_seconds: float
    connect_timeout_seconds: float
    retries: RetryLimits


class Client(Calls[Blocking]):
    """The blocking client. Threads may share it; it may be made before a fork.

    ``api_key`` acts for the app, ``session_token`` for a signed-in user; with both, for the user
    within the app; ``hold_token`` acts within one hold (``holds.hand_on``). Further keyword arguments
    are those of ``Patience``: ``timeout_seconds``, ``connect_timeout_seconds``, ``retries``.

    ``when_away``: ``FailClosed()``, or ``FailOpen(lease=…, outbox="path.sqlite")``, which takes
    spends from a lease while the service is away and settles them later.
    """

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        session_token: str | None = None,
        hold_token: str | None = None,
        when_away: WhenAway | None = None,
        **patience: Unpack[Patience],
    ) -> None:
        """Nothing is connected before the first call.

        Raises:
            SettingsError: the address is none, or there are two tokens.
        """
        connection = Connection(
            base_url=base_url,
            api_key=api_key,
            session_token=session_token,
            hold_token=hold_token,
            **patience,
        )
        super().__init__(sender_for(connection, when_away))

    @property
    def outbox(self) -> Outbox:
        """What was accepted while the service was away (``FailOpen``).

        Raises:
            SettingsError: the client fails closed.
        """
        if not isinstance(self._sender, OpenBlocking):
            raise SettingsError(_CLOSED)
        return Outbox(self._sender)

    def send(self, request: Request[T]) -> T:
        """Send a request that was described by hand; the groups do this for theirs."""
        return self._sender.send(request)

    def metered(self, user: Target, estimate: Amount, **terms: Unpack[TermsGiven]) -> Metered:
        """Hold ``estimate`` credits while a block runs, then charge what it used.

        ``with client.metered(user, estimate) as job:`` places the hold; ``job.used(credits)`` and
        ``job.record(micro)`` count; at the end what was counted is captured, never more than was
        held, and the rest is available again. When the block fails, the hold is released and
        nothing is charged, unless ``charge_on_failure=True``. For work that streams:
        ``heartbeat=True`` extends the hold while the block runs, ``capture_every=credits`` charges
        in parts of so many. Further keyword arguments are those of ``jobs.Terms``:
        ``lifetime_seconds``, ``on_expiry``, ``parent``, ``budget``, ``description``, ``service``,
        ``metadata``, ``idempotency_key``.

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


class AsyncClient(Calls[Awaiting]):
    """The same calls, awaited; for one event loop. See ``Client`` for the arguments."""

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str | None = None,
        session_token: str | None = None,
        hold_token: str | None = None,
        when_away: WhenAway | None = None,
        **patience: Unpack[Patience],
    ) -> None:
        """Nothing is connected before the first call.

        Raises:
            SettingsError: the address is none, or there are two tokens.
        """
        connection = Connection(
            base_url=base_url,
            api_key=api_key,
            session_token=session_token,
            hold_token=hold_token,
            **patience,
        )
        if isinstance(when_away, FailOpen):
            super().__init__(OpenAwaiting(connection, when_away))
        else:
            super().__init__(Awaiting(connection))

    @property
    def outbox(self) -> AsyncOutbox:
        """What was accepted while the service was away (``FailOpen``).

        Raises:
            SettingsError: the client fails closed.
        """
        if not isinstance(self._sender, OpenAwaiting):
            raise SettingsError(_CLOSED)
        return AsyncOutbox(self._sender)

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
