"""Chooses a free port on the loopback address."""

from __future__ import annotations

import random
import socket

from tallybook.postgres.embedded.errors import EmbeddedPostgresError

LOOPBACK = "127.0.0.1"

# Below the range from which systems take the ports of outgoing connections (32768 or 49152 and
# up): a port that is remembered would otherwise often be in use by one of these at the next start.
_FIRST, _LAST = 20_000, 32_000


def is_free(port: int) -> bool:
    """Tell whether a server could listen on this loopback port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def choose() -> int:
    """Find a free port, or raise ``EmbeddedPostgresError``."""
    for _ in range(200):
        port = random.randint(_FIRST, _LAST)  # noqa: S311 - spreads servers, protects nothing
        if is_free(port):
            return port
    raise EmbeddedPostgresError(
        f"No free port was found between {_FIRST} and {_LAST} on {LOOPBACK}. Give the port in the settings."
    )
