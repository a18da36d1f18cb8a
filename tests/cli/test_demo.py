"""make demo, unattended: walks the main job, writes what the examples need, keeps its data, leaves nothing behind."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import running_service

STEPS = 16


def demo(home: Path, *options: str) -> list[str]:
    ports = ["--port", str(running_service.free_port()), "--sandbox-port", str(running_service.free_port())]
    return [sys.executable, "-m", "tallybook", "demo", "--home", str(home), *ports, *options]


def processes_of(home: Path) -> list[str]:
    """Command lines of processes that work in or with the demo's folder."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            where = str((place / "cwd").readlink())
        except OSError:
            continue
        if str(home) in command or where.startswith(str(home)):
            found.append(command)
    return found


def test_the_demo_walks_the_main_job_and_a_second_start_keeps_all_data(tmp_path: Path) -> None:
    home = tmp_path / "demo"

    runs = [
        subprocess.run(
            demo(home, "--once"), capture_output=True, text=True, timeout=120, check=False, cwd=tmp_path
        )
        for _ in range(2)
    ]

    for run in runs:
        assert run.returncode == 0, run.stdout + run.stderr
        assert run.stdout.count("✓") == STEPS, run.stdout
    assert "App checks what is available           0 credits" in runs[0].stdout
    assert "App checks what is available           982.5 credits" in runs[1].stdout
    written = dict(line.split("=", 1) for line in (home / "env").read_text().splitlines())
    assert {"API_BASE_URL", "DATABASE_URL", "APP_ID", "API_KEY", "STRIPE_SECRET_KEY"} <= written.keys()
    assert (home / "env").stat().st_mode & 0o077 == 0
    assert processes_of(home) == []


def test_the_demo_serves_until_it_is_interrupted(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    command = demo(home)
    port = command[command.index("--port") + 1]
    with (tmp_path / "out").open("w") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out, cwd=tmp_path)
    try:
        deadline = time.monotonic() + 90
        while "Serving until" not in (tmp_path / "out").read_text():
            assert process.poll() is None, (tmp_path / "out").read_text()
            assert time.monotonic() < deadline, (tmp_path / "out").read_text()
            time.sleep(0.1)
        assert httpx.get(f"http://127.0.0.1:{port}/login").status_code == 200
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)

    assert process.returncode == 0
    assert processes_of(home) == []


def test_a_port_in_use_is_said_with_what_to_do(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        command = demo(tmp_path / "demo", "--once")
        command[command.index("--port") + 1] = str(taken.getsockname()[1])
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    assert done.returncode == 1
    assert "make demo PORT=" in done.stderr
