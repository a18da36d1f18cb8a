"""Structured logs, configured once by the roof: one JSON object a line (``LOG_FORMAT=text`` for people), no secrets."""

from __future__ import annotations

import json
import logging
import re
import sys
import time
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog

# What must never stand in a log, whoever put it there: keys, signing secrets, tokens, links for paying. Each with what
# it always has in it: looking for these first costs a tenth.
_SECRETS = {
    "_live_": r"(?:sk|rk|tb)_live_\w+",
    "_test_": r"(?:sk|rk|tb)_test_\w+",
    "whsec_": r"whsec_\w+",
    "tbp_": r"tbp_[\w-]+",
    "tbh_": r"tbh_\w+",
    "eyJ": r"eyJ[\w-]+\.[\w-]+\.[\w-]+",
    "://": r"(?<=://)[^/@\s:]+:[^/@\s]+(?=@)",
}
_SECRET = re.compile("|".join(_SECRETS.values()))
_PLAIN = re.compile(r"[\w/.{}:-]*", re.ASCII)


def masked(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: blot out what looks like a secret in any text."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _SECRET.sub("[secret]", value)
    return event


class RequestLines:
    """The access log's lines, of which there are as many as requests: the same fields as structlog's, written plainly.

    structlog builds, copies and renders a dictionary for each, which costs as much as the rest of a cheap request.
    """

    def __init__(self, stream: TextIO) -> None:
        """Write to this stream."""
        self._stream = stream
        self._second = 0
        self._until_second = ""

    def __call__(self, method: str, path: str, status: int, milliseconds: float, request_id: str) -> None:
        """One line, as JSON."""
        texts = f"{method} {path} {request_id}"
        if any(mark in texts for mark in _SECRETS):
            method, path, request_id = (_SECRET.sub("[secret]", text) for text in (method, path, request_id))
        self._stream.write(
            f'{{"method": {_quoted(method)}, "path": {_quoted(path)}, "status": {status},'
            f' "milliseconds": {milliseconds}, "event": "request", "request_id": {_quoted(request_id)},'
            f' "level": "info", "timestamp": "{self._now()}"}}\n'
        )
        self._stream.flush()

    def _now(self) -> str:
        second, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
        if second != self._second:
            self._second = second
            self._until_second = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        return f"{self._until_second}.{nanoseconds // 1000:06d}Z"


def _quoted(text: str) -> str:
    return f'"{text}"' if _PLAIN.fullmatch(text) else json.dumps(text)


def request_lines(*, level: str, as_json: bool) -> Callable[[str, str, int, float, str], None] | None:
    """The quick way to write the lines of requests; None when they are for people, so that structlog writes them."""
    if logging.getLevelName(level.upper()) > logging.INFO:
        return lambda *_: None
    return RequestLines(sys.stderr) if as_json else None


def configure(*, level: str, as_json: bool, stripe_debug: bool = False) -> None:
    """Set up structlog and the standard library's logging to write the same lines to standard error.

    ``stripe_debug`` (document 001's STRIPE_DEBUG) adds a line for each call to Stripe and its answer.
    """
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        masked,
    ]
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for noisy in ("httpx", "httpcore", "alembic", "asyncio"):
        logging.getLogger(noisy).setLevel("WARNING")
    # At info the SDK names calls and statuses; at debug it would log bodies, so it never goes further.
    logging.getLogger("stripe").setLevel("INFO" if stripe_debug else "WARNING")
