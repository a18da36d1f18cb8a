"""Checks an installation and says what to do about each thing that is not right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from tallybook.domain.catalog.products import Product
from tallybook.domain.errors import BillingError
from tallybook.domain.money import MICRO
from tallybook.postgres import installation, migrating
from tallybook.postgres.installation import Condition
from tallybook.security.anchor_files import AnchorFolder
from tallybook.usecases.context import Context

SERVER_VERSION_MIN = 160_000


class Verdict(StrEnum):
    """``wrong`` keeps the product from working; ``note`` is worth knowing."""

    FINE = "fine"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check; ``what_to_do`` is empty when it is fine."""

    check: str
    verdict: Verdict
    found: str
    what_to_do: str = ""


async def examine(ctx: Context) -> list[Finding]:
    """Every check, in the order in which one would mend things."""
    try:
        async with ctx.db.snapshot() as tx:
            revision = await installation.revision(tx)
            condition = await installation.condition(tx)
    except BillingError as refusal:
        return [_wrong("Database", refusal.message, "Check DATABASE_URL and that the server is running.")]
    return [
        *_database(revision, condition),
        *_stripe_settings(ctx),
        *await _stripe_account(ctx, condition),
        *_catalog(ctx, condition),
        *_operation(condition),
        *_anchors(ctx),
    ]


def _database(revision: str, condition: Condition) -> Iterator[Finding]:
    expected = migrating.newest_revision()
    if revision == expected:
        yield _fine("Schema", f"revision {revision}")
    else:
        yield _wrong("Schema", f"revision {revision}, expected {expected}", "Run: tallybook migrate")
    if condition.server_version_num >= SERVER_VERSION_MIN:
        yield _fine("PostgreSQL", condition.server_version)
    else:
        yield _note("PostgreSQL", condition.server_version, "16 and 18 are tested: plan an upgrade.")
    durable = condition.fsync and condition.synchronous_commit and condition.full_page_writes
    if durable:
        yield _fine("Durability", "fsync, synchronous_commit and full_page_writes are on")
    else:
        yield _wrong(
            "Durability",
            "fsync, synchronous_commit or full_page_writes is off",
            "Switch them on: acknowledged spends could be lost at a crash.",
        )
    if condition.may_write_ledger:
        yield _wrong(
            "Rights",
            "the service's role may write ledger tables",
            "Give DATABASE_URL a role that owns nothing, and MIGRATION_DATABASE_URL the owner.",
        )
    else:
        yield _fine("Rights", "the service's role may only execute the ledger functions")


def _stripe_settings(ctx: Context) -> Iterator[Finding]:
    if ctx.stripe is None:
        yield _wrong("Stripe key", "not set", "Set STRIPE_SECRET_KEY (sk_test_… to try things out).")
    for path, secrets in ctx.webhook_secrets.items():
        check = f"Webhook secret ({path})"
        if not secrets:
            yield _wrong(
                check, "not set", "Set STRIPE_WEBHOOK_SECRET to the endpoint's signing secret (whsec_…)."
            )
        elif not all(secret.startswith("whsec_") for secret in secrets):
            yield _wrong(
                check,
                "does not start with whsec_",
                "Copy the endpoint's signing secret, not its id or a key.",
            )
        else:
            yield _fine(check, f"{len(secrets)} live")
    if ctx.livemode and not ctx.pages_url.startswith("https://"):
        yield _wrong("Addresses", ctx.pages_url, "Live payments need https: set BASE_URL and FRONTEND_URL.")


async def _stripe_account(ctx: Context, condition: Condition) -> list[Finding]:
    if ctx.stripe is None:
        return []
    try:
        account = await ctx.stripe.account()
    except BillingError as refusal:
        return [
            _wrong(
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
            _wrong(
                "Stripe account",
                f"{account.account_id} ({mode}), but the database belongs to"
                f" {condition.account_id} ({known})",
                "Use the keys of that account and mode, or a fresh database: credits bought with test"
                " money must not become real.",
            )
        ]
    return [_fine("Stripe account", f"{account.account_id} ({mode})")]


def _catalog(ctx: Context, condition: Condition) -> Iterator[Finding]:
    on_sale = ctx.catalog.on_sale
    missing = [p.lookup_key for p in on_sale if p.lookup_key not in (condition.linked or [])]
    if missing:
        yield _wrong("Catalogue", f"not at Stripe yet: {', '.join(missing)}", "Run: tallybook catalog push")
    else:
        yield _fine("Catalogue", f"{len(on_sale)} products on sale, all at Stripe")
    for forced in on_sale:
        if forced.forced_price_id and not forced.forced_price_id.startswith("price_"):
            yield _wrong(
                f"Price of {forced.lookup_key}",
                f"{forced.forced_price_id} is not a price id",
                "Copy the id that starts with price_, not the product's (prod_).",
            )
    yield from _same_credits_other_price(on_sale)


def _same_credits_other_price(on_sale: tuple[Product, ...]) -> Iterator[Finding]:
    """Documents 002 and 003 sell 1,000 credits for $10 and for $60; whoever sells both should know."""
    once = [product for product in on_sale if product.mode == "payment"]
    for number, one in enumerate(once):
        for other in once[number + 1 :]:
            if one.credits == other.credits and one.price != other.price:
                yield _note(
                    "Prices",
                    f"{one.credits.micro // MICRO:,} credits cost {one.price} as {one.lookup_key} and"
                    f" {other.price} as {other.lookup_key}",
                    "Switch one family off in the catalogue, unless you mean it.",
                )


def _operation(condition: Condition) -> Iterator[Finding]:
    if condition.admins:
        yield _fine("Admins", str(condition.admins))
    else:
        yield _note("Admins", "none", "Run: tallybook users create <e-mail> --role admin")
    if condition.dead_events:
        yield _wrong(
            "Stripe events",
            f"{condition.dead_events} given up",
            "See: tallybook events list --status dead; then: tallybook events replay",
        )
    else:
        yield _fine("Stripe events", "none given up")


def _anchors(ctx: Context) -> Iterator[Finding]:
    if ctx.anchors_dir is None:
        yield _note(
            "Anchors", "off", "Set ANCHORS_DIR: else nobody notices a superuser who rewrites history."
        )
        return
    files = AnchorFolder(ctx.anchors_dir).files()
    if not files:
        yield _note("Anchors", f"none in {ctx.anchors_dir} yet", "Run a worker, or: tallybook ledger anchor")
        return
    newest = files[-1].name
    if ctx.clock() > newest.taken_at + 2 * timedelta(seconds=ctx.anchor_every_seconds):
        yield _wrong(
            "Anchors",
            f"the newest is of {newest.taken_at:%Y-%m-%d %H:%M}",
            "Look for anchor_not_exported in the worker's log, or run: tallybook ledger anchor",
        )
    else:
        yield _fine("Anchors", f"{newest.number}, the newest of {newest.taken_at:%Y-%m-%d %H:%M}")


def _fine(check: str, found: str) -> Finding:
    return Finding(check=check, verdict=Verdict.FINE, found=found)


def _note(check: str, found: str, what_to_do: str) -> Finding:
    return Finding(check=check, verdict=Verdict.NOTE, found=found, what_to_do=what_to_do)


def _wrong(check: str, found: str, what_to_do: str) -> Finding:
    return Finding(check=check, verdict=Verdict.WRONG, found=found, what_to_do=what_to_do)
