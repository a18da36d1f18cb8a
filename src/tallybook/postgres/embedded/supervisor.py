"""A thread that keeps the embedded server running; how it is restarted is up to ``server.py``."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from subprocess import SubprocessError

from tallybook.postgres.embedded.errors import EmbeddedPostgresError

_log = logging.getLogger(__name__)
_LONGEST_PAUSE = 10.0


class Supervisor:
    """Calls ``ensure_running`` again and again until it is stopped."""

    def __init__(self, ensure_running: Callable[[], bool], *, interval: float) -> None:
        """Begin at once; ``interval`` (seconds) lies between two looks."""
        self._ensure_running = ensure_running
        self._interval = interval
        self._stopping = threading.Event()
        self.restarts = 0
        """How often the server had died and was started again."""
        self.last_error: Exception | None = None
        """Why the latest try failed; ``None`` while all is well."""
        self._thread = threading.Thread(target=self._watch, name="postgres-supervisor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, waiting for a restart that is under way."""
        self._stopping.set()
        self._thread.join()

    def _watch(self) -> None:
        pause = self._interval
        while not self._stopping.wait(pause):
            try:
                if self._ensure_running():
                    self.restarts += 1
                    _log.warning("PostgreSQL had died and was started again")
            except (EmbeddedPostgresError, OSError, SubprocessError) as error:
                self.last_error = error
                pause = min(pause * 2, _LONGEST_PAUSE)
                _log.exception("PostgreSQL cannot be started again; next try in %.1f s", pause)
            else:
                self.last_error = None
                pause = self._interval
