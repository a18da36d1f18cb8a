"""Under which account the server runs: itself, a user namespace, or an unprivileged account.

PostgreSQL refuses uid 0. As root the first choice is a user namespace (files stay root's, and
folders that only root may enter are no obstacle), the second is an unprivileged account that can
reach the folder. Permissions of folders that are not the server's own are never changed: each
choice is tried out instead.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tallybook.postgres.embedded import launcher
from tallybook.postgres.embedded.binaries import Binaries
from tallybook.postgres.embedded.errors import EmbeddedPostgresError

_ACCOUNTS = ("postgres", "nobody")


@dataclass(frozen=True)
class Identity:
    """A way to run the server's programs."""

    name: str
    owner: int
    group: int
    prefix: tuple[str, ...] = ()
    switches: bool = False

    def command(self, program: Path, arguments: Sequence[str]) -> list[str]:
        """Build the command line of a program under this identity."""
        return [*self.prefix, str(program), *arguments]

    def process_options(self) -> dict[str, Any]:
        """Build the ``subprocess`` options: the account, and an environment without PG*."""
        kept = {key: os.environ[key] for key in ("PATH", "LD_LIBRARY_PATH") if key in os.environ}
        options: dict[str, Any] = {
            "env": {**kept, "LC_ALL": "C", "TZ": "UTC"},
            "stdin": subprocess.DEVNULL,
        }
        if self.switches:
            options.update(user=self.owner, group=self.group, extra_groups=[])
        return options


def _plain() -> Identity:
    return Identity(f"uid {os.geteuid()}", os.geteuid(), os.getegid())


def _namespace() -> Identity | None:
    """Appear as an account that exists, since initdb looks its number up."""
    if sys.platform != "linux":
        return None
    known = [entry for entry in pwd.getpwall() if entry.pw_uid != 0]
    if not known or not sys.executable:
        return None
    inner = known[0]
    prefix = (sys.executable, "-I", "-S", launcher.__file__, str(inner.pw_uid), str(inner.pw_gid))
    return Identity("a user namespace", os.geteuid(), os.getegid(), prefix)


def _account(uid: int, gid: int) -> Identity:
    entry = _entry(uid)
    name = f"the account {entry.pw_name}" if entry else f"uid {uid}"
    return Identity(name, uid, gid, switches=True)


def _entry(key: str | int) -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(key) if isinstance(key, str) else pwd.getpwuid(key)
    except KeyError:
        return None


def _for_root(home: Path, made: os.stat_result | None) -> Iterator[Identity]:
    if made and made.st_uid != 0:
        yield _account(made.st_uid, made.st_gid)
    if namespace := _namespace():
        yield namespace
    # The owner of the folder around comes last: it can enter where the others perhaps cannot.
    for key in (*_ACCOUNTS, home.parent.stat().st_uid):
        if (entry := _entry(key)) and entry.pw_uid != 0:
            yield _account(entry.pw_uid, entry.pw_gid)


def _for_user(made: os.stat_result | None) -> Iterator[Identity]:
    if made and made.st_uid != os.geteuid():
        raise EmbeddedPostgresError(
            f"The PostgreSQL folder belongs to uid {made.st_uid}, and this process is uid "
            f"{os.geteuid()}. Run as that account, or choose another folder."
        )
    # A container may run under a number without a name, which initdb refuses to work for.
    if _entry(os.geteuid()) is None and (namespace := _namespace()):
        yield namespace
    yield _plain()


def candidates(home: Path, cluster: Path) -> list[Identity]:
    """List the ways to run a server in ``home``, best first."""
    made = cluster.stat() if cluster.exists() else None
    return list(_for_root(home, made) if os.geteuid() == 0 else _for_user(made))


def trial(identity: Identity, home: Path, binaries: Binaries) -> str:
    """Try to enter the folder and run the server; empty if it works, else the complaint."""
    script = 'cd "$1" && exec "$2" --version'
    command = identity.command(Path("/bin/sh"), ["-c", script, "sh", str(home), str(binaries.postgres)])
    try:
        run = subprocess.run(  # noqa: S603 - our own command, no outside text
            command,
            **identity.process_options(),
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    except (OSError, subprocess.SubprocessError) as error:
        return str(error)
    return "" if run.returncode == 0 else (run.stderr.strip() or f"exit status {run.returncode}")


def choose(home: Path, cluster: Path, binaries: Binaries) -> Identity:
    """Take the first way that works, or raise ``EmbeddedPostgresError`` with what was tried."""
    tried = []
    for identity in candidates(home, cluster):
        complaint = trial(identity, home, binaries)
        if not complaint:
            return identity
        tried.append(f"{identity.name}: {complaint}")
    raise EmbeddedPostgresError(
        f"PostgreSQL cannot be run in {home} ({'; '.join(tried)}). It refuses to run as root "
        "itself: allow user namespaces (sysctl user.max_user_namespaces > 0; in a container a "
        "seccomp profile that permits unshare), or start Tallybook as an ordinary user, or put "
        "the data folder and the installation where an unprivileged account can reach them, or "
        "set DATABASE_URL to a server of your own."
    )
