"""The sandbox over one connection, as a merchant's dashboard sees it: what it refuses is None, not a failure."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import httpx
from sandbox.process import Running

Json = dict[str, Any]
PATIENCE_SECONDS = 120.0
_PAGE = 100
_OUR_FAULT = 500


@dataclass(slots=True)
class AtStripe:
    """What is asked of the sandbox, in a line each."""

    sandbox: Running
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        """One connection for all."""
        self.http = self.sandbox.http()

    def get(self, path: str, **params: Any) -> Json:
        """Look at something."""
        answer = self.http.get(f"/v1/{path}", params=params)
        answer.raise_for_status()
        found: Json = answer.json()
        return found

    def every(self, path: str, **params: Any) -> list[Json]:
        """All of a list, oldest first."""
        found: list[Json] = []
        asked = params | {"limit": _PAGE}
        while True:
            page = self.get(path, **asked)
            found += page["data"]
            if not page["has_more"]:
                return found[::-1]
            asked["starting_after"] = page["data"][-1]["id"]

    def since(self, path: str, newest: str) -> list[Json]:
        """What a list has got since one of its rows, oldest first."""
        found: list[Json] = []
        while True:
            page = self.get(path, limit=_PAGE, **({"ending_before": newest} if newest else {}))
            # Whoever reads towards the newest gets the pages in that order, each with its newest first.
            found += reversed(page["data"])
            if not page["has_more"] or not page["data"]:
                return found
            newest = page["data"][0]["id"]

    def post(self, path: str, **form: Any) -> Json | None:
        """Do something; None when Stripe will not."""
        return _unless_refused(self.http.post(f"/v1/{path}", data=form))

    def delete(self, path: str, **params: Any) -> Json | None:
        """End something; None when Stripe will not."""
        return _unless_refused(self.http.delete(f"/v1/{path}", params=params))

    def desk(self, path: str, **body: Any) -> Json | None:
        """What customers and banks do; None when it cannot be done."""
        return _unless_refused(self.http.post(f"/_sandbox/{path}", json=body))

    def advance(self, clock_id: str, to: int) -> None:
        """Let time pass for the customers of a clock, and wait until it has."""
        path = f"test_helpers/test_clocks/{clock_id}"
        assert self.post(f"{path}/advance", frozen_time=to) is not None, "the clock stays where it is"
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.get(path)["status"] != "ready":
            assert time.monotonic() < deadline, "the clock does not arrive"
            time.sleep(0.01)


def _unless_refused(answer: httpx.Response) -> Json | None:
    assert answer.status_code < _OUR_FAULT, answer.text
    if answer.is_error:
        return None
    done: Json = answer.json()
    return done
