"""What is announced, as a pure function of the history: one transfer after another, no passes, no state kept.

It knows nothing of how the service evaluates. Times are seconds since 1970, amounts micro-credits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tallybook.domain.alerts.alerts import AlertKind, AlertTerms, Span

WINDOW_SLOTS = 60
SLOT_SECONDS = {Span.HOUR: 60, Span.DAY: 1440}


@dataclass(frozen=True, slots=True)
class Line:
    """A transfer: what it spent (less than zero: gave back), and what was available after it."""

    version: int
    at: int
    spent: int
    available: int
    ends_request: bool


def crossings(
    terms: AlertTerms, lines: Sequence[Line], *, begin: int, own: bool
) -> list[tuple[int, int | None]]:
    """The version of each transfer that is announced, and for a threshold the percentage."""
    if terms.kind is AlertKind.LOW_BALANCE:
        return _low_balance(terms, lines, begin=begin, own=own)
    if terms.kind is AlertKind.BURN_RATE:
        return _burn_rate(terms, lines, begin=begin)
    return _spend_threshold(terms, lines, begin=begin)


def _low_balance(
    terms: AlertTerms, lines: Sequence[Line], *, begin: int, own: bool
) -> list[tuple[int, int | None]]:
    assert terms.margin_micro is not None
    found: list[tuple[int, int | None]] = []
    fired = False
    birth = [Line(0, 0, 0, 0, ends_request=True)]
    for line in [*birth, *lines]:
        if not line.ends_request or line.version < (begin if own else begin + 1):
            continue
        if line.available < terms.amount_micro:
            if not fired:
                found.append((line.version, None))
            fired = True
        elif line.available >= terms.amount_micro + terms.margin_micro:
            fired = False
    return found


def _burn_rate(terms: AlertTerms, lines: Sequence[Line], *, begin: int) -> list[tuple[int, int | None]]:
    assert terms.span is not None
    assert terms.rearm_percent is not None
    width = SLOT_SECONDS[terms.span]
    found: list[tuple[int, int | None]] = []
    fired = False
    request: list[Line] = []
    done: list[Line] = []
    for line in lines:
        request.append(line)
        if not line.ends_request:
            continue
        oldest = line.at // width - WINDOW_SLOTS
        before = sum(earlier.spent for earlier in done if earlier.at // width > oldest)
        after = before + sum(leg.spent for leg in request)
        done += request
        request = []
        if line.version <= begin:
            continue
        if before * 100 <= terms.amount_micro * terms.rearm_percent:
            fired = False
        if after > terms.amount_micro:
            if not fired:
                found.append((line.version, None))
            fired = True
    return found


def _spend_threshold(terms: AlertTerms, lines: Sequence[Line], *, begin: int) -> list[tuple[int, int | None]]:
    assert terms.percents is not None
    found: list[tuple[int, int | None]] = []
    said: set[tuple[str, int]] = set()
    spent: dict[str, int] = {}
    for line in lines:
        day = datetime.fromtimestamp(line.at, UTC).strftime("%Y-%m-%d")
        period = day if terms.span is Span.DAY else day[:7]
        spent[period] = spent.get(period, 0) + line.spent
        if line.version <= begin or not line.ends_request:
            continue
        for percent in terms.percents:
            if (period, percent) not in said and spent[period] * 100 >= terms.amount_micro * percent:
                said.add((period, percent))
                found.append((line.version, percent))
    return found
