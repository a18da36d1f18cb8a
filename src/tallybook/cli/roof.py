"""How commands reach what the roof constructs: it is handed in, so that no command builds anything itself.

``run(typer_context, work)`` is what a command calls: it opens the installation and the context, awaits the work,
and turns a refusal into a sentence and an exit code.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Any, NoReturn, TypeVar

import typer
import uvloop
from rich.console import Console

from tallybook.domain.errors import BillingError
from tallybook.domain.identity.callers import Caller
from tallybook.settings import Settings
from tallybook.usecases.context import Context

T = TypeVar("T")
OPERATOR = Caller(is_admin=True)
"""Who runs commands: whoever has the machine has the house."""

EXIT_REFUSED = 1
errors = Console(stderr=True, highlight=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roof:
    """What the roof offers to commands."""

    load_settings: Callable[..., Settings]
    installed: Callable[..., AbstractContextManager[Any]]
    open_context: Callable[[Settings, Any], AbstractAsyncContextManager[Context]]
    make_api: Callable[..., Any]
    supervised: Callable[[Any], AbstractContextManager[None]]


def roof_of(typer_context: typer.Context) -> Roof:
    """The roof that was handed in."""
    found = typer_context.find_root().obj
    assert isinstance(found, Roof)
    return found


def run(
    typer_context: typer.Context,
    work: Callable[[Context], Awaitable[T]],
    *,
    patience_seconds: float = 0,
) -> T:
    """Do the work of a command with a context; a refusal ends the program with its sentence.

    ``patience_seconds`` is how long to wait for a database that does not answer yet.
    """
    roof = roof_of(typer_context)

    async def doing(settings: Settings, installation: Any) -> T:
        async with roof.open_context(settings, installation) as context:
            return await work(context)

    try:
        settings = roof.load_settings()
        with roof.installed(settings, patience_seconds=patience_seconds) as installation:
            return uvloop.run(doing(settings, installation))
    except BillingError as refusal:
        refuse(refusal)


def refuse(refusal: BillingError) -> NoReturn:
    """Say the refusal and stop with a non-zero status."""
    errors.print(f"[red]{refusal.code}[/red]: {refusal.message}", soft_wrap=True)
    for name, fact in refusal.facts.items():
        errors.print(f"  {name}: {fact}", soft_wrap=True)
    raise typer.Exit(EXIT_REFUSED)
