"""``python -m stripe_sandbox``: runs the sandbox as a process of its own until interrupted.

Leaves everything it does to ``app``.
"""

import argparse
import logging
import os
import socket
import sys
from pathlib import Path

import uvicorn

from stripe_sandbox.app import create_app
from stripe_sandbox.delivery import Retries
from stripe_sandbox.journal import JOURNAL_VARIABLE

_ONCE_IT_RUNS = """
once it runs, with its address in place of SANDBOX:
  look and click     open SANDBOX/ in a browser: objects, events, deliveries to send again, test clocks, fault desk
  Stripe's SDKs      the API address is SANDBOX, the key sk_test_anything
  Stripe's CLI       stripe trigger invoice.paid --api-base SANDBOX --api-key sk_test_anything
  Stripe.js          <script src="SANDBOX/endive/stripe.js"></script>, the key pk_test_anything
  pay as a buyer     POST SANDBOX/_sandbox/checkout/sessions/ID/pay {"card": "4242424242424242"}
  deliveries         POST SANDBOX/_sandbox/faults/deliveries {"duplicate": 0.2, "shuffle_ms": 500, "drop": 0.1}
  the API            POST SANDBOX/_sandbox/faults/api {"kind": "rate_limit", "route": "POST /v1/refunds*", "times": 3}
                     kinds: rate_limit, lock_timeout, conflict, server_error, time_out (done, but never answered)
  all faults         GET SANDBOX/_sandbox/faults, POST SANDBOX/_sandbox/faults/reset

Everything else stands in README.md beside this program.
"""


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class _Server(uvicorn.Server):
    """Prints one line once requests are answered."""

    def __init__(self, config: uvicorn.Config, line: str) -> None:
        super().__init__(config)
        self._line = line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then tell."""
        await super().startup(sockets)
        _say(self._line)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m stripe_sandbox",
        description="A Stripe stand-in for development and tests: API, hosted pages, webhooks, test clocks, faults.",
        epilog=_ONCE_IT_RUNS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=12111, help="port; 0 picks a free one")
    parser.add_argument("--store", type=Path, help="SQLite file; without it all is in memory")
    parser.add_argument("--journal", type=Path, help="file that keeps each answer and event, one a line")
    parser.add_argument("--quiet", action="store_true", help="log warnings only")
    parser.add_argument("--retry-first", type=float, default=1.0, help="seconds to first retry")
    parser.add_argument("--retry-longest", type=float, default=3600.0, help="longest wait")
    parser.add_argument("--retry-attempts", type=int, default=16, help="attempts in all")
    parser.set_defaults(journal=os.environ.get(JOURNAL_VARIABLE) or None)
    return parser.parse_args()


def main() -> int:
    """Run until interrupted; returns the exit status."""
    given = _arguments()
    logging.basicConfig(
        level=logging.WARNING if given.quiet else logging.INFO,
        format="%(asctime)s %(levelname)s %(name)s %(message)s",
        stream=sys.stderr,
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        listening = socket.create_server((given.host, given.port))
    except OSError as problem:
        _say(f"stripe_sandbox cannot listen on {given.host}:{given.port}: {problem}")
        return 1
    base_url = f"http://{given.host}:{listening.getsockname()[1]}"
    retries = Retries(given.retry_first, given.retry_longest, given.retry_attempts)
    app = create_app(given.store, retries=retries, base_url=base_url, journal=given.journal)
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2)
    server = _Server(config, f"stripe_sandbox ready on {base_url}")
    server.run(sockets=[listening])
    return 0


if __name__ == "__main__":
    sys.exit(main())
