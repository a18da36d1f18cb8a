"""Sends a request and judges its answer: ``Blocking`` and ``Awaiting`` are thin over the same rules.

Connections are httpx's. What a request is stands in ``requests.py``, when to try again in
``retries.py``.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import httpx

from credit_sdk.errors import (
    CreditError,
    ServiceUnreachableError,
    SettingsError,
    UnexpectedAnswerError,
    refusal,
)
from credit_sdk.requests import PROBLEM_MEMBERS, Request
from credit_sdk.retries import RetryLimits, async_retrying, retrying

T = TypeVar("T")
VERSION = "0.1.0"
_STATUSES_WORTH_RETRYING = frozenset({429, 502, 503, 504})
_FAULTS_FROM = 500
# What the ledger decided: an answer to the key, so that nothing stays unknown from an attempt before it.
_DECISIONS = frozenset({402, 409, 422})
# These come with such a status, but only an operator can change the answer.
_CODES_THAT_STAY = frozenset(
    {
        "catalog_not_pushed",
        "stripe_account_mismatch",
        "stripe_not_configured",
        "stripe_refused",
        "webhook_secret_missing",
    }
)
_CODES_WORTH_RETRYING = frozenset({"wallet_busy"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where the service is, who calls it, and how patient the caller is; the seconds are for one attempt."""

    base_url: str
    api_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    hold_token: str | None = field(default=None, repr=False)
    timeout_seconds: float = 30.0
    connect_timeout_seconds: float = 5.0
    retries: RetryLimits = field(default_factory=RetryLimits)

    def __post_init__(self) -> None:
        """Refuse what is no address, and two bearers."""
        if not self.base_url.startswith(("http://", "https://")):
            message = f"The address must begin with http:// or https://, not {self.base_url!r}."
            raise SettingsError(message)
        if self.session_token and self.hold_token:
            message = "Give session_token or hold_token, not both: a request has one bearer."
            raise SettingsError(message)

    def arguments(self) -> dict[str, Any]:
        """What both of httpx's clients are made with."""
        headers = {"User-Agent": f"credit-sdk/{VERSION}", "Accept": "application/json"}
        if self.api_key:
            headers["X-API-Key"] = self.api_key
        if bearer := self.session_token or self.hold_token:
            headers["Authorization"] = f"Bearer {bearer}"
        return {
            "base_url": self.base_url.rstrip("/"),
            "headers": headers,
            "timeout": httpx.Timeout(self.timeout_seconds, connect=self.connect_timeout_seconds),
        }


def _message(request: Request[T]) -> dict[str, Any]:
    headers = {"Idempotency-Key": request.key, "Resume-Token": request.resume}
    return {
        "method": request.method,
        "url": request.path,
        "params": dict(request.query) or None,
        "json": None if request.body is None else dict(request.body),
        "headers": {name: value for name, value in headers.items() if value} or None,
    }


def _unreachable(request: Request[T], problem: httpx.RequestError) -> CreditError:
    sent = not isinstance(problem, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    may = "; it may have acted: repeat with the same idempotency key" if sent and request.key else ""
    found = ServiceUnreachableError(
        f"{request.method} {request.path}: no answer ({type(problem).__name__}: {problem}){may}"
    )
    found.may_have_acted = sent
    found.retryable = request.repeatable or not sent
    found.idempotency_key = request.key
    return found


def _judge(request: Request[T], response: httpx.Response) -> T:
    """The answer as its dataclass, or the refusal as its exception."""
    if response.is_success:
        if response.status_code == httpx.codes.NO_CONTENT:
            return request.read(None)
        value = _json(response)
        if isinstance(value, dict) and response.headers.get("Idempotent-Replayed") == "true":
            value["replayed"] = True
        return request.read(value)
    raise _refused(request, response)


def _refused(request: Request[T], response: httpx.Response) -> CreditError:
    status = response.status_code
    try:
        body = _json(response)
    except UnexpectedAnswerError:
        body = None
    problem: Mapping[str, Any] = body if isinstance(body, dict) else {}
    code = problem.get("code")
    message = problem.get("detail")
    found = refusal(
        code if isinstance(code, str) else f"http_{status}",
        message if isinstance(message, str) else f"{request.method} {request.path}: HTTP {status}",
        status=status,
        facts={name: fact for name, fact in problem.items() if name not in PROBLEM_MEMBERS},
    )
    found.idempotency_key = request.key
    found.may_have_acted = status >= _FAULTS_FROM
    found.retry_after_seconds = _retry_after(response.headers.get("Retry-After"))
    found.retryable = request.repeatable and (
        found.code in _CODES_WORTH_RETRYING
        or (status in _STATUSES_WORTH_RETRYING and found.code not in _CODES_THAT_STAY)
    )
    return found


class _Attempts:
    """What the attempts of one call leave unknown: an answer that was lost stays lost when the next is not sent."""

    def __init__(self) -> None:
        self._may_have_acted = False

    def failed(self, problem: CreditError) -> None:
        """Remember, and let the last error of the call say it."""
        if problem.status not in _DECISIONS:
            self._may_have_acted |= problem.may_have_acted
            problem.may_have_acted = self._may_have_acted


def _json(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        message = f"HTTP {response.status_code} without JSON: is the address Tallybook's?"
        raise UnexpectedAnswerError(message) from None


def _retry_after(text: str | None) -> float | None:
    """Seconds to wait, from either form of the header (RFC 9110, section 10.2.3)."""
    if text is None:
        return None
    try:
        if text.strip().isdigit():
            return float(text)
        return max(0.0, (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


class Blocking:
    """Sends and waits. Threads may share it, and a forked child gets connections of its own."""

    def __init__(self, connection: Connection) -> None:
        """Nothing is connected before the first request."""
        self._connection = connection
        self._made: dict[int, httpx.Client] = {}

    def _client(self) -> httpx.Client:
        pid = os.getpid()
        if pid not in self._made:
            self._made.setdefault(pid, httpx.Client(**self._connection.arguments()))
        return self._made[pid]

    def _attempt(self, request: Request[T]) -> T:
        try:
            response = self._client().request(**_message(request))
        except httpx.RequestError as problem:
            raise _unreachable(request, problem) from problem
        return _judge(request, response)

    def send(self, request: Request[T]) -> T:
        """The answer, after as many attempts as the limits allow.

        Raises:
            CreditError: of the class of the answer's code, or ``ServiceUnreachableError``.
        """
        attempts = _Attempts()

        def attempt() -> T:
            try:
                return self._attempt(request)
            except CreditError as problem:
                attempts.failed(problem)
                raise

        answer: T = retrying(self._connection.retries)(attempt)
        return answer

    def send_once(self, request: Request[T]) -> T:
        """The answer to a single attempt, for those who try again by themselves."""
        return self._attempt(request)

    def close(self) -> None:
        """Give the connections of this process back; the next request opens new ones."""
        client = self._made.pop(os.getpid(), None)
        if client is not None:
            client.close()


class Awaiting:
    """The twin for asyncio: one event loop at a time."""

    def __init__(self, connection: Connection) -> None:
        """Nothing is connected before the first request."""
        self._connection = connection
        self._client: httpx.AsyncClient | None = None

    async def _attempt(self, request: Request[T]) -> T:
        if self._client is None:
            self._client = httpx.AsyncClient(**self._connection.arguments())
        try:
            response = await self._client.request(**_message(request))
        except httpx.RequestError as problem:
            raise _unreachable(request, problem) from problem
        return _judge(request, response)

    async def send(self, request: Request[T]) -> T:
        """As ``Blocking.send``."""
        attempts = _Attempts()

        async def attempt() -> T:
            try:
                return await self._attempt(request)
            except CreditError as problem:
                attempts.failed(problem)
                raise

        return await async_retrying(self._connection.retries)(attempt)

    async def send_once(self, request: Request[T]) -> T:
        """As ``Blocking.send_once``."""
        return await self._attempt(request)

    async def close(self) -> None:
        """Give the connections back; the next request opens new ones."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()
