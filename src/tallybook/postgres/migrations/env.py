"""Alembic's entry: runs each revision in one transaction, and gives up rather than queue behind a lock."""

from __future__ import annotations

from alembic import context
from sqlalchemy import create_engine, pool, text


def run() -> None:
    """Migrate the database at the configured URL, as the owner role."""
    url = context.config.attributes["url"]
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        # A migration that waits for a lock makes everyone behind it wait too.
        connection.execute(text("SET lock_timeout = '5s'"))
        connection.execute(text("SET statement_timeout = '10min'"))
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS tallybook"))
        connection.commit()
        context.configure(
            connection=connection, version_table_schema="tallybook", transaction_per_migration=True
        )
        if context.get_context().get_current_revision() == context.get_head_revision():
            # Nothing to do, so nothing to wait for either.
            engine.dispose()
            return
        with context.begin_transaction():
            # Two services that start at once must not migrate at once.
            connection.execute(text("SELECT pg_advisory_xact_lock(7426355)"))
            context.run_migrations()
        connection.commit()
    engine.dispose()


run()
