"""Fixtures of the tests of alerts."""

from __future__ import annotations

import pytest
from alerts.desk import Desk
from databases import FrozenClock, TestDatabase

from tallybook.usecases.context import Context


@pytest.fixture
def desk(ctx: Context, clock: FrozenClock, database: TestDatabase) -> Desk:
    """A ledger and its alerts, with a clock that stands still."""
    return Desk(ctx, clock, database)
