"""Which use case an event goes to. An event's body is a hint: only its kind and its object's id are used."""

from __future__ import annotations

from tallybook.domain.payments.handled import (
    CARD_TYPES,
    CHARGE_TYPES,
    DISPUTE_TYPES,
    INVOICE_TYPES,
    METHOD_TYPES,
    PAYMENT_TYPES,
    REFUND_TYPES,
    SESSION_TYPES,
    SETUP_TYPES,
    SUBSCRIPTION_TYPES,
    left_alone_as,
)
from tallybook.domain.payments.inbox import ClaimedEvent
from tallybook.usecases import events, fulfilment, money_back
from tallybook.usecases.cards import saved_methods
from tallybook.usecases.cards import settling as cards_settling
from tallybook.usecases.context import Context
from tallybook.usecases.subscriptions import settling


async def handle(ctx: Context, event: ClaimedEvent) -> None:
    """Settle one leased event; it is marked in the transaction of its effect.

    Raises:
        BillingError: not this time; the event is to be tried again.
    """
    if event.livemode != ctx.livemode:
        await events.ignore(ctx, event, "other_mode")
    elif event.object_id is None:
        await events.ignore(ctx, event, "no_object")
    elif event.type in SESSION_TYPES:
        # What a plan's checkout became comes first: with the second the event is done.
        await settling.settle_session(ctx, event.object_id)
        await fulfilment.settle_checkout(ctx, event.object_id, lease=event.lease)
    elif event.type in PAYMENT_TYPES:
        await _payment(ctx, event, event.object_id)
    elif event.type in CARD_TYPES:
        await _card(ctx, event, event.object_id)
    elif event.type in CHARGE_TYPES | REFUND_TYPES | DISPUTE_TYPES:
        await _money_back(ctx, event, event.object_id)
    elif event.type in SUBSCRIPTION_TYPES:
        await settling.settle_subscription(ctx, event.object_id, lease=event.lease)
    elif event.type in INVOICE_TYPES:
        await settling.settle_invoice(ctx, event.object_id, lease=event.lease)
    else:
        outcome = left_alone_as(event.type)
        assert outcome is not None, event.type
        await events.ignore(ctx, event, outcome)


async def _money_back(ctx: Context, event: ClaimedEvent, object_id: str) -> None:
    """Money that went back; a payment that is not in our books yet is settled with it, or it is foreign."""
    if event.type in CHARGE_TYPES:
        settled = await money_back.settle_charge(ctx, object_id, lease=event.lease)
    elif event.type in REFUND_TYPES:
        settled = await money_back.settle_refund(ctx, object_id, lease=event.lease)
    else:
        settled = await money_back.settle_dispute(ctx, object_id, lease=event.lease)
    if settled.unsettled_payment is not None:
        await _payment(ctx, event, settled.unsettled_payment)


async def _payment(ctx: Context, event: ClaimedEvent, payment_intent_id: str) -> None:
    """A payment intent that we started ourselves, or one of a session of ours; any other is foreign."""
    if await cards_settling.settle(ctx, payment_intent_id, lease=event.lease) is None:
        await fulfilment.settle_payment(ctx, payment_intent_id, lease=event.lease)


async def _card(ctx: Context, event: ClaimedEvent, object_id: str) -> None:
    """What a customer can be charged with."""
    if event.type in SETUP_TYPES:
        await saved_methods.follow_setup(ctx, object_id, lease=event.lease)
    elif event.type in METHOD_TYPES:
        await saved_methods.follow_method(ctx, object_id, lease=event.lease)
    else:
        await saved_methods.follow_customer(ctx, object_id, lease=event.lease)
