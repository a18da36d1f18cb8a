"""What the demo keeps between starts, in ``.demo/`` and readable by this account only."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path

CUSTOMER_EMAIL = "user@example.com"
CUSTOMER_PASSWORD = "password123"  # noqa: S105 - document 000's example customer
ADMIN_EMAIL = "admin@example.com"
APP_NAME = "Whatnot Autoprint"


class State:
    """A few secrets in one file; each is made when it is first asked for."""

    def __init__(self, home: Path) -> None:
        """Read what is there."""
        self.home = home
        self._path = home / "state.json"
        self._kept: dict[str, str] = (
            json.loads(self._path.read_text(encoding="utf-8")) if self._path.exists() else {}
        )

    def get(self, name: str) -> str | None:
        """What was kept under a name."""
        return self._kept.get(name)

    def keep(self, **values: str) -> None:
        """Keep values over restarts."""
        self._kept |= values
        write_private(self._path, json.dumps(self._kept, indent=2))

    def secret(self, name: str, prefix: str = "") -> str:
        """A random secret, the same at every start."""
        if name not in self._kept:
            self.keep(**{name: prefix + secrets.token_hex(16)})
        return self._kept[name]


def write_private(path: Path, text: str) -> None:
    """Write a file that only this account can read, whole or not at all."""
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
