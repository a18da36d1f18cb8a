"""Looks through a running sandbox and reports everything that Stripe would not send.

Asks every list route that Stripe has, then each object found there and its lists. Which routes
the sandbox implements is found out by asking, so that new ones are covered without a change
here. Creating the objects is left to the tests that use it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from http import HTTPStatus

import httpx
from contract.conforms import deviations as deviations_of
from contract.node_types import Json

from stripe_sandbox import spec

KEY = "sk_test_contract"

_PAGE = 100
_MOST_PAGES = 50
_SECONDS = 30
_SINGLE = ("/v1/account", "/v1/balance")


@dataclass
class Recording:
    """What a look through a sandbox saw."""

    seen: int = 0
    """Objects and events that were checked."""
    kinds: set[str] = field(default_factory=set)
    """Their ``object`` values."""
    event_types: set[str] = field(default_factory=set)
    deviations: list[str] = field(default_factory=list)


@dataclass
class _Visit:
    client: httpx.Client
    recording: Recording
    not_there: set[str] = field(default_factory=set)
    """Path templates that the sandbox does not implement."""

    def ask(self, template: str, path: str, params: dict[str, str | int]) -> Json | None:
        """Return an answer, or None for a route that the sandbox does not have."""
        if template in self.not_there:
            return None
        answer = self.client.get(path, params=params)
        body: Json = answer.json()
        if answer.status_code == HTTPStatus.OK:
            self.report(template, _other_classes(path, body))
            return body
        error = body.get("error", {})
        if answer.status_code == HTTPStatus.NOT_FOUND and "code" not in error:
            self.not_there.add(template)
        elif error.get("code") not in {"parameter_missing", "resource_missing"}:
            self.report(path, [f"answers {answer.status_code}: {error.get('message')}"])
        return None

    def check(self, place: str, value: Json) -> None:
        """Hold one object or event against both type sources."""
        self.recording.seen += 1
        self.recording.kinds.add(str(value.get("object")))
        if value.get("object") == "event":
            self.recording.event_types.add(str(value.get("type")))
        self.report(place, deviations_of(value))

    def report(self, place: str, found: list[str]) -> None:
        """Note deviations, each once."""
        for problem in found:
            line = f"GET {place}: {problem}"
            if line not in self.recording.deviations:
                self.recording.deviations.append(line)


def record(base_url: str) -> Recording:
    """Fetch all that the sandbox at `base_url` holds and check it.

    Raises `AssertionError` if not even the events can be listed.
    """
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=base_url, headers=headers, timeout=_SECONDS) as client:
        visit = _Visit(client, Recording())
        for template in _lists():
            for item in _pages(visit, template, template):
                visit.check(template, item)
                _look_closer(visit, template, item)
        for path in _SINGLE:
            body = visit.ask(path, path, {})
            if body is not None:
                visit.check(path, body)
    assert "/v1/events" not in visit.not_there, "the sandbox lists no events"
    return visit.recording


def deviations(base_url: str) -> list[str]:
    """Return every deviation of every object and event that the sandbox holds."""
    return record(base_url).deviations


def _other_classes(path: str, body: Json) -> list[str]:
    """Say where an answer is about another class of object than its route returns.

    What is wrong with the objects themselves is found when each is checked.
    """
    route = spec.match("GET", path)
    assert route is not None, path
    problems = (problem.partition(": ") for problem in spec.check_answer(route, body))
    return [
        f"python types: {place}: {what}"
        for place, _, what in problems
        if place.endswith(".object") or what.startswith("expected a list")
    ]


def _lists() -> list[str]:
    return [template for template in _list_templates() if "{" not in template]


def _list_templates() -> Iterator[str]:
    for route in spec.routes():
        is_list = route.returns.startswith("ListObject[")
        if route.method == "GET" and is_list and route.template.startswith("/v1/"):
            yield route.template


def _inner_lists(template: str) -> list[str]:
    """Return the lists that belong to one object, such as a session's line items."""
    return [
        inner for inner in _list_templates() if inner.startswith(template + "/{") and inner.count("{") == 1
    ]


def _look_closer(visit: _Visit, template: str, item: Json) -> None:
    object_id = item.get("id")
    if object_id is None:
        return
    alone = f"{template}/{{id}}"
    body = visit.ask(alone, f"{template}/{object_id}", {})
    if body is not None:
        visit.check(alone, body)
    for inner in _inner_lists(template):
        path = inner[: inner.index("{")] + str(object_id) + inner[inner.index("}") + 1 :]
        for entry in _pages(visit, inner, path):
            visit.check(inner, entry)


def _pages(visit: _Visit, template: str, path: str) -> Iterator[Json]:
    """Go through all pages of a list, checking each page's own fields as well."""
    params: dict[str, str | int] = {"limit": _PAGE}
    for _ in range(_MOST_PAGES):
        page = visit.ask(template, path, params)
        if page is None:
            return
        visit.report(template, deviations_of(page | {"data": []}))
        items: list[Json] = page.get("data", [])
        yield from items
        if not page.get("has_more") or not items:
            return
        params["starting_after"] = str(items[-1]["id"])
    visit.report(template, [f"does not end after {_MOST_PAGES} pages"])
