"""The files around one embedded server, written so that a crash leaves no half.

::

    <home>/cluster/             what PostgreSQL calls its data directory, 0700
    <home>/cluster/log/         the server's log, one file for each day of the week
    <home>/start.log            what the server said before it opened its log
    <home>/superuser.password   password of the role ``postgres``, 0600
    <home>/server.json          port and name, kept over restarts
    <home>/starting.lock        held by whoever starts or stops the server
    <home>/users.lock           shared by everyone who uses the server
    <home>/server.lock          inherited by the server: held while one of its processes lives

Making the cluster is up to ``cluster.py``.
"""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from tallybook.postgres.embedded.errors import EmbeddedPostgresError


@dataclass(frozen=True)
class PidFile:
    """What ``postmaster.pid`` says. Source: PostgreSQL 18, ``src/include/utils/pidfile.h``."""

    pid: int
    port: int | None
    status: str


@dataclass(frozen=True)
class Remembered:
    """What stays the same over restarts.

    The name marks the server's processes. It goes with the place, so that a copy of the folder
    never takes the processes of the original for its own.
    """

    port: int | None
    name: str
    home: str


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole, readable by its owner only."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        if os.geteuid() == 0:  # Root may look after a folder of somebody else.
            owner = path.parent.stat()
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


class Folder:
    """The home folder of one embedded server."""

    def __init__(self, home: Path) -> None:
        """Name the folder; nothing is made yet."""
        self.home = home.expanduser().resolve()
        self.cluster = self.home / "cluster"
        self.log = self.cluster / "log"
        self.start_log = self.home / "start.log"
        self.starting = self.home / "starting.lock"
        self.users = self.home / "users.lock"
        self.server = self.home / "server.lock"
        self._password = self.home / "superuser.password"
        self._remembered = self.home / "server.json"
        self._pid_file = self.cluster / "postmaster.pid"

    def make(self) -> None:
        """Make the home folder if it is missing; one that exists keeps its permissions."""
        try:
            self.home.parent.mkdir(parents=True, exist_ok=True)
            if not self.home.is_dir():
                self.home.mkdir(exist_ok=True)
                # An account that runs the server on root's behalf has to pass through.
                self.home.chmod(0o711)
        except OSError as error:
            raise EmbeddedPostgresError(
                f"The folder {self.home} for the embedded PostgreSQL cannot be made "
                f"({error.strerror}). Choose one that this account can write, or set DATABASE_URL."
            ) from error

    def password(self) -> str:
        """Read the superuser's password; made once, before the cluster."""
        try:
            return self._password.read_text().strip()
        except FileNotFoundError:
            if self.cluster.exists():
                raise EmbeddedPostgresError(
                    f"{self._password} is gone, and with it the way into {self.cluster}. Put it "
                    "back from a backup."
                ) from None
        except PermissionError as error:
            raise EmbeddedPostgresError(
                f"{self._password} belongs to another account. Run as the account that started "
                "this PostgreSQL."
            ) from error
        write_private(self._password, secrets.token_urlsafe(32) + "\n")
        return self.password()

    def remembered(self) -> Remembered:
        """Read port and name; the name is made on the first call."""
        try:
            kept = Remembered(**json.loads(self._remembered.read_text()))
        except FileNotFoundError:
            return self._rename(None)
        except PermissionError as error:
            raise EmbeddedPostgresError(
                f"{self._remembered} belongs to another account. Run as the account that started "
                "this PostgreSQL."
            ) from error
        except (ValueError, TypeError) as error:
            raise EmbeddedPostgresError(
                f"{self._remembered} is damaged ({error}). Stop the server if it runs and delete "
                "this file: it holds only the port."
            ) from error

        return kept if kept.home == str(self.home) else self._rename(kept.port)

    def _rename(self, port: int | None) -> Remembered:
        fresh = Remembered(port, f"tallybook-{secrets.token_hex(6)}", str(self.home))
        self.remember(fresh)
        return fresh

    def remember(self, what: Remembered) -> None:
        """Keep port and name for the next start."""
        write_private(self._remembered, json.dumps(asdict(what)) + "\n")

    def pid_file(self) -> PidFile | None:
        """Read what the postmaster wrote down about itself, true or stale."""
        try:
            lines = self._pid_file.read_text(errors="replace").splitlines()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except PermissionError as error:
            raise EmbeddedPostgresError(
                f"{self.cluster} belongs to another account. Run as the account that started this PostgreSQL."
            ) from error
        lines += [""] * (8 - len(lines))
        if not lines[0].strip().lstrip("-").isdigit():
            return None
        port = int(lines[3]) if lines[3].strip().isdigit() else None
        return PidFile(abs(int(lines[0])), port, lines[7].strip())

    def disown(self) -> None:
        """Put our own id into a stale pid file whose number now belongs to a foreign process.

        The server takes its parent's id for stale. The file itself has to stay: it also names the
        shared memory by which the server notices survivors of a crash. Source: PostgreSQL 18,
        ``src/backend/utils/init/miscinit.c``, CreateLockFile.
        """
        _, rest = self._pid_file.read_text().split("\n", 1)
        self._pid_file.write_text(f"{os.getpid()}\n{rest}")

    def log_sizes(self) -> dict[Path, int]:
        """Note how long each log file is now, to read later what came after."""
        return {path: path.stat().st_size for path in self._logs()}

    def log_since(self, sizes: dict[Path, int], *, lines: int = 15) -> str:
        """Read the last lines that were written after ``log_sizes``."""
        found: list[str] = []
        for path in self._logs():
            with path.open(errors="replace") as file:
                before = sizes.get(path, 0)
                file.seek(before if before <= path.stat().st_size else 0)
                found += [line for line in file.read().splitlines() if line.strip()]
        return "\n".join(found[-lines:])

    def _logs(self) -> list[Path]:
        days = self.log.glob("*.log") if self.log.is_dir() else ()
        files = [path for path in (self.start_log, *days) if path.exists()]
        return sorted(files, key=lambda path: path.stat().st_mtime)
