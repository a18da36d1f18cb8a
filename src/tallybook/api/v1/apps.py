"""/v1/apps: register and change apps, their API keys and their database logins. For admins."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Response
from pydantic import AwareDatetime, Field, StrictBool

from tallybook.api.deps import Body, CallerDep, Ctx, IdempotencyKey, Shape, problems
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.domain.identity.apps import ApiKey, App, AppChange
from tallybook.domain.identity.callers import SEED_PERMISSIONS, Permission
from tallybook.domain.ids import parse_plain_id, plain_id
from tallybook.usecases import api_keys, apps

router = APIRouter(
    prefix="/v1/apps",
    tags=["apps"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 403, 404),
)
Name = Annotated[str, Field(min_length=1, max_length=200, examples=["Autoprint"])]
Domain = Annotated[str, Field(max_length=253, examples=["autoprint.example.com"])]
Permissions = Annotated[
    list[Annotated[Permission, Field(strict=False)]],
    Field(max_length=len(Permission), examples=[[str(one) for one in SEED_PERMISSIONS]]),
]
AppId = Annotated[str, Path(pattern="^app_[0-9A-Za-z]{1,40}$", examples=["app_4dTXqj7WcPzN0uKbY2sE"])]


class AppBody(Body):
    """A new app."""

    name: Name
    domain: Domain = ""
    permissions: Permissions = Field(default_factory=lambda: list(SEED_PERMISSIONS))
    requires_api_key: StrictBool = False


class AppChangeBody(Body):
    """What to change; what is left out stays."""

    name: Name | None = None
    domain: Domain | None = None
    permissions: Permissions | None = None
    requires_api_key: StrictBool | None = None
    is_active: StrictBool | None = None


class AppShape(Shape):
    """An app; ``app_id`` is what it sends as its App ID."""

    app_id: str = Field(examples=["app_4dTXqj7WcPzN0uKbY2sE"])
    name: str
    domain: str
    permissions: list[Permission]
    requires_api_key: bool
    is_active: bool
    database_role: str | None
    created_at: datetime
    updated_at: datetime


class NewAppShape(AppShape):
    """A new app with its first API key, shown this once."""

    api_key: str
    api_key_id: str = Field(examples=["key_1"])


class AppPage(Shape):
    """A page of apps; ``next_cursor`` goes into ``after``."""

    data: list[AppShape]
    has_more: bool
    next_cursor: int | None = Field(examples=[50])


class ApiKeyBody(Body):
    """A further API key."""

    label: Annotated[str, Field(max_length=200, examples=["second server"])] = ""
    expires_at: Annotated[AwareDatetime, Field(strict=False)] | None = None


class ApiKeyShape(Shape):
    """An API key as it is listed: the key itself is not stored."""

    id: str = Field(examples=["key_1"])
    prefix: str = Field(examples=["tb_test_4dTX"])
    label: str
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None
    last_used_at: datetime | None = Field(description="Exact to a minute.")


class NewApiKeyShape(ApiKeyShape):
    """A new API key, shown this once."""

    api_key: str


class ApiKeyList(Shape):
    """All keys of an app."""

    data: list[ApiKeyShape]
    has_more: bool = False
    next_cursor: str | None = None


class DatabaseLoginShape(Shape):
    """A login for direct SQL, shown this once."""

    role: str
    password: str
    database_url: str = Field(examples=["postgresql://role:password@host:5432/tallybook"])


@router.post("", status_code=201, summary="Register an app")
async def register(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, body: AppBody, response: Response
) -> NewAppShape:
    """Register an app and make its first API key, which is shown this once."""
    made = await apps.register(
        ctx,
        caller,
        name=body.name,
        domain=body.domain,
        permissions=frozenset(body.permissions),
        requires_api_key=body.requires_api_key,
        key=key,
    )
    _mark(response, replayed=made.issued.replayed)
    key_id = plain_id("key", made.issued.key.api_key_id)
    return NewAppShape(**_app(made.app), api_key=made.issued.secret, api_key_id=key_id)


@router.get("", summary="All apps")
async def list_apps(
    ctx: Ctx,
    caller: CallerDep,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[int, Query(ge=0, le=2**31 - 1)] = 0,
) -> AppPage:
    """Apps in the order they were registered."""
    found = await apps.page(ctx, caller, after=after, limit=limit + 1)
    more = len(found) > limit
    page = [AppShape(**_app(app)) for app in found[:limit]]
    return AppPage(data=page, has_more=more, next_cursor=found[limit - 1].app_id if more else None)


@router.get("/{app_id}", summary="An app")
async def get_app(ctx: Ctx, caller: CallerDep, app_id: AppId) -> AppShape:
    """One app by its App ID."""
    return AppShape(**_app(await apps.get(ctx, caller, app_id)))


@router.patch("/{app_id}", summary="Change an app")
async def change_app(ctx: Ctx, caller: CallerDep, app_id: AppId, body: AppChangeBody) -> AppShape:
    """Switched off, its keys and its users' sessions are refused at once."""
    given = body.model_dump(exclude_none=True)
    return AppShape(**_app(await apps.update(ctx, caller, app_id, AppChange(**given))))


@router.get("/{app_id}/api-keys", summary="The API keys of an app")
async def list_api_keys(ctx: Ctx, caller: CallerDep, app_id: AppId) -> ApiKeyList:
    """Oldest first, ended ones too."""
    found = await api_keys.of_app(ctx, caller, app_id)
    return ApiKeyList(data=[ApiKeyShape(**_key(key)) for key in found])


@router.post("/{app_id}/api-keys", status_code=201, summary="Make a further API key")
async def add_api_key(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, app_id: AppId, body: ApiKeyBody, response: Response
) -> NewApiKeyShape:
    """Several live at once, so that keys can be changed without a pause; shown this once."""
    made = await api_keys.add(ctx, caller, app_id, label=body.label, expires_at=body.expires_at, key=key)
    _mark(response, replayed=made.replayed)
    return NewApiKeyShape(**_key(made.key), api_key=made.secret)


@router.delete("/{app_id}/api-keys/{api_key_id}", summary="Revoke an API key")
async def revoke_api_key(ctx: Ctx, caller: CallerDep, app_id: AppId, api_key_id: str) -> ApiKeyShape:
    """It is refused from the next request on."""
    number = parse_plain_id("key", api_key_id)
    return ApiKeyShape(**_key(await api_keys.revoke(ctx, caller, app_id, number)))


@router.post("/{app_id}/database-login", status_code=201, summary="Make a login for direct SQL")
async def create_database_login(
    ctx: Ctx, caller: CallerDep, app_id: AppId, response: Response
) -> DatabaseLoginShape:
    """A PostgreSQL role that sees the views only. Asked again it gets a new password, and the old one ends."""
    made = await apps.create_database_login(ctx, caller, app_id)
    _mark(response, replayed=False)
    return DatabaseLoginShape(role=made.role, password=made.password, database_url=made.url)


def _app(app: App) -> dict[str, Any]:
    return {
        "app_id": app.public_id,
        "name": app.name,
        "domain": app.domain,
        "permissions": sorted(app.permissions),
        "requires_api_key": app.requires_api_key,
        "is_active": app.is_active,
        "database_role": app.database_role,
        "created_at": app.created_at,
        "updated_at": app.updated_at,
    }


def _key(key: ApiKey) -> dict[str, Any]:
    return {
        "id": plain_id("key", key.api_key_id),
        "prefix": key.prefix,
        "label": key.label,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }


def _mark(response: Response, *, replayed: bool) -> None:
    response.headers["Cache-Control"] = "no-store"
    if replayed:
        response.headers["Idempotent-Replayed"] = "true"
