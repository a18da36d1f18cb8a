"""/v1/reconciliations: compare Stripe with the books, see what differs, for admins of the house. A worker runs them."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StrictBool

from tallybook.api.deps import CallerDep, Ctx, Shape, problems
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.domain.ids import parse_plain_id, plain_id
from tallybook.domain.payments.reconciling import (
    FindingStatus,
    Kind,
    KnownFinding,
    Repair,
    Run,
    Severity,
)
from tallybook.usecases.reconciling import runs

router = APIRouter(
    prefix="/v1/reconciliations",
    tags=["reconciliations"],
    route_class=StrictJsonRoute,
    responses=problems(401, 403, 404),
)
Limit = Annotated[int, Field(ge=1, le=200)]


class AskBody(BaseModel):
    """Without times, from where the last one ended until five minutes ago. Without ``apply`` it only looks."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    apply: StrictBool = False
    since: AwareDatetime | None = Field(default=None, description="Objects made at or after this time.")
    until: AwareDatetime | None = Field(default=None, description="Objects made before this time.")


class AcknowledgeBody(BaseModel):
    """Why it may stay as it is, for whoever looks later."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    reason: Annotated[str, Field(min_length=1, max_length=runs.REASON_LENGTH_MAX, examples=["A gift"])]


class PageQuery(BaseModel):
    """Which page."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    limit: Limit = 50
    after: str | None = Field(default=None, description="The last one of the page before.")


class FindingQuery(PageQuery):
    """Which findings, by default those that are open."""

    status: FindingStatus | None = FindingStatus.OPEN
    code: Annotated[str | None, Field(max_length=100, examples=["paid_not_granted"])] = None
    severity: Severity | None = None


class ReconciliationShape(Shape):
    """A reconciliation; ``differences`` and ``notices`` are what it left open, of earlier ones too."""

    id: str = Field(examples=["rec_7"])
    status: str = Field(examples=["done"])
    apply: bool
    asked_by: str = Field(examples=["admin 1"])
    since: datetime | None
    until: datetime | None
    requested_at: datetime
    began_at: datetime | None
    finished_at: datetime | None
    events_fetched: int
    events_missing: int
    objects_compared: int
    found: int
    repaired: int
    differences: int
    notices: int
    totals: list[dict[str, Any]]
    error: str | None

    @classmethod
    def from_domain(cls, run: Run) -> ReconciliationShape:
        """Draw a reconciliation."""
        same = {name: getattr(run, name) for name in cls.model_fields if name not in ("id", "apply")}
        return cls(id=plain_id("rec", run.reconciliation_id), apply=run.applies, **same)


class FindingShape(Shape):
    """A difference: what the books would say if they agreed with Stripe, and what they say."""

    id: str = Field(examples=["fnd_3"])
    code: str = Field(examples=["paid_not_granted"])
    severity: Severity
    kind: Kind
    object: str = Field(examples=["cs_test_123"])
    customer: str | None = Field(examples=["cus_123"])
    user_id: int | None
    expected: str = Field(examples=["paid, 1000 credits"])
    found: str = Field(examples=["open, no credits"])
    repair: Repair | None
    status: FindingStatus
    outcome: str | None
    attempts: int
    reason: str | None
    first_seen_at: datetime
    last_seen_at: datetime
    settled_at: datetime | None

    @classmethod
    def from_domain(cls, known: KnownFinding) -> FindingShape:
        """Draw a finding."""
        one = known.finding
        return cls(
            id=plain_id("fnd", known.finding_id),
            code=one.code,
            severity=one.severity,
            kind=one.kind,
            object=one.object_id,
            customer=one.customer_id,
            user_id=one.user_id,
            expected=one.expected,
            found=one.found,
            repair=one.repair,
            status=known.status,
            outcome=known.outcome,
            attempts=known.attempts,
            reason=known.reason,
            first_seen_at=known.first_seen_at,
            last_seen_at=known.last_seen_at,
            settled_at=known.settled_at,
        )


class ReconciliationPage(Shape):
    """A page, newest first; ``next_cursor`` goes into ``after``."""

    data: list[ReconciliationShape]
    has_more: bool
    next_cursor: str | None = Field(examples=["rec_7"])


class FindingPage(Shape):
    """A page, newest first; ``next_cursor`` goes into ``after``."""

    data: list[FindingShape]
    has_more: bool
    next_cursor: str | None = Field(examples=["fnd_3"])


@router.post("", status_code=202, summary="Compare Stripe with the books")
async def ask_for_reconciliation(ctx: Ctx, caller: CallerDep, body: AskBody) -> ReconciliationShape:
    """A worker runs it within seconds: look at it until it is `done`. Repairs go the way of the webhooks."""
    run = await runs.request(ctx, caller, applies=body.apply, since=body.since, until=body.until)
    return ReconciliationShape.from_domain(run)


@router.get("", summary="The last reconciliations")
async def list_reconciliations(
    ctx: Ctx, caller: CallerDep, query: Annotated[PageQuery, Query()]
) -> ReconciliationPage:
    """Newest first."""
    before = runs.NEWEST if query.after is None else parse_plain_id("rec", query.after)
    found = await runs.newest(ctx, caller, before=before, limit=query.limit + 1)
    page, more = (
        [ReconciliationShape.from_domain(one) for one in found[: query.limit]],
        len(found) > query.limit,
    )
    return ReconciliationPage(data=page, has_more=more, next_cursor=page[-1].id if more else None)


@router.get("/findings", summary="What differs between Stripe and the books")
async def list_findings(ctx: Ctx, caller: CallerDep, query: Annotated[FindingQuery, Query()]) -> FindingPage:
    """Newest first; a finding stays `open` until it is repaired, gone or acknowledged."""
    found = await runs.findings(
        ctx,
        caller,
        status=query.status,
        code=query.code,
        severity=query.severity,
        before=runs.NEWEST if query.after is None else parse_plain_id("fnd", query.after),
        limit=query.limit + 1,
    )
    page, more = [FindingShape.from_domain(one) for one in found[: query.limit]], len(found) > query.limit
    return FindingPage(data=page, has_more=more, next_cursor=page[-1].id if more else None)


@router.post("/findings/{finding}/acknowledge", summary="Let a difference stay")
async def acknowledge_finding(
    ctx: Ctx, caller: CallerDep, finding: str, body: AcknowledgeBody
) -> FindingShape:
    """It is opened again when what differs changes."""
    number = parse_plain_id("fnd", finding)
    return FindingShape.from_domain(await runs.acknowledge(ctx, caller, number, reason=body.reason))


@router.get("/{reconciliation}", summary="A reconciliation")
async def get_reconciliation(ctx: Ctx, caller: CallerDep, reconciliation: str) -> ReconciliationShape:
    """What it was asked for, how far it is, what it counted."""
    return ReconciliationShape.from_domain(await runs.get(ctx, caller, parse_plain_id("rec", reconciliation)))
