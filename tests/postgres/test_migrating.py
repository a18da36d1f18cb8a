"""Migrations: from nothing to the newest revision, again without effect, and from two processes at once."""

from __future__ import annotations

import psycopg
from databases import TestDatabase

from tallybook.postgres import migrating


def test_migrating_twice_changes_nothing(database: TestDatabase) -> None:
    migrating.migrate(database.owner_url)

    with psycopg.connect(database.service_url) as connection:
        row = connection.execute("SELECT version_num FROM tallybook.alembic_version").fetchone()
    assert row == (migrating.newest_revision(),)
