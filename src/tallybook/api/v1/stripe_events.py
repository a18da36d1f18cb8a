"""/v1/stripe-events: the inbox of Stripe's events, for admins of the house."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictBool

from tallybook.api.deps import Body, CallerDep, Ctx, Shape, problems
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.domain.payments.inbox import Act, Effects, EventStatus, Selection, StoredEvent
from tallybook.usecases import events

router = APIRouter(
    prefix="/v1/stripe-events",
    tags=["stripe events"],
    route_class=StrictJsonRoute,
    responses=problems(401, 403, 404),
)
IDS_MAX = 1000
Id = Annotated[str, Field(min_length=1, max_length=255)]


class Filters(BaseModel):
    """Which events: those that match all that is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    status: EventStatus | None = None
    type: Id | None = Field(default=None, examples=["checkout.session.completed"])
    customer: Id | None = Field(default=None, examples=["cus_123"])
    object: Id | None = Field(default=None, examples=["cs_test_123"])
    since: AwareDatetime | None = Field(default=None, description="Received at or after this time.")
    until: AwareDatetime | None = Field(default=None, description="Received before this time.")

    def selection(self, event_ids: Sequence[str] = ()) -> Selection:
        """Which events."""
        return Selection(
            event_ids=tuple(event_ids),
            status=self.status,
            type=self.type,
            customer_id=self.customer,
            object_id=self.object,
            since=self.since,
            until=self.until,
        )


class ListQuery(Filters):
    """Which events, and which page of them."""

    limit: Annotated[int, Field(ge=1, le=200)] = 50
    after: Id | None = Field(default=None, description="The last event of the page before.")


class ReplayBody(Filters):
    """Which events: those that match all that is given. With ``dry_run`` they are only counted."""

    ids: Annotated[list[Id], Field(min_length=1, max_length=IDS_MAX)] | None = None
    dry_run: StrictBool = False


class GiveUpBody(Body):
    """Why, for whoever looks later."""

    reason: Annotated[
        str, Field(min_length=1, max_length=events.REASON_LENGTH_MAX, examples=["Paid back by hand"])
    ]


class StripeEventShape(Shape):
    """An event in the inbox; ``verified_by`` are fingerprints of signing secrets."""

    id: str = Field(examples=["evt_123"])
    type: str = Field(examples=["checkout.session.completed"])
    object: str | None = Field(examples=["cs_test_123"])
    customer: str | None = Field(examples=["cus_123"])
    api_version: str | None = Field(examples=["2026-10-28.endive"])
    livemode: bool
    path: str = Field(examples=["v1"], description="The intake path that it first came by.")
    verified_by: list[str] = Field(examples=[["3f9a1c52b07e"]])
    created_at: datetime = Field(description="When Stripe made it.")
    received_at: datetime
    deliveries: int
    status: EventStatus
    outcome: str | None = Field(examples=["granted"])
    attempts: int
    next_try_at: datetime | None
    last_error: str | None
    settled_at: datetime | None
    replays: int

    @classmethod
    def from_domain(cls, event: StoredEvent) -> StripeEventShape:
        """Draw an event."""
        return cls(**_drawn(event))


class ActShape(Shape):
    """A line of the audit log; ``by_event``: done while the event was being settled, else by somebody, to it."""

    at: datetime
    actor: str = Field(examples=["system fulfilment"])
    action: str = Field(examples=["checkout.granted"])
    subject: str = Field(examples=["checkout 7"])
    facts: dict[str, Any]
    by_event: bool

    @classmethod
    def from_domain(cls, act: Act) -> ActShape:
        """Draw an act."""
        return cls(
            at=act.at,
            actor=act.actor,
            action=act.action,
            subject=act.subject,
            facts=dict(act.after),
            by_event=act.by_event,
        )


class EffectsShape(Shape):
    """What an event led to: the acts, the transfers posted by it, and those of its object's payment."""

    acts: list[ActShape]
    transfers: list[str] = Field(examples=[["trf_12_7"]])
    transfers_of_object: list[str] = Field(examples=[["trf_12_7"]])

    @classmethod
    def from_domain(cls, effects: Effects) -> EffectsShape:
        """Draw effects."""
        return cls(
            acts=[ActShape.from_domain(act) for act in effects.acts],
            transfers=list(effects.transfers),
            transfers_of_object=list(effects.transfers_of_object),
        )


class StripeEventDetails(StripeEventShape):
    """An event with its payload, without what is secret in it, and what it led to."""

    payload: dict[str, Any]
    effects: EffectsShape


class StripeEventPage(Shape):
    """A page of events, newest first; ``next_cursor`` goes into ``after``."""

    data: list[StripeEventShape]
    has_more: bool
    next_cursor: str | None = Field(examples=["evt_123"])


class ReplayShape(Shape):
    """How many events match; ``replayed`` is 0 in a dry run."""

    matching: int
    replayed: int
    dry_run: bool


@router.get("", summary="Events in the inbox", responses=problems(401, 403, 404))
async def list_events(ctx: Ctx, caller: CallerDep, query: Annotated[ListQuery, Query()]) -> StripeEventPage:
    """Newest first, those that match all that is asked. `dead` ones wait for somebody."""
    limit = query.limit
    found = await events.page(ctx, caller, query.selection(), after=query.after, limit=limit + 1)
    page, more = [StripeEventShape.from_domain(one) for one in found[:limit]], len(found) > limit
    return StripeEventPage(data=page, has_more=more, next_cursor=page[-1].id if more else None)


@router.get("/{event}", summary="An event, its payload and its effects")
async def get_event(ctx: Ctx, caller: CallerDep, event: str) -> StripeEventDetails:
    """The payload is what Stripe sent, without client secrets and tokens."""
    found, payload, effects = await events.show(ctx, caller, event)
    return StripeEventDetails(**_drawn(found), payload=payload, effects=EffectsShape.from_domain(effects))


@router.post("/replay", summary="Have many events worked on again")
async def replay_events(ctx: Ctx, caller: CallerDep, body: ReplayBody) -> ReplayShape:
    """Safe for settled ones too: effects act once. What was given up is left out, unless it is named."""
    which = body.selection(body.ids or ())
    if body.dry_run:
        matching = await events.count_to_replay(ctx, caller, which)
        return ReplayShape(matching=matching, replayed=0, dry_run=True)
    replayed = await events.replay(ctx, caller, which)
    return ReplayShape(matching=len(replayed), replayed=len(replayed), dry_run=False)


@router.post("/{event}/replay", summary="Have an event worked on again")
async def replay_event(ctx: Ctx, caller: CallerDep, event: str) -> StripeEventShape:
    """A worker takes it within seconds; effects act once. Also wakes one that was given up."""
    await events.replay(ctx, caller, Selection(event_ids=(event,)))
    found, _, _ = await events.show(ctx, caller, event)
    return StripeEventShape.from_domain(found)


@router.post("/{event}/give-up", summary="Give an event up", responses=problems(401, 403, 404, 409))
async def give_up_event(ctx: Ctx, caller: CallerDep, event: str, body: GiveUpBody) -> StripeEventShape:
    """One that waits or is dead; nothing but its own replay wakes it then."""
    return StripeEventShape.from_domain(await events.give_up(ctx, caller, event, reason=body.reason))


def _drawn(event: StoredEvent) -> dict[str, Any]:
    return {
        "id": event.event_id,
        "type": event.type,
        "object": event.object_id,
        "customer": event.customer_id,
        "api_version": event.api_version,
        "livemode": event.livemode,
        "path": event.intake_path,
        "verified_by": list(event.verified_by),
        "created_at": event.stripe_created,
        "received_at": event.received_at,
        "deliveries": event.deliveries,
        "status": event.status,
        "outcome": event.outcome,
        "attempts": event.attempts,
        "next_try_at": event.next_try,
        "last_error": event.last_error,
        "settled_at": event.settled_at,
        "replays": event.replays,
    }
