"""Sends events to webhook endpoints: signed, retried with back-off, at least once.

Deliveries are rows written together with the event, so a killed sandbox goes on where it was;
one that was answered but not yet noted is sent again. A redirect counts as a failure. Source:
docs.stripe.com/webhooks. Leaves writing events to ``events``.
"""

import asyncio
import hashlib
import hmac
import json
import logging
import sqlite3
from dataclasses import dataclass, field

import httpx

from stripe_sandbox import events, versions
from stripe_sandbox.kinds import Json
from stripe_sandbox.sandbox import Sandbox

_LOG = logging.getLogger(__name__)
_PAUSED = "delivery_paused"
_IDLE_SECONDS = 0.5


@dataclass(frozen=True)
class Retries:
    """When to try again: `first` seconds, doubling up to `longest`, `attempts` in all."""

    first: float = 1.0
    longest: float = 3600.0
    attempts: int = 16

    def wait(self, attempts: int) -> float:
        """Return the seconds to wait after this many failed attempts."""
        return float(min(self.first * 2 ** (attempts - 1), self.longest))


def signature(secret: str, payload: bytes, at: int) -> str:
    """Return the ``Stripe-Signature`` header: HMAC-SHA256 over time and raw body."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + payload, hashlib.sha256)
    return f"t={at},v1={signed.hexdigest()}"


@dataclass
class Courier:
    """Carries events out in the background."""

    sandbox: Sandbox
    retries: Retries = field(default_factory=Retries)
    at_once: int = 8
    time_out: float = 20.0
    _bell: asyncio.Event = field(default_factory=asyncio.Event)
    _out: set[int] = field(default_factory=set)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def wake(self) -> None:
        """Look for work now."""
        self._bell.set()

    @property
    def paused(self) -> bool:
        """Whether deliveries are held back; outlives a restart."""
        return self.sandbox.store.setting(_PAUSED) == "yes"

    def pause(self, *, on: bool) -> None:
        """Hold deliveries back, or let them go."""
        self.sandbox.store.set_setting(_PAUSED, "yes" if on else "no")
        self.wake()

    async def run(self) -> None:
        """Send what is due, until cancelled."""
        async with httpx.AsyncClient(timeout=self.time_out, follow_redirects=False, trust_env=False) as http:
            try:
                while True:
                    self._bell.clear()
                    self._start_due(http)
                    await self._rest()
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def send_again(self, event_id: str, endpoint: Json, *, times: int) -> list[int | str]:
        """Send an event `times` times at once, outside the schedule; returns the answers."""
        async with httpx.AsyncClient(timeout=self.time_out, follow_redirects=False, trust_env=False) as http:
            event = self.sandbox.store.get(event_id, "event")
            assert event is not None, event_id
            sends = [self._post(http, event, endpoint, "again") for _ in range(times)]
            answers = await asyncio.gather(*sends)
        return [status if status is not None else error for status, error in answers]

    async def _rest(self) -> None:
        """Wait for the bell, the next due time or a moment."""
        row = self.sandbox.store.db.execute(
            "SELECT min(next_at) FROM deliveries WHERE status = 'pending' AND next_at > ?",
            (self.sandbox.clock(),),
        ).fetchone()
        wait = _IDLE_SECONDS
        if row[0] is not None:
            wait = max(0.01, min(wait, row[0] - self.sandbox.clock()))
        try:
            await asyncio.wait_for(self._bell.wait(), wait)
        except TimeoutError:
            return

    def _start_due(self, http: httpx.AsyncClient) -> None:
        free = self.at_once - len(self._out)
        if free <= 0 or self.paused:
            return
        rows = self.sandbox.store.db.execute(
            "SELECT * FROM deliveries WHERE status = 'pending' AND next_at <= ? ORDER BY next_at, id LIMIT ?",
            (self.sandbox.clock(), self.at_once + free),
        ).fetchall()
        for row in [row for row in rows if row["id"] not in self._out][:free]:
            self._out.add(row["id"])
            task = asyncio.create_task(self._deliver(http, row))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _deliver(self, http: httpx.AsyncClient, row: sqlite3.Row) -> None:
        store = self.sandbox.store
        try:
            event = store.get(row["event"], "event")
            endpoint = store.get(row["endpoint"], "webhook_endpoint")
            assert event is not None, row["event"]
            if endpoint is None or endpoint.get("deleted") or endpoint["status"] != "enabled":
                store.db.execute("UPDATE deliveries SET status = 'dropped' WHERE id = ?", (row["id"],))
                return
            if self._struck(row):
                return
            status, error = await self._post(http, event, endpoint, "delivery")
            self._note(row, status, error)
            if self.sandbox.faults.deliveries.fate(row["id"]).double:
                await self._post(http, event, endpoint, "duplicate")
        finally:
            self._out.discard(row["id"])
            self.wake()

    def _struck(self, row: sqlite3.Row) -> bool:
        """Lose a delivery or put it off, where the fault desk says so; tells whether it did."""
        store, faults = self.sandbox.store, self.sandbox.faults.deliveries
        if row["attempts"] or not faults.first_seen(row["id"], row["endpoint"]):
            return False
        fate = faults.fate(row["id"])
        if fate.drop:
            sql = "UPDATE deliveries SET status = 'dropped', error = 'fault: drop' WHERE id = ?"
            store.db.execute(sql, (row["id"],))
        elif fate.wait:
            later = self.sandbox.clock() + fate.wait
            store.db.execute("UPDATE deliveries SET next_at = ? WHERE id = ?", (later, row["id"]))
        return fate.drop or fate.wait > 0

    async def _post(
        self, http: httpx.AsyncClient, event: Json, endpoint: Json, cause: str
    ) -> tuple[int | None, str]:
        """Send once and note it; returns the HTTP status, or ``None`` and what went wrong."""
        status, error = await self._sent(http, event, endpoint)
        self.sandbox.store.db.execute(
            "INSERT INTO attempts (event, endpoint, cause, at, response_status, error) VALUES (?, ?, ?, ?, ?, ?)",
            (event["id"], endpoint["id"], cause, self.sandbox.clock(), status, error or None),
        )
        return status, error

    async def _sent(self, http: httpx.AsyncClient, event: Json, endpoint: Json) -> tuple[int | None, str]:
        told = events.rendered(self.sandbox.store, event)
        told = versions.rendered_event(self.sandbox.call(), told, endpoint["api_version"])
        payload = json.dumps(told, indent=2).encode()
        secret = self.sandbox.store.private(endpoint["id"])["secret"]
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "Stripe-Signature": signature(secret, payload, self.sandbox.now),
            "User-Agent": "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        }
        try:
            answer = await http.post(endpoint["url"], content=payload, headers=headers)
        except (httpx.HTTPError, AttributeError) as problem:
            # The library's own fault (anyio): a receiver killed while the connection is made is an AttributeError.
            self.sandbox.journal.sent(endpoint["url"], told, type(problem).__name__)
            return None, type(problem).__name__
        self.sandbox.journal.sent(endpoint["url"], told, answer.status_code)
        return answer.status_code, ""

    def _note(self, row: sqlite3.Row, status: int | None, error: str) -> None:
        attempts = row["attempts"] + 1
        if status is not None and httpx.codes.is_success(status):
            state = "succeeded"
        else:
            state = "failed" if attempts >= self.retries.attempts else "pending"
            _LOG.info(
                "event %s to %s: attempt %d got %s",
                row["event"],
                row["endpoint"],
                attempts,
                status or error,
            )
        self.sandbox.store.db.execute(
            "UPDATE deliveries SET status = ?, attempts = ?, next_at = ?, response_status = ?,"
            " error = ? WHERE id = ? AND status = 'pending'",
            (
                state,
                attempts,
                self.sandbox.clock() + self.retries.wait(attempts),
                status,
                error or None,
                row["id"],
            ),
        )
