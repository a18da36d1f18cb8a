"""Keeps what callers were told: each answer of the API and each event that was sent, as one line of JSON.

The file only grows, several sandboxes may share it, and what was written survives SIGKILL. It holds what the callers
got, client secrets and signing secrets of endpoints too, so only its owner may read it.
"""

import json
import os
import time
from pathlib import Path

from stripe_sandbox.kinds import Json

JOURNAL_VARIABLE = "STRIPE_SANDBOX_JOURNAL"
"""The environment variable that stands in for ``--journal``, for a sandbox that another program starts."""

_APPEND = os.O_WRONLY | os.O_APPEND | os.O_CREAT
_FOR_ITS_OWNER = 0o600


class Journal:
    """Where lines go; without a path nothing is kept."""

    def __init__(self, path: Path | None = None) -> None:
        """Open the file for adding to it."""
        self._file = None if path is None else os.open(path, _APPEND, _FOR_ITS_OWNER)
        if self._file is not None:
            # A file that was there may have been everybody's: client secrets go into it.
            os.fchmod(self._file, _FOR_ITS_OWNER)
        if path is not None and _is_torn(path):
            self._write(b"\n")

    def answered(
        self, method: str, path: str, *, version: str, status: int, request_id: str, body: bytes
    ) -> None:
        """Note an answer of the API; `body` is the JSON that went out, on one line."""
        if self._file is None:
            return
        told: Json = {"kind": "answer", "method": method, "path": path, "version": version, "status": status}
        self._add(told | {"request_id": request_id}, body)

    def sent(self, url: str, event: Json, outcome: int | str) -> None:
        """Note an event that was sent; `outcome` is the status of the answer, or why there was none."""
        if self._file is None:
            return
        told: Json = {"kind": "event", "url": url, "version": event["api_version"], "outcome": outcome}
        self._add(told, json.dumps(event).encode())

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _add(self, told: Json, body: bytes) -> None:
        """Write a line at once and whole, so that lines of several processes do not mix."""
        head = json.dumps({"at": round(time.time(), 3)} | told).encode()
        self._write(head[:-1] + b', "body": ' + body + b"}\n")

    def _write(self, line: bytes) -> None:
        assert self._file is not None
        os.write(self._file, line)


def _is_torn(path: Path) -> bool:
    """Tell whether the last writer was killed in the middle of a line."""
    with path.open("rb") as written:
        if written.seek(0, os.SEEK_END) == 0:
            return False
        written.seek(-1, os.SEEK_END)
        return written.read() != b"\n"
