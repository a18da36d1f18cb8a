"""Structured logs, configured once by the roof: one JSON object a line (``LOG_FORMAT=text`` for people), no secrets."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

# What must never stand in a log, whoever put it there: keys, signing secrets, tokens.
_SECRET = re.compile(
    r"(?:sk|rk)_(?:live|test)_\w+|whsec_\w+|tb_(?:live|test)_\w+|tbp_[\w-]+|eyJ[\w-]+\.[\w-]+\.[\w-]+"
    r"|(?<=://)[^/@\s:]+:[^/@\s]+(?=@)"
)


def masked(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor: blot out what looks like a secret in any text."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = _SECRET.sub("[secret]", value)
    return event


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
