"""Starts, finds, awaits and ends the postmaster of one folder.

Whether it should run is up to ``server.py``.
"""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Literal

from tallybook.postgres.embedded import locks, ports, processes
from tallybook.postgres.embedded.errors import EmbeddedPostgresError
from tallybook.postgres.embedded.folder import Folder, Remembered
from tallybook.postgres.embedded.identity import Identity

StopMode = Literal["smart", "fast", "immediate"]

# Source: PostgreSQL 18 documentation, 18.5 "Shutting Down the Server".
_SIGNALS = {"smart": signal.SIGTERM, "fast": signal.SIGINT, "immediate": signal.SIGQUIT}
_POLL = 0.01

_log = logging.getLogger(__name__)


class Postmaster:
    """The server process of one folder.

    Everything but ``pid`` and ``kill`` needs the starting lock.
    """

    def __init__(self, folder: Folder, *, start_timeout: float) -> None:
        """Name the folder; ``start_timeout`` (seconds) bounds recovery."""
        self._folder = folder
        self._start_timeout = start_timeout

    def pid(self) -> int | None:
        """Give the id of the live postmaster, if there is one."""
        processes.collect_children()
        found = self._folder.pid_file()
        if found is None or not processes.is_postmaster(found.pid, self._folder.cluster):
            return None
        return found.pid

    def adopt(self) -> bool:
        """Take over a server that runs already; false if none does, or it ended meanwhile."""
        pid = self.pid()
        if pid is None or not self._wait_until_ready(pid):
            return False
        self._remember_port()
        return True

    def own_or_adopt(self, *, patience: float = 30.0) -> int | None:
        """Make sure that no process of a server lives here, or adopt the one that does (``None``).

        Gives a lock that the next server inherits, and with it all of its children: while one of
        them lives, wherever that is, no second server can start on the same files.
        """
        deadline = time.monotonic() + patience
        while True:
            if self.adopt():
                return None
            lock = locks.try_to_own(self._folder.server)
            if lock is not None:
                return lock
            if time.monotonic() >= deadline:
                raise EmbeddedPostgresError(
                    f"Processes of an earlier PostgreSQL in {self._folder.home} have not ended "
                    f"after {patience:.0f} s, or it runs in another container. End them, then "
                    "start again."
                )
            processes.kill_family(self._folder.remembered().name, None)  # Their postmaster is dead.
            time.sleep(0.05)

    def launch(self, program: Path, identity: Identity, *, port: int, lock: int) -> str | None:
        """Start the server once; ``None`` when it is ready, else what it said before it ended."""
        folder = self._folder
        stale = folder.pid_file()
        if stale is not None and processes.is_alive(stale.pid):
            folder.disown()
        arguments = ["-D", str(folder.cluster), "-p", str(port)]
        arguments += ["-c", f"listen_addresses={ports.LOOPBACK}", "-c", "unix_socket_directories="]
        folder.start_log.unlink(missing_ok=True)
        before = folder.log_sizes()
        with folder.start_log.open("wb") as output:
            child = subprocess.Popen(  # noqa: S603 - our own command, no outside text
                identity.command(program, arguments),
                **identity.process_options(),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C in our terminal is not meant for the database.
                pass_fds=(lock,),
                cwd="/",
            )
        processes.adopt_child(child)
        if not self._wait_until_ready(child.pid, child):
            return self._last_words(before) or f"exit status {child.returncode}"
        self._remember_port()
        return None

    def shut_down(self, mode: StopMode, *, patience: float) -> None:
        """End the server, with more force each time that it takes longer than ``patience`` seconds."""
        pid = self.pid()
        if pid is None:
            self.kill()  # It has died; helpers of it may still be there.
            return
        # The harder ways are safe too: what was committed is in the log, and the next start recovers.
        for step in (mode, "immediate"):
            processes.send(pid, _SIGNALS[step])
            deadline = time.monotonic() + patience
            while time.monotonic() < deadline:
                processes.collect_children()
                if not processes.is_postmaster(pid, self._folder.cluster):
                    return
                time.sleep(_POLL)
            _log.warning("PostgreSQL (process %d) did not stop (%s) in %.1f s", pid, step, patience)
        self.kill()

    def kill(self) -> None:
        """SIGKILL every process of the server."""
        name = self._folder.remembered().name
        if not processes.kill_family(name, self.pid()):
            raise EmbeddedPostgresError(f"Processes of the server {name} survive SIGKILL.")

    def _last_words(self, before: dict[Path, int]) -> str:
        """Read why it ended; the process that writes the log may need a moment longer."""
        deadline = time.monotonic() + 1.0
        while "FATAL" not in (said := self._folder.log_since(before)):
            if time.monotonic() >= deadline:
                break
            time.sleep(_POLL)
        return said

    def _wait_until_ready(self, pid: int, child: subprocess.Popen[bytes] | None = None) -> bool:
        """Wait until it accepts connections; false if it ended instead."""
        before = self._folder.log_sizes()
        deadline = time.monotonic() + self._start_timeout
        while time.monotonic() < deadline:
            found = self._folder.pid_file()
            if found and found.pid == pid and found.status == "ready":
                return True
            processes.collect_children()
            if child.poll() is not None if child else self.pid() != pid:
                return False
            time.sleep(_POLL)
        raise EmbeddedPostgresError(
            f"PostgreSQL in {self._folder.home} is not ready after {self._start_timeout:.0f} s. "
            "It may still be recovering from a crash, and goes on: try again later.",
            log=self._folder.log_since(before),
        )

    def _remember_port(self) -> None:
        found, kept = self._folder.pid_file(), self._folder.remembered()
        if found and found.port and found.port != kept.port:
            self._folder.remember(Remembered(port=found.port, name=kept.name, home=kept.home))


def release(lock: int) -> None:
    """Close our side of the lock; the server, if it runs, keeps it."""
    os.close(lock)
