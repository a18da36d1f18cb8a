"""The embedded server's sizes follow the machine, within bounds."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from tallybook.postgres.embedded import EmbeddedPostgres
from tallybook.postgres.embedded.sizes import chosen, of_machine

GB = 1024**3


@pytest.mark.parametrize(
    ("memory", "free", "buffers", "log", "checkpoints"),
    [
        (GB // 2, 5 * GB, "128MB", "1024MB", "5min"),
        (8 * GB, 30 * GB, "1024MB", "3072MB", "15min"),
        (64 * GB, 900 * GB, "2048MB", "4096MB", "15min"),
    ],
)
def test_sizes_are_a_part_of_what_there_is(
    memory: int, free: int, buffers: str, log: str, checkpoints: str
) -> None:
    assert chosen(memory, free) == {
        "shared_buffers": buffers,
        "max_wal_size": log,
        "checkpoint_timeout": checkpoints,
    }


def test_a_server_whose_data_lasts_runs_with_them(tmp_path: Path) -> None:
    with (
        EmbeddedPostgres(tmp_path / "home", durable=True) as server,
        psycopg.connect(server.superuser_url()) as connection,
    ):
        rows = connection.execute(
            "SELECT name, setting::bigint * CASE unit WHEN '8kB' THEN 8192 ELSE 1048576 END FROM pg_settings"
            " WHERE name IN ('shared_buffers', 'max_wal_size')"
        ).fetchall()

    wanted = of_machine(tmp_path)
    assert {name: f"{size // 1024**2}MB" for name, size in rows}["shared_buffers"] == wanted["shared_buffers"]
