"""The table of endpoints: which handler answers which method and path, with which parameters.

A handler takes a `Call` and returns the body. Parameters that Stripe knows and a handler does
not list are refused by ``dispatch``, so that nothing is silently ignored.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from stripe_sandbox.call import Call
from stripe_sandbox.kinds import Json

Handler = Callable[[Call], Json]

LIST = ("limit", "starting_after", "ending_before", "created")
"""Parameters that every list takes."""


@dataclass(frozen=True)
class Endpoint:
    """One row of the table."""

    method: str
    template: str
    takes: frozenset[str]
    handler: Handler
    pattern: re.Pattern[str]


TABLE: list[Endpoint] = []


def endpoint(method: str, template: str, *takes: str) -> Callable[[Handler], Handler]:
    """Enter a handler into the table; ``{}`` in the template stands for an id."""

    def enter(handler: Handler) -> Handler:
        parts = [re.escape(part) for part in template.split("{}")]
        pattern = re.compile("^" + "([^/]+)".join(parts) + "$")
        TABLE.append(Endpoint(method, template, frozenset(takes) | {"expand"}, handler, pattern))
        return handler

    return enter


@cache
def _by_method(method: str) -> tuple[Endpoint, ...]:
    """Return the rows, fixed paths before paths with ids."""
    rows = [row for row in TABLE if row.method == method]
    return tuple(sorted(rows, key=lambda row: row.template.count("{}")))


def find(method: str, path: str) -> tuple[Endpoint, tuple[str, ...]] | None:
    """Return the endpoint for a request and the ids in its path."""
    for row in _by_method(method):
        match = row.pattern.match(path)
        if match:
            return row, match.groups()
    return None
