"""An alert: a limit that a wallet's balance or spending may cross, and when it is armed again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from tallybook.domain.errors import InvalidRequestError
from tallybook.domain.money import Credits, positive

REARM_PERCENT_DEFAULT = 80
PERCENTS_DEFAULT = (50, 80, 100)
PERCENT_MAX = 1000
PERCENTS_MAX = 10
ALERTS_OF_A_WALLET_MAX = 20
"""How many alerts an app, or the house with the owner, may keep on one wallet."""


class AlertKind(StrEnum):
    """What an alert looks at."""

    LOW_BALANCE = "low_balance"
    BURN_RATE = "burn_rate"
    SPEND_THRESHOLD = "spend_threshold"


class Span(StrEnum):
    """How long spending is summed: a moving hour or day for a burn rate, a UTC day or month for a threshold."""

    HOUR = "hour"
    DAY = "day"
    MONTH = "month"


_SPANS = {
    AlertKind.LOW_BALANCE: (None,),
    AlertKind.BURN_RATE: (Span.HOUR, Span.DAY),
    AlertKind.SPEND_THRESHOLD: (Span.DAY, Span.MONTH),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertTerms:
    """What an alert watches for; amounts in micro-credits.

    ``amount_micro`` is the balance, the spending in a span, or the budget. A low balance is armed again at ``amount``
    plus ``margin``; a burn rate when no more than ``rearm_percent`` of the amount is spent in the span; each of
    ``percents`` of a budget is announced once in a period.
    """

    kind: AlertKind
    amount_micro: int
    margin_micro: int | None = None
    span: Span | None = None
    rearm_percent: int | None = None
    percents: tuple[int, ...] | None = None

    def completed(self) -> AlertTerms:
        """The same with the defaults of its kind.

        Raises:
            InvalidRequestError: a term that this kind does not have, or a value out of its range.
            AmountOutOfRangeError: the amount is not above zero, or too large.
        """
        kind = self.kind
        given = {name: getattr(self, name) for name in ("margin_micro", "rearm_percent", "percents")}
        taken = {AlertKind.LOW_BALANCE: "margin_micro", AlertKind.BURN_RATE: "rearm_percent"}.get(
            kind, "percents"
        )
        strange = [name for name, value in given.items() if value is not None and name != taken]
        if strange or self.span not in _SPANS[kind]:
            spans = " or ".join(str(span) for span in _SPANS[kind] if span) or "none"
            raise InvalidRequestError(f"An alert of the kind {kind} takes {taken}, and as its span: {spans}.")
        positive(Credits(self.amount_micro))
        if kind is AlertKind.LOW_BALANCE:
            margin = self.margin_micro or 0
            if margin:
                positive(Credits(margin))
            return replace(self, margin_micro=margin)
        if kind is AlertKind.BURN_RATE:
            percent = REARM_PERCENT_DEFAULT if self.rearm_percent is None else self.rearm_percent
            if not 1 <= percent <= 100:
                raise InvalidRequestError("rearm_percent is from 1 to 100.")
            return replace(self, rearm_percent=percent)
        percents = tuple(sorted(set(PERCENTS_DEFAULT if self.percents is None else self.percents)))
        if not 1 <= len(percents) <= PERCENTS_MAX or percents[0] < 1 or percents[-1] > PERCENT_MAX:
            raise InvalidRequestError(f"percents are 1 to {PERCENTS_MAX} numbers from 1 to {PERCENT_MAX}.")
        return replace(self, percents=percents)


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """An alert as it stands. ``wallet_id`` None: a default, which watches every wallet."""

    alert_id: int
    wallet_id: int | None
    app_id: int
    terms: AlertTerms
    revision: int
    began_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """What to change of an alert; None stays."""

    amount_micro: int | None = None
    margin_micro: int | None = None
    span: Span | None = None
    rearm_percent: int | None = None
    percents: tuple[int, ...] | None = None

    def of(self, terms: AlertTerms) -> AlertTerms:
        """The terms with the change made.

        Raises:
            InvalidRequestError: they do not fit the kind any more.
        """
        names = ("amount_micro", "margin_micro", "span", "rearm_percent", "percents")
        given = {name: getattr(self, name) for name in names if getattr(self, name) is not None}
        return replace(terms, **given).completed()


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """Something that others are to hear of, written down once.

    ``happened_at`` is the time of what crossed the limit, ``created_at`` when it was found. ``app_id`` 0: for the
    owner, the house and every app of the wallet.
    """

    announcement_id: int
    kind: str
    wallet_id: int | None
    app_id: int
    facts: Mapping[str, Any]
    happened_at: datetime
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What one pass over the wallets did."""

    verdict: Verdict
    announced: int


class Verdict(StrEnum):
    """How a pass ended: more wallets are left of the round, one lags behind, the round is over, another is at it."""

    MORE = "more"
    BEHIND = "behind"
    ROUND = "round"
    BUSY = "busy"
