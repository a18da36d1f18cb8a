"""tallybook users: create, list, switch off and on, reset a password."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tallybook.cli.output import AsJson, show_facts, show_rows
from tallybook.cli.roof import OPERATOR, run
from tallybook.domain.identity.people import Role, User
from tallybook.usecases import users
from tallybook.usecases.context import Context

app = typer.Typer(help="Users: create, list, switch off and on, reset a password.", no_args_is_help=True)
UserId = Annotated[int, typer.Argument(help="The user's number.", min=1)]
# Asked for without showing it; on the command line others could read it in the process list.
Password = Annotated[
    str,
    typer.Option(prompt=True, confirmation_prompt=True, hide_input=True, envvar="TALLYBOOK_USER_PASSWORD"),
]
Weak = Annotated[bool, typer.Option("--allow-common", help="Let a common password pass: for demos only.")]


@app.command("create")
def create(
    context: typer.Context,
    *,
    email: Annotated[str, typer.Argument(help="What they sign in with.")],
    password: Password,
    role: Annotated[Role, typer.Option(help="customer or admin.")] = Role.CUSTOMER,
    allow_common: Weak = False,
    as_json: AsJson = False,
) -> None:
    """Make an account; the first admin is made here."""

    async def work(ctx: Context) -> User:
        return await users.create_user(ctx, email, password, role, allow_common=allow_common)

    show_facts(_facts(run(context, work)), as_json=as_json)


@app.command("list")
def list_users(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    after: Annotated[int, typer.Option(help="Start behind this user.", min=0)] = 0,
    as_json: AsJson = False,
) -> None:
    """Users in the order they came."""

    async def work(ctx: Context) -> list[User]:
        return await users.page(ctx, OPERATOR, after=after, limit=limit)

    rows = [_facts(user) for user in run(context, work)]
    show_rows(rows, as_json=as_json, empty="No users yet: tallybook users create <email>.")


@app.command("show")
def show(
    context: typer.Context,
    who: Annotated[str, typer.Argument(help="The user's number or e-mail.")],
    as_json: AsJson = False,
) -> None:
    """One user."""

    async def work(ctx: Context) -> User:
        if who.isdigit():
            return await users.get(ctx, OPERATOR, int(who))
        return await users.find(ctx, OPERATOR, who)

    show_facts(_facts(run(context, work)), as_json=as_json)


@app.command("deactivate")
def deactivate(context: typer.Context, user: UserId, as_json: AsJson = False) -> None:
    """Switch a user off; all their sessions end at once."""
    _set_active(context, user, is_active=False, as_json=as_json)


@app.command("activate")
def activate(context: typer.Context, user: UserId, as_json: AsJson = False) -> None:
    """Switch a user on again."""
    _set_active(context, user, is_active=True, as_json=as_json)


@app.command("reset-password")
def reset_password(
    context: typer.Context, user: UserId, password: Password, allow_common: Weak = False
) -> None:
    """Set somebody's password; all their sessions end."""

    async def work(ctx: Context) -> None:
        await users.reset_password(ctx, OPERATOR, user, new_password=password, allow_common=allow_common)

    run(context, work)
    typer.echo("The password is set; all sessions of the user ended.")


def _set_active(context: typer.Context, user: int, *, is_active: bool, as_json: bool) -> None:
    async def work(ctx: Context) -> User:
        return await users.set_active(ctx, OPERATOR, user, is_active=is_active)

    show_facts(_facts(run(context, work)), as_json=as_json)


def _facts(user: User) -> dict[str, Any]:
    return {
        "user_id": user.user_id,
        "email": user.email,
        "role": str(user.role),
        "is_active": user.is_active,
        "created_at": user.created_at,
    }
