"""Organisations: make one with its wallet, say who belongs to it, look at it."""

from __future__ import annotations

from dataclasses import dataclass

from tallybook.domain.errors import AdminRequiredError, NotFoundError
from tallybook.domain.identity.callers import HOUSE_APP_ID, Caller
from tallybook.domain.identity.organisations import MemberRole, Organisation
from tallybook.postgres import audit, identity, ledger, organisations, remembered
from tallybook.postgres.pool import Transaction
from tallybook.usecases.context import Context

_MISSING = "There is no such organisation, or you do not belong to it."


@dataclass(frozen=True, slots=True, kw_only=True)
class Founded:
    """A new organisation, or the one that this key made before."""

    organisation: Organisation
    replayed: bool


async def found(
    ctx: Context, caller: Caller, *, name: str, owner_user_id: int, key: str | None = None
) -> Founded:
    """Make an organisation with a wallet and its first owner; for an admin.

    Raises:
        AdminRequiredError: the caller is not one. UserNotFoundError: there is no such owner.
        IdempotencyKeyReusedError: the key made something else.
    """
    caller.require_admin()
    scope = "organisations.found:{}:{}".format(*caller.actor)
    terms = ctx.sealer.terms("found organisation", [name, owner_user_id])
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        kept = None if key is None else await remembered.recall(tx, scope, key, terms)
        if kept is not None:
            made = await _one(tx, ctx.sealer.open_json(kept, scope))
            return Founded(organisation=made, replayed=True)
        await identity.user(tx, owner_user_id)
        number = await organisations.add(tx, now, name=name)
        await organisations.put_member(
            tx, now, organisation_id=number, user_id=owner_user_id, role=MemberRole.OWNER
        )
        await ledger.open_wallet(tx, now, organisation_id=number)
        after = {"name": name, "owner_user_id": owner_user_id}
        subject = ("organisation", str(number))
        await audit.record(tx, now, caller.actor, "organisation.founded", subject, after=after)
        if key is not None:
            sealed = ctx.sealer.seal_json(number, scope)
            await remembered.remember(tx, now, scope, key, terms=terms, answer=sealed)
        return Founded(organisation=await _one(tx, number), replayed=False)


async def put_member(
    ctx: Context, caller: Caller, organisation_id: int, *, user_id: int, role: MemberRole
) -> Organisation:
    """Make a user a member, or change what they are there; for an admin and for its owners. Repeating is harmless.

    Raises:
        NotFoundError: no such organisation, or the caller does not belong to it.
        AdminRequiredError: the caller belongs to it, but is no owner. UserNotFoundError: no such user.
    """
    async with ctx.db.transaction() as tx:
        now = ctx.clock()
        before = await _visible(tx, caller, organisation_id)
        if not caller.rules_the_house and caller.user_id not in before.owners:
            raise AdminRequiredError("This needs an owner of the organisation, or an admin.")
        await identity.user(tx, user_id)
        await organisations.put_member(tx, now, organisation_id=organisation_id, user_id=user_id, role=role)
        after = {"user_id": user_id, "role": str(role)}
        subject = ("organisation", str(organisation_id))
        await audit.record(tx, now, caller.actor, "organisation.member", subject, after=after)
        return await _one(tx, organisation_id)


async def get(ctx: Context, caller: Caller, organisation_id: int) -> Organisation:
    """An organisation, for an admin and for its members.

    Raises:
        NotFoundError: there is none, or the caller does not belong to it.
    """
    async with ctx.db.snapshot() as tx:
        return await _visible(tx, caller, organisation_id)


async def page(ctx: Context, caller: Caller, *, after: int = 0, limit: int = 50) -> list[Organisation]:
    """Up to ``limit`` organisations with numbers above ``after``, for an admin."""
    caller.require_admin()
    async with ctx.db.snapshot() as tx:
        return await organisations.after(tx, after, limit)


async def _one(tx: Transaction, organisation_id: int) -> Organisation:
    found = await organisations.one(tx, organisation_id)
    if found is None:
        raise NotFoundError(_MISSING)
    return found


async def _visible(tx: Transaction, caller: Caller, organisation_id: int) -> Organisation:
    found = await _one(tx, organisation_id)
    # A session that was opened for some app does not speak for the organisation.
    belongs = caller.app_id == HOUSE_APP_ID and caller.user_id in {m.user_id for m in found.members}
    if not belongs and not caller.rules_the_house:
        raise NotFoundError(_MISSING)
    return found
