"""The outcome of one run: what it says as ratios, as one document for programs, and whether it is a failure."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from bench import intake, through_http
from bench.batches import BatchRow
from bench.in_process import Result, Row
from bench.overspend import RIGHT, Trials
from bench.through_http import HttpRow
from bench.ways.row_lock import RowLockWay
from bench.ways.seeds import SeedsThreadsWay

_BASES = {"no_op": "no-op", "fastapi": "FastAPI, no-op", "row_lock": "FastAPI, row lock"}
_SEEDS = "FastAPI, the seeds' way"


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything that one run has seen."""

    machine: dict[str, str]
    wallets: int
    slice_seconds: float
    rounds: int
    in_process: Result
    overspend: list[Trials]
    http: through_http.Result
    taken_in: intake.Result
    broken_promises: list[str]

    def failures(self) -> list[str]:
        """What must not be: books that do not tie, and any overspend or wrong refusal of the product's."""
        wrong = [
            f"{trials.way}: accepted {trials.accepted} instead of {RIGHT}"
            for trials in self.overspend
            if trials.way.startswith("Tallybook") and not trials.right
        ]
        broken = [f"ledger verify: {fault}" for fault in self.broken_promises]
        return [*wrong, *self.in_process.faults, *self.http.faults, *self.taken_in.faults, *broken]

    def document(self) -> dict[str, Any]:
        """The same for programs: rates per second, latencies in milliseconds, ratios against the baselines."""
        return {
            "machine": self.machine,
            "plan": {
                "wallets": self.wallets,
                "slice_seconds": self.slice_seconds,
                "rounds": self.rounds,
            },
            "overspend": [{**asdict(trials), "right": trials.right} for trials in self.overspend],
            "in_process": [
                {**asdict(row), "ratios": ratios(row, self.in_process.rows)} for row in self.in_process.rows
            ],
            "http": [{**asdict(row), "ratios": http_ratios(row, self.http.rows)} for row in self.http.rows],
            "batches": [
                {**asdict(row), "of_copy": of_copy(row, self.http.batches.rows)}
                for row in self.http.batches.rows
            ],
            "intake": [asdict(row) for row in self.taken_in.rows],
            "worker": [asdict(row) for row in self.taken_in.worker],
            "failures": self.failures(),
        }


def ratios(row: Row, rows: list[Row]) -> dict[str, float]:
    """How many times as fast as the baselines that there are under the same load of the same run."""
    rates = {other.way: other.figures.rate for other in rows if other.load == row.load}
    bases = {"seeds": SeedsThreadsWay.name, "row_lock": RowLockWay.name}
    return {name: row.figures.rate / rates[way] for name, way in bases.items() if way in rates}


def http_ratios(row: HttpRow, rows: list[HttpRow]) -> dict[str, float]:
    """Against the no-ops and, for a spend, the other ways, with as many connections under the same load.

    A no-op knows no load. The seeds' way is measured with the fewest connections only.
    """

    def rate(name: str, *, load: str, connections: int) -> float | None:
        for other in rows:
            if (other.request, other.load, other.connections) == (name, load, connections):
                return other.figures.rate
        return None

    found: dict[str, float | None] = {
        name: rate(base, load=row.load if base.endswith("lock") else "uniform", connections=row.connections)
        for name, base in _BASES.items()
    }
    found["seeds"] = rate(_SEEDS, load=row.load, connections=through_http.FEW)
    if row.request != "spend":
        found = {"no_op": found["no_op"], "fastapi": found["fastapi"]}
    return {name: row.figures.rate / base for name, base in found.items() if base}


def of_copy(row: BatchRow, rows: list[BatchRow]) -> float:
    """The share of the rate of COPY with as many callers in the same run."""
    return row.figures.rate / next(other.figures.rate for other in rows if other.callers == row.callers)
