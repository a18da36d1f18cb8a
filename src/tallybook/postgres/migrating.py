"""Brings a database to the newest schema, and writes down what that schema is.

Revisions are plain SQL files that Alembic orders; ``schema.sql`` is what they add up to, generated.
"""

from __future__ import annotations

from pathlib import Path

from alembic import command, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy.exc import OperationalError

from tallybook.domain.errors import DatabaseUnavailableError

HERE = Path(__file__).parent


def _config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE / "migrations"))
    config.attributes["url"] = url.replace("postgresql://", "postgresql+psycopg://", 1)
    return config


def migrate(owner_url: str) -> None:
    """Migrate to the newest revision, as the role that owns the schema. Safe to run at any time, also twice at once.

    Raises:
        DatabaseUnavailableError: nothing answers there, or not to us, or a lock was not to be had in time.
    """
    try:
        command.upgrade(_config(owner_url), "head")
    except OperationalError as failure:
        said = str(failure.orig).strip().splitlines()
        raise DatabaseUnavailableError(f"The database cannot be migrated: {said[0]}") from failure


def newest_revision() -> str:
    """The revision that this version of the code expects."""
    head = ScriptDirectory.from_config(_config("")).get_current_head()
    assert head is not None
    return head


def run_sql(path: str) -> None:
    """Run a SQL file of this package within a revision."""
    connection = op.get_bind().connection.driver_connection
    assert connection is not None
    # The driver's own cursor: SQLAlchemy would read ':name' and '%' in the text as parameters.
    with connection.cursor() as cursor:
        cursor.execute((HERE / path).read_text(encoding="utf-8"))
