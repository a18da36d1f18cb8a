"""Rolling a signing secret: which one verified what, and when the old one can be dropped."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from payments.desk import OPERATOR, Till, signed, system_clock
from tallybook.domain.payments.sightings import SecretState, Sighting, uses
from tallybook.usecases import events, intake, webhooks

pytestmark = pytest.mark.timeout(120)
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
OLD, NEW = "whsec_" + "old", "whsec_" + "new"


def event(number: int) -> dict[str, Any]:
    return {
        "id": f"evt_{number}",
        "object": "event",
        "type": "customer.updated",
        "api_version": "2026-10-28.endive",
        "livemode": False,
        "created": 1763700000,
        "data": {"object": {"id": "cus_1", "object": "customer"}},
    }


def rolling(till: Till, *secrets: str) -> Till:
    """The till with these secrets on the path of document 004, and none elsewhere."""
    return till.but(webhook_secrets={"stripe": (), "credits": (), "v1": secrets})


async def deliver(till: Till, number: int, *secrets: str) -> None:
    """Deliver an event signed with each of these secrets, as Stripe does while one is rolled."""
    raw, now = json.dumps(event(number)).encode(), till.ctx.clock()
    signatures = [signed(raw, secret=secret, at=now) for secret in secrets]
    header = ",".join([signatures[0], *(one.partition(",")[2] for one in signatures[1:])])
    await intake.receive(till.ctx, path="v1", raw=raw, signature=header)


async def test_each_event_knows_which_secret_verified_it_and_never_the_secret(bare_till: Till) -> None:
    till = rolling(bare_till, NEW, OLD)
    await deliver(till, 1, OLD)
    await deliver(till, 2, OLD, NEW)
    await deliver(till, 3, NEW)
    await deliver(till, 1, NEW)

    fingerprints = {
        number: (await events.show(till.ctx, OPERATOR, f"evt_{number}"))[0].verified_by
        for number in (1, 2, 3)
    }
    [new, old] = await webhooks.secrets(till.ctx, OPERATOR)

    assert fingerprints == {
        1: (old.fingerprint, new.fingerprint),
        2: tuple(sorted((old.fingerprint, new.fingerprint))),
        3: (new.fingerprint,),
    }
    assert new.fingerprint != old.fingerprint
    everything = str(till.ask("SELECT s FROM tallybook.webhook_sightings AS s")) + str([new, old])
    assert OLD not in everything and NEW not in everything
    assert (new.place, old.place) == (1, 2)
    assert new.versions == old.versions == ("2026-10-28.endive",)


async def test_an_old_secret_is_spare_once_it_was_not_needed_for_a_day(bare_till: Till) -> None:
    """The whole roll: the old alone, both signatures, the new alone; then the old is taken out."""
    begun = system_clock()
    at = {"now": begun}
    till = rolling(bare_till.but(clock=lambda: at["now"]), NEW, OLD)

    async def states() -> list[str]:
        return [use.state for use in await webhooks.secrets(till.ctx, OPERATOR)]

    await deliver(till, 1, OLD)
    before = await states()
    at["now"] = begun + timedelta(hours=1)
    await deliver(till, 2, OLD, NEW)
    overlapping = await states()
    at["now"] = begun + timedelta(hours=30)
    await deliver(till, 3, NEW)
    after = await states()
    [new, gone] = await webhooks.secrets(rolling(till, NEW).ctx, OPERATOR)

    assert before == [SecretState.NOT_SEEN, SecretState.IN_USE]
    assert overlapping == [SecretState.IN_USE, SecretState.IN_USE]
    assert after == [SecretState.IN_USE, SecretState.SPARE]
    assert (new.state, gone.state, gone.place) == (SecretState.IN_USE, SecretState.UNKNOWN, None)
    assert gone.last_seen_at == begun + timedelta(hours=1)
    assert gone.last_needed_at == begun


async def test_a_sighting_is_written_once_a_minute(bare_till: Till) -> None:
    begun = system_clock()
    at = {"now": begun}
    till = rolling(bare_till.but(clock=lambda: at["now"]), NEW)

    async def seen_after(seconds: int, number: int) -> datetime | None:
        at["now"] = begun + timedelta(seconds=seconds)
        await deliver(till, number, NEW)
        [use] = await webhooks.secrets(till.ctx, OPERATOR)
        return use.last_seen_at

    assert [await seen_after(seconds, seconds) for seconds in (0, 30, 61)] == [
        begun,
        begun,
        begun + timedelta(seconds=61),
    ]


def sighting(fingerprint: str, *, seen: float, needed: float | None, first: float = 0) -> Sighting:
    """Seen and needed so many hours after the beginning."""
    return Sighting(
        intake_path="v1",
        fingerprint=fingerprint,
        api_version="",
        first_seen_at=NOW + timedelta(hours=first),
        last_seen_at=NOW + timedelta(hours=seen),
        last_needed_at=None if needed is None else NOW + timedelta(hours=needed),
    )


@pytest.mark.parametrize(
    ("old", "new", "state"),
    [
        # The other one verified something a day after the old was last needed.
        (sighting("old", seen=0, needed=0), sighting("new", seen=24, needed=24), SecretState.SPARE),
        (sighting("old", seen=0, needed=0), sighting("new", seen=23.9, needed=23), SecretState.IN_USE),
        # Stripe still signs with both: seen, but not needed.
        (sighting("old", seen=30, needed=0), sighting("new", seen=30, needed=None), SecretState.SPARE),
        (sighting("old", seen=30, needed=30), sighting("new", seen=30, needed=None), SecretState.IN_USE),
        # What nobody sets any more proves nothing.
        (sighting("old", seen=0, needed=0), sighting("gone", seen=90, needed=90), SecretState.IN_USE),
    ],
)
def test_when_a_secret_is_spare(old: Sighting, new: Sighting, state: SecretState) -> None:
    found = uses("v1", ["new", "old"], [old, new])

    assert [use.state for use in found if use.fingerprint == "old"] == [state]
