"""Resume tokens: the refused request, unchanged and by the same caller, goes on after payment and acts once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from payments.desk import OPERATOR, Till
from tallybook.domain.errors import (
    BillingError,
    IdempotencyKeyReusedError,
    InsufficientCreditsError,
    ResumeTokenInvalidError,
)
from tallybook.domain.identity.callers import Caller, Permission
from tallybook.domain.ledger.requests import Answer, HoldPolicy, Note
from tallybook.domain.money import Credits
from tallybook.postgres import ledger
from tallybook.usecases import transfers, wallets

APP = Caller(app_id=1, by_key=True)
Verb = Callable[..., Awaitable[Answer]]


async def asked(till: Till, verb: Verb = wallets.spend, **terms: Any) -> Answer:
    """Spend or hold five credits for a job."""
    order = {"caller": APP, "credits": Credits.whole(5), "key": "job", "user_id": till.user_id} | terms
    return await verb(till.ctx, order.pop("caller"), **order)


async def refused(till: Till, verb: Verb = wallets.spend, **terms: Any) -> str:
    """The token of a refusal."""
    with pytest.raises(InsufficientCreditsError) as short:
        await asked(till, verb, **terms)
    return str(short.value.facts["resume_token"])


async def paid(till: Till, credits: int = 5) -> None:
    """Credits arrive."""
    await wallets.grant(till.ctx, OPERATOR, credits=Credits.whole(credits), key=None, user_id=till.user_id)


def booked(till: Till, kind: str = "spend") -> int:
    """How often something was booked."""
    [[count]] = till.ask("SELECT count(*) FROM tallybook.transfers WHERE kind = %s", kind)
    return int(count)


@pytest.mark.parametrize("verb", [wallets.spend, wallets.place_hold])
async def test_the_same_job_goes_on_after_payment_and_is_found_under_its_own_key(
    till: Till, verb: Verb
) -> None:
    token = await refused(till, verb)
    await paid(till)

    answer = await asked(till, verb, resume=token)

    again = await asked(till, verb, resume=token)
    line = await transfers.transfer(till.ctx, APP, answer.transfer)
    assert (answer.replayed, again.replayed) == (False, True)
    assert again.transfer == answer.transfer
    assert line.key == "job"
    assert till.credits() == 0


async def test_without_its_token_the_refusal_stands_and_hands_out_the_same_token(till: Till) -> None:
    token = await refused(till)
    await paid(till)

    assert await refused(till) == token


async def test_refused_again_the_job_gets_the_token_of_the_next_generation(till: Till) -> None:
    first = await refused(till)
    second = await refused(till, resume=first)
    await paid(till)

    assert await refused(till, resume=first) == second, "the first resumption was refused for good"
    answer = await asked(till, resume=second)
    late = await asked(till, resume=second)

    assert (first[:6], second[:6]) == ("tbj_1_", "tbj_2_")
    assert late.transfer == answer.transfer
    assert booked(till) == 1


async def test_fifty_that_resume_at_once_book_once(till: Till) -> None:
    token = await refused(till)
    await paid(till, 500)

    answers = await asyncio.gather(*(asked(till, resume=token) for _ in range(50)))

    assert len({answer.transfer for answer in answers}) == 1
    assert sum(not answer.replayed for answer in answers) == 1
    assert till.credits() == 495


async def test_a_job_without_a_key_acts_once_too_and_two_such_jobs_are_two(till: Till) -> None:
    one, two = await refused(till, key=None), await refused(till, key=None)
    await paid(till, 100)

    answers = [await asked(till, key=None, resume=token) for token in (one, one, two)]

    assert one != two
    assert answers[0].transfer == answers[1].transfer != answers[2].transfer
    assert booked(till) == 2


NOTE = Note(description="Chat", service="chat", metadata={"parts": [1, 0.5, None], "b": {"c": "d"}})


@pytest.mark.parametrize(
    "other",
    [
        {"credits": Credits(5_000_001)},
        {"key": "another job"},
        {"key": None},
        {"note": None},
        {"note": Note(description="Chat", service="chat", metadata={"parts": [1, 0.5]})},
        {"caller": Caller(app_id=7, by_key=True)},
        {"caller": OPERATOR},
        {"verb": wallets.place_hold},
    ],
)
async def test_a_token_with_anything_else_is_refused_and_does_nothing(
    till: Till, other: dict[str, Any]
) -> None:
    token = await refused(till, note=NOTE)
    await paid(till)

    terms: dict[str, Any] = {"note": NOTE, "resume": token} | other
    with pytest.raises(ResumeTokenInvalidError):
        await asked(till, **terms)

    assert booked(till) == booked(till, "hold") == 0
    assert (await asked(till, note=NOTE, resume=token)).amount_micro == 5_000_000


@pytest.mark.parametrize("other", [{"lifetime_seconds": 901}, {"on_expiry": HoldPolicy.CAPTURE_MAXIMUM}])
async def test_the_terms_of_a_hold_are_bound_too(till: Till, other: dict[str, Any]) -> None:
    token = await refused(till, wallets.place_hold)
    await paid(till)

    with pytest.raises(ResumeTokenInvalidError):
        await asked(till, wallets.place_hold, resume=token, **other)


async def test_a_token_is_of_one_wallet(till: Till) -> None:
    token = await refused(till)
    [[other]] = till.ask(
        "INSERT INTO tallybook.users (email, email_key, password_hash, sessions_valid_from, created_at, updated_at)"
        " VALUES ('bob@example.com', 'bob@example.com', '-', now(), now(), now()) RETURNING user_id"
    )
    await wallets.grant(till.ctx, OPERATOR, credits=Credits.whole(5), key=None, user_id=other)

    with pytest.raises(ResumeTokenInvalidError):
        await asked(till, user_id=other, resume=token)


async def test_a_customers_session_cannot_use_the_token_of_the_apps_server(till: Till) -> None:
    token = await refused(till)
    await paid(till)
    session = Caller(app_id=APP.app_id, user_id=till.user_id, permissions=frozenset(Permission))

    with pytest.raises(ResumeTokenInvalidError):
        await asked(till, caller=session, resume=token)


async def test_forged_tokens_are_refused(till: Till) -> None:
    token = await refused(till)
    keyless = await refused(till, key=None)
    await paid(till)
    head, code = token[:-64], token[-64:]
    forged = [
        "",
        "tbj_",
        token[:-1],
        token + "0",
        token.upper(),
        token.replace("tbj_1", "tbj_2"),
        token.replace("tbj_1", "tbj_01"),
        f"{head}{'0' * 64}",
        f"{head}{code[1:]}{code[0]}",
        keyless,
    ]

    for one in forged:
        with pytest.raises(ResumeTokenInvalidError):
            await asked(till, resume=one)

    assert booked(till) == 0


async def test_a_token_is_no_pass_the_caller_is_asked_as_ever(till: Till) -> None:
    token = await refused(till)
    await paid(till)
    reader = Caller(app_id=APP.app_id, by_key=True, permissions=frozenset({Permission.READ_CREDITS}))

    with pytest.raises(BillingError) as refusal:
        await asked(till, caller=reader, resume=token)

    assert refusal.value.code == "permission_denied"


async def test_nobody_can_take_the_key_of_a_resumption_beforehand(till: Till) -> None:
    """The key that the job goes on under holds a character that no caller can send; here is why it matters."""
    token = await refused(till)
    await paid(till)
    await asked(till, resume=token)

    [[key]] = till.ask("SELECT key FROM tallybook.transfers WHERE kind = 'spend'")

    assert not key.isprintable()
    async with till.ctx.db.snapshot() as tx:
        [line] = await ledger.transfers_before(tx, 1, before=3, limit=1)
    assert line.key == key
    with pytest.raises(IdempotencyKeyReusedError):
        await asked(till, key="job", credits=Credits.whole(4))
