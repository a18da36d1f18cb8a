"""/v1/payment-intents: the payment form's payments, and top-ups that wait for their customer."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, Self

from fastapi import APIRouter, Response
from pydantic import Field, StrictBool, model_validator

from tallybook.api.deps import Body, CallerDep, Ctx, IdempotencyKey, Shape, UserId, problems
from tallybook.api.json_bodies import StrictJsonRoute
from tallybook.domain.ids import LedgerId, parse_plain_id, plain_id
from tallybook.domain.payments.payment_intents import PaymentIntent
from tallybook.usecases.cards import completing, forms

router = APIRouter(
    prefix="/v1/payment-intents",
    tags=["cards"],
    route_class=StrictJsonRoute,
    responses=problems(400, 401, 403, 404, 502),
)
MINOR_MAX = 99_999_999
Currency = Annotated[str, Field(pattern="^[a-z]{3}$", examples=["usd"])]
AmountMinor = Annotated[
    int, Field(ge=1, le=MINOR_MAX, description="In the smallest unit of the currency.", examples=[2500])
]
ReturnUrl = Annotated[str, Field(min_length=1, max_length=2000, examples=["https://yourapp.com/billing"])]


class PaymentIntentBody(Body):
    """What to pay for: a price, or an amount of money where the catalogue has a rate for its currency."""

    price: Annotated[
        str | None,
        Field(
            min_length=1,
            max_length=255,
            description="A lookup key, an alias or a Stripe price id.",
            examples=["pack_100"],
        ),
    ] = None
    quantity: Annotated[int, Field(ge=1, le=1000)] = 1
    amount_minor: AmountMinor | None = None
    currency: Currency | None = None
    save_payment_method: StrictBool = False
    user_id: UserId | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if (self.price is None) == (self.amount_minor is None):
            raise ValueError("give price, or amount_minor and currency")
        if self.amount_minor is not None and (self.currency is None or self.quantity != 1):
            raise ValueError("amount_minor needs currency, and no quantity")
        return self

    def wish(self) -> forms.Wish:
        """What to pay for."""
        return forms.Wish(
            reference=self.price,
            quantity=self.quantity,
            amount_minor=self.amount_minor,
            currency=self.currency,
            saves_method=self.save_payment_method,
        )


class CompleteBody(Body):
    """Where the customer comes back to from their bank; by default our own page."""

    return_url: ReturnUrl | None = None


class PaymentIntentShape(Shape):
    """A payment intent; what it costs and brings was bound when it was made."""

    id: str = Field(examples=["pin_1"])
    source: Literal["payment_form", "top_up"]
    status: Literal["intended", "open", "processing", "needs_action", "succeeded", "failed", "canceled"]
    user_id: int
    product: str | None = Field(examples=["pack_100"])
    quantity: int
    credits_micro: int = Field(examples=[100_000_000])
    amount_minor: int = Field(examples=[1000])
    currency: str = Field(examples=["usd"])
    failure_code: str | None = Field(description="The bank's last word.", examples=[None])
    stripe_payment_intent_id: str | None = Field(examples=["pi_123"])
    transfer: str | None = Field(description="The transfer that brought the credits.", examples=[None])
    created_at: datetime
    updated_at: datetime

    @classmethod
    def from_domain(cls, found: PaymentIntent, **more: str | None) -> Self:
        """Draw a payment intent."""
        granted = found.granted_version
        given = {
            "id": plain_id("pin", found.number),
            "source": found.source.value,
            "status": found.status.value,
            "user_id": found.user_id,
            "product": found.lookup_key,
            "quantity": found.quantity,
            "credits_micro": found.credits.micro,
            "amount_minor": found.price.minor,
            "currency": found.price.currency,
            "failure_code": found.failure_code,
            "stripe_payment_intent_id": found.stripe_id,
            "transfer": None if granted is None else LedgerId(found.wallet_id, granted).wire("trf"),
            "created_at": found.created_at,
            "updated_at": found.updated_at,
        }
        return cls.model_validate(given | more)


class PayableShape(PaymentIntentShape):
    """With what a browser pays by, while it can be paid."""

    client_secret: str | None = Field(description="For Stripe.js; never store it.", examples=[None])
    publishable_key: str | None = Field(description="For Stripe.js.", examples=["pk_test_123"])


class CompletedShape(PaymentIntentShape):
    """With where to send the customer, if their bank wants to see them."""

    redirect_url: str | None = Field(examples=[None])


@router.post("", status_code=201, summary="Start a payment")
async def create_payment_intent(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, body: PaymentIntentBody, response: Response
) -> PayableShape:
    """A payment intent for the payment form: the price is ours, and the credits come when Stripe has the money."""
    form = await forms.open_form(ctx, caller, body.wish(), user_id=body.user_id, key=key)
    if form.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    return _payable(ctx.publishable_key, form)


@router.get("/{payment_intent}", summary="A payment")
async def get_payment_intent(ctx: Ctx, caller: CallerDep, payment_intent: str) -> PayableShape:
    """How far it is; Stripe is asked first, so a page that comes back need not wait for the webhook."""
    form = await forms.look(ctx, caller, parse_plain_id("pin", payment_intent))
    return _payable(ctx.publishable_key, form)


@router.post("/{payment_intent}/complete", summary="Complete a top-up")
async def complete_payment_intent(
    ctx: Ctx, caller: CallerDep, key: IdempotencyKey, payment_intent: str, body: CompleteBody
) -> CompletedShape:
    """A top-up whose bank wants to see the customer: send them to ``redirect_url``, then look at it again."""
    number = parse_plain_id("pin", payment_intent)
    done = await completing.complete(ctx, caller, number, return_url=body.return_url, key=key)
    return CompletedShape.from_domain(done.intent, redirect_url=done.redirect_url)


def _payable(publishable_key: str | None, form: forms.Form) -> PayableShape:
    return PayableShape.from_domain(
        form.intent, client_secret=form.client_secret, publishable_key=publishable_key
    )
