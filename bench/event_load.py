"""Delivers events as Stripe does, a process of its own: signed each by itself, over connections that stay open.

By the clock (``rate``): event after event is due at its time, whether or not the ones before were answered, and its
latency counts from that time, so that a server that stalls is charged for all who wait. Without a rate each connection
sends the next event when its last was answered.

It reads ``Order``s as JSON from stdin and writes what it saw to stdout.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import cast

import httptools
import uvloop

from bench.http_load import Seen
from bench.slices import NANOSECONDS

_LATE_SECONDS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Which events go where, how fast, and how long.

    New ones are made of ``template``, where ``{event}`` becomes ``evt_{name}_{number}``; with ``known`` only so many
    numbers are used, again and again. Those of ``given`` lie evenly among them, or, with neither a rate nor a template,
    are all there is.
    """

    port: int
    path: str
    secret: str
    connections: int
    name: str
    template: str = ""
    given: tuple[str, ...] = ()
    known: int | None = None
    rate: float | None = None
    seconds: float = 0

    @property
    def total(self) -> int | None:
        """How many events there are; None: as many as go."""
        if self.rate is not None:
            return int(self.rate * self.seconds)
        return None if self.template else len(self.given)

    def bodies(self) -> Iterator[bytes]:
        """The events in turn."""
        total, given = self.total, iter(self.given)
        gap = max(1, total // len(self.given)) if total and self.given else 0
        number = 0
        while total is None or number < total:
            of_ours = next(given, None) if gap and number % gap == 0 else None
            yield (of_ours or self._made(number)).encode()
            number += 1

    def _made(self, number: int) -> str:
        return self.template.replace("{event}", f"evt_{self.name}_{number % (self.known or sys.maxsize)}")

    def request(self, body: bytes) -> bytes:
        """The request that delivers a body now."""
        stamp = str(int(time.time())).encode()
        code = hmac.new(self.secret.encode(), stamp + b"." + body, hashlib.sha256).hexdigest()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\nStripe-Signature: t={stamp.decode()},v1={code}\r\n\r\n"
        )
        return head.encode() + body


class _Course:
    """One order under way: what is due and not sent yet, and who is free to send it."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.seen = Seen()
        self.done = asyncio.Event()
        self._bodies = order.bodies()
        self._due: deque[tuple[bytes, int]] = deque()
        # The one that has rested longest goes first: none rests so long that the server ends it.
        self._free: deque[_Connection] = deque()
        self._on_the_way = 0
        self._no_more = False
        self._deadline_ns = sys.maxsize

    async def run(self) -> Seen:
        """Deliver everything; each event that was sent is answered before this ends."""
        loop = asyncio.get_running_loop()
        for _ in range(self.order.connections):
            await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self.order.port)
        began = time.perf_counter_ns()
        async with asyncio.timeout(self.order.seconds + _LATE_SECONDS):
            if self.order.rate is None:
                if self.order.total is None:
                    self._deadline_ns = began + int(self.order.seconds * NANOSECONDS)
                for _ in range(len(self._free)):
                    self.free(self._free.popleft())
            else:
                await self._by_the_clock(began, self.order.rate)
            await self.done.wait()
        self.seen.elapsed_ns = time.perf_counter_ns() - began
        for connection in self._free:
            connection.close()
        return self.seen

    async def _by_the_clock(self, began: int, rate: float) -> None:
        for number, body in enumerate(self._bodies):
            due = began + int(number * NANOSECONDS / rate)
            # The timer counts whole milliseconds: what it wakes too early is slept again.
            while (ahead := due - time.perf_counter_ns()) > 0:  # noqa: ASYNC110
                await asyncio.sleep(ahead / NANOSECONDS)
            if self._free:
                self._send(self._free.popleft(), body, due)
            else:
                self._due.append((body, due))
        self._no_more = True
        self._end_if_over()

    def joins(self, connection: _Connection) -> None:
        """A connection is open."""
        self._free.append(connection)

    def free(self, connection: _Connection) -> None:
        """A connection can send what comes next, if anything does."""
        if self._due:
            self._send(connection, *self._due.popleft())
            return
        now = time.perf_counter_ns()
        body = next(self._bodies, None) if self.order.rate is None and now < self._deadline_ns else None
        if body is not None:
            self._send(connection, body, now)
            return
        self._free.append(connection)
        self._no_more |= self.order.rate is None
        self._end_if_over()

    def answered(self, connection: _Connection, since_ns: int, status: int, body: bytes) -> None:
        """Write an answer down."""
        seen = self.seen
        self._on_the_way -= 1
        seen.latencies_ns.append(time.perf_counter_ns() - since_ns)
        seen.statuses[str(status)] = seen.statuses.get(str(status), 0) + 1
        if status >= 300 and not seen.odd:
            seen.odd = body.decode(errors="replace")[:300]
        self.free(connection)

    def broken(self, problem: str) -> None:
        """A connection that the server ends is a fault of the run."""
        self.seen.odd = self.seen.odd or problem
        self.seen.statuses["cut off"] = self.seen.statuses.get("cut off", 0) + 1
        self.done.set()

    def _send(self, connection: _Connection, body: bytes, since_ns: int) -> None:
        self._on_the_way += 1
        connection.send(self.order.request(body), since_ns)

    def _end_if_over(self) -> None:
        if self._no_more and not self._on_the_way and not self._due:
            self.done.set()


class _Connection(asyncio.Protocol):
    """One keep-alive connection with one event on the way."""

    def __init__(self, course: _Course) -> None:
        self._course = course
        self._since_ns = 0
        self._body = b""
        self._closing = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports do not inherit from asyncio's.
        self._transport = cast("asyncio.Transport", transport)
        self._course.joins(self)

    def connection_lost(self, problem: Exception | None) -> None:
        if not self._closing:
            self._course.broken(str(problem or "the server closed the connection"))

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self._course.answered(self, self._since_ns, self._parser.get_status_code(), self._body)

    def send(self, request: bytes, since_ns: int) -> None:
        self._since_ns = since_ns
        self._body = b""
        self._parser = httptools.HttpResponseParser(self)
        self._transport.write(request)

    def close(self) -> None:
        self._closing = True
        self._transport.close()


async def run_all(orders: list[Order]) -> list[Seen]:
    """One order after another."""
    return [await _Course(order).run() for order in orders]


if __name__ == "__main__":
    wanted = [Order(**{**order, "given": tuple(order["given"])}) for order in json.load(sys.stdin)]
    json.dump([asdict(seen) for seen in uvloop.run(run_all(wanted))], sys.stdout)
