"""What a canary does to a bank: a short scene over HTTP whose broken promises come back, none if the bank is sound.

Each scene has customers of its own, and is judged by the checks of the bank run.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import httpx
from faults import books, checks
from faults.bank import Bank, open_accounts
from faults.books import Books
from faults.buyers import GOOD_CARD, Buyer
from faults.clients import CREDIT, Account, Client
from faults.journal import Entry, Journal
from faults.plants import planted
from sandbox.process import KEY

PATIENCE_SECONDS = 60.0
Probe = Callable[["Scene"], Awaitable[list[str]]]


@dataclass(slots=True)
class Scene:
    """One customer, one client, one buyer, and an empty journal."""

    bank: Bank
    place: Path
    journal: Journal
    account: Account
    client: Client
    buyer: Buyer

    def books(self) -> Books:
        """The books, as far as they are about this scene's customer."""
        found = books.read(self.bank.database.superuser_url)
        ours = self.account.wallet_id
        lists = {
            name: [row for row in rows if row["wallet_id"] == ours] for name, rows in vars(found).items()
        }
        return replace(found, **lists)

    async def send(self, *entries: Entry) -> None:
        """Send all at once."""
        await asyncio.gather(*(self.client.send(entry) for entry in entries))

    def ask(self, op: str, credits: int) -> Entry:
        """Write down a request of this scene's customer."""
        return self.client.ask(op, self.account, credits * CREDIT)


@asynccontextmanager
async def scene(bank: Bank, place: Path) -> AsyncIterator[Scene]:
    """A scene in a bank that runs."""
    name = uuid4().hex
    journal = Journal.at(place / f"{name}.jsonl")
    [account] = await asyncio.to_thread(open_accounts, bank, 1)
    rng = random.Random(1)  # noqa: S311 - choices only
    async with (
        httpx.AsyncClient(
            base_url=bank.serve.base_url, headers={"X-API-Key": bank.api_key}, timeout=30, trust_env=False
        ) as http,
        httpx.AsyncClient(
            base_url=bank.sandbox.base_url,
            headers={"Authorization": f"Bearer {KEY}"},
            timeout=30,
            trust_env=False,
        ) as stripe,
    ):
        client = Client(0, rng, http, journal, [account], name)
        buyer = Buyer(0, rng, http, stripe, journal, [account], name)
        try:
            yield Scene(bank, place, journal, account, client, buyer)
        finally:
            journal.close()


async def refused_then_replayed(on: Scene) -> list[str]:
    """A spend is refused; credits come; the same key is sent again: it stays refused, and nothing is booked."""
    spend = on.ask("spend", 5)
    await on.send(spend)
    await on.send(on.ask("grant", 10))
    await on.send(spend)
    return [*on.journal.faults, *checks.journal_faults(on.books(), on.journal)]


async def captured_in_part(on: Scene) -> list[str]:
    """A final capture of 2 of 5 held credits gives 3 back, and nothing is left of the hold."""
    await on.send(on.ask("grant", 10))
    hold = on.ask("hold", 5)
    await on.send(hold)
    await on.send(on.client.ask_capture(hold, 2 * CREDIT, final=True))
    found = on.books()
    return [*on.journal.faults, *checks.journal_faults(found, on.journal), *checks.hold_faults(found)]


async def spent_at_once(on: Scene) -> list[str]:
    """Eight spends of 2 credits at once on a wallet of 10; credits come later. All that every check sees."""
    found = await _race(on)
    return [*on.journal.faults, *checks.final_state_faults(found), *checks.history_faults(found)]


async def spent_at_once_in_the_end(on: Scene) -> list[str]:
    """The same, looking at the final balances only: what a test without history would see."""
    return checks.final_state_faults(await _race(on))


async def _race(on: Scene) -> Books:
    await on.send(on.ask("grant", 10))
    await on.send(*(on.ask("spend", 2) for _ in range(8)))
    await on.send(on.ask("grant", 100))
    return on.books()


async def acknowledged_then_killed(on: Scene) -> list[str]:
    """Five spends are acknowledged, PostgreSQL dies by SIGKILL at once and recovers: they are there."""
    await on.client.settle(on.ask("grant", 10))
    for _ in range(5):
        await on.client.settle(on.ask("spend", 1))
    on.bank.postgres.kill()
    on.bank.postgres.ensure_running()
    return checks.journal_faults(on.books(), on.journal)


async def forged(on: Scene) -> list[str]:
    """An event that Stripe did not sign is refused, and not stored."""
    name = f"evt_{uuid4().hex}"
    event = f'{{"object": "event", "id": "{name}", "type": "checkout.session.completed", "livemode": false,'
    event += f' "created": {int(time.time())}, "data": {{"object": {{"id": "cs_test_forged"}}}}}}'
    signature = f"t={int(time.time())},v1={'0' * 64}"
    answer = await on.client.http.post(
        "/api/stripe/webhook", content=event, headers={"Stripe-Signature": signature}
    )
    stored = on.bank.rows(f"SELECT status FROM tallybook.stripe_events WHERE event_id = '{name}'")
    if answer.status_code == 400 and not stored:
        return []
    return [f"signature: a forged event was answered {answer.status_code} and stored as {stored}"]


def killed_before_the_grant(*bugs: str) -> Probe:
    """A probe whose worker has these bugs and dies in the middle of settling a paid session."""

    async def probe(on: Scene) -> list[str]:
        """One event of a paid session arrives; the worker dies over it; another comes: the session is granted."""
        bank, purchase = on.bank, on.buyer.intend()
        await on.buyer.open(purchase, lambda: False)
        await on.buyer.stripe.post("/_sandbox/delivery/pause", json={})
        paid = f"/_sandbox/checkout/sessions/{purchase.session}/pay"
        await on.buyer.stripe.post(paid, json={"card": GOOD_CARD})
        sound = bank.worker
        sound.kill()
        marker = on.place / uuid4().hex
        bank.worker = planted(
            sound, ("crash_once_before_the_grant", *bugs), FAULTS_CRASHED_ALREADY=str(marker)
        )
        try:
            await asyncio.to_thread(bank.revive_worker)
            await _deliver_completed(on, purchase.session)
            await _until(lambda: _dead(bank), "the worker did not die")
            await asyncio.to_thread(bank.let_time_pass)
            await asyncio.to_thread(bank.revive_worker)
            await _until(lambda: _settled(bank), "the inbox is stuck")
        finally:
            bank.worker.kill()
            bank.worker = sound
            await asyncio.to_thread(bank.revive_worker)
        assert marker.exists() and purchase.session is not None
        faults = checks.payment_faults(on.books(), [purchase], {purchase.session: True})
        await on.buyer.stripe.post("/_sandbox/delivery/resume", json={})
        return faults

    return probe


async def _deliver_completed(on: Scene, session: str | None) -> None:
    page = (await on.buyer.stripe.get("/v1/events", params={"limit": 100})).json()["data"]
    [event] = [
        event
        for event in page
        if event["type"] == "checkout.session.completed" and event["data"]["object"]["id"] == session
    ]
    answer = await on.buyer.stripe.post(f"/_sandbox/events/{event['id']}/resend", json={"times": 1})
    assert answer.status_code == 200, answer.text


def _dead(bank: Bank) -> bool:
    assert bank.worker.process is not None
    return bank.worker.process.poll() is not None


def _settled(bank: Bank) -> bool:
    return (
        bank.rows("SELECT 1 AS waiting FROM tallybook.stripe_events WHERE settled_at IS NULL LIMIT 1") == []
    )


async def _until(condition: Callable[[], bool], complaint: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await asyncio.to_thread(condition):
        assert time.monotonic() < deadline, complaint
        await asyncio.sleep(0.05)
