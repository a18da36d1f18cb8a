"""An agent run with two sub-agents: one hold for the run, and a token of it for each process that works for it.

A sub-agent has no API key. With its token it holds out of the run's hold, charges what its work cost, and can neither
spend anything else nor see what the customer has. When the run settles its hold, the tokens are useless.

Needs API_BASE_URL and API_KEY. The user's id is the argument.
"""

from __future__ import annotations

import os
import subprocess
import sys

from credit_sdk import Client
from credit_sdk.errors import CaptureExceedsHoldError

RUN_CREDITS = 10
TASKS = {"research": 3, "writing": 4}


def sub_agent(name: str, cost: int) -> None:
    """One piece of work, in a process that was given nothing but a token."""
    with Client(os.environ["API_BASE_URL"], hold_token=os.environ["HOLD_TOKEN"]) as client:
        with client.metered(None, estimate=cost, description=name, service="agents") as job:
            job.used(cost)
        print(f"{name}: charged {job.recorded_micro // 1_000_000} credits")
        try:
            client.holds.place(None, RUN_CREDITS)
        except CaptureExceedsHoldError as refused:
            print(
                f"{name}: {refused.facts['remaining_micro'] // 1_000_000} credits are left, so no more work"
            )


def main(user_id: int) -> None:
    """Hold for the whole run, let both sub-agents work, and give the rest back."""
    with Client(os.environ["API_BASE_URL"], api_key=os.environ["API_KEY"]) as client:
        run = client.holds.place(user_id, RUN_CREDITS, description="Agent run", service="agents")
        for name, cost in TASKS.items():
            handed_on = client.holds.hand_on(run.id, idempotency_key=name)
            environment = {"API_BASE_URL": os.environ["API_BASE_URL"], "HOLD_TOKEN": handed_on.token}
            subprocess.run([sys.executable, __file__, name, str(cost)], env=environment, check=True)
        settled = client.holds.release(run.id)
    print(f"The run gave {settled.released_micro // 1_000_000} credits back.")


if __name__ == "__main__":
    if "HOLD_TOKEN" in os.environ:
        sub_agent(sys.argv[1], int(sys.argv[2]))
    else:
        main(int(sys.argv[1]))
