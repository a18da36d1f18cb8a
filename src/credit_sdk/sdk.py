"""``CreditSDK``: four calls over a PostgreSQL URL or over the API, with the same meaning on both.

It keeps the signatures of the integration guide that apps were written against. What an amount is
stands in ``amounts.py``; how the two ways work in ``direct_sql.py`` and ``clients.py``.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from credit_sdk import requests
from credit_sdk.amounts import Amount, credits_of, micro_of, positive_micro_of
from credit_sdk.errors import InsufficientCreditsError, SettingsError
from credit_sdk.outbox.senders import sender_for
from credit_sdk.outbox.terms import FailOpen, WhenAway
from credit_sdk.retries import RetryLimits
from credit_sdk.transport import Connection

if TYPE_CHECKING:
    from credit_sdk.direct_sql import DirectSql

_SQL_SCHEMES = ("postgresql", "postgres")


class _OverHttp:
    """The same calls as ``DirectSql``, over the native API."""

    def __init__(self, connection: Connection, when_away: WhenAway | None) -> None:
        self._sender = sender_for(connection, when_away)
        self.close = self._sender.close

    def available_micro(self, user_id: int) -> int:
        return self._sender.send(requests.wallets(user_id)).data[0].available_micro

    def spend(self, user_id: int, micro: int, note: Mapping[str, Any], key: str) -> None:
        self._sender.send(requests.spend(user_id, credits_of(micro), **note, idempotency_key=key))

    def grant(self, user_id: int, micro: int, note: Mapping[str, Any], key: str) -> None:
        self._sender.send(requests.grant(user_id, credits_of(micro), **note, idempotency_key=key))


def _libpq_url(url: str) -> str | None:
    """The URL as libpq reads it, without the driver that SQLAlchemy's form names; or None."""
    scheme, separator, rest = url.partition("://")
    dialect = scheme.partition("+")[0].lower()
    return f"postgresql://{rest}" if separator and dialect in _SQL_SCHEMES else None


class CreditSDK:
    """Read, spend and add the credits of users.

    ``url`` is a PostgreSQL URL (the app's own database login; SQLAlchemy's
    ``postgresql+psycopg2://`` form and ``postgres://`` work too), or the address of the API
    together with ``api_key``. Threads may share one object; it may be made before a fork. Nothing
    is connected before the first call.

    Each call is tried again when the connection is lost or the service is briefly away, with one
    idempotency key, so it never acts twice.
    """

    def __init__(
        self,
        url: str | None,
        api_key: str | None = None,
        *,
        timeout_seconds: float = 10.0,
        max_connections: int = 4,
        retries: RetryLimits | None = None,
        when_away: WhenAway | None = None,
    ) -> None:
        """``timeout_seconds`` is for one attempt; ``max_connections`` limits the pool of a PostgreSQL URL.

        ``when_away`` (the API only): ``FailClosed()`` or ``FailOpen(lease=…, outbox="path.sqlite")``.

        Raises:
            SettingsError: no URL, neither PostgreSQL's nor http(s), an API address without its
                key, or failing open over SQL.
        """
        if not url:
            message = "CreditSDK needs a PostgreSQL URL or the API's address: is DATABASE_URL set?"
            raise SettingsError(message)
        limits = retries or RetryLimits()
        self._books: DirectSql | _OverHttp
        sql_url = _libpq_url(url)
        if sql_url is not None:
            if isinstance(when_away, FailOpen):
                message = "Failing open needs the API: over SQL there are no holds to lease."
                raise SettingsError(message)
            self._books = _direct_sql(sql_url, max_connections, timeout_seconds, limits)
            return
        if not api_key:
            message = "CreditSDK over the API needs api_key: is API_KEY set?"
            raise SettingsError(message)
        self._books = _OverHttp(
            Connection(base_url=url, api_key=api_key, timeout_seconds=timeout_seconds, retries=limits),
            when_away,
        )

    def get_balance(self, user_id: int) -> int | Decimal:
        """What the user can spend now, in credits: an int when whole, else an exact Decimal.

        Raises:
            UserNotFoundError: there is no such user.
            PermissionDeniedError: the app lacks ``read_credits``.
        """
        return credits_of(self._books.available_micro(user_id))

    def can_afford(self, user_id: int, credits: Amount) -> bool:
        """Whether the user can spend so many credits now; others may spend before ``consume_credits`` does.

        Raises:
            TypeError: a float. AmountOutOfRangeError: negative or too fine. Else as
                ``get_balance``.
        """
        needed = micro_of(credits)
        return self._books.available_micro(user_id) >= needed

    def consume_credits(
        self,
        user_id: int,
        credits: Amount,
        description: str,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> bool:
        """Spend credits: True when they are spent, False when there are not enough (then nothing was taken).

        Pass an ``idempotency_key`` of your own (the job's id, say) to make a repeated call spend
        once.

        Raises:
            TypeError: a float. AmountOutOfRangeError: zero, negative or too fine.
            PermissionDeniedError: the app lacks ``consume_credits``. UserNotFoundError: there is no
                such user.
            IdempotencyKeyReusedError: the key was used for other terms.
            DatabaseUnavailableError, ServiceUnreachableError: away; repeat with the error's
                ``idempotency_key``.
        """
        micro = positive_micro_of(credits)
        key = idempotency_key or requests.new_key()
        try:
            self._books.spend(user_id, micro, _note(description, metadata), key)
        except InsufficientCreditsError:
            return False
        return True

    def add_credits(  # noqa: PLR0917 - the order is that of the integration guide
        self,
        user_id: int,
        credits: Amount,
        description: str,
        admin_id: int | None = None,
        metadata: Mapping[str, Any] | None = None,
        idempotency_key: str | None = None,
    ) -> bool:
        """Add credits by hand; needs the permission ``grant_credits``. ``admin_id`` is kept in the metadata.

        Paid credits need no such call: the service itself grants what Stripe says is paid.

        Raises:
            As ``consume_credits``; BalanceLimitError: the wallet would hold too much.
        """
        micro = positive_micro_of(credits)
        facts = metadata if admin_id is None else {**(metadata or {}), "admin_id": admin_id}
        key = idempotency_key or requests.new_key()
        self._books.grant(user_id, micro, _note(description, facts), key)
        return True

    def close(self) -> None:
        """Give the connections back; a later call opens new ones."""
        self._books.close()

    def __enter__(self) -> Self:
        """The SDK itself."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close."""
        self.close()


def _note(description: str, metadata: Mapping[str, Any] | None) -> dict[str, Any]:
    return {"description": description, "metadata": None if metadata is None else dict(metadata)}


def _direct_sql(url: str, most: int, timeout_seconds: float, limits: RetryLimits) -> DirectSql:
    try:
        # Only here, so that apps which speak HTTP need no PostgreSQL driver.
        from credit_sdk.direct_sql import DirectSql  # noqa: PLC0415
    except ImportError as problem:
        message = f"A PostgreSQL URL needs the driver: pip install 'psycopg[binary]' ({problem})"
        raise SettingsError(message) from problem
    return DirectSql(url, max_connections=most, timeout_seconds=timeout_seconds, retries=limits)
