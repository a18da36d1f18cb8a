"""tallybook organisations: make one, say who belongs to it, list them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from tallybook.cli.output import AsJson, show_facts, show_rows
from tallybook.cli.roof import OPERATOR, run
from tallybook.domain.identity.organisations import MemberRole, Organisation
from tallybook.domain.ids import parse_plain_id, plain_id
from tallybook.usecases import organisations
from tallybook.usecases.context import Context

app = typer.Typer(help="Organisations: several users who share a wallet.", no_args_is_help=True)
User = Annotated[int, typer.Argument(help="The user's id (tallybook users list).", min=1)]


@app.command("create")
def create(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What people call it.")],
    owner: User,
    as_json: AsJson = False,
) -> None:
    """Make an organisation with a wallet of its own; the user is its first owner."""

    async def work(ctx: Context) -> Organisation:
        made = await organisations.found(ctx, OPERATOR, name=name, owner_user_id=owner)
        return made.organisation

    show_facts(_facts(run(context, work)), as_json=as_json)


@app.command("put-member")
def put_member(
    context: typer.Context,
    organisation: Annotated[str, typer.Argument(help="The organisation's id (org_…).")],
    user: User,
    role: Annotated[MemberRole, typer.Option(help="owner or member.")] = MemberRole.MEMBER,
    as_json: AsJson = False,
) -> None:
    """Make a user a member, or change what they are there."""

    async def work(ctx: Context) -> Organisation:
        number = parse_plain_id("org", organisation)
        return await organisations.put_member(ctx, OPERATOR, number, user_id=user, role=role)

    show_facts(_facts(run(context, work)), as_json=as_json)


@app.command("list")
def list_organisations(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """Organisations in the order they came."""

    async def work(ctx: Context) -> list[Organisation]:
        return await organisations.page(ctx, OPERATOR, limit=limit)

    rows = [_facts(found) for found in run(context, work)]
    show_rows(rows, as_json=as_json, empty="None yet: tallybook organisations create <name> <user>.")


def _facts(organisation: Organisation) -> dict[str, Any]:
    return {
        "id": plain_id("org", organisation.organisation_id),
        "name": organisation.name,
        "wallet": plain_id("wal", organisation.wallet_id),
        "members": [f"{member.user_id} ({member.role})" for member in organisation.members],
        "created_at": organisation.created_at,
    }
