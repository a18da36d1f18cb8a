"""/v1/organisations: several users who share a wallet."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import Field, field_validator

from tallybook.api.deps import Body, CallerDep, Ctx, IdempotencyKey, Shape, UserId, problems
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.domain.identity.organisations import NAME_LENGTH_MAX, MemberRole, Organisation
from tallybook.domain.ids import parse_plain_id, plain_id
from tallybook.usecases import organisations

router = APIRouter(
    prefix="/v1/organisations",
    tags=["organisations"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 403, 404),
)


class OrganisationBody(Body):
    """A new organisation and its first owner."""

    name: Annotated[str, Field(min_length=1, max_length=NAME_LENGTH_MAX, examples=["Analytical Engines"])]
    owner_user_id: UserId


class MemberBody(Body):
    """Who belongs to it, and as what."""

    user_id: UserId
    role: MemberRole = MemberRole.MEMBER

    @field_validator("role", mode="before")
    @classmethod
    def _role(cls, value: object) -> object:
        return MemberRole(value) if isinstance(value, str) else value


class MemberShape(Shape):
    """A member."""

    user_id: int = Field(examples=[1])
    role: str = Field(examples=["owner"])


class OrganisationShape(Shape):
    """An organisation, its wallet and its members."""

    id: str = Field(examples=["org_3"])
    name: str = Field(examples=["Analytical Engines"])
    wallet: str = Field(examples=["wal_12"])
    members: list[MemberShape]
    created_at: datetime

    @classmethod
    def from_domain(cls, organisation: Organisation) -> OrganisationShape:
        """Draw an organisation."""
        return cls(
            id=plain_id("org", organisation.organisation_id),
            name=organisation.name,
            wallet=plain_id("wal", organisation.wallet_id),
            members=[MemberShape(user_id=m.user_id, role=m.role) for m in organisation.members],
            created_at=organisation.created_at,
        )


class OrganisationPage(Shape):
    """A page of organisations; ``next_cursor`` goes into ``after``."""

    data: list[OrganisationShape]
    has_more: bool
    next_cursor: str | None = Field(examples=["org_3"])


@router.post("", status_code=201, summary="Make an organisation (admin)")
async def create_organisation(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, body: OrganisationBody, response: Response
) -> OrganisationShape:
    """An organisation with a wallet of its own and its first owner."""
    made = await organisations.found(ctx, caller, name=body.name, owner_user_id=body.owner_user_id, key=key)
    if made.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return OrganisationShape.from_domain(made.organisation)


@router.get("", summary="All organisations (admin)")
async def list_organisations(
    ctx: Ctx,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[str | None, Query(description="The last organisation of the page before.")] = None,
) -> OrganisationPage:
    """Organisations in the order they came."""
    cursor = parse_plain_id("org", after) if after else 0
    found = await organisations.page(ctx, caller, after=cursor, limit=limit + 1)
    page, more = [OrganisationShape.from_domain(one) for one in found[:limit]], len(found) > limit
    return OrganisationPage(data=page, has_more=more, next_cursor=page[-1].id if more else None)


@router.get("/{organisation}", summary="An organisation")
async def get_organisation(ctx: Ctx, caller: CallerDep, organisation: str) -> OrganisationShape:
    """For its members and for admins."""
    found = await organisations.get(ctx, caller, parse_plain_id("org", organisation))
    return OrganisationShape.from_domain(found)


@router.put("/{organisation}/members", summary="Add or change a member")
async def put_member(ctx: Ctx, caller: CallerDep, organisation: str, body: MemberBody) -> OrganisationShape:
    """For its owners and for admins; repeating it is harmless."""
    number = parse_plain_id("org", organisation)
    found = await organisations.put_member(ctx, caller, number, user_id=body.user_id, role=body.role)
    return OrganisationShape.from_domain(found)
