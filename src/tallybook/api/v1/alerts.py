"""/v1/alerts and /v1/announcements: limits that are watched for, and what is announced of them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, Self

from fastapi import APIRouter, Query, Response
from pydantic import Field, StrictBool, StrictInt, model_validator

from tallybook.api.deps import AmountMicro, Body, CallerDep, Ctx, IdempotencyKey, Shape, UserId, problems
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.domain.alerts.alerts import (
    PERCENT_MAX,
    PERCENTS_DEFAULT,
    PERCENTS_MAX,
    REARM_PERCENT_DEFAULT,
    Alert,
    AlertChange,
    AlertKind,
    AlertTerms,
    Announcement,
    Span,
)
from tallybook.domain.ids import parse_plain_id, plain_id
from tallybook.domain.money import AMOUNT_MICRO_MAX
from tallybook.usecases import alerts

router = APIRouter(
    prefix="/v1/alerts", tags=["alerts"], route_class=StrictJsonRoute, responses=problems(400, 401, 403, 404)
)
announcements_router = APIRouter(
    prefix="/v1/announcements",
    tags=["alerts"],
    route_class=StrictJsonRoute,
    responses=problems(401, 403, 404),
)
ANNOUNCEMENT_MAX = 2**62

Margin = Annotated[
    StrictInt,
    Field(ge=0, le=AMOUNT_MICRO_MAX, description="Armed again when available is at least amount + margin."),
]
RearmPercent = Annotated[
    StrictInt,
    Field(ge=1, le=100, description="Armed again when no more than this part of the amount is spent."),
]
Percents = Annotated[
    list[Annotated[StrictInt, Field(ge=1, le=PERCENT_MAX)]],
    Field(
        min_length=1,
        max_length=PERCENTS_MAX,
        description="Each is announced once in a period.",
        examples=[list(PERCENTS_DEFAULT)],
    ),
]
OfWallet = Annotated[str | None, Query(max_length=40, description="Of this wallet.", examples=["wal_12"])]
OfUser = Annotated[int | None, Query(ge=1, le=2**53 - 1, description="Of this user's wallet.")]
Limit = Annotated[int, Query(ge=1, le=200)]


class Watched(Body):
    """What to watch: ``wallet``, ``user_id`` or ``every_wallet`` (admins); with none, the caller's own wallet."""

    wallet: str | None = Field(default=None, examples=["wal_12"], max_length=40)
    user_id: UserId | None = None
    every_wallet: StrictBool = False
    amount_micro: AmountMicro

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        if (self.wallet is not None) + (self.user_id is not None) + self.every_wallet > 1:
            raise ValueError("give one of wallet, user_id and every_wallet")
        return self

    def place(self) -> alerts.Place:
        """What to watch."""
        return alerts.Place(
            wallet_id=None if self.wallet is None else parse_plain_id("wal", self.wallet),
            user_id=self.user_id,
            every_wallet=self.every_wallet,
        )


class LowBalanceBody(Watched):
    """Available falls below the amount."""

    kind: Literal["low_balance"]
    margin_micro: Margin = 0

    def terms(self) -> AlertTerms:
        """What to watch for."""
        kind = AlertKind.LOW_BALANCE
        return AlertTerms(kind=kind, amount_micro=self.amount_micro, margin_micro=self.margin_micro)


class BurnRateBody(Watched):
    """More than the amount is spent within a moving hour or day."""

    kind: Literal["burn_rate"]
    span: Literal["hour", "day"]
    rearm_percent: RearmPercent = REARM_PERCENT_DEFAULT

    def terms(self) -> AlertTerms:
        """What to watch for."""
        return AlertTerms(
            kind=AlertKind.BURN_RATE,
            amount_micro=self.amount_micro,
            span=Span(self.span),
            rearm_percent=self.rearm_percent,
        )


class SpendThresholdBody(Watched):
    """Percentages of a budget are spent in a UTC day or month."""

    kind: Literal["spend_threshold"]
    span: Literal["day", "month"]
    percents: Percents = Field(default_factory=lambda: list(PERCENTS_DEFAULT))

    def terms(self) -> AlertTerms:
        """What to watch for."""
        return AlertTerms(
            kind=AlertKind.SPEND_THRESHOLD,
            amount_micro=self.amount_micro,
            span=Span(self.span),
            percents=tuple(self.percents),
        )


AlertBody = Annotated[LowBalanceBody | BurnRateBody | SpendThresholdBody, Field(discriminator="kind")]


class AlertChangeBody(Body):
    """What to change; what is left out stays. A change begins the alert anew."""

    amount_micro: AmountMicro | None = None
    margin_micro: Margin | None = None
    span: Literal["hour", "day", "month"] | None = None
    rearm_percent: RearmPercent | None = None
    percents: Percents | None = None

    def change(self) -> AlertChange:
        """What to change."""
        return AlertChange(
            amount_micro=self.amount_micro,
            margin_micro=self.margin_micro,
            span=None if self.span is None else Span(self.span),
            rearm_percent=self.rearm_percent,
            percents=None if self.percents is None else tuple(self.percents),
        )


class AlertShape(Shape):
    """An alert; what its kind does not have is null."""

    id: str = Field(examples=["alr_3"])
    wallet: str | None = Field(examples=["wal_12"], description="Null: every wallet.")
    kind: AlertKind
    amount_micro: int = Field(examples=[10_000_000])
    margin_micro: int | None
    span: Span | None
    rearm_percent: int | None
    percents: list[int] | None
    began_at: datetime = Field(description="When it was set or last changed.")
    created_at: datetime

    @classmethod
    def from_domain(cls, alert: Alert) -> AlertShape:
        """Draw an alert."""
        terms = alert.terms
        return cls(
            id=plain_id("alr", alert.alert_id),
            wallet=None if alert.wallet_id is None else plain_id("wal", alert.wallet_id),
            kind=terms.kind,
            amount_micro=terms.amount_micro,
            margin_micro=terms.margin_micro,
            span=terms.span,
            rearm_percent=terms.rearm_percent,
            percents=None if terms.percents is None else list(terms.percents),
            began_at=alert.began_at,
            created_at=alert.created_at,
        )


class AlertPage(Shape):
    """A page of alerts; ``next_cursor`` goes into ``after``."""

    data: list[AlertShape]
    has_more: bool
    next_cursor: str | None = Field(examples=["alr_3"])


class AnnouncementShape(Shape):
    """Something that was announced, once."""

    id: str = Field(examples=["ann_7"])
    kind: str = Field(examples=["alert.low_balance"])
    wallet: str | None = Field(examples=["wal_12"])
    facts: dict[str, Any] = Field(
        examples=[
            {
                "alert": "alr_3",
                "transfer": "trf_12_9",
                "amount_micro": 10_000_000,
                "available_micro": 9_500_000,
            }
        ]
    )
    happened_at: datetime
    created_at: datetime = Field(description="When it was found and announced.")

    @classmethod
    def from_domain(cls, announcement: Announcement) -> AnnouncementShape:
        """Draw an announcement."""
        wallet_id = announcement.wallet_id
        return cls(
            id=plain_id("ann", announcement.announcement_id),
            kind=announcement.kind,
            wallet=None if wallet_id is None else plain_id("wal", wallet_id),
            facts=dict(announcement.facts),
            happened_at=announcement.happened_at,
            created_at=announcement.created_at,
        )


class AnnouncementPage(Shape):
    """A page of announcements, newest first; ``next_cursor`` goes into ``after``."""

    data: list[AnnouncementShape]
    has_more: bool
    next_cursor: str | None = Field(examples=["ann_7"])


@router.post("", status_code=201, summary="Set an alert", responses=problems(400, 401, 403, 404, 409))
async def set_alert(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, body: AlertBody, response: Response
) -> AlertShape:
    """Announces what crosses its limit from now on, once, until it is armed again."""
    made = await alerts.add(ctx, caller, body.place(), body.terms(), key=key)
    if made.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return AlertShape.from_domain(made.alert)


@router.get("", summary="Alerts")
async def list_alerts(
    ctx: Ctx,
    caller: CallerDep,
    wallet: OfWallet = None,
    user_id: OfUser = None,
    limit: Limit = 50,
    after: Annotated[str | None, Query(description="The last alert of the page before.")] = None,
) -> AlertPage:
    """In the order they were set: of a wallet or a user, else all that are the caller's to see."""
    cursor = parse_plain_id("alr", after) if after else 0
    found = await alerts.page(ctx, caller, _place(wallet, user_id), after=cursor, limit=limit + 1)
    page, more = [AlertShape.from_domain(one) for one in found[:limit]], len(found) > limit
    return AlertPage(data=page, has_more=more, next_cursor=page[-1].id if more else None)


@router.get("/{alert}", summary="An alert")
async def get_alert(ctx: Ctx, caller: CallerDep, alert: str) -> AlertShape:
    """For who set it: the wallet's owner, the app, an admin."""
    return AlertShape.from_domain(await alerts.get(ctx, caller, parse_plain_id("alr", alert)))


@router.patch("/{alert}", summary="Change an alert")
async def change_alert(ctx: Ctx, caller: CallerDep, alert: str, body: AlertChangeBody) -> AlertShape:
    """With other terms it begins anew; with the same it goes on."""
    changed = await alerts.change(ctx, caller, parse_plain_id("alr", alert), body.change())
    return AlertShape.from_domain(changed)


@router.delete("/{alert}", status_code=204, summary="End an alert")
async def end_alert(ctx: Ctx, caller: CallerDep, alert: str) -> None:
    """It watches no more; what it announced stays."""
    await alerts.end(ctx, caller, parse_plain_id("alr", alert))


@announcements_router.get("", summary="What was announced")
async def list_announcements(
    ctx: Ctx,
    caller: CallerDep,
    wallet: OfWallet = None,
    user_id: OfUser = None,
    limit: Limit = 50,
    after: Annotated[str | None, Query(description="The last announcement of the page before.")] = None,
) -> AnnouncementPage:
    """Newest first: of a wallet or a user, else all that is for the caller."""
    cursor = parse_plain_id("ann", after) if after else ANNOUNCEMENT_MAX
    place = _place(wallet, user_id)
    found = await alerts.announcements(ctx, caller, place, before=cursor, limit=limit + 1)
    page, more = [AnnouncementShape.from_domain(one) for one in found[:limit]], len(found) > limit
    return AnnouncementPage(data=page, has_more=more, next_cursor=page[-1].id if more else None)


def _place(wallet: str | None, user_id: int | None) -> alerts.Place:
    return alerts.Place(wallet_id=None if wallet is None else parse_plain_id("wal", wallet), user_id=user_id)
