"""A process of its own that starts an embedded PostgreSQL, for tests that kill it or need another account.

Run as a script: ``HOW FOLDER VERSION``. It prints the superuser's URL and the postmaster's id as one
line of JSON, then waits for the end of its input and stops the server. ``HOW`` is ``itself``,
``ordinary`` (becomes the account ``nobody``) or ``no-namespaces`` (stays root where no user namespace
can be made, as in most containers).
"""

from __future__ import annotations

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tallybook.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresError

NOBODY = 65534
_CLONE_NEWUSER = 0x10000000


def ways() -> tuple[str, ...]:
    """List the ways that this account can take: only root can become another."""
    return ("itself", "ordinary", "no-namespaces") if os.geteuid() == 0 else ("itself",)


@contextmanager
def child(how: str, home: Path, *, version: int = 18) -> Iterator[tuple[subprocess.Popen[str], Any]]:
    """Run this script; yields the process and what it printed."""
    with subprocess.Popen(
        [sys.executable, __file__, how, str(home), str(version)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line, f"the child ended with {process.wait()}"
        yield process, json.loads(line)
        assert process.stdin is not None
        process.stdin.close()


def end_servers_below(folder: Path) -> None:
    """End what a test that failed has left running."""
    for remembered in folder.rglob("server.json"):
        server = EmbeddedPostgres(remembered.parent)
        if server.is_running():
            server.kill()


def _become_ordinary() -> None:
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)


def _give_up_namespaces() -> None:
    """Become root of a namespace that has every account, but may have no namespace below it."""
    go_read, go_write = os.pipe()
    done_read, done_write = os.pipe()
    me = os.getpid()
    if os.fork() == 0:
        os.read(go_read, 1)
        for name in ("uid_map", "gid_map"):
            Path(f"/proc/{me}/{name}").write_text("0 0 4294967295")
        os.write(done_write, b"1")
        os._exit(0)
    assert ctypes.CDLL(None).unshare(_CLONE_NEWUSER) == 0
    os.write(go_write, b"1")
    os.read(done_read, 1)
    Path("/proc/sys/user/max_user_namespaces").write_text("0")


def main(how: str, home: str, version: str) -> None:
    """Change the account as asked, start, report, wait, stop."""
    if how == "ordinary":
        _become_ordinary()
    elif how == "no-namespaces":
        _give_up_namespaces()
    server = EmbeddedPostgres(Path(home), version=int(version), durable=False)
    try:
        server.start()
    except EmbeddedPostgresError as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return
    print(json.dumps({"url": server.superuser_url(), "pid": server.pid}), flush=True)
    sys.stdin.read()
    server.stop()


if __name__ == "__main__":
    main(*sys.argv[1:])
