"""Looks at the processes of a PostgreSQL server and signals them; knows nothing else.

Linux is read through ``/proc``, anything else through ``ps``. Only world-readable facts are used
(command line, parent), so that it also works without ptrace rights on a server that runs under
another account.
"""

from __future__ import annotations

import atexit
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

_PROC = Path("/proc")

# Children that this process has started: someone has to collect them, or they stay on as zombies.
_children: dict[int, subprocess.Popen[bytes]] = {}


def adopt_child(child: subprocess.Popen[bytes]) -> None:
    """Remember a child of this process, to be collected when it ends."""
    _children[child.pid] = child


@atexit.register
def _let_go() -> None:
    """A server that others still use outlives this process, and Python need not warn that it does."""
    for child in _children.values():
        if child.poll() is None:
            child.returncode = 0


def collect_children() -> None:
    """Collect those children that have ended."""
    for pid, child in list(_children.items()):
        if child.poll() is not None:
            _children.pop(pid, None)


def _from_proc(only: int | None) -> Iterator[tuple[int, int, str]]:
    for entry in _PROC.iterdir() if only is None else [_PROC / str(only)]:
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            status = (entry / "stat").read_text(errors="replace")
        except OSError:
            continue  # It has ended meanwhile, which is as good as not being listed.
        # proc_pid_stat(5): the name in parentheses may hold anything, so count from the last one.
        parent = int(status.rpartition(")")[2].split()[1])
        yield int(entry.name), parent, b" ".join(words).decode(errors="replace").strip()


def _from_ps() -> Iterator[tuple[int, int, str]]:
    listing = subprocess.run(
        ["ps", "-axww", "-o", "pid=,ppid=,stat=,command="],  # noqa: S607 - its place differs
        capture_output=True,
        text=True,
        check=True,
    )
    for line in listing.stdout.splitlines():
        pid, parent, state, command = line.split(None, 3)
        yield int(pid), int(parent), "" if state.startswith("Z") else command


def _table(only: int | None = None) -> Iterator[tuple[int, int, str]]:
    """Every process, or one: id, id of its parent, command line (empty for a zombie)."""
    if (_PROC / "self").exists():
        return _from_proc(only)
    return (row for row in _from_ps() if only in (None, row[0]))


def is_alive(pid: int) -> bool:
    """Tell whether a process, or at least its zombie, has this id."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def is_postmaster(pid: int, cluster: Path) -> bool:
    """Tell whether this process is the postmaster of that cluster (a zombie is not)."""
    return any(f"postgres -D {cluster} " in f"{command} " for _, _, command in _table(pid))


def family(name: str, postmaster: int | None = None) -> list[int]:
    """List the server's helpers: titled with the cluster's name, or the postmaster's."""
    title = f"postgres: {name}: "
    return [
        pid
        for pid, parent, command in _table()
        if command.startswith(title) or (postmaster is not None and parent == postmaster)
    ]


def send(pid: int, number: signal.Signals) -> None:
    """Signal a process; one that has ended already is fine."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def kill_family(name: str, postmaster: int | None, *, timeout: float = 10.0) -> bool:
    """SIGKILL the postmaster (if any) and its helpers; tell whether all went in time.

    ``timeout`` is in seconds.
    """
    if postmaster is not None:
        send(postmaster, signal.SIGSTOP)  # so that it starts no new one meanwhile
    victims = family(name, postmaster)
    for pid in ([postmaster] if postmaster is not None else []) + victims:
        send(pid, signal.SIGKILL)
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        collect_children()
        left = family(name)
        if not left and (postmaster is None or not _runs(postmaster)):
            return True
        for pid in left:
            send(pid, signal.SIGKILL)
        time.sleep(0.01)
    return False


def _runs(pid: int) -> bool:
    """Tell whether the process is there and is no zombie."""
    return any(command for _, _, command in _table(pid))
