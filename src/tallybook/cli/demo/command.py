"""The command: prepares, starts the sandbox and the service, walks the main job, prints where to click."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from tallybook.cli.demo import preparing, walk
from tallybook.cli.demo.processes import child, free_port
from tallybook.cli.demo.state import ADMIN_EMAIL, CUSTOMER_EMAIL, CUSTOMER_PASSWORD, State
from tallybook.cli.demo.steps import done, failed
from tallybook.cli.output import console
from tallybook.cli.roof import Roof, refuse, roof_of
from tallybook.domain.errors import BillingError
from tallybook.settings import Settings
from tallybook.usecases import books
from tallybook.usecases.context import Context

T = TypeVar("T")


def demo(
    context: typer.Context,
    port: Annotated[int, typer.Option(envvar="PORT", help="Where the service listens.")] = 8000,
    sandbox_port: Annotated[
        int, typer.Option(envvar="SANDBOX_PORT", help="Where the Stripe sandbox listens.")
    ] = 12111,
    once: Annotated[bool, typer.Option("--once", envvar="ONCE", help="Walk the main job and exit.")] = False,
    home: Annotated[Path, typer.Option(help="Where the demo keeps its data.")] = Path(".demo"),
) -> None:
    """Start everything on this machine, walk the main job, and keep serving until Ctrl-C."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        with ExitStack() as running:
            _demo(roof_of(context), running, home.resolve(), port, sandbox_port, once=once)
    except BillingError as refusal:
        refuse(refusal)
    except KeyboardInterrupt:
        console.print("\nStopped. All data is kept: make demo starts where you left.")


def _demo(roof: Roof, running: ExitStack, home: Path, port: int, sandbox_port: int, *, once: bool) -> None:
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    state = State(home)
    base_url = f"http://127.0.0.1:{free_port(port, 'PORT')}"
    sandbox_url = f"http://127.0.0.1:{free_port(sandbox_port, 'SANDBOX_PORT')}"
    env = {name: value for name, value in os.environ.items() if name.lower() not in Settings.model_fields}

    console.rule("Tallybook demo", align="left")
    with console.status("Starting the Stripe sandbox …"):
        store = ["--store", str(home / "stripe_sandbox.sqlite"), "--quiet"]
        running.enter_context(
            child(
                ["stripe_sandbox", "--port", str(sandbox_port), *store],
                log=home / "sandbox.log",
                ready_url=f"{sandbox_url}/_sandbox/health",
                env=env,
                cwd=home,
            )
        )
    done("Stripe sandbox", sandbox_url)

    webhook_secret = preparing.webhook_endpoint(state, sandbox_url, base_url)
    own = {
        "HOST": "127.0.0.1",
        "PORT": str(port),
        "BASE_URL": base_url,
        "DATA_DIR": str(home / "data"),
        "STRIPE_SECRET_KEY": state.secret("stripe_secret_key", "sk_test_"),
        "STRIPE_PUBLISHABLE_KEY": state.secret("stripe_publishable_key", "pk_test_"),
        "STRIPE_WEBHOOK_SECRET": webhook_secret,
        "STRIPE_API_BASE": sandbox_url,
    }
    ready = _prepare(roof, state, own)
    with console.status("Starting the service …"):
        running.enter_context(
            child(
                ["tallybook", "serve"],
                log=home / "service.log",
                ready_url=f"{base_url}/health",
                env=env | own,
                cwd=home,
            )
        )
    done("Service, worker and pages", base_url)
    stripe = {name: value for name, value in own.items() if name.startswith("STRIPE_")}
    preparing.write_env(home / "env", stripe | ready.variables(base_url))
    passed = walk.main_job(base_url, sandbox_url, ready) and _verify(roof, own)
    _say_where(base_url, sandbox_url, home, state)
    if once:
        raise typer.Exit(0 if passed else 1)
    console.print("Serving until you press Ctrl-C …")
    while True:
        time.sleep(3600)


def _in_context(roof: Roof, own: dict[str, str], work: Callable[[Context], Awaitable[T]]) -> T:
    overrides: dict[str, Any] = {name.lower(): value for name, value in own.items()}
    settings = roof.load_settings(_env_file=None, **overrides)

    async def working(installation: Any) -> T:
        async with roof.open_context(settings, installation) as ctx:
            return await work(ctx)

    with roof.installed(settings) as installation:
        return asyncio.run(working(installation))


def _prepare(roof: Roof, state: State, own: dict[str, str]) -> preparing.Ready:
    async def work(ctx: Context) -> preparing.Ready:
        status.stop()
        done("PostgreSQL (embedded), migrated", str(Path(own["DATA_DIR"]) / "postgres"))
        return await preparing.everything(ctx, state)

    with console.status("Starting the embedded PostgreSQL and migrating …") as status:
        return _in_context(roof, own, work)


def _verify(roof: Roof, own: dict[str, str]) -> bool:
    totals, faults = _in_context(roof, own, books.verify)
    if faults:
        failed("Books verified, every row", f"they do not tie: {faults[0]}")
        return False
    checked = ", ".join(f"{count} {noun}" for noun, count in totals.items())
    done("Books verified, every row", checked)
    return True


def _say_where(base_url: str, sandbox_url: str, home: Path, state: State) -> None:
    console.rule("Where to click", align="left")
    for what, where in (
        ("Buy credits", f"{base_url}/credits"),
        ("  customer", f"{CUSTOMER_EMAIL} / {CUSTOMER_PASSWORD}"),
        ("  admin", f"{ADMIN_EMAIL} / {state.secret('admin_password')}"),
        ("  test cards", "4242 4242 4242 4242 pays, 4000 0000 0000 0002 is declined,"),
        ("", "4000 0025 0000 3155 asks for 3-D Secure; any future date, any CVC"),
        ("API", f"{base_url}/v1/openapi.json and {base_url}/api/openapi.json"),
        ("Stripe sandbox", sandbox_url),
        ("For the examples", f"set -a; . {home / 'env'}; set +a"),
        ("Logs", f"{home / 'service.log'}, {home / 'sandbox.log'}"),
    ):
        console.print(f"[bold]{what:<18}[/bold] {where}", soft_wrap=True)
