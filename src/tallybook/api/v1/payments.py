"""/v1/payments: what was paid, and refunds of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import Field

from tallybook.api.deps import Body, CallerDep, Ctx, IdempotencyKey, Shape, problems
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.domain.ids import parse_plain_id, plain_id
from tallybook.domain.payments.money_back import Dispute, Preview, Refund
from tallybook.domain.payments.payments import Payment
from tallybook.usecases import money_back, payments

router = APIRouter(
    prefix="/v1/payments",
    tags=["payments"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 403, 404, 409, 502),
)
MINOR_MAX = 10**12
AmountMinor = Annotated[
    int, Field(ge=1, le=MINOR_MAX, description="In minor units of the payment's currency.", examples=[500])
]


class RefundBody(Body):
    """How much to give back, by default all that is left; ``reason`` is one that Stripe knows."""

    amount_minor: AmountMinor | None = None
    reason: Literal["duplicate", "fraudulent", "requested_by_customer"] | None = None


class PaymentShape(Shape):
    """A payment; money in minor units of ``currency``, credits in micro-credits."""

    id: str = Field(examples=["pay_1"])
    wallet: str = Field(examples=["wal_12"])
    user_id: int | None = Field(examples=[1])
    source: str = Field(examples=["checkout"])
    stripe_reference: str = Field(examples=["cs_test_123"])
    description: str = Field(examples=["Starter x 1"])
    product: str | None = Field(examples=["package_starter"])
    amount_minor: int = Field(description="What was paid in money, tax and all.", examples=[1190])
    net_minor: int = Field(description="The total without its tax.", examples=[1000])
    tax_minor: int = Field(examples=[190])
    total_minor: int = Field(
        description="Net and tax together: also what the customer's balance at Stripe paid.", examples=[1190]
    )
    currency: str = Field(examples=["usd"])
    credits_micro: int = Field(examples=[1_000_000_000])
    refunded_minor: int = Field(examples=[0])
    disputed_minor: int = Field(description="What open and lost disputes keep.", examples=[0])
    refundable_minor: int = Field(examples=[1190])
    taken_back_micro: int = Field(description="Credits taken back for both.", examples=[0])
    receipt_url: str | None = Field(examples=[None])
    paid_at: datetime

    @classmethod
    def from_domain(cls, payment: Payment) -> PaymentShape:
        """Draw a payment."""
        return cls(
            id=plain_id("pay", payment.payment_id),
            wallet=plain_id("wal", payment.wallet_id),
            user_id=payment.user_id,
            source=str(payment.source),
            stripe_reference=payment.reference,
            description=payment.description,
            product=payment.lookup_key,
            amount_minor=payment.paid.minor,
            net_minor=payment.net_minor,
            tax_minor=payment.tax_minor,
            total_minor=payment.value_minor,
            currency=payment.paid.currency,
            credits_micro=payment.credits.micro,
            refunded_minor=payment.refunded_minor,
            disputed_minor=payment.disputed_minor,
            refundable_minor=payment.refundable_minor,
            taken_back_micro=payment.taken_back.micro,
            receipt_url=payment.receipt_url,
            paid_at=payment.paid_at,
        )


class RefundShape(Shape):
    """A refund as Stripe has it."""

    id: str = Field(examples=["re_123"])
    amount_minor: int = Field(examples=[500])
    currency: str = Field(examples=["usd"])
    status: str = Field(examples=["succeeded"])
    reason: str | None = Field(examples=["requested_by_customer"])
    failure_reason: str | None = Field(examples=[None])
    created_at: datetime

    @classmethod
    def from_domain(cls, refund: Refund) -> RefundShape:
        """Draw a refund."""
        return cls(
            id=refund.id,
            amount_minor=refund.amount.minor,
            currency=refund.amount.currency,
            status=refund.status,
            reason=refund.reason,
            failure_reason=refund.failure_reason,
            created_at=refund.created_at,
        )


class DisputeShape(Shape):
    """A dispute as Stripe has it."""

    id: str = Field(examples=["du_123"])
    amount_minor: int = Field(examples=[1000])
    currency: str = Field(examples=["usd"])
    status: str = Field(examples=["needs_response"])
    reason: str = Field(examples=["fraudulent"])
    created_at: datetime

    @classmethod
    def from_domain(cls, dispute: Dispute) -> DisputeShape:
        """Draw a dispute."""
        return cls(
            id=dispute.id,
            amount_minor=dispute.amount.minor,
            currency=dispute.amount.currency,
            status=dispute.status,
            reason=dispute.reason,
            created_at=dispute.created_at,
        )


class WholePaymentShape(PaymentShape):
    """A payment with the lots that it brought and all that went back of it."""

    lots: list[str] = Field(examples=[["lot_12_1"]])
    refunds: list[RefundShape]
    disputes: list[DisputeShape]


class PaymentPage(Shape):
    """A page of payments, newest first; ``next_cursor`` goes into ``after``."""

    data: list[PaymentShape]
    has_more: bool
    next_cursor: str | None = Field(examples=["pay_1"])


class PreviewShape(Shape):
    """What a refund would take: from the payment's own credits, then from others; what is missing becomes debt."""

    amount_minor: int = Field(examples=[500])
    currency: str = Field(examples=["usd"])
    credits_micro: int = Field(examples=[500_000_000])
    from_payment_micro: int = Field(examples=[500_000_000])
    from_others_micro: int = Field(examples=[0])
    debt_micro: int = Field(examples=[0])
    held_micro: int = Field(description="Of the payment's own, in open holds.", examples=[0])

    @classmethod
    def from_domain(cls, found: Preview) -> PreviewShape:
        """Draw a preview."""
        return cls(
            amount_minor=found.refund.minor,
            currency=found.refund.currency,
            credits_micro=found.credits.micro,
            from_payment_micro=found.from_payment.micro,
            from_others_micro=found.from_others.micro,
            debt_micro=found.debt.micro,
            held_micro=found.held.micro,
        )


class MadeRefundShape(RefundShape):
    """A refund that was asked for, and its payment after it."""

    payment: PaymentShape


@router.get("", summary="Payments")
async def list_payments(
    ctx: Ctx,
    caller: CallerDep,
    user_id: Annotated[
        int | None, Query(ge=1, le=2**53 - 1, description="Whose; admins: everybody's.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[str | None, Query(description="The last payment of the page before.")] = None,
) -> PaymentPage:
    """Payments, newest first: one's own, or a user's."""
    before = parse_plain_id("pay", after) if after else payments.NEWEST
    found = await payments.newest(ctx, caller, user_id=user_id, before=before, limit=limit + 1)
    page, more = [PaymentShape.from_domain(one) for one in found[:limit]], len(found) > limit
    return PaymentPage(data=page, has_more=more, next_cursor=page[-1].id if more else None)


@router.get("/{payment}", summary="A payment")
async def get_payment(ctx: Ctx, caller: CallerDep, payment: str) -> WholePaymentShape:
    """A payment with its refunds, disputes and receipt."""
    found = await payments.get(ctx, caller, parse_plain_id("pay", payment))
    return WholePaymentShape(
        **PaymentShape.from_domain(found.payment).model_dump(),
        lots=[lot.wire("lot") for lot in found.lots],
        refunds=[RefundShape.from_domain(one) for one in found.refunds],
        disputes=[DisputeShape.from_domain(one) for one in found.disputes],
    )


@router.get("/{payment}/refunds/preview", summary="What a refund would do")
async def preview_refund(
    ctx: Ctx,
    caller: CallerDep,
    payment: str,
    amount_minor: Annotated[
        int | None, Query(ge=1, le=MINOR_MAX, description="Default: all that is left.")
    ] = None,
) -> PreviewShape:
    """Which credits a refund would take, and what debt would arise; nothing is changed."""
    number = parse_plain_id("pay", payment)
    return PreviewShape.from_domain(
        await payments.preview_refund(ctx, caller, number, amount_minor=amount_minor)
    )


@router.post("/{payment}/refunds", status_code=201, summary="Refund a payment")
async def create_refund(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, payment: str, body: RefundBody, response: Response
) -> MadeRefundShape:
    """Give money back through Stripe, and take the credits back that it had bought."""
    number = parse_plain_id("pay", payment)
    made = await money_back.refund(
        ctx, caller, number, amount_minor=body.amount_minor, reason=body.reason, key=key
    )
    if made.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return MadeRefundShape(
        **RefundShape.from_domain(made.refund).model_dump(), payment=PaymentShape.from_domain(made.payment)
    )
