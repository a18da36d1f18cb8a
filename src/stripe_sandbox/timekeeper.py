"""Lets time pass: rings alarms that are due in real time, and runs test clocks forward to where they are sent.

A clock goes from alarm to alarm, each in a transaction at that alarm's time, so that two years of renewals take
seconds and stand in the right order. Leaves what alarms mean to ``ringing``.
"""

import asyncio
import logging
from dataclasses import dataclass, field, replace

from stripe_sandbox import alarms, checkout, clocks, ringing
from stripe_sandbox.call import Call
from stripe_sandbox.kinds import Json
from stripe_sandbox.sandbox import Sandbox

_LOG = logging.getLogger(__name__)
_IDLE_SECONDS = 0.5
_GOAL = {"advancing": "target_frozen_time", "ready": "frozen_time"}
"""Where a clock is to go: what is due at the time where it stands happens at once."""


@dataclass
class Timekeeper:
    """Works in the background, in small steps, so that requests are answered in between."""

    sandbox: Sandbox
    _bell: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        """Look for work now."""
        self._bell.set()

    async def run(self) -> None:
        """Let time pass until cancelled."""
        while True:
            self._bell.clear()
            worked = self._real_time()
            for clock in self.sandbox.store.find(clocks.KIND, oldest_first=True):
                worked = self._step(clock) or worked
            if worked:
                await asyncio.sleep(0)
                continue
            try:
                await asyncio.wait_for(self._bell.wait(), _IDLE_SECONDS)
            except TimeoutError:
                continue

    def catch_up(self) -> None:
        """Ring what is due in real time, so that no request comes before it."""
        while alarms.due(self.sandbox.store, "", self.sandbox.now) and self._real_time():
            continue

    def _real_time(self) -> bool:
        """Expire sessions and ring one alarm in real time; tells whether there was something to do."""
        sandbox = self.sandbox
        with sandbox.store.transaction():
            ended = checkout.expire_due(sandbox.call())
            alarm = alarms.take(sandbox.store, "", sandbox.now)
        if alarm is not None:
            self._ring(sandbox.call(), alarm)
        if ended or alarm:
            sandbox.wake()
        return alarm is not None

    def _step(self, clock: Json) -> bool:
        """Ring the clock's next alarm, or stop it where it was sent to; tells whether there was something to do."""
        store = self.sandbox.store
        target = int(clock["status_details"].get("advancing", clock)[_GOAL[clock["status"]]])
        with store.transaction():
            alarm = alarms.take(store, clock["id"], target)
        at = target if alarm is None else max(alarm.at, int(clock["frozen_time"]))
        call = replace(self.sandbox.call(), now=at, clock=clock["id"])
        if alarm is not None:
            with store.transaction():
                store.save(clock | {"frozen_time": at})
            self._ring(call, alarm)
        elif clock["status"] == "advancing":
            with store.transaction():
                checkout.expire_due(call)
                done = clock | {"frozen_time": target, "status": "ready", "status_details": {}}
                call.save(done, "test_helpers.test_clock.ready")
        else:
            return False
        self.sandbox.wake()
        return True

    def _ring(self, call: Call, alarm: alarms.Alarm) -> None:
        """Do one thing; a failure of the sandbox itself is logged, and time goes on."""
        try:
            with self.sandbox.store.transaction():
                ringing.ring(call, alarm)
        except Exception:  # noqa: BLE001 - the outermost frame: logged
            _LOG.exception("alarm %s of %s failed", alarm.what, alarm.object_id)
