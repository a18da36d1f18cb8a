"""How much is measured: a whole run stays under eight minutes, ``--quick`` under 90 seconds on an idle machine."""

from __future__ import annotations

from dataclasses import dataclass

SECONDS = 1.0
SECONDS_QUICK = 0.4


@dataclass(frozen=True, slots=True)
class Plan:
    """The size of one run; ``seconds`` is how long one slice lasts."""

    seconds: float
    rounds: int
    wallets: int
    connections_tried: tuple[int, ...]
    tuning_seconds: float
    overspend_trials: int
    payments_waiting: int


def plan(*, quick: bool, seconds: float | None) -> Plan:
    """The plan for the flags of the command line."""
    if quick:
        return Plan(
            seconds=seconds or SECONDS_QUICK,
            rounds=2,
            wallets=500,
            connections_tried=(16,),
            tuning_seconds=0.3,
            overspend_trials=3,
            payments_waiting=30,
        )
    return Plan(
        seconds=seconds or SECONDS,
        rounds=5,
        wallets=10_000,
        connections_tried=(8, 16, 32, 64),
        tuning_seconds=0.7,
        overspend_trials=5,
        payments_waiting=150,
    )
