"""The official Stripe CLI, pinned in ``tools/stripe_cli``, pointed at a sandbox.

It runs with a home of its own, tells nobody that it was used, and reaches nothing but this machine.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from sandbox.process import KEY

TOOL = Path(__file__).resolve().parents[2] / "tools" / "stripe_cli"
_PROGRAM = TOOL / "node_modules" / ".bin" / "stripe"
_SECONDS = 60
_NOWHERE = "http://127.0.0.1:9"
_EVENT = re.compile(r"^  ([a-z_0-9]+(?:\.[a-z_0-9]+)+)$", re.MULTILINE)


class CliMissingError(Exception):
    """The CLI is not installed here; the message says what to do."""


@dataclass(frozen=True)
class StripeCli:
    """The CLI with a folder for its settings."""

    home: Path

    def trigger(self, event: str, api_base: str) -> subprocess.CompletedProcess[str]:
        """Have the CLI do what leads to an event, and give back how it ended."""
        return self._run("trigger", event, "--api-base", api_base, "--api-key", KEY)

    @cached_property
    def events(self) -> frozenset[str]:
        """The events that it has a fixture for."""
        return frozenset(_EVENT.findall(self._run("trigger", "--help").stdout))

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        if not _PROGRAM.exists():
            message = "The Stripe CLI is missing: npm ci --prefix tools/stripe_cli"
            raise CliMissingError(message)
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "STRIPE_CLI_TELEMETRY_OPTOUT": "1",
            # It asks for newer versions of itself; addresses of this machine need no proxy.
            "HTTPS_PROXY": _NOWHERE,
        }
        return subprocess.run(
            [str(_PROGRAM), *arguments],
            env=env,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=False,
        )
