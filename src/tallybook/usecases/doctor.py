"""Checks an installation and says what to do about each thing that is not right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from tallybook.domain.catalog.links import Link
from tallybook.domain.diagnosis import stripe_setup as setup
from tallybook.domain.diagnosis.findings import Finding, Verdict, fine, note, wrong
from tallybook.domain.errors import BillingError, StripeUnavailableError
from tallybook.domain.payments.endpoints import judged, subscribed_types
from tallybook.domain.payments.inbox import InboxFigures, Selection
from tallybook.domain.payments.sightings import SecretUse, Sighting, uses
from tallybook.postgres import catalog, customers, inbox, installation, migrating, sightings
from tallybook.postgres.customers import Account
from tallybook.postgres.installation import Condition
from tallybook.security.anchor_files import AnchorFolder
from tallybook.security.fingerprints import fingerprint
from tallybook.stripe import endpoints as stripe_endpoints
from tallybook.stripe import taxes
from tallybook.stripe.gateway import configured
from tallybook.usecases.context import Context

SERVER_VERSION_MIN = 160_000
WORKER_LATE = timedelta(minutes=10)
UNDELIVERED_SINCE = timedelta(days=3)
UNDELIVERED_UNTIL = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """What our books hold that is checked."""

    condition: Condition
    links: dict[str, Link]
    sightings: list[Sighting]
    inbox: InboxFigures
    of_other_mode: int
    account: Account | None


async def examine(ctx: Context) -> list[Finding]:
    """Every check, in the order in which one would mend things."""
    try:
        async with ctx.db.snapshot() as tx:
            revision = await installation.revision(tx)
        expected = migrating.newest_revision()
        if revision != expected:
            found = f"revision {revision}, expected {expected}"
            return [wrong("schema_outdated", "Schema", found, "Run: tallybook migrate")]
        kept = await _kept(ctx)
    except BillingError as refusal:
        advice = "Check DATABASE_URL and that the server is running."
        return [wrong("database_unavailable", "Database", refusal.message, advice)]
    account = await _stripe_account(ctx, kept.condition)
    reachable = bool(account) and all(finding.verdict is Verdict.FINE for finding in account)
    return [
        fine("Schema", f"revision {revision}"),
        *_database(kept.condition),
        *setup.keys(
            configured=ctx.stripe is not None,
            livemode=ctx.livemode,
            publishable_key=ctx.publishable_key,
            pages_url=ctx.pages_url,
        ),
        *setup.signing_secrets(ctx.webhook_secrets, _uses(ctx, kept.sightings)),
        *account,
        *_catalog(ctx, kept.condition),
        *(await _prices(ctx, kept.links) if reachable else []),
        *(await _tax(ctx) if reachable else []),
        *(await _endpoints(ctx, kept.account) if reachable else []),
        *setup.versions(kept.sightings, ctx.clock()),
        *setup.other_mode(kept.of_other_mode, livemode=ctx.livemode),
        *_operation(kept.condition, kept.inbox),
        *_anchors(ctx),
    ]


async def _kept(ctx: Context) -> _Kept:
    now = ctx.clock()
    async with ctx.db.snapshot() as tx:
        return _Kept(
            condition=await installation.condition(tx),
            links=await catalog.links(tx),
            sightings=await sightings.every(tx),
            inbox=await inbox.figures(tx, now),
            of_other_mode=await sightings.of_the_other_mode(tx, now - setup.RECENT),
            account=await customers.account(tx),
        )


def _uses(ctx: Context, seen: list[Sighting]) -> list[SecretUse]:
    return [
        use
        for path, given in ctx.webhook_secrets.items()
        for use in uses(path, [fingerprint(ctx.sealer, secret) for secret in given if secret], seen)
    ]


def _database(condition: Condition) -> Iterator[Finding]:
    if condition.server_version_num >= SERVER_VERSION_MIN:
        yield fine("PostgreSQL", condition.server_version)
    else:
        yield note(
            "postgres_untested",
            "PostgreSQL",
            condition.server_version,
            "16 and 18 are tested: plan an upgrade.",
        )
    durable = condition.fsync and condition.synchronous_commit and condition.full_page_writes
    if durable:
        yield fine("Durability", "fsync, synchronous_commit and full_page_writes are on")
    else:
        yield wrong(
            "durability_off",
            "Durability",
            "fsync, synchronous_commit or full_page_writes is off",
            "Switch them on: acknowledged spends could be lost at a crash.",
        )
    if condition.may_write_ledger:
        yield wrong(
            "rights_too_wide",
            "Rights",
            "the service's role may write ledger tables",
            "Give DATABASE_URL a role that owns nothing, and MIGRATION_DATABASE_URL the owner.",
        )
    else:
        yield fine("Rights", "the service's role may only execute the ledger functions")


async def _stripe_account(ctx: Context, condition: Condition) -> list[Finding]:
    if ctx.stripe is None:
        return []
    try:
        account = await ctx.stripe.account()
    except BillingError as refusal:
        return [
            wrong(
                "stripe_unreachable" if isinstance(refusal, StripeUnavailableError) else "stripe_key_refused",
                "Stripe account",
                refusal.message,
                "Check STRIPE_SECRET_KEY (test or live, nothing missing) and the network.",
            )
        ]
    mode = "live" if ctx.livemode else "test"
    if condition.account_id is not None and (
        condition.account_id != account.account_id or condition.livemode != ctx.livemode
    ):
        known = "live" if condition.livemode else "test"
        return [
            wrong(
                "stripe_account_mismatch",
                "Stripe account",
                f"{account.account_id} ({mode}), but the database belongs to"
                f" {condition.account_id} ({known})",
                "Use the keys of that account and mode, or a fresh database: credits bought with test"
                " money must not become real.",
            )
        ]
    return [fine("Stripe account", f"{account.account_id} ({mode})")]


def _catalog(ctx: Context, condition: Condition) -> Iterator[Finding]:
    on_sale = ctx.catalog.on_sale
    missing = [p.lookup_key for p in on_sale if p.lookup_key not in (condition.linked or [])]
    if missing:
        yield wrong(
            "catalog_not_pushed",
            "Catalogue",
            f"not at Stripe yet: {', '.join(missing)}",
            "Run: tallybook catalog push",
        )
    else:
        yield fine("Catalogue", f"{len(on_sale)} products on sale, all at Stripe")
    yield from setup.same_credits_other_price(on_sale)


async def _prices(ctx: Context, links: dict[str, Link]) -> list[Finding]:
    """Each price that something is sold at, as Stripe has it."""
    found: list[Finding | None] = []
    for product in ctx.catalog.on_sale:
        link = links.get(product.lookup_key)
        price_id = product.forced_price_id or (link.price_id if link else None)
        if price_id is None:
            continue
        try:
            report = await configured(ctx.stripe).price(price_id) if price_id.startswith("price_") else None
        except BillingError as refusal:
            advice = "Give the key the right to read prices, or look at Stripe's status."
            return [note("prices_unreadable", "Prices", refusal.message, advice)]
        found.append(setup.price(product, price_id, report))
    faults = [finding for finding in found if finding is not None]
    return faults or [fine("Prices at Stripe", f"{len(found)} as the catalogue says")]


async def _tax(ctx: Context) -> list[Finding]:
    stripe = configured(ctx.stripe)
    try:
        return setup.tax(await taxes.missing(stripe)) if stripe.sales.automatic_tax else []
    except BillingError as refusal:
        return [note("tax_unreadable", "Stripe Tax", refusal.message, setup.TAX_ADVICE)]


async def _endpoints(ctx: Context, account: Account | None) -> list[Finding]:
    """Our endpoints, and what Stripe could not deliver to them."""
    stripe, now = configured(ctx.stripe), ctx.clock()
    deployment = None if account is None else str(account.deployment_id)
    try:
        found = [
            judged(report, addresses=ctx.own_addresses, deployment=deployment, api_version=stripe.api_version)
            for report in await stripe_endpoints.every(stripe)
        ]
        missed: list[str] = []
        if any(endpoint.ours for endpoint in found):
            missed = await stripe_endpoints.undelivered(
                stripe,
                since=now - UNDELIVERED_SINCE,
                until=now - UNDELIVERED_UNTIL,
                types=subscribed_types(),
            )
    except BillingError as refusal:
        advice = (
            "Give the key the right to read webhook endpoints and events, or look them up in the dashboard."
        )
        return [note("endpoints_unreadable", "Webhook endpoint", refusal.message, advice)]
    if missed:
        async with ctx.db.snapshot() as tx:
            here = await inbox.page(tx, Selection(event_ids=tuple(missed)), before=None, limit=len(missed))
        missed = [event_id for event_id in missed if event_id not in {event.event_id for event in here}]
    return [*setup.endpoints(found, livemode=ctx.livemode), *setup.undelivered(missed)]


def _operation(condition: Condition, figures: InboxFigures) -> Iterator[Finding]:
    if condition.admins:
        yield fine("Admins", str(condition.admins))
    else:
        yield note("no_admin", "Admins", "none", "Run: tallybook users create <e-mail> --role admin")
    if condition.dead_events:
        yield wrong(
            "events_dead",
            "Stripe events",
            f"{condition.dead_events} given up",
            "See: tallybook events list --status dead; then: tallybook events replay, or give-up with a reason",
        )
    else:
        yield fine("Stripe events", "none given up")

    if figures.lag_seconds > WORKER_LATE.total_seconds():
        yield wrong(
            "worker_behind",
            "Worker",
            f"an event has been due for {figures.lag_seconds / 60:.0f} minutes",
            "Start one: tallybook worker, or serve without --no-worker; then read its log.",
        )


def _anchors(ctx: Context) -> Iterator[Finding]:
    if ctx.anchors_dir is None:
        yield note(
            "anchors_off",
            "Anchors",
            "off",
            "Set ANCHORS_DIR: else nobody notices a superuser who rewrites history.",
        )
        return
    files = AnchorFolder(ctx.anchors_dir).files()
    if not files:
        yield note(
            "anchors_none",
            "Anchors",
            f"none in {ctx.anchors_dir} yet",
            "Run a worker, or: tallybook ledger anchor",
        )
        return
    newest = files[-1].name
    if ctx.clock() > newest.taken_at + 2 * timedelta(seconds=ctx.anchor_every_seconds):
        yield wrong(
            "anchors_late",
            "Anchors",
            f"the newest is of {newest.taken_at:%Y-%m-%d %H:%M}",
            "Look for anchor_not_exported in the worker's log, or run: tallybook ledger anchor",
        )
    else:
        yield fine("Anchors", f"{newest.number}, the newest of {newest.taken_at:%Y-%m-%d %H:%M}")
