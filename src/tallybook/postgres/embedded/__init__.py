"""PostgreSQL that comes along, in a folder that keeps the data.

``EmbeddedPostgres`` is what others use; without ``DATABASE_URL`` the service starts one. Roles,
databases and migrations inside it are made elsewhere. Everything here is synchronous: call it
before the event loop starts, or in a thread.
"""

from tallybook.postgres.embedded.errors import EmbeddedPostgresError
from tallybook.postgres.embedded.postmaster import StopMode
from tallybook.postgres.embedded.server import EmbeddedPostgres
from tallybook.postgres.embedded.supervisor import Supervisor

__all__ = ["EmbeddedPostgres", "EmbeddedPostgresError", "StopMode", "Supervisor"]
