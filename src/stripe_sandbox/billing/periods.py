"""Calendar arithmetic of billing periods, in UTC and seconds since 1970.

A cycle keeps to the day of its anchor: one that began on 31 January ends on 28 February and then on
31 March (docs.stripe.com/billing/subscriptions/billing-cycle). Leaves money to ``proration``.
"""

import calendar
from datetime import UTC, datetime

HOUR = 3600
DAY = 24 * HOUR
_MONTHS = {"month": 1, "year": 12}
_DAYS = {"day": 1, "week": 7}
_YEAR = 12


def add(at: int, interval: str, count: int) -> int:
    """Return the time `count` intervals after `at`, on the last day of months that are too short."""
    if interval in _DAYS:
        return at + count * _DAYS[interval] * DAY
    start = datetime.fromtimestamp(at, UTC)
    months = start.year * _YEAR + start.month - 1 + count * _MONTHS[interval]
    year, month = divmod(months, _YEAR)
    day = min(start.day, calendar.monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


def end(anchor: int, start: int, recurring: dict[str, object]) -> int:
    """Return the first boundary after `start` of the cycle that `anchor` belongs to."""
    interval, count = str(recurring["interval"]), int(str(recurring["interval_count"]))
    step = _guess(anchor, start, interval, count)
    while add(anchor, interval, step * count) > start:
        step -= 1
    while add(anchor, interval, step * count) <= start:
        step += 1
    return add(anchor, interval, step * count)


def before(anchor: int, recurring: dict[str, object]) -> int:
    """Return the boundary one period before `anchor`."""
    return add(anchor, str(recurring["interval"]), -int(str(recurring["interval_count"])))


def _guess(anchor: int, start: int, interval: str, count: int) -> int:
    """Return about how many periods lie between, to begin counting from."""
    longest = {"day": DAY, "week": 7 * DAY, "month": 31 * DAY, "year": 366 * DAY}[interval]
    return (start - anchor) // (longest * count)
