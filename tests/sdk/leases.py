"""A client that fails open over a scripted service: its terms, and its first spend, which brings a lease."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sdk.scripted_service import PLACED, POSTED, ScriptedService, Step

from credit_sdk import Client, FailOpen

SPENT, HELD, AWAY = Step(body=POSTED), Step(body=PLACED), Step(status=503)


def terms(place: Path, **more: Any) -> FailOpen:
    given: dict[str, Any] = {"lease": 20, "outbox": place / "outbox.sqlite", "background": False}
    return FailOpen(**given | {"patience_seconds": 2, "pause_seconds": 30} | more)


def leased(service: ScriptedService, place: Path, **more: Any) -> Client:
    """A client with a lease of twenty credits, that now finds the service away."""
    client = Client(service.base_url, api_key="a-key", when_away=terms(place, **more))
    service.steps[:] = [SPENT, HELD, AWAY]
    client.transfers.spend(7, 1)
    return client
