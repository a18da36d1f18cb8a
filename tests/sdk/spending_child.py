"""A process that spends, failing open, and may kill itself (SIGKILL) after so many lines of the outbox's code.

Run as a program. It says on its output what it was told, line by line: ``yes KEY``, ``no KEY CODE``, ``shut?`` and
``open?`` (then it waits for a line of input), and at the end ``lines N``.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from types import FrameType
from typing import Any

from credit_sdk import Client, CreditError, FailOpen
from credit_sdk.outbox import steps

CODE_OF_THE_OUTBOX = os.path.dirname(steps.__file__)  # noqa: PTH120 - compared with names of code


def say(*words: object) -> None:
    """Say a line, at once."""
    print(*words, flush=True)


def wait() -> None:
    """Wait until the parent has done what was asked for."""
    sys.stdin.readline()


class Fuse:
    """Counts the lines of the outbox's code that run, and kills the process at one of them."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.lines = 0

    def __call__(self, frame: FrameType, event: str, _: object) -> Any:
        """A trace function of the interpreter."""
        if not frame.f_code.co_filename.startswith(CODE_OF_THE_OUTBOX):
            return None
        if event == "line":
            self.lines += 1
            if self.lines == self.at:
                os.kill(os.getpid(), signal.SIGKILL)
        return self


def spend(client: Client, user: int, key: str) -> None:
    """One credit for one job."""
    try:
        client.transfers.spend(user, 1, description=key, idempotency_key=key)
    except CreditError as problem:
        say("no", key, problem.code)
    else:
        say("yes", key)


def main() -> None:
    """Online, away, and back; or, with ``--jobs``, job after job while others shut, open and kill."""
    parser = argparse.ArgumentParser()
    parser.add_argument("base_url")
    parser.add_argument("user", type=int)
    parser.add_argument("outbox")
    parser.add_argument("--name", default="job")
    parser.add_argument("--kill-at", type=int, default=0)
    parser.add_argument("--jobs", type=int, nargs=2)
    given = parser.parse_args()
    terms = FailOpen(
        lease=50, outbox=given.outbox, patience_seconds=0.5, pause_seconds=0.05, background=False
    )
    fuse = Fuse(given.kill_at)
    sys.settrace(fuse)
    with Client(given.base_url, api_key=os.environ["API_KEY"], when_away=terms) as client:
        if given.jobs:
            for job in range(*given.jobs):
                spend(client, given.user, f"{given.name}-{job}")
                if job % 5 == 0:
                    client.outbox.settle()
                time.sleep(0.1)
            return
        spend(client, given.user, f"{given.name}-online")
        say("shut?")
        wait()
        for job in range(3):
            spend(client, given.user, f"{given.name}-{job}")
        say("open?")
        wait()
        client.outbox.settle()
    say("lines", fuse.lines)


if __name__ == "__main__":
    main()
