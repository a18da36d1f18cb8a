"""The roof: it alone constructs things. Settings in; a database, a context, an ASGI app or a worker out."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import structlog
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from tallybook import telemetry
from tallybook.api import server
from tallybook.cli.main import run_command_line
from tallybook.cli.roof import Roof
from tallybook.domain.catalog.products import Catalog
from tallybook.domain.clock import Clock
from tallybook.domain.errors import DatabaseUnavailableError
from tallybook.domain.payments.endpoints import INTAKE_URLS
from tallybook.postgres import migrating
from tallybook.postgres.embedded import EmbeddedPostgres, EmbeddedPostgresError
from tallybook.postgres.fresh import Fresh
from tallybook.postgres.group_commit import GroupCommit
from tallybook.postgres.known import Known
from tallybook.postgres.pool import Database
from tallybook.postgres.provisioning import Login, admit, provision
from tallybook.postgres.shop import Shop
from tallybook.security.sealing import Sealer
from tallybook.settings import Settings, load
from tallybook.stripe.gateway import StripeGateway
from tallybook.stripe.orders import Sales
from tallybook.usecases import signing_keys
from tallybook.usecases.context import Context
from tallybook.worker.main import run_worker

DATABASE_NAME = "tallybook"
OWNER_ROLE = "tallybook_owner"
SERVICE_ROLE = "tallybook_service"


def system_clock() -> datetime:
    """The time now, aware, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A database that is running and migrated, and how to reach it.

    ``embedded`` is the server when it is ours. URLs hold passwords: never print them.
    """

    service_url: str
    owner_url: str
    secret: str
    embedded: EmbeddedPostgres | None


def install(settings: Settings, *, patience_seconds: float = 0) -> Installation:
    """Start the embedded PostgreSQL unless ``DATABASE_URL`` names another, and migrate it.

    ``patience_seconds`` is how long to wait for a database that does not answer yet, as after a crash.

    Raises:
        DatabaseUnavailableError: it did not come up in time; says why.
    """
    if settings.database_url is not None:
        service_url = settings.database_url.get_secret_value()
        owner = settings.migration_database_url or settings.database_url
        assert settings.secret_key is not None, "settings demand it with DATABASE_URL"
        found = Installation(
            service_url=service_url,
            owner_url=owner.get_secret_value(),
            secret=settings.secret_key.get_secret_value(),
            embedded=None,
        )
    else:
        found = _install_embedded(settings)
    waiting = Retrying(
        retry=retry_if_exception_type(DatabaseUnavailableError),
        stop=stop_after_delay(patience_seconds),
        wait=wait_fixed(0.5),
        reraise=True,
    )
    for attempt in waiting:
        with attempt:
            migrating.migrate(found.owner_url)
            admit(found.owner_url, urlsplit(found.service_url).username or "")
    return found


def _install_embedded(settings: Settings) -> Installation:
    home = settings.data_dir.resolve()
    home.mkdir(parents=True, exist_ok=True)
    kept = _kept_secrets(home / "secrets.json")
    postgres = EmbeddedPostgres(home / "postgres", port=settings.postgres_port)
    try:
        postgres.start()
    except EmbeddedPostgresError as problem:
        raise DatabaseUnavailableError(str(problem)) from problem
    owner = Login(OWNER_ROLE, kept["owner_password"])
    service = Login(SERVICE_ROLE, kept["service_password"])
    superuser_url = postgres.superuser_url()
    provision(superuser_url, database=DATABASE_NAME, owner=owner, service=service)
    given = settings.secret_key
    return Installation(
        service_url=service.url(superuser_url, DATABASE_NAME),
        owner_url=owner.url(superuser_url, DATABASE_NAME),
        secret=given.get_secret_value() if given else kept["secret_key"],
        embedded=postgres,
    )


def _kept_secrets(path: Path) -> dict[str, str]:
    """The secrets of an embedded installation: made once, readable by this account only."""
    if not path.exists():
        made = {name: secrets.token_hex(32) for name in ("owner_password", "service_password", "secret_key")}
        draft = path.with_suffix(f".{os.getpid()}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            json.dump(made, file)
            file.flush()
            os.fsync(file.fileno())
        try:
            # A link fails if another process was first; then both use that one's secrets.
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    found = json.loads(path.read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def read_catalog(settings: Settings) -> Catalog:
    """The catalogue: ``CATALOG_FILE``, else the one that comes along; prices forced by settings applied.

    Raises:
        CatalogError: says which line is wrong.
    """
    source = settings.catalog_file or files("tallybook") / "catalog.toml"
    return Catalog.parse(source.read_text(encoding="utf-8")).with_prices(settings.price_overrides())


def make_gateway(settings: Settings) -> StripeGateway | None:
    """The way to Stripe, or None while ``STRIPE_SECRET_KEY`` is not set."""
    if settings.stripe_secret_key is None:
        return None
    return StripeGateway(
        settings.stripe_secret_key.get_secret_value(),
        api_version=settings.stripe_api_version,
        api_base=settings.stripe_api_base,
        sales=Sales(
            promotion_codes=settings.stripe_allow_promotion_codes,
            automatic_tax=settings.stripe_automatic_tax,
        ),
    )


@asynccontextmanager
async def open_context(
    settings: Settings, installation: Installation, *, clock: Clock = system_clock
) -> AsyncIterator[Context]:
    """Everything a use case needs, for as long as the block runs."""
    catalog = read_catalog(settings)
    db = await Database.connect(installation.service_url)
    group_commit = GroupCommit(db, clock)
    fresh = Fresh(db)
    stripe = make_gateway(settings)
    try:
        sealer = Sealer(installation.secret)
        signer = await signing_keys.ensure_signer(db, sealer, clock, settings.public_url)
        yield Context(
            db=db,
            group_commit=group_commit,
            fresh=fresh,
            known=Known(db, fresh),
            stripe=stripe,
            signer=signer,
            sealer=sealer,
            catalog=catalog,
            shop=Shop(db, catalog, public_url=settings.public_url, stripe=stripe is not None),
            clock=clock,
            livemode=settings.livemode,
            webhook_secrets={path: settings.webhook_secrets(path) for path in INTAKE_URLS},
            pages_url=settings.pages_url,
            allowed_return_origins=settings.own_origins,
            session_token_seconds=settings.session_token_seconds,
            session_seconds=settings.session_seconds,
            freeze_on_dispute=settings.freeze_wallet_on_dispute,
            anchors_dir=settings.anchors_dir
            or (settings.data_dir / "anchors" if installation.embedded else None),
            anchor_every_seconds=settings.anchor_every_seconds,
            own_addresses=settings.own_addresses,
            reconcile_at=settings.reconcile_at,
            publishable_key=settings.stripe_publishable_key or settings.next_public_stripe_publishable_key,
        )
    finally:
        if stripe is not None:
            await stripe.close()
        await group_commit.close()
        await db.close()


def make_api(
    settings: Settings, installation: Installation, *, worker: bool, clock: Clock = system_clock
) -> server.Service:
    """The ASGI app over an installed database; with ``worker`` it also settles Stripe events while it runs."""

    @asynccontextmanager
    async def serving() -> AsyncIterator[Context]:
        async with (
            open_context(settings, installation, clock=clock) as context,
            context.known.listening(),
        ):
            if not worker:
                yield context
                return
            stop = asyncio.Event()
            working = asyncio.create_task(run_worker(context, stop))
            working.add_done_callback(_stop_without_worker)
            try:
                yield context
            finally:
                stop.set()
                await working

    return server.create(
        serving,
        allowed_origins=settings.own_origins,
        version=version("tallybook"),
        log=telemetry.request_lines(level=settings.log_level, as_json=settings.log_format == "json"),
    )


def _stop_without_worker(working: asyncio.Task[None]) -> None:
    """A service that takes payments in and never settles them must not look well: it ends, to be started again."""
    if not working.cancelled() and working.exception() is not None:
        structlog.get_logger("tallybook").critical("worker_ended", exc_info=working.exception())
        signal.raise_signal(signal.SIGTERM)


@contextmanager
def installed(settings: Settings, *, patience_seconds: float = 0) -> Iterator[Installation]:
    """An installation for one command: an embedded server that this command started stops with it."""
    found = install(settings, patience_seconds=patience_seconds)
    try:
        yield found
    finally:
        if found.embedded is not None:
            found.embedded.stop()


@contextmanager
def supervised(installation: Installation) -> Iterator[None]:
    """While the block runs, an embedded server that dies is started again."""
    if installation.embedded is None:
        yield
        return
    supervisor = installation.embedded.supervise()
    try:
        yield
    finally:
        supervisor.stop()


def _load_settings(**overrides: object) -> Settings:
    settings = load(**overrides)
    telemetry.configure(
        level=settings.log_level,
        as_json=settings.log_format == "json",
        stripe_debug=settings.stripe_debug,
    )
    return settings


def main() -> None:
    """The program ``tallybook``."""
    run_command_line(
        Roof(
            load_settings=_load_settings,
            installed=installed,
            open_context=open_context,
            make_api=make_api,
            supervised=supervised,
        )
    )
