"""The one way in which the embedded PostgreSQL fails.

Which status or exit code follows is up to the caller.
"""

from __future__ import annotations


class EmbeddedPostgresError(Exception):
    """The embedded PostgreSQL cannot do what was asked; the message says what to do about it."""

    def __init__(self, message: str, *, log: str = "") -> None:
        """Say it in ``message`` and quote the last lines of the server log, if there are any."""
        self.log = log
        quoted = "\n".join(f"  | {line}" for line in log.splitlines())
        super().__init__(f"{message}\nLast lines of the PostgreSQL log:\n{quoted}" if log else message)
