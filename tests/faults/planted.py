"""The program ``tallybook`` with bugs planted: ``python -m faults.planted <bug>[,<bug>] serve|worker …``.

Each bug replaces one function before the program starts, so the source tree stays as it is. For canaries only.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tallybook import app
from tallybook.domain.payments.handled import SESSION_TYPES
from tallybook.domain.payments.inbox import ClaimedEvent, EventStatus
from tallybook.postgres import group_commit, inbox
from tallybook.stripe import events as stripe_events
from tallybook.stripe.gateway import StripeGateway
from tallybook.usecases import fulfilment
from tallybook.usecases.context import Context
from tallybook.worker import inbox as worker

MARKER = "FAULTS_CRASHED_ALREADY"


def crash_once_before_the_grant() -> None:
    """Not a bug but a fate: the first process that is about to ask Stripe about a session dies by SIGKILL."""
    marker = Path(os.environ[MARKER])
    ask = StripeGateway.session

    def die_once() -> None:
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    async def session(self: StripeGateway, session_id: str) -> Any:
        die_once()
        return await ask(self, session_id)

    _replace(StripeGateway, "session", session)


def mark_first() -> None:
    """The event is marked done in a transaction of its own, before its effect."""

    async def handle(ctx: Context, event: ClaimedEvent) -> None:
        async with ctx.db.transaction() as tx:
            await inbox.settle(tx, ctx.clock(), event.lease, status=EventStatus.DONE, outcome="marked")
        if event.type in SESSION_TYPES and event.object_id is not None:
            await fulfilment.settle_checkout(ctx, event.object_id)

    _replace(worker, "handle", handle)


def believe_any_signature() -> None:
    """Whatever stands in the signature header is good."""

    def signers(*_: object) -> tuple[int, ...]:
        return (0,)

    _replace(stripe_events, "_signers", signers)


class _Scattered(list[Any]):
    """Lanes of which each look gives the next one, whatever was asked for."""

    turn = 0

    def __getitem__(self, _: Any) -> Any:
        self.turn += 1
        return super().__getitem__(self.turn % len(self))


def scatter_over_lanes() -> None:
    """Not a bug but what several processes do: postings of one wallet are at the database at the same time."""
    group_commit.LANES = 8
    begin = group_commit.GroupCommit.__init__

    def scattered(self: group_commit.GroupCommit, *given: Any, **named: Any) -> None:
        begin(self, *given, **named)
        self._lanes = _Scattered(self._lanes)

    _replace(group_commit.GroupCommit, "__init__", scattered)


def _replace(owner: object, name: str, by: object) -> None:
    """Put a bug in the place of a function, which must be there."""
    assert callable(getattr(owner, name)), f"{owner} has no {name}"
    setattr(owner, name, by)


BUGS: dict[str, Callable[[], None]] = {
    bug.__name__: bug
    for bug in (crash_once_before_the_grant, mark_first, believe_any_signature, scatter_over_lanes)
}


if __name__ == "__main__":
    for name in sys.argv.pop(1).split(","):
        BUGS[name]()
    app.main()
