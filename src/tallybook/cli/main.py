"""The command line's root: serve, worker, migrate, and the sub-commands of each noun."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import Annotated

import typer
import uvicorn

from tallybook.cli import (
    alerts,
    apps,
    catalog,
    credits,
    demo,
    doctor,
    events,
    import_stripe,
    ledger,
    organisations,
    payments,
    reconcile,
    subscriptions,
    top_ups,
    users,
    webhooks,
)
from tallybook.cli.output import console
from tallybook.cli.roof import Roof, refuse, roof_of, run
from tallybook.domain.errors import BillingError
from tallybook.usecases.context import Context
from tallybook.worker.main import run_worker

GRACEFUL_SECONDS = 15
# A server that was killed replays its log first; servers that start together with us take a moment.
START_PATIENCE_SECONDS = 60
app = typer.Typer(
    help="Tallybook: credits, Stripe payments and books that always tie.",
    no_args_is_help=True,
    pretty_exceptions_show_locals=False,
)
for name, noun in (
    ("users", users),
    ("organisations", organisations),
    ("apps", apps),
    ("credits", credits),
    ("payments", payments),
    ("catalog", catalog),
    ("ledger", ledger),
    ("events", events),
    ("subscriptions", subscriptions),
    ("top-ups", top_ups),
    ("webhooks", webhooks),
    ("alerts", alerts),
    ("findings", reconcile),
):
    app.add_typer(noun.app, name=name)
app.command("doctor")(doctor.doctor)
app.command("refund")(payments.refund)
app.command("reconcile")(reconcile.reconcile)
app.command("import-stripe")(import_stripe.import_stripe)
app.command("demo")(demo.demo)


def run_command_line(roof: Roof) -> None:
    """Parse the arguments and run the command they name."""
    app(obj=roof)


@app.command("serve")
def serve(
    context: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on (HOST).")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on (PORT).", min=0)] = None,
    worker: Annotated[bool, typer.Option(help="Also settle Stripe events in this process.")] = True,
) -> None:
    """Serve the API and the pages, and (unless --no-worker) settle Stripe events."""
    roof = roof_of(context)
    # uvicorn shuts down at a signal and then raises it again: it must unwind us, so that the database stops too.
    signal.signal(signal.SIGTERM, _leave)
    try:
        settings = roof.load_settings()
        with (
            roof.installed(settings, patience_seconds=START_PATIENCE_SECONDS) as installation,
            roof.supervised(installation),
        ):
            api = roof.make_api(settings, installation, worker=worker)
            uvicorn.run(
                api,
                host=host or settings.host,
                port=settings.port if port is None else port,
                # Named, so that a broken installation says so instead of serving slowly.
                loop="uvloop",
                http="httptools",
                log_config=None,
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACEFUL_SECONDS,
            )
    except BillingError as refusal:
        refuse(refusal)


@app.command("worker")
def work(context: typer.Context) -> None:
    """Settle Stripe events until told to stop (SIGINT or SIGTERM)."""

    async def working(ctx: Context) -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop.set)
        console.print("Worker started; Ctrl-C stops it.")
        await run_worker(ctx, stop)

    with contextlib.suppress(KeyboardInterrupt):
        run(context, working, patience_seconds=START_PATIENCE_SECONDS)


@app.command("migrate")
def migrate(context: typer.Context) -> None:
    """Bring the database to the newest revision; safe to repeat."""
    roof = roof_of(context)
    try:
        with console.status("Migrating …"), roof.installed(roof.load_settings()):
            pass
    except BillingError as refusal:
        refuse(refusal)
    console.print("[green]The database is at the newest revision.[/green]")


def _leave(*_: object) -> None:
    raise typer.Exit(0)
