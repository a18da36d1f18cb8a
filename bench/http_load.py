"""The load generator, a process of its own: raw asyncio protocols that parse answers with httptools.

Each connection has one request on the way at a time. It reads ``Order``s as JSON from stdin, runs each for
its bounded time, and writes what it saw to stdout.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import cast

import httptools
import uvloop

from bench.slices import NANOSECONDS

_LATE_SECONDS = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What to send: ``{target}`` becomes one of ``targets``, ``{serial}`` a number that never comes twice."""

    port: int
    connections: int
    seconds: float
    method: str
    path: str
    headers: dict[str, str]
    body: str | None
    targets: list[str]
    serial: str


@dataclass(slots=True)
class Seen:
    """How many answers of each status came, how long each took, and one body of an unexpected answer."""

    elapsed_ns: int = 0
    statuses: dict[str, int] = field(default_factory=dict)
    latencies_ns: list[int] = field(default_factory=list)
    odd: str = ""


class Connection(asyncio.Protocol):
    """One keep-alive connection that sends the next request when the last is answered."""

    def __init__(self, order: Order, number: int, deadline_ns: int, seen: Seen) -> None:
        """Send until the deadline; ``done`` is set when the last answer came."""
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._order = order
        self._number = number
        self._deadline_ns = deadline_ns
        self._seen = seen
        self._pick = random.Random()
        self._sent = 0
        self._sent_ns = 0
        self._body = b""
        self._parser = httptools.HttpResponseParser(self)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        # uvloop's transports do not inherit from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._send()

    def data_received(self, data: bytes) -> None:
        """Parse what came."""
        self._parser.feed_data(data)

    def connection_lost(self, problem: Exception | None) -> None:
        """A connection that the server ends before its answer is a fault of the run."""
        if not self.done.done():
            self.done.set_exception(problem or ConnectionError("the server closed the connection"))

    def on_body(self, body: bytes) -> None:
        """Keep the body of the first answer that is odd, to show it."""
        if not self._seen.odd and self._parser.get_status_code() >= 300:
            self._body += body

    def on_message_complete(self) -> None:
        """Write the answer down and send the next request, or end."""
        now = time.perf_counter_ns()
        seen = self._seen
        seen.latencies_ns.append(now - self._sent_ns)
        status = self._parser.get_status_code()
        seen.statuses[str(status)] = seen.statuses.get(str(status), 0) + 1
        if status >= 300 and not seen.odd:
            seen.odd = self._body.decode(errors="replace")[:300]
        self._body = b""
        if now < self._deadline_ns:
            self._parser = httptools.HttpResponseParser(self)
            self._send()
        else:
            self.done.set_result(None)
            self._transport.close()

    def _send(self) -> None:
        order = self._order
        target = self._pick.choice(order.targets)
        serial = f"{order.serial}-{self._number}-{self._sent}"
        self._sent += 1
        body = "" if order.body is None else order.body.replace("{target}", target)
        lines = [f"{order.method} {order.path.replace('{target}', target)} HTTP/1.1", "Host: bench"]
        lines += [f"{name}: {value.replace('{serial}', serial)}" for name, value in order.headers.items()]
        if order.body is not None:
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        self._sent_ns = time.perf_counter_ns()
        self._transport.write(("\r\n".join(lines) + "\r\n\r\n" + body).encode())


async def run(order: Order) -> Seen:
    """Send at full speed for ``order.seconds``; every request that was sent is answered before this ends."""
    seen = Seen()
    began = time.perf_counter_ns()
    deadline = began + int(order.seconds * NANOSECONDS)
    loop = asyncio.get_running_loop()
    opened = [
        await loop.create_connection(
            partial(Connection, order, number, deadline, seen), "127.0.0.1", order.port
        )
        for number in range(order.connections)
    ]
    async with asyncio.timeout(order.seconds + _LATE_SECONDS):
        await asyncio.gather(*(connection.done for _, connection in opened))
    seen.elapsed_ns = time.perf_counter_ns() - began
    return seen


async def run_all(orders: list[Order]) -> list[Seen]:
    """One order after another."""
    return [await run(order) for order in orders]


if __name__ == "__main__":
    wanted = [Order(**order) for order in json.load(sys.stdin)]
    json.dump([asdict(seen) for seen in uvloop.run(run_all(wanted))], sys.stdout)
