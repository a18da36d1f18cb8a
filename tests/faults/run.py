"""One bank run, from the first customer to the last check: traffic and kills, then settling, draining, judging."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
from faults import books, checks
from faults.bank import Bank
from faults.buyers import Buyer
from faults.clients import TIMEOUT_SECONDS, Client
from faults.journal import Journal
from faults.killer import Kill, Victim, kill_in_turn
from sandbox.process import KEY

CLIENTS = 24
BUYERS = 3
OPENING_MICRO = 10_000_000
PATIENCE_SECONDS = 180.0
PAUSE_SECONDS = (0.5, 1.5)
SAMPLE = 150


@dataclass(slots=True)
class Outcome:
    """What came of it."""

    journal: Journal
    kills: list[Kill]
    paid: dict[str, bool]
    faults: list[str]
    seconds: dict[str, float]

    def summary(self) -> str:
        """A few lines for people."""
        lines = [
            f"{len(self.journal.entries)} requests, {len(self.journal.purchases)} purchases"
            f" ({sum(self.paid.values())} paid), seconds: "
            + ", ".join(f"{name} {spent:.1f}" for name, spent in self.seconds.items()),
            ", ".join(f"{name}: {count}" for name, count in sorted(self.journal.counts.items())),
        ]
        for victim, count in Counter(kill.victim for kill in self.kills).items():
            mine = [kill for kill in self.kills if kill.victim == victim]
            lines.append(
                f"{victim}: {count} kills cut off {sum(kill.hit for kill in mine)},"
                f" longest away {max(kill.seconds_away for kill in mine):.1f} s"
            )
        return "\n".join(lines)


class Run:
    """A bank, a journal, and who takes part."""

    def __init__(self, bank: Bank, journal: Journal, *, seed: int, seconds: float) -> None:
        self.bank = bank
        self.journal = journal
        self.rng = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self.seconds = seconds
        self.run_id = f"run{seed}"
        self.victims: list[Victim] = bank.victims(journal)
        self._marks = [("", time.monotonic())]

    async def carry_out(self) -> Outcome:
        """The whole of it."""
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=64)
        async with (
            httpx.AsyncClient(
                base_url=self.bank.serve.base_url, headers={"X-API-Key": self.bank.api_key},
                timeout=TIMEOUT_SECONDS, limits=limits, trust_env=False,
            ) as http,
            httpx.AsyncClient(
                base_url=self.bank.sandbox.base_url, headers={"Authorization": f"Bearer {KEY}"},
                timeout=30, trust_env=False,
            ) as stripe,
        ):  # fmt: skip
            known = (self.journal, self.bank.accounts, self.run_id)
            clients = [Client(n, self._rng(), http, *known) for n in range(CLIENTS)]
            buyers = [Buyer(n, self._rng(), http, stripe, *known) for n in range(BUYERS)]
            await self._open(clients[0])
            await self._traffic(clients, buyers)
            self._mark("traffic and kills")
            await self._settle(clients, buyers[0])
            self._mark("settling")
            await self._drain(stripe)
            self._mark("draining")
            await self._replay_settled(clients)
            paid = await self._paid(stripe)
            faults = await self._judge(stripe, paid)
        self._mark("replaying and checking")
        spent = {name: at - self._marks[n][1] for n, (name, at) in enumerate(self._marks[1:])}
        kills = [kill for victim in self.victims for kill in victim.kills]
        return Outcome(self.journal, kills, paid, faults, spent)

    async def _judge(self, stripe: httpx.AsyncClient, paid: dict[str, bool]) -> list[str]:
        """Every broken promise; ``paid`` is Stripe's word of each session."""
        del stripe
        return checks.all_faults(books.read(self.bank.database.superuser_url), self.journal, paid)

    def _rng(self) -> random.Random:
        return random.Random(self.rng.random())  # noqa: S311

    def _mark(self, name: str) -> None:
        self._marks.append((name, time.monotonic()))

    async def _open(self, client: Client) -> None:
        for account in self.bank.accounts:
            await client.settle(client.ask("grant", account, OPENING_MICRO))

    async def _traffic(self, clients: list[Client], buyers: list[Buyer]) -> None:
        """Everyone acts and the killer kills until time is up and each victim has died often enough."""
        end = time.monotonic() + self.seconds

        def over() -> bool:
            return time.monotonic() > end and all(victim.done for victim in self.victims)

        async with asyncio.timeout(self.seconds + PATIENCE_SECONDS), asyncio.TaskGroup() as group:
            postgres, service, worker = self.victims
            turns = [[postgres], [service, worker]]
            killing = group.create_task(kill_in_turn(turns, self._rng(), PAUSE_SECONDS, over))
            # Clients go on until the last victim is up again, so that each kill meets traffic.
            for run in (*(client.run for client in clients), *(buyer.run for buyer in buyers)):
                group.create_task(run(killing.done))

    async def _settle(self, clients: list[Client], buyer: Buyer) -> None:
        """Replay every unknown with its key until it is answered; open every purchase that was lost."""
        unknown = self.journal.unknown
        try:
            async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as group:
                for n, client in enumerate(clients):
                    group.create_task(_each(client.settle, unknown[n :: len(clients)]))
                for purchase in self.journal.purchases:
                    if purchase.session is None:
                        group.create_task(buyer.open(purchase, lambda: False))
        except TimeoutError:
            left = self.journal.unknown[:3]
            raise AssertionError(f"never answered: {left}; {self.journal.faults[-3:]}") from None

    async def _drain(self, stripe: httpx.AsyncClient) -> None:
        """Until every event was delivered and worked off; leases of dead workers are made to run out."""
        await _until(lambda: _delivered(stripe), "deliveries are stuck")
        self.bank.kill_worker()
        self.bank.let_time_pass()
        await asyncio.to_thread(self.bank.revive_worker)
        await _until(self._worked_off, "the inbox is stuck")

    async def _worked_off(self) -> bool:
        found = self.bank.rows(
            "SELECT status, count(*) AS events FROM tallybook.stripe_events"
            " WHERE status NOT IN ('done', 'ignored') GROUP BY status"
        )
        assert "dead" not in {row["status"] for row in found}, found
        return not found

    async def _replay_settled(self, clients: list[Client]) -> None:
        """Keys that were settled long ago get the same answers still."""
        settled = [entry for entry in self.journal.entries if entry.status is not None]
        sample = self.rng.sample(settled, min(SAMPLE, len(settled)))
        before = self.journal.counts["replays"]
        await asyncio.gather(
            *(_each(client.send, sample[n :: len(clients)]) for n, client in enumerate(clients))
        )
        answered = self.journal.counts["replays"] - before
        assert answered == len(sample), "a replay was lost while nothing was killed"

    async def _paid(self, stripe: httpx.AsyncClient) -> dict[str, bool]:
        """What Stripe says about each session."""
        found = {}
        for purchase in self.journal.purchases:
            answer = (await stripe.get(f"/v1/checkout/sessions/{purchase.session}")).json()
            found[answer["id"]] = answer["payment_status"] == "paid"
        return found


async def _each(verb: Callable[[Any], Any], entries: list[Any]) -> None:
    for entry in entries:
        await verb(entry)


async def _delivered(stripe: httpx.AsyncClient) -> bool:
    found = (await stripe.get("/_sandbox/health")).json()["deliveries"]
    assert not found.keys() & {"failed", "dropped"}, found
    return "pending" not in found


async def _until(condition: Callable[[], Any], complaint: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await condition():
        assert time.monotonic() < deadline, complaint
        await asyncio.sleep(0.1)
