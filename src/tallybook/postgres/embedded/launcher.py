"""Runs a program inside a new user namespace; a script of its own, started by ``identity.py``.

PostgreSQL refuses to run as uid 0. Inside the namespace the real account appears under another
number, so the server sees an ordinary user while every file stays with the real account, also
below folders that nobody else may enter. It imports nothing of the product: it has to start fast
and under ``python -I -S``. The process keeps its id, because the program replaces this one.
Source: user_namespaces(7), "Defining user and group ID mappings".
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

CLONE_NEWUSER = 0x10000000  # linux/sched.h


def main(arguments: list[str]) -> None:
    """Take ``UID GID PROGRAM ARGUMENT…``: the numbers to appear as, and what to run."""
    inner_uid, inner_gid, *command = arguments
    outer_uid, outer_gid = os.geteuid(), os.getegid()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWUSER) != 0:
        sys.exit(f"unshare(CLONE_NEWUSER): {os.strerror(ctypes.get_errno())}")
    # Without a privilege in the outer namespace a group may be mapped only once setgroups is given
    # up.
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{int(inner_uid)} {outer_uid} 1")
    Path("/proc/self/gid_map").write_text(f"{int(inner_gid)} {outer_gid} 1")
    os.execv(command[0], command)  # noqa: S606 - our own command, no outside text


if __name__ == "__main__":
    main(sys.argv[1:])
