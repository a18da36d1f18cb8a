"""The intake of Stripe's events: believe them by their signature, store them once, say whether it could."""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from tallybook.domain.errors import RequestTooLargeError
from tallybook.domain.payments.handled import left_alone
from tallybook.domain.payments.reports import ReceivedEvent
from tallybook.domain.payments.sightings import drifted
from tallybook.postgres import customers, inbox, sightings
from tallybook.postgres.pool import Transaction
from tallybook.security.fingerprints import fingerprint
from tallybook.stripe.events import verify
from tallybook.usecases.context import Context

_log = structlog.get_logger("tallybook.events")
BODY_BYTES_MAX = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class InboxHealth:
    """Whether each intake path could believe a webhook, and what the inbox holds; never a secret."""

    stripe_configured: bool
    livemode: bool
    paths: dict[str, bool]


async def receive(ctx: Context, *, path: str, raw: bytes, signature: str | None) -> None:
    """Take a webhook in: believed by its signature, stored once, answered when that is committed.

    Foreign types and events of the other mode or of another account are recorded and never worked on. A version that
    nobody tested is taken all the same: objects are fetched at ours; it raises an alarm, once.

    Raises:
        RequestTooLargeError: more than 256 KiB.
        WebhookSecretMissingError, WebhookSignatureError, WebhookPayloadError: it is not believed.
    """
    if len(raw) > BODY_BYTES_MAX:
        raise RequestTooLargeError
    secrets = ctx.webhook_secrets[path]
    event = verify(raw, signature, secrets, ctx.clock())
    verified_by = [fingerprint(ctx.sealer, secrets[place]) for place in event.signed_by]
    async with ctx.db.transaction() as tx:
        ignored_as = await _ignored_as(ctx, tx, event)
        deliveries, waits = await inbox.store(
            tx, ctx.clock(), event, intake_path=path, verified_by=verified_by, ignored_as=ignored_as
        )
        alarmed = await _drift(ctx, tx, event)
    if waits:
        inbox.wake(ctx.db)
    if alarmed:
        _log.error(
            "stripe_version_drifted", api_version=event.api_version, event_id=event.event_id, path=path
        )
    _log.info(
        "event_received",
        event_id=event.event_id,
        type=event.type,
        path=path,
        deliveries=deliveries,
        ignored_as=ignored_as,
    )


def health(ctx: Context) -> InboxHealth:
    """What is configured, for whoever set the webhook up. Public: yes and no, never a secret."""
    return InboxHealth(
        stripe_configured=ctx.stripe is not None,
        livemode=ctx.livemode,
        paths={path: any(given) for path, given in ctx.webhook_secrets.items()},
    )


async def _ignored_as(ctx: Context, tx: Transaction, event: ReceivedEvent) -> str | None:
    account = await customers.account(tx)
    livemode = ctx.livemode if account is None else account.livemode
    return left_alone(
        event.type,
        same_mode=event.livemode == livemode == ctx.livemode,
        same_account=account is None or event.account_id in (None, account.account_id),
    )


async def _drift(ctx: Context, tx: Transaction, event: ReceivedEvent) -> bool:
    """Announce a version that nobody tested, once in the life of the database."""
    if event.api_version is None or not drifted(event.api_version):
        return False
    return await sightings.announce_drift(
        tx, ctx.clock(), api_version=event.api_version, event_id=event.event_id
    )
