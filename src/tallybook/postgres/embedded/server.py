"""One embedded server: started or adopted, restarted if it died, stopped by its last user.

Roles, databases and migrations inside it are up to others.
"""

from __future__ import annotations

import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import quote

from tallybook.postgres.embedded import cluster, identity, ports
from tallybook.postgres.embedded.binaries import locate
from tallybook.postgres.embedded.errors import EmbeddedPostgresError
from tallybook.postgres.embedded.folder import Folder
from tallybook.postgres.embedded.locks import SharedUse, exclusive
from tallybook.postgres.embedded.postmaster import Postmaster, StopMode, release
from tallybook.postgres.embedded.supervisor import Supervisor

_LOCK_TIMEOUT = 120.0
_RETRY_FOR = 30.0


class EmbeddedPostgres:
    """A PostgreSQL of our own in one folder.

    Safe to use from several threads and several processes.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        port: int | None = None,
        version: int = 18,
        durable: bool = True,
        start_timeout: float = 300.0,
    ) -> None:
        """Name the folder; nothing is started yet.

        ``port`` fixes the loopback port, else a free one is chosen and remembered.
        ``durable=False`` is for tests: a power cut may then lose data. ``start_timeout`` (seconds)
        bounds the recovery after a crash.
        """
        self._folder = Folder(data_dir)
        self._fixed_port = port
        self._version = version
        self._durable = durable
        self._guard = threading.RLock()
        self._share = SharedUse(self._folder.users)
        self._postmaster = Postmaster(self._folder, start_timeout=start_timeout)

    def start(self) -> None:
        """Start the server, or adopt the one that runs here.

        Raises ``EmbeddedPostgresError``.
        """
        self._folder.make()
        with self._guard, exclusive(self._folder.starting, timeout=_LOCK_TIMEOUT):
            joined_before = self._share.joined()
            self._share.join()
            try:
                self._bring_up(may_move=True)
            except BaseException:
                if not joined_before:
                    self._share.leave()
                raise

    def ensure_running(self) -> bool:
        """Start the server again, on its port, if it has died; tell whether that was needed."""
        if not self._share.joined() or self.is_running():
            return False
        with self._guard, exclusive(self._folder.starting, timeout=_LOCK_TIMEOUT):
            if not self._share.joined():  # Stopped while we waited.
                return False
            return self._bring_up(may_move=False)

    def stop(self, mode: StopMode = "fast", *, patience: float = 60.0) -> bool:
        """Give up the server; it stops if nobody else uses it. Tells whether it was stopped.

        ``fast`` ends open sessions, ``smart`` waits for them, ``immediate`` crashes on purpose.
        After ``patience`` seconds a harder way follows.
        """
        with self._guard:
            if not self._share.joined():
                return False
            with exclusive(self._folder.starting, timeout=_LOCK_TIMEOUT):
                if not self._share.leave():
                    return False
                self._postmaster.shut_down(mode, patience=patience)
                return True

    def kill(self) -> None:
        """SIGKILL the postmaster and all of its children, as a power cut would; for crash tests."""
        self._postmaster.kill()

    def supervise(self, interval: float = 0.2) -> Supervisor:
        """Watch the server from a thread of its own and restart it when it dies.

        ``interval`` (seconds) lies between two looks. Stop the supervisor before the server.
        """
        return Supervisor(self.ensure_running, interval=interval)

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    def is_running(self) -> bool:
        """Tell whether the postmaster is alive (it may still be recovering)."""
        return self._postmaster.pid() is not None

    @property
    def pid(self) -> int:
        """The postmaster's process id; raises ``EmbeddedPostgresError`` if it does not run."""
        pid = self._postmaster.pid()
        if pid is None:
            raise EmbeddedPostgresError(f"No PostgreSQL runs in {self._folder.home}. Start it first.")
        return pid

    @property
    def port(self) -> int:
        """The loopback port; raises ``EmbeddedPostgresError`` if the server was never started."""
        port = self._folder.remembered().port
        if port is None:
            raise EmbeddedPostgresError(f"The PostgreSQL in {self._folder.home} was never started.")
        return port

    def url(self, user: str, password: str, database: str) -> str:
        """Build a ``postgresql://`` URL for a role of this server."""
        who = f"{quote(user, safe='')}:{quote(password, safe='')}"
        return f"postgresql://{who}@{ports.LOOPBACK}:{self.port}/{quote(database, safe='')}"

    def superuser_url(self, database: str = "postgres") -> str:
        """Build the superuser's URL: for setting things up, never for serving requests."""
        return self.url(cluster.SUPERUSER, self._folder.password(), database)

    def _bring_up(self, *, may_move: bool) -> bool:
        """Have a server that accepts connections; tell whether one had to be started."""
        lock = self._postmaster.own_or_adopt()
        if lock is None:
            return False
        try:
            self._start_new(lock, may_move=may_move)
        finally:
            release(lock)
        return True

    def _start_new(self, lock: int, *, may_move: bool) -> None:
        folder, binaries = self._folder, locate(self._version)
        who = identity.choose(folder.home, folder.cluster, binaries)
        setup = cluster.Setup(binaries, who, self._durable, lock)
        cluster.ensure(folder, setup)
        cluster.write_settings(folder, setup)
        deadline = time.monotonic() + _RETRY_FOR
        while True:
            port = self._port_to_use(may_move=may_move)
            said = self._postmaster.launch(binaries.postgres, who, port=port, lock=lock)
            if said is None:
                return
            if time.monotonic() >= deadline or not _may_pass(said):
                raise EmbeddedPostgresError(
                    f"PostgreSQL does not start in {folder.home}. Remove the cause given below, "
                    "or set DATABASE_URL to a server of your own.",
                    log=said,
                )
            time.sleep(0.2)

    def _port_to_use(self, *, may_move: bool) -> int:
        """Keep the port if possible: others have it in their settings."""
        port = self._fixed_port or self._folder.remembered().port
        if port is None or (may_move and self._fixed_port is None and not ports.is_free(port)):
            return ports.choose()
        deadline = time.monotonic() + (3.0 if may_move else _RETRY_FOR)
        while not ports.is_free(port):
            if time.monotonic() >= deadline:
                raise EmbeddedPostgresError(
                    f"Port {port} on {ports.LOOPBACK} is taken by another program. End that "
                    "program, or set another port for the embedded PostgreSQL."
                )
            time.sleep(0.05)
        return port


def _may_pass(said: str) -> bool:
    """Tell whether a failed start has a reason that goes away, or that another port avoids."""
    passing = ("shared memory block", "lock file", "could not create any TCP/IP sockets")
    return any(reason in said for reason in passing)
