"""A hold is handed on by a token: what whoever carries it may do, and all that they may not."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
import pytest_asyncio
from databases import FrozenClock
from ledger.agent_runs import OPERATOR, M, Run, an_agent_run, carrying, held

from tallybook.domain.errors import (
    ApiKeyInvalidError,
    AppNotFoundError,
    BillingError,
    CaptureExceedsHoldError,
    HoldNotFoundError,
    HoldSettledError,
    IdempotencyKeyReusedError,
    PermissionDeniedError,
    TokenExpiredError,
    TokenInvalidError,
    TokenRevokedError,
    UserInactiveError,
)
from tallybook.domain.identity.apps import AppChange
from tallybook.domain.identity.callers import Caller, HoldToken, Permission
from tallybook.domain.ids import LedgerId
from tallybook.domain.money import Credits
from tallybook.security import hold_tokens
from tallybook.usecases import apps, holds, lots, sessions, transfers, users, wallets
from tallybook.usecases.context import Context


@pytest_asyncio.fixture
async def run(ctx: Context) -> Run:
    return await an_agent_run(ctx)


async def test_two_sub_agents_hold_and_capture_out_of_one_hold(run: Run) -> None:
    for name, cost in (("one", 3), ("two", 4)):
        carrier = await run.carrier(name)
        placed = await run.place(carrier, 8)
        await wallets.capture_hold(run.ctx, carrier, held(placed), credits=Credits.whole(cost), key="done")

    seen = await wallets.hold(run.ctx, await run.carrier("one"), run.hold)
    assert seen.remaining_micro == 13 * M
    await wallets.capture_hold(run.ctx, run.app, run.hold, credits=Credits.whole(1), key="end")
    assert await run.state() == (92, 0)


async def test_what_a_token_placed_it_releases_extends_and_reads(run: Run) -> None:
    carrier = await run.carrier()
    placed = held(await run.place(carrier))

    extended = await holds.extend(run.ctx, carrier, placed, lifetime_seconds=3600)
    seen = await wallets.hold(run.ctx, carrier, placed)
    await wallets.release_hold(run.ctx, carrier, placed, key="r")

    assert extended.expires_at == seen.expires_at == run.ctx.clock() + timedelta(hours=1)
    assert seen.parent == run.hold
    assert await run.state() == (80, 20)


async def test_whoever_placed_the_hold_settles_what_its_tokens_left(run: Run) -> None:
    placed = await run.place(await run.carrier())

    await wallets.release_hold(run.ctx, run.app, held(placed), key="r")

    assert (await wallets.hold(run.ctx, run.app, run.hold)).remaining_micro == 20 * M


async def test_a_session_hands_on_what_it_placed_and_settles_what_came_of_it(run: Run) -> None:
    session = Caller(app_id=run.app.app_id, app_public_id=run.app.app_public_id, user_id=run.user_id)
    own = held(await wallets.place_hold(run.ctx, session, credits=Credits.whole(5), key="s"))
    made = await holds.hand_on(run.ctx, session, own, key="t")
    placed = await run.place(await carrying(run.ctx, made.text), 2)

    with pytest.raises(HoldNotFoundError):
        await run.token(by=session)
    await wallets.release_hold(run.ctx, session, held(placed), key="r")

    assert (await wallets.hold(run.ctx, session, own)).remaining_micro == 5 * M


async def test_the_wallets_balances_are_not_shown_to_a_carrier(run: Run) -> None:
    carrier = await run.carrier()
    placed = await run.place(carrier)
    captured = await wallets.capture_hold(run.ctx, carrier, held(placed), credits=Credits.whole(1), key="c")

    for answer in (placed, await run.place(carrier), captured):
        assert not answer.shows_wallet
        shown = (answer.available_micro, answer.held_micro, answer.debt_micro, answer.wallet_version)
        assert shown == (0, 0, 0, 0)


async def test_the_same_key_of_two_tokens_is_two_intentions(run: Run) -> None:
    one, two = await run.carrier("one"), await run.carrier("two")

    first, second = await run.place(one, 3, "job"), await run.place(two, 4, "job")
    again = await run.place(one, 3, "job")
    by_app = await wallets.place_hold(run.ctx, run.app, credits=Credits.whole(5), key="job", parent=run.hold)

    assert not second.replayed and not by_app.replayed and again.replayed
    assert again.hold == first.hold != second.hold
    with pytest.raises(IdempotencyKeyReusedError):
        await run.place(one, 4, "job")


async def test_a_token_asked_for_again_reaches_what_the_first_one_held(run: Run, clock: FrozenClock) -> None:
    first = await run.token()
    carrier = await carrying(run.ctx, first)
    placed = await run.place(carrier)
    await holds.extend(run.ctx, carrier, held(placed), lifetime_seconds=3600)
    clock.advance(seconds=800)
    await holds.extend(run.ctx, run.app, run.hold, lifetime_seconds=900)

    renewed = await run.token()
    clock.advance(seconds=200)

    with pytest.raises(TokenExpiredError):
        await carrying(run.ctx, first)
    carrier = await carrying(run.ctx, renewed)
    assert (await run.place(carrier)).replayed
    await wallets.capture_hold(run.ctx, carrier, held(placed), credits=Credits.whole(5), key="c")


async def test_no_other_hold_is_reached_by_a_token(run: Run) -> None:
    carrier, strangers = await run.carrier(), await run.strangers_holds()
    before = await run.state()

    for hold_id in [*strangers, LedgerId(run.hold.wallet_id, 999), LedgerId(999, 1)]:
        for attempt in (
            wallets.hold(run.ctx, carrier, hold_id),
            wallets.capture_hold(run.ctx, carrier, hold_id, credits=Credits.whole(1), key="c"),
            wallets.release_hold(run.ctx, carrier, hold_id, key="r"),
            holds.extend(run.ctx, carrier, hold_id, lifetime_seconds=60),
            wallets.place_hold(run.ctx, carrier, credits=Credits.whole(1), key=f"p{hold_id}", parent=hold_id),
        ):
            with pytest.raises(HoldNotFoundError):
                await attempt

    assert await run.state() == before


async def test_the_hold_of_a_token_is_not_settled_by_it(run: Run) -> None:
    carrier = await run.carrier()

    for attempt in (
        wallets.capture_hold(run.ctx, carrier, run.hold, credits=Credits.whole(1), key="c"),
        wallets.capture_hold(run.ctx, carrier, run.hold, credits=Credits.whole(1), key="p", final=False),
        wallets.release_hold(run.ctx, carrier, run.hold, key="r"),
        holds.extend(run.ctx, carrier, run.hold, lifetime_seconds=3600),
    ):
        with pytest.raises(HoldNotFoundError):
            await attempt

    assert (await wallets.hold(run.ctx, carrier, run.hold)).remaining_micro == 20 * M


async def test_a_token_takes_nothing_that_is_not_in_its_hold(run: Run) -> None:
    carrier = await run.carrier()
    placed = held(await run.place(carrier, 20))
    more = Credits.whole(21)

    for attempt in (
        wallets.capture_hold(run.ctx, carrier, placed, credits=more, key="c", allow_excess=True),
        wallets.place_hold(run.ctx, carrier, credits=Credits.whole(1), key="u", user_id=run.user_id),
        wallets.place_hold(run.ctx, carrier, credits=Credits.whole(1), key="w", wallet_id=run.hold.wallet_id),
        wallets.place_hold(
            run.ctx, carrier, credits=Credits.whole(1), key="b", budget=LedgerId(run.hold.wallet_id, 1)
        ),
        wallets.spend(run.ctx, carrier, credits=Credits.whole(1), key="s", user_id=run.user_id),
        wallets.wallet(run.ctx, carrier, run.hold.wallet_id),
        wallets.wallet_of_user(run.ctx, carrier, run.user_id),
        transfers.history(run.ctx, carrier, run.hold.wallet_id, before=2**62, limit=9),
        transfers.transfer(run.ctx, carrier, placed),
        lots.lots(run.ctx, carrier, run.hold.wallet_id),
        holds.hand_on(run.ctx, carrier, run.hold, key="t"),
        holds.hand_on(run.ctx, carrier, placed, key="t"),
    ):
        with pytest.raises(PermissionDeniedError):
            await attempt
    with pytest.raises(CaptureExceedsHoldError) as refused:
        await run.place(carrier, 1, "too much")

    assert refused.value.facts == {"requested_micro": M, "remaining_micro": 0}
    assert await run.state() == (80, 20)


async def test_carriers_at_once_never_take_more_than_the_hold_has(run: Run) -> None:
    carriers = [await run.carrier(f"agent {number}") for number in range(8)]

    answers = await asyncio.gather(
        *(run.place(carrier, 1, f"job {number}") for carrier in carriers for number in range(4)),
        return_exceptions=True,
    )

    refused = [answer for answer in answers if isinstance(answer, BillingError)]
    assert len(answers) - len(refused) == 20
    assert {type(answer) for answer in refused} == {CaptureExceedsHoldError}
    assert await run.state() == (80, 20)


async def test_once_its_hold_is_settled_a_token_is_useless(run: Run) -> None:
    token = await run.token()
    placed = await run.place(await carrying(run.ctx, token))
    early = await carrying(run.ctx, token)
    await wallets.release_hold(run.ctx, run.app, run.hold, key="end")

    with pytest.raises(TokenRevokedError):
        await carrying(run.ctx, token)
    with pytest.raises(HoldSettledError):
        await run.place(early, 1, "late")
    with pytest.raises(HoldSettledError):
        await run.token()
    # What was held by it is left to whoever handed the hold on.
    assert await run.state() == (95, 5)
    await wallets.capture_hold(run.ctx, run.app, held(placed), credits=Credits.whole(2), key="c")
    assert await run.state() == (98, 0)


async def test_a_token_ends_with_the_time_of_its_hold_or_before(run: Run, clock: FrozenClock) -> None:
    short, long = await run.token(lifetime_seconds=60), await run.token(lifetime_seconds=7 * 86_400)

    clock.advance(seconds=60)
    with pytest.raises(TokenExpiredError):
        await carrying(run.ctx, short)
    await carrying(run.ctx, long)
    clock.advance(seconds=840)
    with pytest.raises(TokenExpiredError):
        await carrying(run.ctx, long)
    with pytest.raises(HoldSettledError):
        await run.token()


async def test_a_token_that_outlives_its_hold_is_useless(run: Run, clock: FrozenClock) -> None:
    text = hold_tokens.make(
        run.ctx.sealer,
        HoldToken(hold_id=run.hold, name="0" * 32, expires_at=clock() + timedelta(days=1)),
    )
    await carrying(run.ctx, text)

    clock.advance(seconds=901)

    with pytest.raises(TokenRevokedError):
        await carrying(run.ctx, text)


async def test_a_token_that_was_made_up_or_changed_counts_for_nothing(run: Run) -> None:
    token = await run.token()
    parts = token.split("_")
    changed = [
        "_".join([*parts[:place], str(int(parts[place]) + 1), *parts[place + 1 :]]) for place in (1, 2, 3)
    ]
    flipped = ["_".join([*parts[:place], _flipped(parts[place]), *parts[place + 1 :]]) for place in (4, 5)]
    another = await holds.hand_on(run.ctx, run.app, await run.another_hold(), key="t")
    mixed = "_".join([*another.text.split("_")[:3], *parts[3:]])

    for text in (*changed, *flipped, mixed, token[:-1], token + "0", "tbh_", "tbh_1_1_1_x_y", token.upper()):
        with pytest.raises(TokenInvalidError):
            await carrying(run.ctx, text)
    gone = HoldToken(hold_id=LedgerId(run.hold.wallet_id, 999), name="0" * 32, expires_at=run.ctx.clock())
    with pytest.raises(TokenInvalidError):
        await carrying(run.ctx, hold_tokens.make(run.ctx.sealer, gone))


def _flipped(text: str) -> str:
    return ("1" if text[0] == "0" else "0") + text[1:]


async def test_a_token_adds_nothing_to_an_api_key_and_takes_nothing_from_it(run: Run) -> None:
    token = await run.token()
    other = await apps.register(run.ctx, OPERATOR, name="other", permissions=tuple(Permission))

    beside = await sessions.authenticate(run.ctx, bearer=token, api_key=run.api_key)
    with pytest.raises(ApiKeyInvalidError):
        await sessions.authenticate(run.ctx, bearer=token, api_key=other.issued.secret)

    with pytest.raises(PermissionDeniedError):
        await wallets.wallet_of_user(run.ctx, beside, run.user_id)


async def test_with_its_app_or_its_customer_switched_off_a_token_holds_nothing(run: Run) -> None:
    carrier = await run.carrier()
    await users.set_active(run.ctx, OPERATOR, run.user_id, is_active=False)
    with pytest.raises(UserInactiveError):
        await run.place(carrier)

    await apps.update(run.ctx, OPERATOR, run.app.app_public_id, AppChange(is_active=False))
    with pytest.raises(AppNotFoundError):
        await carrying(run.ctx, await run.token())
