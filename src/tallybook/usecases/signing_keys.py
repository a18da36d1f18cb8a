"""The keys that sign session tokens: the first one, and rotation."""

from __future__ import annotations

from tallybook.domain.clock import Clock
from tallybook.domain.identity.callers import Caller
from tallybook.postgres import audit, identity
from tallybook.postgres.pool import Database
from tallybook.security.sealing import Sealer
from tallybook.security.tokens import TokenSigner, new_key
from tallybook.usecases.context import Context


async def ensure_signer(db: Database, sealer: Sealer, clock: Clock, issuer: str) -> TokenSigner:
    """The signer of this installation; the first start makes the first key, two at once make one.

    Raises:
        SealError: the key was sealed under another TALLYBOOK_SECRET_KEY.
    """
    async with db.transaction() as tx:
        stored = await identity.signing_keys(tx)
        if all(key.retired_at is not None for key in stored):
            stored = await identity.signing_keys(tx, for_change=True)
        if all(key.retired_at is not None for key in stored):
            key = new_key(sealer, clock())
            await identity.add_signing_key(tx, key)
            stored.append(key)
    return TokenSigner(stored, sealer=sealer, clock=clock, issuer=issuer)


async def rotate(ctx: Context, caller: Caller) -> str:
    """Sign with a new key from now on; gives its id. Older keys verify until their last token ends.

    Raises:
        AdminRequiredError: the caller is not an admin.
    """
    caller.require_admin()
    now = ctx.clock()
    async with ctx.db.transaction() as tx:
        before = await identity.signing_keys(tx, for_change=True)
        key = new_key(ctx.sealer, now)
        await identity.add_signing_key(tx, key)
        await identity.retire_signing_keys(tx, now, but=key.key_id)
        await audit.record(
            tx,
            now,
            caller.actor,
            "signing_key.rotated",
            ("signing_key", key.key_id),
            before={"signing": [old.key_id for old in before if old.retired_at is None]},
            after={"signing": [key.key_id]},
        )
        stored = await identity.signing_keys(tx)
    ctx.signer.use(stored)
    return key.key_id


async def public_keys(ctx: Context) -> dict[str, list[dict[str, object]]]:
    """The JSON Web Key Set by which anybody can verify session tokens."""
    if ctx.signer.is_stale_for():
        async with ctx.db.snapshot() as tx:
            stored = await identity.signing_keys(tx)
        ctx.signer.use(stored)
    return ctx.signer.jwks()
