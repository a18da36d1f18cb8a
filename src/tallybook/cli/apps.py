"""tallybook apps: register and change apps, their API keys, their database logins, and the signing keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

import typer

from tallybook.cli.output import AsJson, show_facts, show_rows
from tallybook.cli.roof import OPERATOR, run
from tallybook.domain.identity.apps import ApiKey, App, AppChange, IssuedKey
from tallybook.domain.identity.callers import SEED_PERMISSIONS, Permission
from tallybook.domain.ids import parse_plain_id, plain_id
from tallybook.usecases import api_keys, apps, signing_keys
from tallybook.usecases.context import Context

app = typer.Typer(help="Apps: App IDs, API keys, permissions, database logins.", no_args_is_help=True)
AppId = Annotated[str, typer.Argument(help="The App ID (app_…).")]
KeyId = Annotated[str, typer.Argument(help="The key's id (key_…), from: tallybook apps keys.")]
Permissions = Annotated[list[Permission] | None, typer.Option("--permission", help="Repeat for several.")]
RequiresKey = Annotated[
    bool | None,
    typer.Option("--require-key/--no-require-key", help="Refuse cross-app calls without the key."),
]


@app.command("register")
def register(
    context: typer.Context,
    *,
    name: Annotated[str, typer.Argument(help="What people call it.")],
    domain: Annotated[str, typer.Option(help="Where it lives; return URLs may lead there.")] = "",
    permission: Permissions = None,
    requires_key: RequiresKey = False,
    as_json: AsJson = False,
) -> None:
    """Register an app; its API key is shown this once."""

    async def work(ctx: Context) -> apps.Registered:
        return await apps.register(
            ctx,
            OPERATOR,
            name=name,
            domain=domain,
            permissions=frozenset(permission or SEED_PERMISSIONS),
            requires_api_key=bool(requires_key),
        )

    made = run(context, work)
    show_facts({**_facts(made.app), **_secret(made.issued)}, as_json=as_json)


@app.command("list")
def list_apps(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 200,
    as_json: AsJson = False,
) -> None:
    """Apps in the order they were registered."""

    async def work(ctx: Context) -> list[App]:
        return await apps.page(ctx, OPERATOR, limit=limit)

    found = run(context, work)
    rows = [_facts(one) if as_json else _line(one) for one in found]
    show_rows(rows, as_json=as_json, empty="No apps yet: tallybook apps register <name>.")


@app.command("show")
def show(context: typer.Context, app_id: AppId, as_json: AsJson = False) -> None:
    """One app."""

    async def work(ctx: Context) -> App:
        return await apps.get(ctx, OPERATOR, app_id)

    show_facts(_facts(run(context, work)), as_json=as_json)


@app.command("update")
def update(
    context: typer.Context,
    *,
    app_id: AppId,
    name: Annotated[str | None, typer.Option()] = None,
    domain: Annotated[str | None, typer.Option()] = None,
    permission: Permissions = None,
    requires_key: RequiresKey = None,
    active: Annotated[bool | None, typer.Option("--active/--inactive")] = None,
    as_json: AsJson = False,
) -> None:
    """Change an app; --inactive refuses its keys and its users' sessions at once."""
    change = AppChange(
        name=name,
        domain=domain,
        permissions=frozenset(permission) if permission else None,
        requires_api_key=requires_key,
        is_active=active,
    )

    async def work(ctx: Context) -> App:
        return await apps.update(ctx, OPERATOR, app_id, change)

    show_facts(_facts(run(context, work)), as_json=as_json)


@app.command("keys")
def list_keys(context: typer.Context, app_id: AppId, as_json: AsJson = False) -> None:
    """The API keys of an app, ended ones too."""

    async def work(ctx: Context) -> list[ApiKey]:
        return await api_keys.of_app(ctx, OPERATOR, app_id)

    rows = [_key_facts(key) for key in run(context, work)]
    show_rows(rows, as_json=as_json, empty="No keys: tallybook apps add-key <app>.")


@app.command("add-key")
def add_key(
    context: typer.Context,
    app_id: AppId,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    days: Annotated[int | None, typer.Option(help="Expires after so many days.", min=1)] = None,
    as_json: AsJson = False,
) -> None:
    """Make a further API key, shown this once."""

    async def work(ctx: Context) -> IssuedKey:
        expires_at = None if days is None else ctx.clock() + timedelta(days=days)
        return await api_keys.add(ctx, OPERATOR, app_id, label=label, expires_at=expires_at)

    show_facts(_secret(run(context, work)), as_json=as_json)


@app.command("roll-key")
def roll_key(
    context: typer.Context,
    app_id: AppId,
    key_id: KeyId,
    hours: Annotated[int, typer.Option(help="How long the old one works on.", min=0)] = 24,
    as_json: AsJson = False,
) -> None:
    """Make the successor of a key, shown this once; the old one works on for a while."""

    async def work(ctx: Context) -> IssuedKey:
        ends_at = ctx.clock() + timedelta(hours=hours)
        number = parse_plain_id("key", key_id)
        return await api_keys.roll(ctx, OPERATOR, app_id, number, old_ends_at=ends_at)

    show_facts(_secret(run(context, work)), as_json=as_json)


@app.command("revoke-key")
def revoke_key(context: typer.Context, app_id: AppId, key_id: KeyId, as_json: AsJson = False) -> None:
    """End a key at once."""

    async def work(ctx: Context) -> ApiKey:
        return await api_keys.revoke(ctx, OPERATOR, app_id, parse_plain_id("key", key_id))

    show_facts(_key_facts(run(context, work)), as_json=as_json)


@app.command("database-login")
def database_login(context: typer.Context, app_id: AppId, as_json: AsJson = False) -> None:
    """Make the app's login for direct SQL, shown this once; asked again, the old password ends."""

    async def work(ctx: Context) -> apps.DatabaseLogin:
        return await apps.create_database_login(ctx, OPERATOR, app_id)

    made = run(context, work)
    show_facts({"role": made.role, "password": made.password, "database_url": made.url}, as_json=as_json)


@app.command("rotate-signing-key")
def rotate_signing_key(context: typer.Context, as_json: AsJson = False) -> None:
    """Sign sessions with a new key from now on; nobody is signed out."""

    async def work(ctx: Context) -> str:
        return await signing_keys.rotate(ctx, OPERATOR)

    show_facts({"key_id": run(context, work)}, as_json=as_json)


def _facts(found: App) -> dict[str, Any]:
    return {
        "app_id": found.public_id,
        "name": found.name,
        "domain": found.domain,
        "permissions": [str(permission) for permission in sorted(found.permissions)],
        "requires_api_key": found.requires_api_key,
        "is_active": found.is_active,
        "database_role": found.database_role,
    }


def _line(found: App) -> dict[str, Any]:
    return {
        "app_id": found.public_id,
        "name": found.name,
        "domain": found.domain,
        "is_active": found.is_active,
    }


def _key_facts(key: ApiKey) -> dict[str, Any]:
    return {
        "api_key_id": plain_id("key", key.api_key_id),
        "prefix": key.prefix,
        "label": key.label,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "revoked_at": key.revoked_at,
        "last_used_at": key.last_used_at,
    }


def _secret(issued: IssuedKey) -> dict[str, Any]:
    return {"api_key_id": plain_id("key", issued.key.api_key_id), "api_key": issued.secret}
