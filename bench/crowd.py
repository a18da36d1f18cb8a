"""A crowd of callers over real connections: each sends one spend, and again when it is told to come back later."""

from __future__ import annotations

import asyncio
import json
import resource
from collections import Counter
from collections.abc import Sequence
from typing import cast

import httptools

_OPENING_AT_ONCE = 200
_SPARE_FILES = 200


def allow_connections(count: int) -> None:
    """Let this process and its children have so many open files, as far as they may.

    Raises:
        ValueError: they may not.
    """
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _SPARE_FILES
    if now == resource.RLIM_INFINITY or now >= wanted:
        return
    if most != resource.RLIM_INFINITY and most < wanted:
        raise ValueError(f"{count} connections need {wanted} open files, {most} are allowed: ulimit -Hn")
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


class Caller(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        """Nothing is asked yet."""
        self._answered: asyncio.Future[tuple[int, dict[str, str], bytes]] | None = None
        self._begin()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        # uvloop's transports do not inherit from asyncio's.
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._parser.feed_data(data)

    def connection_lost(self, problem: Exception | None) -> None:
        """A connection that the server ends before its answer is a fault."""
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(problem or ConnectionError("the server closed the connection"))

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep it."""
        self._headers[name.decode().lower()] = value.decode()

    def on_body(self, body: bytes) -> None:
        """Keep it."""
        self._body += body

    def on_message_complete(self) -> None:
        """The answer is whole."""
        assert self._answered is not None
        self._answered.set_result((self._parser.get_status_code(), self._headers, self._body))

    async def ask(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Send a request; gives the status, the headers and the body of its answer."""
        self._begin()
        self._answered = asyncio.get_running_loop().create_future()
        self.transport.write(request)
        return await self._answered

    def _begin(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._headers: dict[str, str] = {}
        self._body = b""


class Crowd:
    """Callers who all spend at once: how many are ``served``, how often ``told`` (by code) to come back."""

    def __init__(self, port: int, api_key: str, users: Sequence[int]) -> None:
        """Nobody has come yet."""
        self._port = port
        self._api_key = api_key
        self._users = users
        self._callers: list[Caller] = []
        self.served = 0
        self.told: Counter[str] = Counter()
        self.faults: list[str] = []

    async def open(self, count: int) -> None:
        """Open the connections."""
        loop = asyncio.get_running_loop()
        opening = asyncio.Semaphore(_OPENING_AT_ONCE)

        async def one() -> None:
            async with opening:
                _, caller = await loop.create_connection(Caller, "127.0.0.1", self._port)
                self._callers.append(caller)

        await asyncio.gather(*(one() for _ in range(count)))

    async def spend(self, keys: str) -> None:
        """Everybody spends a credit, and comes back as told until it is done or refused."""
        await asyncio.gather(
            *(
                self._spend(caller, self._users[number % len(self._users)], f"{keys}-{number}")
                for number, caller in enumerate(self._callers)
            )
        )

    def close(self) -> None:
        """Close the connections."""
        for caller in self._callers:
            caller.transport.close()
        self._callers.clear()

    async def _spend(self, caller: Caller, user: int, key: str) -> None:
        body = json.dumps({"user_id": user, "type": "spend", "amount_micro": 1_000_000})
        lines = (
            "POST /v1/transfers HTTP/1.1",
            "Host: bench",
            f"Authorization: Bearer {self._api_key}",
            f"Idempotency-Key: {key}",
            "Content-Type: application/json",
            f"Content-Length: {len(body)}",
        )
        request = ("\r\n".join(lines) + "\r\n\r\n" + body).encode()
        while True:
            status, headers, answer = await caller.ask(request)
            if status == 201:
                self.served += 1
                return
            code = str(json.loads(answer).get("code"))
            if status != 503 or "retry-after" not in headers:
                self.faults.append(f"{status} {code}, Retry-After: {headers.get('retry-after')}")
                return
            self.told[code] += 1
            await asyncio.sleep(int(headers["retry-after"]))
