"""/health: whether the service can do its work, for load balancers and people."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse

from tallybook.api.deps import Ctx
from tallybook.usecases import installation

router = APIRouter(tags=["health"])


@router.get("/health/live", summary="The process is up")
async def live() -> JSONResponse:
    """Always 200 while the process serves."""
    return JSONResponse({"status": "ok"})


@router.get("/health", summary="The service can do its work")
async def ready(ctx: Ctx, _: Request) -> JSONResponse:
    """200 when the database answers at the expected revision; else 503 with the reason."""
    found = await installation.health(ctx)
    return JSONResponse(
        {"status": "ok" if found.ok else "unavailable", "database": found.database},
        status_code=200 if found.ok else 503,
    )
