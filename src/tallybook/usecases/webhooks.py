"""The way Stripe's events come: signing secrets that are rolled, and our endpoints at Stripe."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from tallybook.domain.identity.callers import Caller
from tallybook.domain.payments.endpoints import (
    Endpoint,
    Plan,
    Step,
    judged,
    plan,
    registrable,
    subscribed_types,
)
from tallybook.domain.payments.sightings import SecretUse, uses
from tallybook.postgres import audit, catalog, customers, sightings
from tallybook.security.fingerprints import fingerprint
from tallybook.stripe import endpoints as stripe_endpoints
from tallybook.stripe.gateway import configured
from tallybook.usecases.context import Context


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """What was done, or would be; ``secret`` is shown this once, where an endpoint was made."""

    plan: Plan
    url: str
    endpoint_id: str | None
    api_version: str
    event_types: tuple[str, ...]
    secret: str | None


async def secrets(ctx: Context, caller: Caller) -> list[SecretUse]:
    """Each signing secret of each intake path, by its fingerprint: what it verified, and whether it can be dropped."""
    caller.require_admin()
    async with ctx.db.snapshot() as tx:
        seen = await sightings.every(tx)
    return [
        use
        for path, given in ctx.webhook_secrets.items()
        for use in uses(path, [fingerprint(ctx.sealer, secret) for secret in given if secret], seen)
    ]


def name_of(ctx: Context, caller: Caller, secret: str) -> str:
    """The fingerprint of a secret, to find it in a list of them."""
    caller.require_admin()
    return fingerprint(ctx.sealer, secret.strip())


async def endpoints(ctx: Context, caller: Caller) -> list[Endpoint]:
    """Every endpoint of the account at Stripe, and what is wrong with those that are ours.

    Raises:
        StripeRefusedError: the key may not read them.
    """
    caller.require_admin()
    stripe = configured(ctx.stripe)
    async with ctx.db.snapshot() as tx:
        account = await customers.account(tx)
    return [
        judged(
            report,
            addresses=ctx.own_addresses,
            deployment=None if account is None else str(account.deployment_id),
            api_version=stripe.api_version,
        )
        for report in await stripe_endpoints.every(stripe)
    ]


async def register(ctx: Context, caller: Caller, *, url: str, dry_run: bool) -> Registered:
    """Have one endpoint at ``url``: enabled, of our pinned version, sending exactly the types that we work on.

    Safe to repeat and to run twice at once: one at a time, found by its URL, created under a key that only a new
    registration changes. The version of an endpoint cannot be changed at Stripe: then a second one is made, and the
    first is named as left over.

    Raises:
        InvalidRequestError: Stripe cannot send events to this URL, or they would not be taken there.
        StripeAccountMismatchError: the database belongs to another account or mode.
    """
    caller.require_admin()
    registrable(url, livemode=ctx.livemode)
    stripe = configured(ctx.stripe)
    identity = await stripe.account()
    subject = ("webhook_endpoint", url)
    types = tuple(sorted(subscribed_types()))
    async with ctx.db.transaction() as alone:
        await catalog.one_at_a_time(alone)
        async with ctx.db.transaction() as tx:
            account = await customers.record_account(
                tx, ctx.clock(), account_id=identity.account_id, livemode=ctx.livemode
            )
            before = len(await audit.of_subject(tx, subject))
        wanted = plan(url, await stripe_endpoints.every(stripe), api_version=stripe.api_version)
        endpoint_id, secret = wanted.endpoint_id, None
        if not dry_run and wanted.step is Step.UPDATE:
            assert endpoint_id is not None
            await stripe_endpoints.send_types(stripe, endpoint_id, types)
        if not dry_run and wanted.step is Step.CREATE:
            deployment = str(account.deployment_id)
            endpoint_id, secret = await stripe_endpoints.create(
                stripe,
                url=url,
                event_types=types,
                deployment=deployment,
                idempotency_key=_key(deployment, url, stripe.api_version, types, before),
            )
        if not dry_run and wanted.step is not Step.KEEP:
            after = {"step": str(wanted.step), "endpoint": endpoint_id, "api_version": stripe.api_version}
            async with ctx.db.transaction() as tx:
                await audit.record(
                    tx, ctx.clock(), caller.actor, "webhook_endpoint.registered", subject, after=after
                )
    return Registered(
        plan=wanted,
        url=url,
        endpoint_id=endpoint_id,
        api_version=stripe.api_version,
        event_types=types,
        secret=secret,
    )


def _key(deployment: str, url: str, api_version: str, types: tuple[str, ...], before: int) -> str:
    """A new registration is a new request; a call that the SDK repeats is not."""
    asked = hashlib.sha256(json.dumps([url, api_version, types]).encode()).hexdigest()[:32]
    return f"webhook:{deployment}:{asked}:{before}"
