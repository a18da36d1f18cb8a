"""Makes a cluster, at once or not at all, and writes its settings.

Running it is up to ``postmaster.py``.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tallybook.postgres.embedded import sizes
from tallybook.postgres.embedded.binaries import Binaries
from tallybook.postgres.embedded.errors import EmbeddedPostgresError
from tallybook.postgres.embedded.folder import Folder, sync_folder
from tallybook.postgres.embedded.identity import Identity

SUPERUSER = "postgres"
SETTINGS = "tallybook.conf"

_BASE = {
    "password_encryption": "scram-sha-256",
    "max_connections": "200",
    "wal_level": "replica",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "logging_collector": "on",
    "log_filename": "postgresql-%a.log",
    "log_truncate_on_rotation": "on",
    "log_rotation_age": "1d",
    "log_rotation_size": "0",
    "log_line_prefix": "%m [%p] %u@%d ",
    # Parameters may hold what nobody should read in a log.
    "log_parameter_max_length": "0",
    "log_parameter_max_length_on_error": "0",
}
_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
_FLEETING = {
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "128MB",
}


@dataclass(frozen=True)
class Setup:
    """With which programs, as whom, how safe, and the lock for the children."""

    binaries: Binaries
    identity: Identity
    durable: bool
    lock: int


def _locale(version: int) -> list[str]:
    """Sort and fold the same on every machine: by code point, not by the system's locale."""
    if version >= 17:
        return ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
    return ["--locale=C"]


def _own(path: Path, identity: Identity) -> None:
    """Give a folder of ours to the account that runs the server, if that is not us."""
    if path.stat().st_uid == identity.owner:
        return
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            os.chown(Path(folder) / name, identity.owner, identity.group, follow_symlinks=False)
    os.chown(path, identity.owner, identity.group)


def _initdb_arguments(setup: Setup, fresh: Path, secret: Path) -> list[str]:
    return [
        f"--pgdata={fresh}",
        f"--username={SUPERUSER}",
        f"--pwfile={secret}",
        "--auth=scram-sha-256",
        "--encoding=UTF8",
        "--data-checksums",
        *_locale(setup.binaries.version),
        *([] if setup.durable else ["--no-sync"]),
    ]


def _run_initdb(setup: Setup, fresh: Path, *, password: str) -> None:
    """Fill the empty folder ``fresh``; the password travels in a file."""
    secret = fresh.with_name(f"{fresh.name}.password")
    descriptor = os.open(secret, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(password + "\n")
    try:
        os.chown(secret, setup.identity.owner, setup.identity.group)
        arguments = _initdb_arguments(setup, fresh, secret)
        run = subprocess.run(  # noqa: S603 - our own command, no outside text
            setup.identity.command(setup.binaries.initdb, arguments),
            **setup.identity.process_options(),
            # If we are killed meanwhile, the next start waits for the end of initdb.
            pass_fds=(setup.lock,),
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    finally:
        secret.unlink()
    if run.returncode != 0:
        raise EmbeddedPostgresError(
            f"PostgreSQL could not make its files in {fresh.parent}. Remove the cause given below "
            "(room on the disk, rights on the folder, an account that has no name), then start "
            "again; nothing half-made is left.",
            log=(run.stdout + run.stderr)[-2000:],
        )


def _clear_leftovers(folder: Folder) -> None:
    """Remove what an interrupted first start has left. Call it under the exclusive lock."""
    for left in folder.home.glob("cluster.new-*"):
        if left.is_dir():
            shutil.rmtree(left)
        else:
            left.unlink()


def ensure(folder: Folder, setup: Setup) -> None:
    """Make the cluster if there is none; one of another major version is refused."""
    _clear_leftovers(folder)
    if folder.cluster.exists():
        _check_version(folder.cluster, setup.binaries.version)
        _own(folder.cluster, setup.identity)
        return
    fresh = folder.home / f"cluster.new-{secrets.token_hex(4)}"
    try:
        fresh.mkdir(mode=0o700)
        os.chown(fresh, setup.identity.owner, setup.identity.group)
        _run_initdb(setup, fresh, password=folder.password())
        with (fresh / "postgresql.conf").open("a") as file:
            file.write(f"\ninclude_if_exists = '{SETTINGS}'\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(folder.cluster)
        sync_folder(folder.home)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _check_version(cluster: Path, wanted: int) -> None:
    try:
        found = (cluster / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedPostgresError(
            f"{cluster} is no PostgreSQL data folder (PG_VERSION is missing). Put the data back "
            "from a backup, or choose an empty folder."
        ) from None
    if found != str(wanted):
        raise EmbeddedPostgresError(
            f"{cluster} was made by PostgreSQL {found}, and this is {wanted}. Start with version "
            f"{found}, or dump the data there and load it into a new folder with {wanted}."
        )


def write_settings(folder: Folder, setup: Setup) -> None:
    """Write the file that ``postgresql.conf`` includes; ALTER SYSTEM still wins over it."""
    lasting = {**_DURABLE, **sizes.of_machine(folder.cluster)} if setup.durable else _FLEETING
    settings = {**_BASE, **lasting, "cluster_name": folder.remembered().name}
    lines = ["# Written at each start; use ALTER SYSTEM for settings of your own."]
    lines += [f"{key} = '{value}'" for key, value in settings.items()]
    fresh = folder.cluster / f"{SETTINGS}.new"
    fresh.write_text("\n".join(lines) + "\n")
    fresh.chmod(0o600)
    os.chown(fresh, setup.identity.owner, setup.identity.group)
    fresh.replace(folder.cluster / SETTINGS)
