"""One piece of work on the books: an API call, a click on the hosted page, a control command.

Carries the store, the time and the request that caused it, and writes events. Leaves reading
HTTP to ``api.dispatch`` and the meaning of objects to the engines.
"""

from dataclasses import dataclass, field

from stripe_sandbox import events
from stripe_sandbox.errors import missing
from stripe_sandbox.kinds import Json
from stripe_sandbox.store import Store


@dataclass(frozen=True)
class Call:
    """What a handler gets: parameters and path ids in, the store to work on."""

    store: Store
    now: int
    """Seconds since 1970."""
    base_url: str
    """Where the hosted pages are, without a trailing slash."""
    params: Json = field(default_factory=dict)
    ids: tuple[str, ...] = ()
    request_id: str | None = None
    idempotency_key: str | None = None
    clock: str = ""
    """The test clock whose time `now` is; empty for real time."""

    @property
    def id(self) -> str:
        """The first id in the path."""
        return self.ids[0]

    def need(self, kind: str, object_id: str, *, param: str = "id", noun: str = "") -> Json:
        """Return a living object or raise Stripe's ``resource_missing``."""
        found = self.store.get(object_id, kind)
        if found is None or found.get("deleted"):
            raise missing(noun or kind, object_id, param=param)
        return found

    def add(self, body: Json, event: str | None = None, private: Json | None = None) -> Json:
        """Write down a new object and, if named, the event that tells of it."""
        self.store.add(body, private=private, created=self.now)
        if event:
            self.emit(event, body)
        return body

    def save(self, body: Json, event: str | None = None, before: Json | None = None) -> Json:
        """Overwrite an object; with `before` the event says which attributes changed."""
        self.store.save(body)
        if event:
            self.emit(event, body, before)
        return body

    def emit(self, kind: str, body: Json, before: Json | None = None) -> Json:
        """Write an event and one pending delivery for each endpoint that listens to it."""
        previous = events.previous_attributes(before, body) if before is not None else None
        return events.record(
            self.store,
            events.Happening(
                type=kind,
                body=body,
                previous=previous,
                now=self.now,
                request_id=self.request_id,
                idempotency_key=self.idempotency_key,
            ),
        )
