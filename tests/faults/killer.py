"""The killer of the bank run: SIGKILL to one process after another, each started again, and proof that it hit.

A run whose kills hit nothing shows nothing, so each kill says which process died and which came after it.
"""

from __future__ import annotations

import asyncio
import random
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from running_service import Service

from tallybook.postgres.embedded import EmbeddedPostgres

START_SECONDS = 180.0
RIPE_SECONDS = 2.0
ENOUGH = 3


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill that was carried out."""

    victim: str
    pid_before: int
    pid_after: int
    seconds_away: float
    hit: int
    """How much it cut off: answers that were lost, or events that were being worked on."""


@dataclass(slots=True)
class Victim:
    """Something to kill; ``damage`` counts what kills have cut off so far, ``ripe`` says that work is under way."""

    name: str
    pid: Callable[[], int]
    kill: Callable[[], None]
    revive: Callable[[], None]
    damage: Callable[[], int]
    ripe: Callable[[], bool]
    kills: list[Kill] = field(default_factory=list)

    @property
    def done(self) -> bool:
        """Whether it was killed often enough and at least one kill cut something off."""
        return len(self.kills) >= ENOUGH and any(kill.hit for kill in self.kills)

    async def die_once(self, rng: random.Random) -> None:
        """Be killed as soon as there is work under way, and be started again a moment later."""
        await asyncio.to_thread(self._await_work)
        before, damage, since = self.pid(), self.damage(), time.monotonic()
        await asyncio.to_thread(self.kill)
        await asyncio.sleep(rng.uniform(0.1, 0.5))
        hit = self.damage() - damage
        await asyncio.to_thread(self.revive)
        self.kills.append(Kill(self.name, before, self.pid(), time.monotonic() - since, hit))

    def _await_work(self) -> None:
        deadline = time.monotonic() + RIPE_SECONDS
        while not self.ripe() and time.monotonic() < deadline:
            time.sleep(0.005)


async def kill_in_turn(
    turns: list[list[Victim]], rng: random.Random, pause: tuple[float, float], over: Callable[[], bool]
) -> None:
    """Kill turn after turn until it is over; the victims of one turn die at about the same time.

    The next turn waits until they are back: a service that starts for longer than PostgreSQL lives never gets up.
    """
    while not over():
        for turn in turns:
            await asyncio.sleep(rng.uniform(*pause))
            await asyncio.gather(*(victim.die_once(rng) for victim in turn))


def the_kills_hit(kills: Sequence[Kill], counts: Mapping[str, int]) -> None:
    """Assert that the kills cut off what went on; ``counts`` is what clients counted."""
    for victim in ("postgres", "service", "worker"):
        mine = [kill for kill in kills if kill.victim == victim]
        assert len(mine) >= ENOUGH, f"{victim} was killed {len(mine)} times only"
        assert all(kill.pid_before != kill.pid_after for kill in mine), f"{victim} outlived a kill"
        assert sum(kill.hit for kill in mine) > 0, f"no kill of {victim} cut anything off"
    cut = sum(counts.get(f"connection: {name}", 0) for name in ("ReadError", "RemoteProtocolError"))
    assert cut > 0, "no request was ever cut off under way"
    assert counts.get("database_unavailable", 0) > 0, "the service never said that its database is away"
    assert counts.get("settled by a replay", 0) > 0, "no lost answer was ever asked for again"


class HeldPort:
    """A port that stays ours while the service is dead: bound without listening, so that connecting is refused.

    Linux lets our own service listen on it beside us (both ask to reuse the address), and gives it to nobody else
    who picks a free port. So no stranger can answer in place of the dead.
    """

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", 0))
        self.number = int(self._socket.getsockname()[1])

    def someone_listens(self) -> bool:
        """Whether a connection is accepted."""
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.number)) == 0

    def close(self) -> None:
        """Let it go."""
        self._socket.close()


def pid_of(process: subprocess.Popen[bytes] | None) -> int:
    """Its id."""
    assert process is not None
    return process.pid


def await_true(condition: Callable[[], bool], complaint: str) -> None:
    """Wait until it is so, but not for ever."""
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline, complaint
        time.sleep(0.05)


def revive(started: Service, ready: Callable[[], bool]) -> None:
    """Start it, again and again as an init system would, until it is ready: its database may be away meanwhile."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        started.start(await_ready=False)
        assert started.process is not None
        while started.process.poll() is None and time.monotonic() < deadline:
            if ready():
                return
            time.sleep(0.03)
        if started.process.poll() is None:
            started.kill()
    raise AssertionError(f"it does not come back:\n{started.log.read_text()[-3000:]}")


def kill_service(started: Service, port: HeldPort) -> None:
    """SIGKILL; afterwards nobody may answer on its port."""
    started.kill()
    assert not port.someone_listens(), "a stranger answers on the service's port"


def kill_postgres(postgres: EmbeddedPostgres) -> None:
    """SIGKILL of the postmaster and all of its children."""
    postgres.kill()
    assert not postgres.is_running(), "PostgreSQL outlived SIGKILL"


def revive_postgres(postgres: EmbeddedPostgres) -> None:
    """Start it again, on its port, through crash recovery."""
    assert postgres.ensure_running(), "somebody else had started PostgreSQL"
