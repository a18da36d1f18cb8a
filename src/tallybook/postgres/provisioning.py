"""Roles and database on a fresh server: an owner for migrations, and the service's role that owns nothing."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import psycopg
from psycopg import sql

from tallybook.domain.errors import DatabaseUnavailableError


@dataclass(frozen=True, slots=True)
class Login:
    """A login role and its password."""

    role: str
    password: str

    def url(self, like: str, database: str) -> str:
        """The URL of this login on the server that another URL names."""
        at = urlsplit(like)
        return f"postgresql://{quote(self.role)}:{quote(self.password)}@{at.hostname}:{at.port}/{database}"


def provision(superuser_url: str, *, database: str, owner: Login, service: Login) -> None:
    """Create the two roles and the database; what exists already is kept, its passwords set anew."""
    with psycopg.connect(superuser_url, autocommit=True) as connection:
        # Two services that start at once must not make the same role at once.
        connection.execute("SET lock_timeout = '10s'")
        connection.execute("SELECT pg_advisory_lock(7426354)")
        for login, extra in ((owner, "CREATEROLE"), (service, "NOCREATEROLE")):
            known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [login.role]).fetchone()
            verb = "ALTER" if known else "CREATE"
            # Hashed here: a server logs the text of a statement that fails.
            verifier = connection.pgconn.encrypt_password(
                login.password.encode(), login.role.encode(), b"scram-sha-256"
            )
            connection.execute(
                sql.SQL("{} ROLE {} LOGIN {} PASSWORD {}").format(
                    sql.SQL(verb),
                    sql.Identifier(login.role),
                    sql.SQL(extra),
                    sql.Literal(verifier.decode()),
                )
            )
        known = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [database]).fetchone()
        if not known:
            connection.execute(
                sql.SQL("CREATE DATABASE {} OWNER {}").format(
                    sql.Identifier(database), sql.Identifier(owner.role)
                )
            )
        connection.execute("REVOKE CONNECT, TEMPORARY ON DATABASE postgres, template1 FROM PUBLIC")
        name = sql.Identifier(database)
        # Roles belong to the whole server: those of another database there have no business in this one.
        connection.execute(sql.SQL("REVOKE CONNECT, TEMPORARY ON DATABASE {} FROM PUBLIC").format(name))
        for login in (owner, service):
            connection.execute(
                sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, sql.Identifier(login.role))
            )


def admit(owner_url: str, service_role: str) -> None:
    """Give the service's role its rights, after a migration; nothing to do when it owns the schema itself."""
    try:
        with psycopg.connect(owner_url, autocommit=True) as connection:
            row = connection.execute("SELECT current_user").fetchone()
            assert row is not None
            if row[0] != service_role:
                role = sql.Identifier(service_role)
                connection.execute(sql.SQL("GRANT tallybook_runtime TO {}").format(role))
    except psycopg.OperationalError as failure:
        raise DatabaseUnavailableError from failure
