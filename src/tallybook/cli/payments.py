"""tallybook payments and tallybook refund: what was paid, what went back, and giving money back."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import typer

from tallybook.cli.output import AsJson, show_facts, show_rows
from tallybook.cli.roof import OPERATOR, run
from tallybook.domain.errors import InvalidRequestError
from tallybook.domain.ids import parse_plain_id, plain_id
from tallybook.domain.money import Money
from tallybook.domain.payments.money_back import Preview
from tallybook.domain.payments.payments import Payment
from tallybook.usecases import money_back, payments
from tallybook.usecases.context import Context

app = typer.Typer(
    help="Payments: list and show them; tallybook refund gives money back.", no_args_is_help=True
)
Number = Annotated[str, typer.Argument(help="The payment's id (pay_…).")]


@app.command("list")
def list_payments(
    context: typer.Context,
    user: Annotated[int | None, typer.Option("--user", help="Only of this user.", min=1)] = None,
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 50,
    as_json: AsJson = False,
) -> None:
    """The newest payments."""

    async def work(ctx: Context) -> list[Payment]:
        return await payments.newest(ctx, OPERATOR, user_id=user, limit=limit)

    rows = [_row(found) for found in run(context, work)]
    show_rows(rows, as_json=as_json, empty="Nothing was paid yet.")


@app.command("show")
def show_payment(context: typer.Context, payment: Number, as_json: AsJson = False) -> None:
    """A payment with what it brought and all that went back of it."""

    async def work(ctx: Context) -> payments.Whole:
        return await payments.get(ctx, OPERATOR, parse_plain_id("pay", payment))

    found = run(context, work)
    facts = _row(found.payment) | {
        "source": str(found.payment.source),
        "reference": found.payment.reference,
        "net": _money(found.payment, found.payment.net_minor),
        "tax": _money(found.payment, found.payment.tax_minor),
        "lots": [lot.wire("lot") for lot in found.lots],
        "refundable": _money(found.payment, found.payment.refundable_minor),
        "receipt": found.payment.receipt_url,
        "refunds": [f"{one.id}: {one.amount}, {one.status}" for one in found.refunds],
        "disputes": [f"{one.id}: {one.amount}, {one.status}" for one in found.disputes],
    }
    show_facts(facts, as_json=as_json)


def refund(
    context: typer.Context,
    payment: Number,
    amount: Annotated[
        int | None,
        typer.Option("--amount", help="In minor units, such as cents; default: all that is left.", min=1),
    ] = None,
    reason: Annotated[
        str | None, typer.Option("--reason", help="duplicate, fraudulent or requested_by_customer.")
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Only say what it would take.")] = False,
    key: Annotated[
        str | None, typer.Option("--key", help="Idempotency key: run again with it safely.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Give money of a payment back, and take the credits back that it had bought."""

    async def work(ctx: Context) -> dict[str, Any]:
        number = parse_plain_id("pay", payment)
        if preview:
            return _previewed(await payments.preview_refund(ctx, OPERATOR, number, amount_minor=amount))
        if reason not in (None, "duplicate", "fraudulent", "requested_by_customer"):
            raise InvalidRequestError("--reason is duplicate, fraudulent or requested_by_customer.")
        made = await money_back.refund(
            ctx, OPERATOR, number, amount_minor=amount, reason=reason, key=key or uuid.uuid4().hex
        )
        refund_facts = {
            "refund": made.refund.id,
            "given_back": str(made.refund.amount),
            "status": made.refund.status,
        }
        return refund_facts | _row(made.payment)

    show_facts(run(context, work), as_json=as_json)


def _previewed(found: Preview) -> dict[str, Any]:
    return {
        "would_give_back": str(found.refund),
        "would_take_credits": str(found.credits),
        "from_the_payments_own": str(found.from_payment),
        "from_other_credits": str(found.from_others),
        "becomes_debt": str(found.debt),
        "held_of_its_own": str(found.held),
    }


def _row(payment: Payment) -> dict[str, Any]:
    return {
        "payment": plain_id("pay", payment.payment_id),
        "user": payment.user_id,
        "wallet": plain_id("wal", payment.wallet_id),
        "paid_at": payment.paid_at,
        "description": payment.description,
        "paid": str(payment.paid),
        "credits": str(payment.credits),
        "refunded": _money(payment, payment.refunded_minor),
        "disputed": _money(payment, payment.disputed_minor),
        "taken_back": str(payment.taken_back),
    }


def _money(payment: Payment, minor: int) -> str:
    return str(Money(minor, payment.paid.currency))
