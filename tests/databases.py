"""A test's own database, by who connects to it, and a clock that stands still."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from tallybook import app
from tallybook.postgres.provisioning import Login

OWNER = Login("tallybook_owner", "owner-password-of-the-tests")
SERVICE = Login("tallybook_service", "service-password-of-the-tests")
SECRET = "a secret of the tests, thirty-two characters and more"


@dataclass(frozen=True, slots=True)
class TestDatabase:
    """One test's own database, by who connects."""

    __test__ = False

    name: str
    superuser_url: str

    @property
    def service_url(self) -> str:
        """As the service does."""
        return SERVICE.url(self.superuser_url, self.name)

    @property
    def owner_url(self) -> str:
        """As migrations do."""
        return OWNER.url(self.superuser_url, self.name)

    def installation(self) -> app.Installation:
        """As the roof sees it."""
        return app.Installation(
            service_url=self.service_url, owner_url=self.owner_url, secret=SECRET, embedded=None
        )


@dataclass(slots=True)
class FrozenClock:
    """A clock that stands still until a test moves it."""

    now: datetime = field(default_factory=lambda: datetime(2026, 11, 21, 12, 0, tzinfo=UTC))

    def __call__(self) -> datetime:
        """The time now."""
        return self.now

    def advance(self, **span: float) -> None:
        """Move on, by ``timedelta`` arguments."""
        self.now += timedelta(**span)
