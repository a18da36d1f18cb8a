"""Faults on demand: deliveries that come twice, late, mixed up or never, and API requests that fail or go unanswered.

All are off until the fault desk switches them on, and gone after a restart. Chance is repeatable: every fault has a
seed. Leaves sending to ``delivery``, answering to ``api.dispatch``, and the commands to ``control.fault_desk``.
"""

import random
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from http import HTTPStatus

from stripe_sandbox.errors import ApiError
from stripe_sandbox.kinds import Json

LONGEST_WAIT_MS = 600_000
TIME_OUT = "time_out"


@dataclass(frozen=True)
class _Refusal:
    """How a request is refused before anything was done."""

    status: HTTPStatus
    message: str
    code: str | None
    kind: str


_REFUSALS = {
    "rate_limit": _Refusal(
        HTTPStatus.TOO_MANY_REQUESTS,
        "Request rate limit exceeded. Learn more: https://docs.stripe.com/rate-limits",
        "rate_limit",
        "invalid_request_error",
    ),
    "lock_timeout": _Refusal(
        HTTPStatus.TOO_MANY_REQUESTS,
        "This object cannot be accessed right now because another API request or Stripe process is currently "
        "accessing it. If you see this error intermittently, retry the request.",
        "lock_timeout",
        "invalid_request_error",
    ),
    "conflict": _Refusal(
        HTTPStatus.CONFLICT,
        "There is currently another in-progress request using this Idempotent Key. Please try again later.",
        "idempotency_key_in_use",
        "idempotency_error",
    ),
    "server_error": _Refusal(
        HTTPStatus.INTERNAL_SERVER_ERROR, "An unknown error occurred.", None, "api_error"
    ),
}
KINDS = (*_REFUSALS, TIME_OUT)
"""What may happen to a request; only after a time-out the work is done."""


@dataclass
class ApiFault:
    """One fault of the API: for the next `times` requests of a route, or by chance."""

    id: str
    kind: str
    route: str = "*"
    """Method and path, with ``*`` for anything: ``POST /v1/refunds*``."""
    times: int | None = 1
    """How often still; ``None`` without an end."""
    probability: float = 1.0
    seed: int = 0
    seconds: float = 120.0
    """How long a time-out holds the caller, if it does not hang up before."""
    hits: int = 0
    chance: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        """Begin the row of chances."""
        self.chance = random.Random(self.seed)  # noqa: S311 - to be repeated, not to be secret

    def shown(self) -> Json:
        """Return what the desk lists."""
        return {name: value for name, value in vars(self).items() if name != "chance"}

    def strikes(self, method: str, path: str) -> bool:
        """Tell whether a request is hit, and count it."""
        over = self.times is not None and self.hits >= self.times
        if over or not fnmatchcase(f"{method} {path}", self.route):
            return False
        if self.chance.random() >= self.probability:
            return False
        self.hits += 1
        return True

    def refusal(self) -> ApiError | None:
        """Return what the caller is told; ``None`` for a time-out."""
        told = _REFUSALS.get(self.kind)
        if told is None:
            return None
        return ApiError(told.message, status=told.status, code=told.code, kind=told.kind)


@dataclass(frozen=True)
class Fate:
    """What was drawn for one delivery; `wait` in seconds before it is sent first."""

    drop: bool = False
    double: bool = False
    wait: float = 0.0


@dataclass
class DeliveryFaults:
    """What happens to deliveries: chances from 0 to 1, waits in milliseconds."""

    duplicate: float = 0.0
    """Sent a second time."""
    drop: float = 0.0
    """Never sent."""
    delay_ms: int = 0
    """Every delivery waits so long."""
    shuffle_ms: int = 0
    """Every delivery waits a random time up to this, so that they overtake each other."""
    seed: int = 0
    endpoint: str | None = None
    """Only deliveries to this endpoint; all if ``None``."""
    duplicated: int = 0
    dropped: int = 0
    delayed: int = 0
    chance: random.Random = field(default_factory=random.Random, repr=False)
    fates: dict[int, Fate] = field(default_factory=dict, repr=False)
    """What was drawn, by delivery."""

    def __post_init__(self) -> None:
        """Begin the row of chances."""
        self.chance = random.Random(self.seed)  # noqa: S311 - to be repeated, not to be secret

    def shown(self) -> Json:
        """Return what the desk lists."""
        return {name: value for name, value in vars(self).items() if name not in ("chance", "fates")}

    def first_seen(self, delivery: int, endpoint: str) -> bool:
        """Draw a delivery's fate when it is seen for the first time, which is in the order of the events."""
        if delivery in self.fates or self.endpoint not in (None, endpoint):
            return False
        drawn = [self.chance.random() for _ in range(3)]
        waits = (self.delay_ms + drawn[2] * self.shuffle_ms) / 1000
        fate = Fate(drop=drawn[0] < self.drop, double=drawn[1] < self.duplicate, wait=waits)
        self.fates[delivery] = fate
        self.dropped += fate.drop
        self.duplicated += fate.double and not fate.drop
        self.delayed += fate.wait > 0 and not fate.drop
        return True

    def fate(self, delivery: int) -> Fate:
        """Return what was drawn; nothing happens to a delivery that is not concerned."""
        return self.fates.get(delivery, Fate())


@dataclass
class Faults:
    """All faults of one sandbox."""

    api: list[ApiFault] = field(default_factory=list)
    deliveries: DeliveryFaults = field(default_factory=DeliveryFaults)
    _made: int = 0

    def add(self, kind: str, **more: object) -> ApiFault:
        """Switch a fault of the API on."""
        self._made += 1
        fault = ApiFault(id=f"fault_{self._made}", kind=kind, **more)  # type: ignore[arg-type]
        self.api.append(fault)
        return fault

    def of_request(self, method: str, path: str) -> ApiFault | None:
        """Return the first fault that hits a request; `ApiFault.refusal` says what is told."""
        return next((fault for fault in self.api if fault.strikes(method, path)), None)

    def reset(self) -> None:
        """Switch all off."""
        self.api.clear()
        self.deliveries = DeliveryFaults()

    def shown(self) -> Json:
        """Return what the desk lists."""
        return {"api": [fault.shown() for fault in self.api], "deliveries": self.deliveries.shown()}
