"""tallybook credits: read, add and spend credits of a user, and their history."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import typer

from tallybook.cli.output import AsJson, show_facts, show_rows
from tallybook.cli.roof import OPERATOR, run
from tallybook.domain.ledger.requests import Answer, Note, Transfer
from tallybook.domain.money import Credits
from tallybook.usecases import freezing, transfers, wallets
from tallybook.usecases.context import Context

app = typer.Typer(help="Credits of a user: balance, history, add, spend.", no_args_is_help=True)
User = Annotated[int, typer.Argument(help="The user's id (tallybook users list).", min=1)]
Amount = Annotated[str, typer.Argument(help="Credits, such as 100 or 0.25.")]
Key = Annotated[
    str | None, typer.Option("--key", help="Idempotency key: run again with the same key safely.")
]
Why = Annotated[str | None, typer.Option("--description", help="Why, for the history.")]


@app.command("balance")
def show_balance(context: typer.Context, user: User, as_json: AsJson = False) -> None:
    """What a user can spend now, what is held and what is owed."""

    async def work(ctx: Context) -> dict[str, Any]:
        found = await wallets.wallet_of_user(ctx, OPERATOR, user)
        return {
            "user": user,
            "wallet": f"wal_{found.wallet_id}",
            "available": str(Credits(found.available_micro)),
            "held": str(Credits(found.held_micro)),
            "debt": str(Credits(found.debt_micro)),
            "frozen": found.is_frozen,
            "transfers": found.version,
        }

    show_facts(run(context, work), as_json=as_json)


@app.command("freeze")
def freeze(context: typer.Context, user: User, as_json: AsJson = False) -> None:
    """Let a user's wallet neither spend nor place holds; open holds are settled as ever."""
    _freeze(context, user, frozen=True, as_json=as_json)


@app.command("thaw")
def thaw(context: typer.Context, user: User, as_json: AsJson = False) -> None:
    """End a freeze; one that an open dispute began stays."""
    _freeze(context, user, frozen=False, as_json=as_json)


@app.command("history")
def show_history(
    context: typer.Context,
    user: User,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """The newest transfers of a user's wallet."""

    async def work(ctx: Context) -> list[Transfer]:
        found = await wallets.wallet_of_user(ctx, OPERATOR, user)
        return await transfers.history(ctx, OPERATOR, found.wallet_id, before=found.version + 1, limit=limit)

    rows = [
        {
            "transfer": line.id.wire("trf"),
            "at": line.created_at,
            "kind": line.kind,
            "credits": str(Credits(line.amount_micro)),
            "from": str(line.debit),
            "to": str(line.credit),
            "available_after": str(Credits(line.available_after)),
            "description": line.description,
        }
        for line in run(context, work)
    ]
    show_rows(rows, as_json=as_json, empty="No transfers yet: tallybook credits add <user> <credits>.")


@app.command("add")
def add(
    context: typer.Context,
    user: User,
    credits: Amount,
    key: Key = None,
    description: Why = None,
    as_json: AsJson = False,
) -> None:
    """Add credits by hand; the audit log keeps it."""
    key = key or f"cli-{uuid.uuid4()}"

    async def work(ctx: Context) -> Answer:
        return await wallets.grant(
            ctx,
            OPERATOR,
            credits=Credits.parse(credits),
            key=key,
            user_id=user,
            note=Note(description=description, service="cli"),
        )

    show_facts(_facts(run(context, work), key), as_json=as_json)


@app.command("spend")
def spend(
    context: typer.Context,
    user: User,
    credits: Amount,
    key: Key = None,
    description: Why = None,
    as_json: AsJson = False,
) -> None:
    """Spend credits of a user by hand."""
    key = key or f"cli-{uuid.uuid4()}"

    async def work(ctx: Context) -> Answer:
        return await wallets.spend(
            ctx,
            OPERATOR,
            credits=Credits.parse(credits),
            key=key,
            user_id=user,
            note=Note(description=description, service="cli"),
        )

    show_facts(_facts(run(context, work), key), as_json=as_json)


def _facts(answer: Answer, key: str) -> dict[str, Any]:
    return {
        "transfer": answer.transfer.wire("trf"),
        "credits": str(Credits(answer.amount_micro)),
        "available": str(Credits(answer.available_micro)),
        "key": key,
        "replayed": answer.replayed,
    }


def _freeze(context: typer.Context, user: int, *, frozen: bool, as_json: bool) -> None:
    async def work(ctx: Context) -> dict[str, Any]:
        found = await wallets.wallet_of_user(ctx, OPERATOR, user)
        after = await freezing.freeze(ctx, OPERATOR, found.wallet_id, frozen=frozen)
        return {"user": user, "wallet": f"wal_{after.wallet_id}", "frozen": after.is_frozen}

    show_facts(run(context, work), as_json=as_json)
