"""The canaries: bugs planted on purpose, and which check notices each. ``python -m faults.canaries`` in ``tests/``.

A check that no planted bug turns red proves nothing; a sound bank that it turns red proves nothing either.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path

from faults import plants, probes
from faults.bank import Bank, open_bank
from faults.plants import Change
from faults.probes import Probe
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True, slots=True)
class Canary:
    """A planted bug: ``probe`` finds nothing in a sound bank, and ``caught_by`` in one with the bug.

    ``planted_probe`` is the same scene where the bug needs another process; ``blind`` is a probe that does not notice.
    """

    name: str
    sentence: str
    probe: Probe
    caught_by: str
    plant: Callable[[Bank], AbstractContextManager[None]]
    planted_probe: Probe | None = None
    blind: Probe | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a canary showed."""

    sound: list[str]
    planted: list[str]
    blind: list[str]


LOCK = "ORDER BY w.wallet_id FOR NO KEY UPDATE"
LOOK = "SELECT x.code, x.facts, x.legs INTO d FROM decide_v2(r, w, h, v_budgets) AS x;"
SLOW = "PERFORM pg_sleep(0.1);"
READ_AGAIN = (
    f" {SLOW} SELECT wallets.* INTO STRICT w FROM wallets WHERE wallets.wallet_id = r.wallet_id FOR UPDATE;"
    " w := unfront_v2(w); w.updated_at := greatest(w.updated_at, p_now);"
)
NO_LOCK = (
    Change("post_v2", LOCK, "ORDER BY w.wallet_id", times=2),
    Change("post_v2", "ORDER BY w.wallet_id SKIP LOCKED", "ORDER BY w.wallet_id"),
    # The exact road: between its look and its leap there is room for a pause.
    Change("swift_v2", "s.fresh AND s.all_plain", "false AND s.all_plain"),
)


def _refusals_not_stored(bank: Bank) -> AbstractContextManager[None]:
    return plants.changed(bank, Change("walk_v2", "INSERT INTO refusals SELECT v_refusal.*;", "NULL;"))


def _capture_returns_too_little(bank: Bank) -> AbstractContextManager[None]:
    rest = "WHEN a.final THEN h.remaining_micro - coalesce(a.amount_micro, 0)"
    return plants.changed(
        bank,
        Change("swift_v2", rest, f"{rest} - 1"),
        Change("swift_v2", "WHEN a.final THEN -h.remaining_micro", "WHEN a.final THEN 1 - h.remaining_micro"),
    )


@contextmanager
def _row_lock_removed(bank: Bank) -> Iterator[None]:
    # One process sends a wallet's postings one batch after another: the lock is for when others do so too.
    with (
        plants.planted_service(bank, "scatter_over_lanes"),
        plants.changed(bank, *NO_LOCK, Change("walk_v2", LOOK, f"{LOOK} {SLOW}")),
    ):
        yield


@contextmanager
def _row_lock_and_nets_removed(bank: Bank) -> Iterator[None]:
    nets = (("wallets", "wallets_available_micro_check"), ("transfers", "transfers_available_after_check"))
    changes = (
        *NO_LOCK,
        Change("walk_v2", LOOK, LOOK + READ_AGAIN),
        Change("burn_v2", "ASSERT v_left = 0, format('lots of", "ASSERT v_left >= 0, format('lots of"),
    )
    with (
        plants.planted_service(bank, "scatter_over_lanes"),
        plants.without_constraints(bank, *nets),
        plants.changed(bank, *changes),
    ):
        yield


CANARIES = (
    Canary(
        "refusals not stored",
        "A spend that was refused is booked when its key comes again after credits were bought.",
        probes.refused_then_replayed, "I7", _refusals_not_stored,
    ),
    Canary(
        "capture returns too little",
        "A final capture gives back one micro-credit less than the rest; the books tie, the hold is never settled.",
        probes.captured_in_part, "I5", _capture_returns_too_little,
    ),
    Canary(
        "webhook marked done first",
        "The event is marked before its effect, so a crash between the two loses the grant.",
        probes.killed_before_the_grant(), "I8", lambda _: nullcontext(),
        planted_probe=probes.killed_before_the_grant("mark_first"),
    ),
    Canary(
        "signature check removed",
        "Whatever stands in the signature header is believed.",
        probes.forged, "signature", lambda bank: plants.planted_service(bank, "believe_any_signature"),
    ),
    Canary(
        "asynchronous commit",
        "Answers go out before the commit is on the disk, so SIGKILL of PostgreSQL loses acknowledged spends.",
        probes.acknowledged_then_killed, "I6", plants.asynchronous_commit,
    ),
    Canary(
        "row lock removed",
        "Callers decide on the same balance; the ledger's unique keys stop them, and callers see errors.",
        probes.spent_at_once, "answered 500", _row_lock_removed,
    ),
    Canary(
        "row lock and constraints removed",
        "The wallet is overspent for a moment; the next purchase hides it from the final state, not from the history.",
        probes.spent_at_once, "I3b", _row_lock_and_nets_removed, blind=probes.spent_at_once_in_the_end,
    ),
)  # fmt: skip


def try_out(canary: Canary, bank: Bank, place: Path) -> Found:
    """Run the probe on the sound bank, then with the bug."""

    async def probed(probe: Probe) -> list[str]:
        async with probes.scene(bank, place) as on:
            return await probe(on)

    sound = asyncio.run(probed(canary.probe))
    with canary.plant(bank):
        planted = asyncio.run(probed(canary.planted_probe or canary.probe))
        blind = asyncio.run(probed(canary.blind)) if canary.blind else []
    return Found(sound, planted, blind)


def verdict(canary: Canary, found: Found) -> str:
    """Empty if the check is sharp: silent on the sound bank, and the right one speaks on the planted one."""
    if found.sound:
        return f"the sound bank fails it: {found.sound[0]}"
    if found.blind:
        return f"the final state alone shows it: {found.blind[0]}"
    if not any(canary.caught_by in fault for fault in found.planted):
        return f"not caught by {canary.caught_by}: {found.planted[:3]}"
    return ""


def main() -> int:
    """Try all of them and print a table; 1 if one is not caught."""
    table = Table("canary", "what is planted", "caught by", "verdict", title="Canaries", show_lines=True)
    missed = 0
    with tempfile.TemporaryDirectory(prefix="tallybook-canaries-") as name:
        place = Path(name)
        with open_bank(place, accounts=1) as bank:
            for canary in CANARIES:
                said = verdict(canary, try_out(canary, bank, place))
                missed += bool(said)
                table.add_row(canary.name, canary.sentence, canary.caught_by, said or "caught")
    Console().print(table)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
